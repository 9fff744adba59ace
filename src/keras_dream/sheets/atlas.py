"""The atlas of a network: what its layers, channels and classes dream from noise."""

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_dream.dreamer.dreamer import Dreamer
from keras_dream.errors import InputError, NetworkError, ObjectiveError, SettingError
from keras_dream.graph.layers import chief_layers, matching, names
from keras_dream.graph.passes import truncate
from keras_dream.pictures.encoding import save_picture
from keras_dream.pictures.picture import Picture
from keras_dream.pictures.synthetic import leaves, noise
from keras_dream.recipe.objectives import Class, Layer, parse
from keras_dream.recipe.recipe import Recipe
from keras_dream.recipe.settings import pop_keys
from keras_dream.sheets.cells import open_folder
from keras_dream.sheets.plan import Cell, Plan, Section, check_count
from keras_dream.sheets.work import Dreamers, Sheet, Work, run_of, to_the_end

SIDE = 96
LEAST_SIDE, MOST_SIDE = 16, 2048  # pixels
FIRST_CHANNELS = 16
COLUMNS = 16

CONTRAST = 0.4
"""Of the noise that a cell begins with, against that of photographs: enough to wake
most channels, too little to be seen beside what they paint."""

LEAVES = 8
"""Pictures of fallen leaves that are tried for channels that no noise wakes: those of
deep layers wait for edges and corners."""

_TAKEN = ("network", "objective")
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
            chief layers, or none of them where `classes` are asked for.
        channels: Such as "0-15,40", or "all"; of each layer those that it has. None
            takes the first 16 of a layer, and all classes.
        classes: Whether to dream the classes, too.
        size: The side of a cell in pixels. A layer that needs more is dreamed at its
            smallest size and shrunk.
        columns: The most cells in a row of a picture.
        folder: Where cells are kept and found again, or None to keep none.
        fresh: Whether to dream again what is there.
        recipe: Settings that are put over those of `recipe_for`.
        **settings: Any setting of the recipe, put over it; any run setting, and
            `weights`, `preprocessing` and `trust_model`, as for `Dreamer`.

    Returns:
        The sheet; `atlas(...).save("atlas.html")` writes it.

    Raises:
        ObjectiveError: If a pattern matches no layer, or no layer has such channels.
        DreamError: As for `Dreamer` and `Dreamer.steps`.
    """
    run = run_of(settings)
    options = pop_keys(settings, _OPTIONS)
    chosen = (recipe or Recipe()).but(**settings)
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
        recipe=chosen,
    )
    kept = None if folder is None else Path(folder)
    if kept is not None:
        keep_starts(plan, kept)
    work = Work(plan, Dreamers((), dreamer=dreamer), folder=kept, fresh=fresh)
    return to_the_end(work)


def recipe_for(size: int) -> Recipe:
    """Returns what cells of a size are dreamed with, but for network and objective.

    Chosen by eye on the built-in network.

    Args:
        size: The side of a cell in pixels.
    """
    return Recipe(
        loss="mean",  # squares would favour the place that is strong already
        octaves=5,
        steps=20,
        jitter=max(1, size // 16),
        detail="none",  # the noise is nobody's photo: nothing of it need come back
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
        dreamer: Who dreams it; of several networks, the first is asked.
        layers: As for `atlas`.
        channels: As for `atlas`.
        classes: As for `atlas`.
        size: As for `atlas`.
        columns: The most cells in a row.
        recipe: As for `atlas`.

    Raises:
        ObjectiveError: As for `atlas`.
        InputError: If a size or a setting cannot be.
    """
    given = recipe or Recipe()
    _check(size, columns, given)
    base = given.over(recipe_for(size)).but(network=dreamer.network)
    drawer = _Drawer(dreamer, size, columns, base, numbers(channels))
    sections: list[Section] = []
    if layers or not classes:
        graph = dreamer.graph
        nodes = matching(graph, layers, chief_first=True) if layers else None
        sections += drawer.layers(chief_layers(graph) if nodes is None else nodes)
    if classes:
        sections.append(drawer.classes())
    count = sum(len(section.cells) for section in sections)
    octaves = f"{base.octaves} octave{'' if base.octaves == 1 else 's'}"
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
    )


def numbers(text: str | None) -> tuple[int, ...] | None:
    """Reads channels as they are written in objectives: "0-15,40".

    Args:
        text: Such, "all", or None.

    Returns:
        The numbers, ascending; empty for all, None for none given.

    Raises:
        ObjectiveError: If the text is something else.
    """
    if text is None or text.strip() == "all":
        return None if text is None else ()
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


def keep_starts(plan: Plan, folder: Path) -> None:
    """Saves what the cells begin with beside them, so that each can be made again.

    Args:
        plan: An atlas.
        folder: Where its cells are.

    Raises:
        OutputError: If the folder cannot be made or takes no files.
    """
    open_folder(folder)
    for picture in {cell.picture.name: cell.picture for cell in plan.cells}.values():
        if not (folder / picture.name).is_file():
            save_picture(folder / picture.name, picture.pixels)


class _Drawer:
    """Draws up the sections of an atlas."""

    def __init__(
        self,
        dreamer: Dreamer,
        size: int,
        columns: int,
        recipe: Recipe,
        chosen: tuple[int, ...] | None,
    ):
        self._dreamer = dreamer
        self._graph = dreamer.graph
        self._size = size
        self._columns = columns
        self._recipe = recipe
        self._chosen = chosen
        self._known: dict[str, Picture] = {}

    def layers(self, nodes: Sequence[str]) -> list[Section]:
        """Returns a section for each layer that has any of the channels."""
        known, counts = names(self._graph), self._graph.channels()
        found: list[Section] = []
        for node in nodes:
            first = range(FIRST_CHANNELS) if self._chosen is None else self._chosen
            channels = [c for c in first or range(counts[node]) if c < counts[node]]
            if not channels:
                continue
            starts = self._waking(known[node], self._smallest(node), channels)
            cells = [
                Cell(
                    name=f"{known[node]}-{channel}",
                    label=str(channel),
                    recipe=self._aiming(Layer.named(known[node], (channel,)).text),
                    picture=starts[channel],
                    like=f"layer {node}",
                )
                for channel in channels
            ]
            found.append(Section(known[node], cells, self._columns))
            check_count(sum(len(s.cells) for s in found), "try fewer --channels")
        if not found:
            widest = max((counts[node] for node in nodes), default=0)
            raise _no_channels("Channels", widest, self._chosen)
        return found

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
        known = graph.classes or tuple(map(str, range(count)))
        side = max(self._size, self._smallest(graph.classifier))
        start = next(self._starts(side))
        chosen = [n for n in self._chosen or range(count) if n < count]
        if not chosen:
            raise _no_channels("Channels of the classes", count, self._chosen)
        cells = [
            Cell(
                name=f"class-{known[n]}",
                label=known[n],
                recipe=self._aiming(Class(known[n]).text),
                picture=start,
                like="classes",
            )
            for n in chosen
        ]
        return Section("classes", cells, self._columns)

    def _aiming(self, objective: str) -> Recipe:
        return self._recipe.but(objective=objective)

    def _smallest(self, node: str) -> int:
        graph = truncate(self._graph, frozenset({node}))
        return graph.smallest(self._recipe.border, [node])

    def _waking(
        self, layer: str, least: int, channels: Sequence[int]
    ) -> dict[int, Picture]:
        """Returns what each channel begins with: the first start that wakes it.

        Where an activation is 0 everywhere, behind a ReLU, there is no slope to climb.
        A channel that none wakes begins with the first.
        """
        found: dict[int, Picture] = {}
        first: Picture | None = None
        for start in self._starts(max(self._size, least)):
            first = first or start
            awake = self._awake(start, layer)
            for channel in channels:
                if awake[channel]:
                    found.setdefault(channel, start)
            if len(found) == len(channels):
                return found
        return {channel: found.get(channel, first) for channel in channels if first}

    def _awake(self, start: Picture, layer: str) -> np.ndarray:
        """Returns which of a layer's channels respond to a start, bool (channels,)."""
        maps = self._dreamer.features(start.pixels, [layer])[layer]
        return np.abs(maps).max(axis=(0, 1)) > 0

    def _starts(self, side: int) -> Iterator[Picture]:
        """Yields what cells may begin with, the plainest first."""
        size = (side, side)
        yield self._picture(f"noise-{side}", lambda: _faint(noise(0, size)))
        yield self._picture(f"noise-strong-{side}", lambda: noise(0, size))
        for seed in range(LEAVES):
            name = f"leaves-{seed}-{side}"
            yield self._picture(name, functools.partial(leaves, seed, size))

    def _picture(self, name: str, make: Callable[[], np.ndarray]) -> Picture:
        if name not in self._known:
            self._known[name] = Picture(make(), name=f"{name}.png")
        return self._known[name]


def _faint(image: np.ndarray) -> np.ndarray:
    """Returns an image of low contrast, in whole 255ths as a saved picture has them."""
    faint = 0.5 + CONTRAST * (image.astype(np.float64) - 0.5)
    return (np.rint(faint * 255) / 255).astype(np.float32)


def _no_channels(
    what: str, count: int, chosen: tuple[int, ...] | None
) -> ObjectiveError:
    return ObjectiveError(
        f"{what} must be below {count}, the most that there are",
        received=", ".join(map(str, (chosen or ())[:5])),
        hint="see `dream layers NETWORK`",
    )


def _check(size: int, columns: int, recipe: Recipe) -> None:
    for name, value, low, high in (
        ("size", size, LEAST_SIDE, MOST_SIDE),
        ("columns", columns, 1, 1000),
    ):
        if not low <= value <= high:
            raise InputError(
                f"`{name}` must be a whole number from {low} to {high}",
                received=str(value),
                hint=f"try {SIDE if name == 'size' else COLUMNS}",
            )
    for name in _TAKEN:
        if name in recipe.model_fields_set:
            raise SettingError(
                f"`{name}` must be left out for an atlas, which sets it for each cell",
                received=repr(getattr(recipe, name)),
                hint="choose with --layers, --channels and --classes",
            )
