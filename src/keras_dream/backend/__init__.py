"""The array libraries behind one protocol."""
