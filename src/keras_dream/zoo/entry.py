"""An entry of the catalogue: everything about one named network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from keras_dream.graph.graph import Graph
from keras_dream.weights.source import Source
from keras_dream.zoo.bfloat16 import BFLOAT16


@dataclass(frozen=True)
class Entry:
    """A named network.

    Attributes:
        name: The name.
        about: One line on what it is.
        licence: Of the weights.
        preprocessing: What its weights were trained with.
        objective: Its own good objective.
        build: Makes the Keras model without weights; takes whether the dense
            classifier is wanted. None for a network that is shipped as a graph.
        sources: Published weights files.
        paper: Who described it, when and where; None for our own.
        parameters: How many numbers it has without the classifier, or None.
        application: Its constructor's name in keras.applications, or None.
        classes: Returns the names of the classes by number; None where they are not
            known or are in the graph.
        dreams: What its layers dream of, described by layer; empty where unknown.
    """

    name: str
    about: str
    licence: str
    preprocessing: str
    objective: str | None = None
    build: Callable[[bool], Any] | None = None
    sources: tuple[Source, ...] = ()
    paper: str | None = None
    parameters: int | None = None
    application: str | None = None
    classes: Callable[[], tuple[str, ...]] | None = None
    dreams: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_better_in_bfloat16(self) -> bool:
        """Whether it is known to dream about the same in bfloat16, and faster."""
        return self.name in BFLOAT16 and BFLOAT16[self.name].is_better

    def with_classes(self, graph: Graph) -> Graph:
        """Returns a graph of the network with the names of its classes.

        They are there without the classifier as well, where that is published: for
        looking at, and for advice.
        """
        has_scores = graph.classifier is not None
        published = any(source.classifier for source in self.sources)
        if self.classes is None or not (has_scores or published):
            return graph
        return replace(graph, classes=self.classes())
