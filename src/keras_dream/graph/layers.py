"""The catalogue of a network's layers: which to show, and facts about each."""

import fnmatch
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from keras_dream.errors import NetworkError, ObjectiveError, nearest, short_repr
from keras_dream.graph.graph import Graph
from keras_dream.graph.ops import INPUT
from keras_dream.graph.passes import truncate
from keras_dream.recipe.objectives import parse
from keras_dream.recipe.targets import Layer

FEW = 24
"""So many layers are shown as they are: a VGG's, but not every branch of an Inception
network's blocks."""

SIDE = 512  # pixels of the square picture for which work is counted

_ENDING = ("affine", "activation")  # what belongs to the convolution before it
# Operations whose values are those of their inputs.
_MOVING = ("pad", "crop", "gather", "split", "part", "input")
_LEARNT = ("conv2d", "depthwise_conv2d", "opaque")


@dataclass(frozen=True)
class Facts:
    """What a person needs to choose a layer.

    Attributes:
        layer: Its name, as an objective has it.
        kind: Its class, as in `conv2d@7`; what it does, where Keras has no class.
        channels: How many.
        stride: Pixels from one cell to the next; infinite for the whole picture.
        receptive_field: Pixels that a cell sees; infinite for the whole picture.
        smallest: Longer side in pixels of the smallest picture for it; infinite where
            none is known.
        depth: The share of the network's convolutions, one behind the other, that lie
            before it or in it, from 0 to 1.
        work: The share of the network's multiplications that it takes to get there,
            from 0 to 1: so much less a dream costs that stops there.
    """

    layer: str
    kind: str
    channels: int
    stride: float
    receptive_field: float
    smallest: float
    depth: float
    work: float


def names(graph: Graph) -> dict[str, str]:
    """Returns one name for each layer's node: its own rather than its ordinal."""
    by_node: dict[str, str] = {}
    for name, node in graph.layers.items():
        if node not in by_node or "@" in by_node[node]:
            by_node[node] = name
    order = {node.name: place for place, node in enumerate(graph.nodes)}
    return {node: by_node[node] for node in sorted(by_node, key=order.__getitem__)}


def chief_layers(graph: Graph) -> tuple[str, ...]:
    """Returns the nodes of the layers that are worth showing first, in their order.

    Those are the ends of blocks, through which everything passes on its way, the joins
    that have a name of their own, and what the network's own objective names; of a
    convolution with its normalisation and activation, only the last. A network of few
    layers shows them all.
    """
    layer_names = names(graph)
    links = _links(graph, layer_names)
    if len(links) <= FEW:
        return tuple(links)
    narrow = _narrow(graph)
    joins = {node.name for node in graph.nodes if node.op == "concat"}
    own = _own_objective(graph)
    return tuple(
        node
        for node in layer_names
        if node in own
        or (
            node in links
            and (node in narrow or _is_named_join(node, joins, layer_names))
        )
    )


def matching(
    graph: Graph, patterns: Sequence[str], *, chief_first: bool = False
) -> tuple[str, ...]:
    """Returns the nodes of the layers that patterns name, in the network's order.

    A pattern is a part of a name, or a whole name with wildcards (`*`, `?`, `[abc]`);
    capitals do not matter.

    Args:
        graph: The network.
        patterns: At least one.
        chief_first: Whether a layer's whole name means it alone, and what matches a
            chief layer leaves out the others: for choosing rather than for searching.

    Raises:
        ObjectiveError: If a pattern matches nothing; with the nearest name.
    """
    chief = set(chief_layers(graph))
    chosen: set[str] = set()
    for pattern in patterns:
        nodes = _fitting(graph, pattern)
        if chief_first:
            whole = graph.layers.get(pattern)
            nodes = {whole} if whole is not None else nodes & chief or nodes
        if not nodes:
            raise ObjectiveError(
                "A pattern must match one of the network's layers",
                received=short_repr(pattern),
                hint=nearest(
                    pattern.strip("*?"),
                    names(graph).values(),
                    see="`dream layers NETWORK --all`",
                ),
            )
        chosen |= nodes
    return tuple(node for node in names(graph) if node in chosen)


def facts(graph: Graph, nodes: Sequence[str]) -> list[Facts]:
    """Returns what there is to know about some layers.

    Args:
        graph: The network.
        nodes: Names of their nodes.
    """
    layer_names, kinds = names(graph), _kinds(graph)
    fields, channels, depths = (
        graph.receptive_fields(),
        graph.channels(),
        _depths(graph),
    )
    deepest = max(depths.values()) or 1
    whole = _work(graph) or 1
    smallest: float = 1
    rows: list[Facts] = []
    for node in nodes:
        before = truncate(graph, frozenset({node}))
        smallest = _smallest(before, node, smallest)
        rows.append(
            Facts(
                layer=layer_names[node],
                kind=kinds[node],
                channels=channels[node],
                stride=fields[node].stride,
                receptive_field=fields[node].size,
                smallest=smallest,
                depth=depths[node] / deepest,
                work=_work(before) / whole,
            )
        )
    return rows


def _fitting(graph: Graph, pattern: str) -> set[str]:
    """Returns the nodes of the layers that a pattern fits."""
    # Every layer has an ordinal, too, `conv2d@7`; it counts where one is asked for.
    layer_names = dict(graph.layers) if "@" in pattern else _by_name(graph)
    low = pattern.lower()
    return {
        node
        for name, node in layer_names.items()
        if low in name.lower() or fnmatch.fnmatchcase(name.lower(), low)
    }


def _by_name(graph: Graph) -> dict[str, str]:
    return {name: node for node, name in names(graph).items()}


def _links(graph: Graph, layer_nodes: Iterable[str]) -> list[str]:
    """Returns the nodes behind which more than the same link of the chain follows."""
    ops = {node.name: node.op for node in graph.nodes}
    readers: dict[str, list[str]] = {}
    for node in graph.nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node.op)
    alone = {n for n, read in readers.items() if len(read) == 1 and read[0] in _ENDING}
    depths = _depths(graph)  # before the first convolution there is only the picture
    return [
        node
        for node in layer_nodes
        if ops[node] not in _MOVING and node not in alone and depths[node]
    ]


def _narrow(graph: Graph) -> set[str]:
    """Returns the nodes past which nothing leads: where a block ends."""
    order = {node.name: place for place, node in enumerate(graph.nodes)}
    last = dict(order)
    for node in graph.nodes:
        for name in node.inputs:
            last[name] = max(last[name], order[node.name])
    narrow: set[str] = set()
    furthest = 0  # where a node that came before is read for the last time
    for node in graph.nodes:
        if furthest <= order[node.name]:
            narrow.add(node.name)
        furthest = max(furthest, last[node.name])
    return narrow


def _is_named_join(node: str, joins: set[str], layer_names: dict[str, str]) -> bool:
    return node in joins and "@" not in layer_names[node]


def _own_objective(graph: Graph) -> set[str]:
    if graph.objective is None:
        return set()
    targets = [term.target for term in parse(graph.objective).terms]
    layers = [target.layer for target in targets if isinstance(target, Layer)]
    return {graph.layers[layer] for layer in layers if layer in graph.layers}


def _kinds(graph: Graph) -> dict[str, str]:
    """Returns every node's class, from the ordinals, or what it does."""
    kinds = {node.name: node.op for node in graph.nodes}
    for name, node in graph.layers.items():
        if "@" in name and not name.startswith("'"):
            kinds[node] = name.split("@")[0]
    return kinds


def _depths(graph: Graph) -> dict[str, int]:
    """Returns how many convolutions lie one behind the other up to each node."""
    depths: dict[str, int] = {}
    for node in graph.nodes:
        before = max((depths[name] for name in node.inputs), default=0)
        # The luma that a model of one channel is given is a convolution of ours.
        is_learnt = node.op in _LEARNT and not node.name.startswith(f"{INPUT}/")
        depths[node.name] = before + is_learnt
    return depths


def _work(graph: Graph) -> int:
    side = SIDE
    while side < 16 * SIDE:
        try:
            return graph.flops(side, side)
        except NetworkError:  # its layers need more
            side *= 2
    return 0


def _smallest(graph: Graph, node: str, guess: float) -> float:
    """Returns the longer side of the smallest picture for a node."""
    if guess < math.inf:
        # It is often the neighbour's.
        side = int(guess)
        less = graph.misfit((side - 1, side - 1), nodes=[node])
        if less and less.vanishes and not graph.misfit((side, side)):
            return guess
    try:
        return max(graph.smallest_size(nodes=[node]))
    except NetworkError:
        return math.inf
