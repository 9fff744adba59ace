"""Weights files: where they come from, the cache, and reading them."""
