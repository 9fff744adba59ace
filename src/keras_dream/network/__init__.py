"""Networks: lowered from Keras, optimised, planned, and run on a backend."""
