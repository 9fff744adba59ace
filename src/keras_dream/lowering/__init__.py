"""Lowering: a Keras model becomes a graph, exactly and unfolded."""

LOWERING_VERSION = 1
"""Raise it by one whenever a model is lowered to other operations or numbers than
before: the lowered copies in users' caches are then made again. A test compares the
graphs of some small models with those of this version."""
