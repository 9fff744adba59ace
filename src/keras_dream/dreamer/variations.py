"""Variations: dreams of one photo, each pushed away from those before it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from keras_dream.errors import ObjectiveError
from keras_dream.recipe.files import FileRef
from keras_dream.recipe.objectives import Objective, Term
from keras_dream.recipe.recipe import Recipe
from keras_dream.recipe.targets import Guide, Layer

MOST_LAYERS = 3
"""Layers of an objective whose statistics are compared: those of the largest weights.
A layer more is a term more for each of the pictures before."""

MOST_PICTURES = 8
"""Each is pushed away from so many before it, at most: their files' names and hashes
must fit into an objective's text, and each costs a term for each layer."""


def pushed_from(
    recipe: Recipe,
    pictures: Sequence[Path],
    diversity: float,
    *,
    otherwise: Sequence[str] = (),
) -> Recipe:
    """Returns a recipe that asks for other statistics than those of some pictures.

    Each layer of the first network's objective gets a guide by Gram matrices for each
    picture, with a negative weight: that of the layer times `diversity`, shared by the
    pictures. Lucid's `diversity` does so for a batch of images, by the cosines of their
    Gram matrices.

    Args:
        recipe: A complete recipe.
        pictures: The pictures' files; the last `MOST_PICTURES` count.
        diversity: How strongly, 0 or more.
        otherwise: Layers for an objective that has none, with the weight of all of it.

    Raises:
        ObjectiveError: If no layer is in the objective.
    """
    if recipe.objective is None or not pictures or not diversity:
        return recipe
    pictures = pictures[-MOST_PICTURES:]
    first, *others = recipe.objective.networks
    weights: dict[str, float] = {}
    for term in first.terms:
        if isinstance(term.target, Layer):
            layer = term.target.layer
            weights[layer] = weights.get(layer, 0.0) + abs(term.weight)
    if not weights:
        whole = sum(abs(term.weight) for term in first.terms)
        weights = dict.fromkeys(otherwise, whole)
    if not weights:
        raise ObjectiveError(
            "The objective of diverse variations must have a layer",
            received=first.sum_text,
            hint="add one, such as 0.1*mixed4, or set diversity to 0",
        )
    most = sorted(weights, key=lambda layer: -weights[layer])[:MOST_LAYERS]
    away = tuple(
        Term(
            -diversity * weights[layer] / len(pictures),
            Guide(FileRef(str(path)), layer, "gram"),
        )
        for layer in most
        for path in pictures
    )
    first = replace(first, terms=(*first.terms, *away))
    return recipe.but(objective=Objective((first, *others)))
