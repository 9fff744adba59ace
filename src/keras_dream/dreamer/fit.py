"""Which octaves of a picture are large enough for the layers of an objective."""

import shlex
from collections.abc import Sequence

from keras_dream.dreamer.ensemble import Ensemble
from keras_dream.engine.gradients import ObjectiveGraph
from keras_dream.engine.growth import Octave, octaves_of
from keras_dream.errors import PictureError
from keras_dream.geometry import Size
from keras_dream.graph.graph import Misfit
from keras_dream.parts.transforms import Crop, view_size
from keras_dream.recipe.objective_text import Numbers
from keras_dream.recipe.objectives import NetworkObjective
from keras_dream.recipe.recipe import Recipe
from keras_dream.recipe.targets import Layer


def octaves_that_fit(
    size: Size, recipe: Recipe, ensemble: Ensemble
) -> tuple[tuple[Octave, ...], tuple[str, ...]]:
    """Returns the octaves that a dream will run, and notices.

    Args:
        size: The picture's (height, width) in pixels.
        recipe: A complete recipe.
        ensemble: The networks.

    Raises:
        PictureError: If no octave is large enough for the layers.
        ObjectiveError: If a network lacks what its objective names.
    """
    complete = recipe.small_octaves == "skip"
    every = octaves_of(size, recipe)
    graphs = [ensemble.graphs(recipe.at(o.number)) for o in every]
    seen = [view_size(recipe.transforms, octave.size) for octave in every]
    misfits = [_misfit(g, s, complete) for g, s in zip(graphs, seen, strict=True)]
    kept = tuple(o for o, m in zip(every, misfits, strict=True) if m is None)
    if not kept:
        raise _refusal(ensemble, graphs[-1], seen[-1], recipe, misfits[-1])
    loading = [n for used in ensemble.used(recipe) for n in used.graph.notices]
    unused = [
        f"per_octave is not used for octaves {override.octaves}: there are "
        f"{len(every)}."
        for override in recipe.per_octave
        if override.first > len(every)
    ]
    notices = [*loading, *_skipped(graphs, every, misfits, complete), *unused]
    if not any(recipe.at(octave.number).steps for octave in kept):
        notices.append("No step is made, because `steps` is 0.")
    if recipe.loss != Recipe().loss and not any(map(_has_layers, recipe.every_network)):
        notices.append(
            f"The loss {recipe.loss.text} is not used: no term of the objective is a "
            "layer."
        )
    return kept, tuple(notices)


def check_fits(size: Size, recipe: Recipe, ensemble: Ensemble) -> None:
    """Makes sure that every network can be run at a size; arguments as above.

    Raises:
        PictureError: If one cannot.
    """
    graphs = ensemble.graphs(recipe)
    misfit = _misfit(graphs, size, recipe.small_octaves == "skip")
    if misfit is not None:
        raise _refusal(ensemble, graphs, size, recipe, misfit)


def _misfit(
    graphs: Sequence[ObjectiveGraph], size: Size, complete: bool
) -> Misfit | None:
    """Returns why one of the graphs cannot be run at a size."""
    misfits = (graph.misfit(size, complete=complete) for graph in graphs)
    return next((misfit for misfit in misfits if misfit is not None), None)


def _refusal(
    ensemble: Ensemble,
    graphs: Sequence[ObjectiveGraph],
    size: Size,
    recipe: Recipe,
    misfit: Misfit | None,
) -> PictureError:
    """Returns the error for a picture of a size at which nothing can be run."""
    complete = recipe.small_octaves == "skip"
    joins = misfit is not None and not misfit.vanishes
    at_least = size if joins else (1, 1)
    height, width = _smallest_size(graphs, complete, at_least)
    needed = f"at least {width} × {height} pixels"
    hint = "try a larger picture"
    if any(graph.is_fixed for graph in graphs):
        needed, hint = f"exactly {width} × {height} pixels", "resize the picture"
    elif height == width:
        needed = f"sides of at least {height} pixels"
    is_cropped = any(isinstance(t, Crop) for t in recipe.transforms)
    reason = "" if misfit is None else f", where {misfit.text}"
    return PictureError(
        f"A picture must have {needed} for {' + '.join(ensemble.names)} and these "
        "layers",
        received=f"{size[1]} × {size[0]} pixels{reason}",
        hint=hint
        + (", a smaller border" if recipe.border else "")
        + (", a larger crop" if is_cropped else "")
        + f" or an earlier layer, see `dream layers {shlex.quote(ensemble.names[0])}`",
    )


def _skipped(
    graphs: Sequence[Sequence[ObjectiveGraph]],
    octaves: Sequence[Octave],
    misfits: Sequence[Misfit | None],
    complete: bool,
) -> tuple[str, ...]:
    """Returns one notice on all octaves that are skipped, or none."""
    every = zip(octaves, graphs, misfits, strict=True)
    skipped = [(o, g, m) for o, g, m in every if m is not None]
    if not skipped:
        return ()
    octave, used, misfit = skipped[-1]
    numbers = Numbers(skipped.number for skipped, *_ in skipped)
    which = "Octave" if len(skipped) == 1 else "Octaves"
    what = "is" if len(skipped) == 1 else "are"
    height, width = octave.size
    text = (
        f"{which} {numbers} of {len(octaves)} {what} skipped: at {width} × {height} "
        f"pixels {misfit.text}{_needed(used, misfit, complete)}."
    )
    return (text,)


def _needed(graphs: Sequence[ObjectiveGraph], misfit: Misfit, complete: bool) -> str:
    """Returns the size that layers need which have nothing left, as a clause."""
    if not misfit.vanishes:
        return ""  # of unlike sizes: a smaller picture may fit as well
    height, width = _smallest_size(graphs, complete, (1, 1))
    return f"; the layers need {width} × {height}"


def _smallest_size(
    graphs: Sequence[ObjectiveGraph], complete: bool, at_least: Size
) -> Size:
    """Returns the smallest size at which every network can be run, side by side."""
    sizes = [g.smallest_size(complete=complete, at_least=at_least) for g in graphs]
    return max(height for height, _ in sizes), max(width for _, width in sizes)


def _has_layers(objective: NetworkObjective) -> bool:
    return any(isinstance(term.target, Layer) for term in objective.terms)
