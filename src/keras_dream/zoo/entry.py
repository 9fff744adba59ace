"""An entry of the catalogue: everything about one named network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from keras_dream.weights.source import Source


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
    dreams: Mapping[str, str] = field(default_factory=dict)
