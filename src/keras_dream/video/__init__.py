"""Video: films that are dreamed frame by frame, and stay together in time."""
