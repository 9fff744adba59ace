"""What a batch is made of: photos, found in folders and lists, each with its recipe."""

from dataclasses import dataclass
from pathlib import Path

from keras_dream.events import ItemFailed
from keras_dream.recipe.recipe import Recipe


@dataclass(frozen=True)
class Task:
    """One picture of a batch, before it is run.

    Attributes:
        photo: The photo's path, or a source without one, such as noise:640x480.
        recipe: What decides the dream.
        path: The result's path, in the folder of the results or below it.
        where: Where it was asked for, in words for messages: "line 12 of list.csv";
            "" for a photo of the command line.
    """

    photo: str
    recipe: Recipe
    path: Path
    where: str = ""


@dataclass(frozen=True)
class Tasks:
    """The pictures of a batch, and what could not be planned.

    Attributes:
        tasks: The pictures, in order, each with a path of its own.
        refused: What has no task, such as a broken line of a manifest: it is listed
            with the failures at the end.
    """

    tasks: tuple[Task, ...]
    refused: tuple[ItemFailed, ...] = ()
