"""Recipes, objectives and presets: everything that decides a dream, as data."""
