"""Pictures that our own code draws: the motifs which the built-in network knows."""

from .registry import BACKGROUND, CLASSES, MOTIFS, Motif
from .scenes import ground, scene, single

__all__ = ["BACKGROUND", "CLASSES", "MOTIFS", "Motif", "ground", "scene", "single"]
