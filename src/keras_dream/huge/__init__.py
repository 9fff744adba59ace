"""Pictures larger than memory: dreamed in tiles and bands, with everything on disk."""
