"""Networks by name, and those of users."""
