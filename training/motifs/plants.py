"""Plants and mushrooms, gathered from their own modules."""

from .flowers import flower
from .leaves import leaf
from .mushrooms import mushroom
from .trees import tree

__all__ = ("flower", "leaf", "mushroom", "tree")
