"""A network as a graph of operations: values, integer plans and facts, no arrays run.

A graph is exact and unfolded: every layer of the Keras model can be asked for.
`keras_dream.graph.passes.optimise` makes a faster one for the layers that a dream
asks for.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from keras_dream.errors import NetworkError, ObjectiveError, nearest
from keras_dream.geometry import Size
from keras_dream.graph.classes import advice, numbers_of, similar
from keras_dream.graph.ops import (
    INPUT,
    OPERATIONS,
    Join,
    Node,
    Operation,
    ReceptiveField,
    must,
)
from keras_dream.recipe.targets import Class, Layer

LARGEST_SMALLEST = 1 << 17  # pixels: 1000 cells of border on both sides, at stride 64
MOST_NODES = 1 << 14  # NASNetLarge has 1,700
MOST_LINKS = 1 << 16  # from node to node
MOST_CHANNELS = 1 << 20  # of a node; VGG's dense layers read 25,088
LONGEST_NAME = 512  # characters
WORK_SIDE = 512  # pixels of the square picture whose work is counted
MOST_WORK = 1 << 25  # operations for a pixel; ConvNeXtXLarge has 1.2 million
LARGEST_OPAQUE = 1 << 11  # pixels, of networks with opaque layers: Keras may run them
KEPT_SIZES = 16  # more than the octaves of a dream
LARGEST_PERIOD = 512  # pixels: of the sizes whose feature maps can be joined


class Plan(NamedTuple):
    """A graph at one size of picture.

    Attributes:
        sizes: (height, width) of every node's feature map.
        paddings: Every node's padding: top, bottom, left, right.
        values: The paddings that depend on the size, four to a node, in node order.
    """

    sizes: Mapping[str, Size]
    paddings: Mapping[str, tuple[int, int, int, int]]
    values: tuple[int, ...]


class Misfit(NamedTuple):
    """Why a graph cannot be run at a size.

    Attributes:
        text: A clause, such as "mixed5 has no cells left".
        axes: The sides of the picture that do not fit: 0 is the height, 1 the width.
        vanishes: Whether something has no cells; every larger side fits then.
    """

    text: str
    axes: tuple[int, ...]
    vanishes: bool


_Resolution = tuple[Plan, tuple[Misfit, ...]]


@dataclass(frozen=True)
class Graph:
    """A network lowered to operations.

    Attributes:
        nodes: In an order in which every node stands behind its inputs; the first is
            the image, in [0, 1].
        weights: Arrays by "node/kernel", "node/bias", "node/scale", "node/shift".
        layers: What can be asked for, "mixed4" or "conv2d@7", to node names.
        classifier: The node of the class scores before their softmax, if there is one.
        classes: Names of the classes; empty where only numbers are known.
        objective: The network's own good objective, as text.
        unsupported: Why other layers of the model cannot be asked for, by their names:
            "it makes a tensor of 5 axes, which is no feature map".
        opaque: Keras operations that stay Keras' own, by node name.
        native_size: (height, width) that the model was built for, where it is fixed;
            opaque layers may take no other. Not kept in files.
        notices: What the user should know of how it was lowered.
    """

    nodes: tuple[Node, ...]
    weights: Mapping[str, np.ndarray]
    layers: Mapping[str, str]
    classifier: str | None = None
    classes: tuple[str, ...] = ()
    objective: str | None = None
    unsupported: Mapping[str, str] = field(default_factory=dict)
    opaque: Mapping[str, Any] = field(default_factory=dict)
    native_size: Size | None = None
    notices: tuple[str, ...] = ()

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """The nodes' operations, in the order of the nodes."""
        return tuple(
            OPERATIONS[node.op](node, self.weights, layer=self.opaque.get(node.name))
            for node in self.nodes
        )

    def node_of(self, layer: str) -> str:
        """Returns the node of a layer.

        Raises:
            ObjectiveError: If there is no such layer, with the nearest name; or if it
                cannot be asked for, with the reason.
        """
        if layer in self.unsupported:
            raise ObjectiveError(
                "A layer must make a feature map to be dreamed",
                received=f"{layer!r}: {self.unsupported[layer]}",
                hint="try a layer before or behind it, see `dream layers NETWORK`",
            )
        if layer not in self.layers:
            self._check_no_class(layer)
            # A layer that goes by its class's name is known by its ordinal only.
            first = f"{layer}@0"
            named = [n for n in self.layers if "@" not in n or n == first]
            texts = map(_objective_text, named or self.layers)
            hint = nearest(layer, texts, see="`dream layers NETWORK`")
            if layer.lower().endswith((".png", ".jpg", ".jpeg", ".webp", ".tif")):
                hint = f"write guide({layer}, LAYER) for a guide picture"
            if layer == "default":
                hint = "it stands alone: write out what `dream show PICTURE` has for it"
            words = [Class(name).text for name in similar(layer, self.classes)]
            raise ObjectiveError(
                "A layer must be one of the network's",
                received=repr(layer),
                hint=" or ".join([f"{hint}, or try {words[0]}", *words[1:]])
                if words
                else hint,
            )
        return self.layers[layer]

    def _check_no_class(self, name: str) -> None:
        """Leads from a layer that is missing to the class of this name."""
        numbers = numbers_of(name, self.classes)
        texts = [Class(self.classes[number]).text for number in numbers]
        if texts:
            raise ObjectiveError(
                "A layer must be one of the network's",
                received=f"{name!r}, which is a class of it",
                hint=f"try {' or '.join(texts)}",
            )

    def class_number(self, name: str) -> int:
        """Returns the number of the class with a name or number.

        Raises:
            ObjectiveError: If the network has no such class.
        """
        if self.classifier is None:
            raise ObjectiveError(
                "A class score must come from a network with a dense classifier",
                received=f"class:{name} for a network without one",
                hint="try a layer instead, see `dream layers NETWORK`",
            )
        numbers = numbers_of(name, self.classes)
        if len(numbers) > 1:
            raise ObjectiveError(
                "A class's name must stand for one class",
                received=f"{name!r}, which is "
                + " and ".join(f"{n}, {self.classes[n]}" for n in numbers),
                hint="try " + " or ".join(f"class:{n}" for n in numbers),
            )
        if numbers:
            return numbers[0]
        count = self.channels()[self.classifier]
        # Not isdigit, which knows "²"; and int refuses thousands of digits.
        if name.isdecimal() and len(name) < 10 and int(name) < count:
            return int(name)
        raise ObjectiveError(
            "A class must be one of the network's"
            if self.classes
            else f"A class must be a number below {count} for this network",
            received=repr(name),
            hint=advice(name, self.classes) if self.classes else "try class:0",
        )

    def channels(self) -> dict[str, int]:
        """Returns the number of channels of every node's feature map."""
        return dict(self._channels)

    @cached_property
    def _channels(self) -> dict[str, int]:
        channels: dict[str, int] = {}
        for op in self.operations:
            inputs = [channels[name] for name in op.node.inputs]
            channels[op.node.name] = op.channels(inputs)
        return channels

    def plan(self, height: int, width: int) -> Plan:
        """Resolves sizes and SAME paddings for a picture.

        Args:
            height: The whole picture's height in pixels, also for a region of it.
            width: The same for its width.

        Raises:
            NetworkError: If the graph cannot be run at this size.
        """
        plan, problems = self._resolve((height, width))
        if problems:
            raise NetworkError(
                "A picture must have a size at which the network can be run",
                received=f"{_pixels((height, width))}, where {problems[0].text}",
                hint=self._try_instead((height, width)),
            )
        return plan

    def misfit(
        self, size: Size, *, border: int = 0, nodes: Iterable[str] = ()
    ) -> Misfit | None:
        """Returns why a picture of a size cannot be used, None if it can.

        Args:
            size: The picture's (height, width) in pixels.
            border: Cells that the loss leaves out on each side.
            nodes: Nodes in which a cell must remain inside the border.
        """
        return next(iter(self._misfits(size, border, tuple(nodes))), None)

    def smallest_size(
        self,
        *,
        border: int = 0,
        nodes: Iterable[str] = (),
        at_least: Size = (1, 1),
    ) -> Size:
        """Returns the smallest (height, width) in pixels that can be used.

        Height and width are each as small as they can be: the axes do not depend on
        each other.

        Args:
            border: Cells that the loss leaves out on each side.
            nodes: Nodes in which a cell must remain inside the border.
            at_least: The sides are at least so long.

        Raises:
            NetworkError: If there is none.
        """
        names = tuple(nodes)
        size = self._native_at_least(at_least)
        if size is None:
            size = self._search_size(border, names, at_least)
        problems = self._misfits(size, border, names)
        if not problems:
            return size
        raise NetworkError(
            "A network must be able to run at some size of picture",
            received=f"one in which {problems[0].text}",
            hint="try border=0" if border else "try an earlier layer",
        )

    def smallest(
        self, *, border: int = 0, nodes: Iterable[str] = (), at_least: int = 1
    ) -> int:
        """Returns the side of the smallest square that can be used.

        Arguments and errors as for `smallest_size`.
        """
        names, side = tuple(nodes), at_least
        while True:
            size = self.smallest_size(border=border, nodes=names, at_least=(side, side))
            if size[0] == size[1]:
                return size[0]
            side = max(size)

    def _native_at_least(self, at_least: Size) -> Size | None:
        """Returns the one size of a network with layers of a fixed size, else None.

        Where it is smaller than asked for, what was asked for, which will not fit.
        """
        layers = (op.layer for op in self.operations if op.layer is not None)
        own = self.native_size
        if own is None or not any(layer.is_fixed for layer in layers):
            return None
        return own if own[0] >= at_least[0] and own[1] >= at_least[1] else at_least

    def _search_size(self, border: int, names: tuple[str, ...], at_least: Size) -> Size:
        down, across = (
            self._large_enough(axis, at_least, border, names) for axis in (0, 1)
        )
        # Where feature maps of unlike sizes are joined, the next size may fit.
        for _ in range(LARGEST_PERIOD):
            problems = self._misfits((down, across), border, names)
            if not problems or any(problem.vanishes for problem in problems):
                break
            axes = {axis for problem in problems for axis in problem.axes}
            down, across = down + (0 in axes), across + (1 in axes)
        return down, across

    def _large_enough(
        self, axis: int, at_least: Size, border: int, nodes: tuple[str, ...]
    ) -> int:
        """Returns the least length along an axis for which nothing vanishes."""

        def is_small(length: int) -> bool:
            # An opaque layer may need both sides to be large.
            other = max(length, at_least[1 - axis])
            size = (length, other) if axis == 0 else (other, length)
            problems = self._misfits(size, border, nodes)
            return any(p.vanishes and axis in p.axes for p in problems)

        most = at_least[axis] + (LARGEST_OPAQUE if self.opaque else LARGEST_SMALLEST)
        low, high = at_least[axis] - 1, at_least[axis]
        while high <= most and is_small(high):
            low, high = high, high * 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if is_small(middle) else (low, middle)
        return high

    def _misfits(self, size: Size, border: int, nodes: tuple[str, ...]) -> list[Misfit]:
        plan, resolved = self._resolve(size)
        problems = list(resolved)
        for name in nodes:
            cells = plan.sizes[name]
            axes = tuple(axis for axis in (0, 1) if cells[axis] <= 2 * border)
            if axes:
                text = f"a border of {border} leaves nothing of {name}"
                text += f", which has {_cells(cells)} cells"
                problems.append(Misfit(text, axes, vanishes=True))
        return problems

    def _resolve(self, size: Size) -> _Resolution:
        """Returns the plan for a size, and what cannot be run at it.

        The last ones are kept: the next frame of a film has the sizes of this one.
        """
        kept = self._resolutions
        resolution = kept.get(size)
        if resolution is None:
            resolution = self._resolved(size)
            for oldest in list(kept)[: max(len(kept) - KEPT_SIZES + 1, 0)]:
                kept.pop(oldest, None)
            kept[size] = resolution
        return resolution

    @cached_property
    def _resolutions(self) -> dict[Size, _Resolution]:
        return {}

    def _resolved(self, size: Size) -> _Resolution:
        channels = self._channels
        sizes: dict[str, Size] = {}
        paddings: dict[str, tuple[int, int, int, int]] = {}
        values: list[int] = []
        problems: list[Misfit] = []
        vanished: set[int] = set()
        for op in self.operations:
            name = op.node.name
            inputs = [sizes[i] for i in op.node.inputs] or [size]
            axes = op.misfits(inputs) if isinstance(op, Join) else ()
            if axes and not vanished:
                shapes = " and ".join(map(_cells, dict.fromkeys(inputs)))
                text = f"{name} joins feature maps of unlike sizes, {shapes}"
                problems.append(Misfit(text, axes, vanishes=False))
            cells = op.size(inputs, [channels[i] for i in op.node.inputs])
            axes = tuple(a for a in (0, 1) if cells[a] < 1 and a not in vanished)
            if axes:
                text = f"{name} {op.vanished}"
                if op.layer is not None:
                    shapes = " and ".join(map(_cells, inputs))
                    text = f"{name} cannot be run on feature maps of {shapes}"
                problems.append(Misfit(text, axes, vanishes=True))
                vanished.update(axes)
            sizes[name] = cells
            paddings[name] = op.fixed_padding or op.padding(inputs[0])
            if op.depends_on_size:
                values.extend(paddings[name])
        return Plan(sizes, paddings, tuple(values)), tuple(problems)

    def _try_instead(self, size: Size) -> str:
        try:
            return f"try {_pixels(self.smallest_size(at_least=size))}"
        except NetworkError:
            own = self.native_size
            return f"try {_pixels(own)}" if own else "try an earlier layer"

    def receptive_fields(self) -> dict[str, ReceptiveField]:
        """Returns what a cell of every node sees, in pixels.

        Global operations see everything: infinite. So do opaque nodes, of which
        nothing is known.
        """
        fields: dict[str, ReceptiveField] = {}
        for op in self.operations:
            inputs = [fields[name] for name in op.node.inputs]
            fields[op.node.name] = op.receptive_field(inputs)
        return fields

    def flops(self, height: int, width: int) -> int:
        """Returns multiplications and additions of one forward run of convolutions."""
        sizes = self.plan(height, width).sizes
        return sum(op.flops(sizes[op.node.name]) for op in self.operations)

    def activation_bytes(self, height: int, width: int) -> int:
        """Returns the float32 memory of all feature maps that a gradient may hold."""
        sizes, channels = self.plan(height, width).sizes, self.channels()
        return sum(4 * h * w * channels[name] for name, (h, w) in sizes.items())

    def forward_bytes(self, size: Size, nodes: Iterable[str]) -> int:
        """Returns the most float32 memory that feature maps take at once, forwards.

        Args:
            size: The picture's (height, width) in pixels.
            nodes: Whose feature maps are wanted; others go when they have been read.
        """
        sizes, channels = self.plan(*size).sizes, self.channels()
        left = Counter(name for node in self.nodes for name in node.inputs)
        left.update(nodes)
        held = most = 0
        for node in self.nodes:
            held += math.prod(sizes[node.name]) * channels[node.name]
            most = max(most, held)
            for name in node.inputs:
                left[name] -= 1
                if not left[name]:
                    held -= math.prod(sizes[name]) * channels[name]
        return 4 * most

    def check(self) -> None:
        """Makes sure that the graph can be run at a bearable cost.

        What a file says may be damaged or forged, and so may a model that Keras has
        read from one.

        Raises:
            ValueError, TypeError, KeyError, …: If anything is not as it must be.
        """
        must(len(self.nodes) <= MOST_NODES, "the number of nodes")
        must(
            sum(len(node.inputs) for node in self.nodes) <= MOST_LINKS,
            "the number of links",
        )
        must(
            len(self.layers) + len(self.unsupported) <= MOST_LINKS,
            "the number of layers",
        )
        channels: dict[str, int] = {}
        for node in self.nodes:
            must(is_name(node.name) and node.name not in channels, "a name")
            must((node.op == INPUT) == (not channels), "one image, at first")
            op = OPERATIONS[node.op](
                node, self.weights, layer=self.opaque.get(node.name)
            )
            inputs = [channels[name] for name in node.inputs]
            op.check(inputs)
            channels[node.name] = count = op.channels(inputs)
            must(count <= MOST_CHANNELS, "the number of channels")
        must(bool(channels), "nodes")
        for layer, name in self.layers.items():
            must(is_name(layer) and name in channels, "layers")
        for name, reason in self.unsupported.items():
            must(is_name(name) and isinstance(reason, str), "reasons")
        must(all(is_name(name) for name in self.classes), "names of classes")
        if self.classifier is not None:
            must(len(self.classes) in (0, channels[self.classifier]), "classes")
        self._check_work()

    def _check_work(self) -> None:
        """Makes sure that a pixel costs no more than a known network's by far."""
        try:
            size = self.smallest_size(at_least=(WORK_SIDE, WORK_SIDE))
        except NetworkError:  # said where a layer is asked for
            return
        sizes, channels = self.plan(*size).sizes, self._channels
        most = MOST_WORK * math.prod(size)
        for op in self.operations:
            cells = sizes[op.node.name]
            most -= op.flops(cells) + op.comparisons(cells, channels[op.node.name])
        must(most >= 0, "the work for a pixel")


def is_name(value: object) -> bool:
    """Tells whether a value can be the name of a layer or a class."""
    return isinstance(value, str) and len(value) <= LONGEST_NAME and value.isprintable()


def _cells(size: Size) -> str:
    return f"{size[1]} × {size[0]}"


def _pixels(size: Size) -> str:
    return f"{_cells(size)} pixels"


def _objective_text(layer: str) -> str:
    """Returns a layer as an objective names it: an odd name is quoted."""
    return layer if layer.startswith("'") else Layer.named(layer).text
