"""Workers: processes of their own that dream what a batch or a film orders."""
