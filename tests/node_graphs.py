"""Random graphs of nodes, made without Keras: strides, paddings, pools, branches."""

import numpy as np

from keras_dream.graph.graph import Graph
from keras_dream.graph.ops import INPUT, Node


class RandomNodes:
    """A graph that grows by random operations.

    Args:
        random: numpy's generator, or what has its `integers` and `choice`.
        widest: Cells of the largest window.
    """

    def __init__(self, random, widest=5):
        self.random = random
        self.widest = widest
        self.nodes = [Node(INPUT, INPUT, (), {"channels": 3})]
        self.weights = {}
        self.channels = {INPUT: 3}
        self.strides = {INPUT: (1, 1)}

    def add(self, op, inputs, attrs, channels, strides):
        name = f"{op}{len(self.nodes)}"
        self.nodes.append(Node(name, op, tuple(inputs), attrs))
        self.channels[name], self.strides[name] = channels, strides
        return name

    def grown(self, name, window=None):
        """Adds a random operation on a node and returns what it makes."""
        choices = ["conv", "conv", "depthwise", "max", "mean", "pad", "crop", "relu"]
        return getattr(self, f"_{self.random.choice(choices)}")(name)

    def _window(self, name):
        size = [int(self.random.integers(1, self.widest + 1)) for _ in range(2)]
        stride = [int(self.random.choice([1, 1, 2, 3])) for _ in range(2)]
        padding = str(self.random.choice(["same", "same", "valid"]))
        strides = tuple(a * b for a, b in zip(self.strides[name], stride, strict=True))
        return size, {"stride": stride, "padding": padding}, strides

    def _array(self, *shape):
        values = np.random.default_rng(len(self.nodes)).normal(size=shape)
        return (values / np.sqrt(np.prod(shape[:3]))).astype(np.float32)

    def _conv(self, name):
        size, attrs, strides = self._window(name)
        attrs |= {"dilation": [1, 1], "groups": 1}
        if self.random.integers(4) == 0 and attrs["stride"] == [1, 1]:
            attrs["dilation"] = [2, 1]
        made = self.add("conv2d", [name], attrs, 4, strides)
        self.weights[f"{made}/kernel"] = self._array(*size, self.channels[name], 4)
        self.weights[f"{made}/bias"] = self._array(4) + 0.3
        return made

    def _depthwise(self, name):
        size, attrs, strides = self._window(name)
        attrs["dilation"] = [1, 1]
        count = self.channels[name]
        made = self.add("depthwise_conv2d", [name], attrs, count, strides)
        self.weights[f"{made}/kernel"] = self._array(*size, count, 1)
        return made

    def _max(self, name):
        size, attrs, strides = self._window(name)
        attrs["size"] = size
        return self.add("max_pool", [name], attrs, self.channels[name], strides)

    def _mean(self, name):
        size, attrs, strides = self._window(name)
        attrs["size"] = size
        return self.add("average_pool", [name], attrs, self.channels[name], strides)

    def _pad(self, name):
        sides = [int(self.random.integers(0, 4)) for _ in range(4)]
        attrs = {"padding": sides}
        return self.add("pad", [name], attrs, self.channels[name], self.strides[name])

    def _crop(self, name):
        sides = [int(self.random.integers(0, 2)) for _ in range(4)]
        attrs = {"padding": sides}
        return self.add("crop", [name], attrs, self.channels[name], self.strides[name])

    def _relu(self, name):
        attrs = {"kind": "relu"}
        return self.add(
            "activation", [name], attrs, self.channels[name], self.strides[name]
        )

    def block(self, name):
        """Adds branches of one input, with or without a stride, and joins them."""
        stride = [int(self.random.choice([1, 1, 2])) for _ in range(2)]
        padding = str(self.random.choice(["same", "valid"]))
        window = [int(self.random.choice([1, 3])) for _ in range(2)]
        strides = tuple(a * b for a, b in zip(self.strides[name], stride, strict=True))
        last = {"stride": stride, "padding": padding}
        branches = []
        for kind in ("conv2d", "max_pool", "average_pool"):
            x = name
            if self.random.integers(2):
                x = self._same_conv(x)
            if kind == "conv2d":
                attrs = {**last, "dilation": [1, 1], "groups": 1}
                made = self.add(kind, [x], attrs, 4, strides)
                kernel = self._array(*window, self.channels[x], 4)
                self.weights[f"{made}/kernel"] = kernel
            else:
                attrs = {**last, "size": window}
                made = self.add(kind, [x], attrs, self.channels[x], strides)
            branches.append(made)
        count = sum(self.channels[b] for b in branches)
        return self.add("concat", branches, {}, count, strides)

    def _same_conv(self, name):
        attrs = {"stride": [1, 1], "padding": "same", "dilation": [1, 1], "groups": 1}
        made = self.add("conv2d", [name], attrs, 4, self.strides[name])
        kernel = self._array(3, 5, self.channels[name], 4)
        self.weights[f"{made}/kernel"] = kernel
        return made

    def residual(self, name):
        """Adds a convolution of a node to the node."""
        made = self._same_conv(name)
        if self.channels[name] != self.channels[made]:
            return made
        return self.add("add", [name, made], {}, 4, self.strides[name])

    def graph(self):
        layers = {node.name: node.name for node in self.nodes[1:]}
        graph = Graph(tuple(self.nodes), self.weights, layers)
        graph.check()
        return graph


def random_graph(random, length):
    """Returns a graph of some operations, one behind the other, and its last nodes."""
    growing = RandomNodes(random)
    name, ends = INPUT, []
    for _ in range(length):
        how = ("grown", "grown", "block", "residual")[int(random.integers(4))]
        name = getattr(growing, how)(name)
        ends.append(name)
    return growing.graph(), ends
