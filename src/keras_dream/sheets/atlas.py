"""The atlas of a network: what its layers, channels and classes dream from noise."""

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_dream.dreamer.dreamer import Dreamer
from keras_dream.errors import (
    InputError,
    NetworkError,
    ObjectiveError,
    SettingError,
    short_repr,
)
from keras_dream.graph.layers import chief_layers, matching, names
from keras_dream.graph.passes import truncate
from keras_dream.pictures.picture import Picture
from keras_dream.pictures.synthetic import leaves, noise, round_to_8_bits
from keras_dream.recipe.objective_text import Numbers
from keras_dream.recipe.objectives import parse
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.recipe.settings import pop_keys
from keras_dream.recipe.targets import Class, Layer
from keras_dream.sheets.plan import Cell, Plan, Section, check_count
from keras_dream.sheets.run import Dreamers, SheetRun
from keras_dream.sheets.sheet import Sheet

SIDE = 96
MIN_SIDE, MAX_SIDE = 16, 2048  # pixels
FIRST_CHANNELS = 16
COLUMNS = 16

CONTRAST = 0.4
"""The contrast of the noise that a cell starts from, relative to photographs: enough
for most channels to respond, too little to be visible in the dream."""

LEAVES = 8
"""How many pictures of leaves are tried for channels that do not respond to noise:
those of deep layers respond to edges and corners."""

_SET_BY_CELLS = ("network", "objective")
_OPTIONS = ("weights", "preprocessing", "trust_model")


def atlas(
    network: Any = "motif",
    *,
    layers: Sequence[str] | str = (),
    channels: str | None = None,
    classes: bool = False,
    size: int = SIDE,
    columns: int = COLUMNS,
    folder: str | os.PathLike[str] | None = None,
    fresh: bool = False,
    recipe: Recipe | None = None,
    **settings: Any,
) -> Sheet:
    """Dreams the atlas of a network.

    Args:
        network: A network's name, a built `keras.Model`, or a `Dreamer`.
        layers: Names of layers or patterns of them, such as "mixed*"; without any, the
            ends of the network's blocks, or no layers if `classes` is set.
        channels: Such as "0-15,40", or "all"; those that a layer lacks are skipped.
            None means the first 16 of a layer, and all classes.
        classes: Whether to dream the classes, too.
        size: The side of a cell in pixels. A layer that needs more is dreamed at its
            smallest size and shrunk.
        columns: The most cells in a row of a picture.
        folder: Where cells are saved and reused from, or None to save none.
        fresh: Whether to dream cells again that are in the folder.
        recipe: Settings that override those of `recipe_for`.
        **settings: Any setting of the recipe, which overrides it; any run setting, and
            `weights`, `preprocessing` and `trust_model`, as for `Dreamer`.

    Returns:
        The sheet; `atlas(...).save("atlas.html")` writes it.

    Raises:
        ObjectiveError: If a pattern matches no layer, or no layer has such channels.
        DreamError: As for `Dreamer` and `Dreamer.steps`.
    """
    run = RunSettings.of(pop_keys(settings, RunSettings.model_fields))
    options = pop_keys(settings, _OPTIONS)
    overrides = (recipe or Recipe()).but(**settings)
    dreamer = network
    if not isinstance(network, Dreamer):
        dreamer = Dreamer(network, run=run, classifier=classes, **options)
    plan = plan_atlas(
        dreamer,
        layers=[layers] if isinstance(layers, str) else layers,
        channels=channels,
        classes=classes,
        size=size,
        columns=columns,
        recipe=overrides,
    )
    path = None if folder is None else Path(folder)
    dreamers = Dreamers((), dreamer=dreamer)
    return SheetRun(plan, dreamers, folder=path, fresh=fresh).finish()


def recipe_for(size: int) -> Recipe:
    """Returns the recipe of cells of a size, without network and objective.

    Chosen by eye on the built-in network.

    Args:
        size: The side of a cell in pixels.
    """
    return Recipe(
        loss="mean",  # squares would favour positions that respond already
        octaves=5,
        steps=20,
        jitter=max(1, size // 16),
        detail="none",  # detail of the noise need not be put back
    )


def plan_atlas(
    dreamer: Dreamer,
    *,
    layers: Sequence[str] = (),
    channels: str | None = None,
    classes: bool = False,
    size: int = SIDE,
    columns: int = COLUMNS,
    recipe: Recipe | None = None,
) -> Plan:
    """Returns the plan of an atlas.

    Args:
        dreamer: Its dreamer; of several networks, the first is drawn.
        layers: As for `atlas`.
        channels: As for `atlas`.
        classes: As for `atlas`.
        size: As for `atlas`.
        columns: The most cells in a row.
        recipe: As for `atlas`.

    Raises:
        ObjectiveError: As for `atlas`.
        InputError: If a size or a setting is out of range.
    """
    overrides = recipe or Recipe()
    _check(size, columns, overrides)
    base = overrides.over(recipe_for(size)).but(network=dreamer.network)
    base = base.for_size((size, size))
    planner = _Planner(dreamer, size, columns, base, numbers(channels))
    sections: list[Section] = []
    if layers or not classes:
        graph = dreamer.graph
        nodes = matching(graph, layers, chief_first=True) if layers else None
        sections += planner.layers(chief_layers(graph) if nodes is None else nodes)
    if classes:
        sections.append(planner.classes())
    count = sum(len(section.cells) for section in sections)
    octaves = f"{base.octaves} octave{'' if base.octaves == 1 else 's'}"
    pictures = [cell.picture for section in sections for cell in section.cells]
    return Plan(
        kind="atlas",
        title=f"Atlas of {dreamer.network}",
        subtitle=f"{count} dreams from noise, {octaves} of {base.steps} steps",
        sections=sections,
        side=size,
        about={
            "network": dreamer.network,
            "layers": list(layers),
            "channels": channels,
            "classes": classes,
            "size": size,
            "recipe": base.model_dump(mode="json"),
        },
        beside=tuple({picture.name: picture for picture in pictures}.values()),
    )


def numbers(text: str | None) -> Numbers | None:
    """Reads channels as they are written in objectives: "0-15,40".

    Args:
        text: Such text, "all", or None.

    Returns:
        The numbers, ascending; empty for "all", None for None.

    Raises:
        ObjectiveError: If the text is neither.
    """
    if text is None or text.strip() == "all":
        return None if text is None else Numbers(())
    try:
        (term,) = parse(f"layer:{text}").terms
    except (ObjectiveError, ValueError):
        term = None
    target = term.target if term else None
    if not isinstance(target, Layer) or not target.channels:
        raise ObjectiveError(
            "Channels must be numbers and ranges of numbers",
            received=repr(text),
            hint="write them like '0-15,40' or 'all'",
        ) from None
    return target.channels


class _Planner:
    """Plans the sections of an atlas."""

    def __init__(
        self,
        dreamer: Dreamer,
        size: int,
        columns: int,
        recipe: Recipe,
        channels: Numbers | None,
    ):
        self._dreamer = dreamer
        self._graph = dreamer.graph
        self._size = size
        self._columns = columns
        self._recipe = recipe
        self._channels = channels
        self._pictures: dict[str, Picture] = {}

    def layers(self, nodes: Sequence[str]) -> list[Section]:
        """Returns a section for each layer that has any of the channels."""
        layer_names, counts = names(self._graph), self._graph.channels()
        sections: list[Section] = []
        for node in nodes:
            name = layer_names[node]
            every = Numbers(range(FIRST_CHANNELS))
            every = every if self._channels is None else self._channels
            channels = (every or Numbers(range(counts[node]))).below(counts[node])
            if not channels:
                continue
            side = self._smallest(node, self._recipe.border)
            starts = self._choose_starts(name, side, channels)
            cells = [
                Cell(
                    name=f"{name}-{channel}",
                    label=str(channel),
                    recipe=self._recipe_of(Layer.named(name, channels=(channel,)).text),
                    picture=starts[channel],
                    like=f"layer {node}",
                )
                for channel in channels
            ]
            sections.append(Section(name, cells, self._columns))
            check_count(sum(len(s.cells) for s in sections), "try fewer --channels")
        if not sections:
            widest = max((counts[node] for node in nodes), default=0)
            raise _no_channels("Channels", widest, self._channels)
        return sections

    def classes(self) -> Section:
        """Returns the section of the classes."""
        graph = self._graph
        if graph.classifier is None:
            raise NetworkError(
                "Classes must come from a network with a dense classifier",
                received="one without",
                hint="leave --classes out",
            )
        count = graph.channels()[graph.classifier]
        class_names = graph.classes or tuple(map(str, range(count)))
        side = self._smallest(graph.classifier, border=0)
        start = next(self._starts(side))
        numbers = (self._channels or Numbers(range(count))).below(count)
        if not numbers:
            raise _no_channels("Channels of the classes", count, self._channels)
        cells = [
            Cell(
                name=f"class-{class_names[n]}",
                label=class_names[n],
                recipe=self._recipe_of(Class(class_names[n]).text),
                picture=start,
                like="classes",
            )
            for n in numbers
        ]
        return Section("classes", cells, self._columns)

    def _recipe_of(self, objective: str) -> Recipe:
        return self._recipe.but(objective=objective)

    def _smallest(self, node: str, border: int) -> int:
        graph = truncate(self._graph, frozenset({node}))
        return graph.smallest(border=border, nodes=[node], at_least=self._size)

    def _choose_starts(
        self, layer: str, side: int, channels: Sequence[int]
    ) -> dict[int, Picture]:
        """Returns the picture that each channel starts from: the first with a response.

        Where an activation is 0 everywhere, behind a ReLU, the gradient is 0, too. A
        channel that responds to none starts from the first.
        """
        chosen: dict[int, Picture] = {}
        first: Picture | None = None
        for start in self._starts(side):
            first = first or start
            responds = self._responds(start, layer)
            for channel in channels:
                if responds[channel]:
                    chosen.setdefault(channel, start)
            if len(chosen) == len(channels):
                return chosen
        return {channel: chosen.get(channel, first) for channel in channels if first}

    def _responds(self, start: Picture, layer: str) -> np.ndarray:
        """Returns which of a layer's channels respond to a start, bool (channels,)."""
        feature_map = self._dreamer.features(start.pixels, [layer])[layer]
        return np.abs(feature_map).max(axis=(0, 1)) > 0

    def _starts(self, side: int) -> Iterator[Picture]:
        """Yields pictures that cells may start from, the plainest first."""
        size = (side, side)
        yield self._picture(f"noise-{side}", lambda: _faint(noise(0, size)))
        yield self._picture(f"noise-strong-{side}", lambda: noise(0, size))
        for seed in range(LEAVES):
            name = f"leaves-{seed}-{side}"
            yield self._picture(name, functools.partial(leaves, seed, size))

    def _picture(self, name: str, make: Callable[[], np.ndarray]) -> Picture:
        if name not in self._pictures:
            self._pictures[name] = Picture(make(), name=f"{name}.png")
        return self._pictures[name]


def _faint(image: np.ndarray) -> np.ndarray:
    """Returns an image with its contrast reduced."""
    return round_to_8_bits(0.5 + CONTRAST * (image.astype(np.float64) - 0.5))


def _no_channels(name: str, count: int, channels: Numbers | None) -> ObjectiveError:
    return ObjectiveError(
        f"{name} must be below {count}, the most that there are",
        received=short_repr(str(channels or "")),
        hint="see `dream layers NETWORK`",
    )


def _check(size: int, columns: int, recipe: Recipe) -> None:
    for name, value, low, high in (
        ("size", size, MIN_SIDE, MAX_SIDE),
        ("columns", columns, 1, 1000),
    ):
        if not low <= value <= high:
            raise InputError(
                f"`{name}` must be a whole number from {low} to {high}",
                received=str(value),
                hint=f"try {SIDE if name == 'size' else COLUMNS}",
            )
    for name in _SET_BY_CELLS:
        if name in recipe.model_fields_set:
            raise SettingError(
                f"`{name}` must be left out for an atlas, which sets it for each cell",
                received=repr(getattr(recipe, name)),
                hint="choose with --layers, --channels and --classes",
            )
