"""The table of classes: one line for each motif."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from . import (
    birds,
    built,
    corals,
    eyes,
    fractals,
    heads,
    insects,
    molluscs,
    patterns,
    plants,
    plumage,
    reptiles,
    sea,
    shells,
    towers,
    waves,
    wheels,
)

Draw = Callable[[np.random.Generator, int], np.ndarray]


class Motif(NamedTuple):
    """How a class is drawn, and how far it may be turned (± radians) in a scene."""

    draw: Draw
    turn: float


ANY = 3.15  # any way up
LEAN = 0.35  # things with an up and a down

MOTIFS: dict[str, Motif] = {
    "eye": Motif(eyes.eye, 0.6),
    "peacock": Motif(eyes.peacock, ANY),
    "shell": Motif(shells.shell, ANY),
    "flower": Motif(plants.flower, ANY),
    "fish": Motif(sea.fish, 0.4),
    "scales": Motif(sea.scales, ANY),
    "dog": Motif(heads.dog, LEAN),
    "cat": Motif(heads.cat, LEAN),
    "owl": Motif(heads.owl, LEAN),
    "bird": Motif(birds.bird, 0.5),
    "butterfly": Motif(insects.butterfly, ANY),
    "beetle": Motif(insects.beetle, ANY),
    "octopus": Motif(molluscs.octopus, ANY),
    "snake": Motif(reptiles.snake, ANY),
    "mushroom": Motif(plants.mushroom, LEAN),
    "leaf": Motif(plants.leaf, ANY),
    "tree": Motif(plants.tree, LEAN),
    "fractal": Motif(fractals.fractal, ANY),
    "feathers": Motif(plumage.feathers, ANY),
    "fur": Motif(patterns.fur, ANY),
    "mandala": Motif(patterns.mandala, ANY),
    "honeycomb": Motif(patterns.honeycomb, ANY),
    "arches": Motif(built.arches, 0.25),
    "pagoda": Motif(built.pagoda, 0.25),
    "wheel": Motif(wheels.wheel, ANY),
    "coral": Motif(corals.coral, 0.6),
    "waves": Motif(waves.waves, LEAN),
    "tower": Motif(towers.tower, 0.25),
}

BACKGROUND = len(MOTIFS)  # its number in a label map
CLASSES: tuple[str, ...] = (*MOTIFS, "background")
