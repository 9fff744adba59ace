"""Keras models become graphs."""
