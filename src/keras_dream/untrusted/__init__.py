"""Model files of strangers, looked at before Keras sees them."""
