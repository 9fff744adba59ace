"""Pictures: decoding, encoding, metadata and drawing."""
