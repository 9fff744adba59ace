"""The dreamer: a network on a device, and what can be done with it."""

import os
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_dream import backend as backends, engine
from keras_dream.ascent import NormalisedAscent
from keras_dream.canvases import Pixels
from keras_dream.decoding import check_image
from keras_dream.dreams import Dream, Record, processor, versions
from keras_dream.engine import Octave, Parts, Step
from keras_dream.errors import NetworkError, PictureError
from keras_dream.geometry import Size
from keras_dream.gradients import WholeGradient
from keras_dream.images import Picture, as_picture
from keras_dream.loading import check_opaque, load_network
from keras_dream.network import zoo
from keras_dream.network.graph import Graph
from keras_dream.network.weights import Progress
from keras_dream.objectives import parse
from keras_dream.preset import preset
from keras_dream.recipe import Recipe, RunSettings

if TYPE_CHECKING:
    from PIL.Image import Image

    Photo = str | os.PathLike[str] | Image | np.ndarray | Picture

_KEPT_GRADIENTS = 4  # programs whose weights stay on the device for the next dream


class Dreamer:
    """A network loaded on a device, reusable for many dreams.

    Args:
        network: A network's name, or a built `keras.Model`.
        weights: A weights file for a named network; None takes the shipped, cached or
            published one.
        preprocessing: "tf", "caffe", "torch", "0-1" or "0-255": what a `keras.Model`
            expects; needless where it begins with its own Rescaling or Normalization.
        run: How to compute.
        classifier: Whether class scores will be asked for: some networks publish
            their classifier in a file of its own.
        progress: Told how a download goes: bytes so far, bytes in all or None.

    Raises:
        NetworkError: If the network is unknown or cannot be lowered.
        WeightsError: If its weights cannot be had.
        SettingError: If the backend or the device is not here.
    """

    def __init__(
        self,
        network: Any = "motif",
        *,
        weights: str | os.PathLike[str] | None = None,
        preprocessing: str | None = None,
        run: RunSettings | None = None,
        classifier: bool = False,
        progress: Progress | None = None,
    ):
        self.run = run or RunSettings()
        chosen = backends.choose(self.run.backend)
        # One dreamer's own backend is not every later one's, unless Keras must run.
        if self.run.backend is None or zoo.needs_keras(network):
            backends.lead_keras(chosen)
        self._backend = backends.load(
            chosen,
            device=self.run.device,
            precision=self.run.precision,
            threads=self.run.threads,
        )
        self._network = load_network(
            network,
            weights=Path(weights) if weights is not None else None,
            preprocessing=preprocessing,
            classifier=classifier,
            offline=self.run.offline,
            progress=progress,
        )
        check_opaque(self.graph, self._backend)
        self._gradients: dict[tuple[Any, ...], WholeGradient] = {}

    @property
    def network(self) -> str:
        """The network's name."""
        return self._network.name

    @property
    def graph(self) -> Graph:
        """The network's graph, exact and unfolded."""
        return self._network.graph

    def complete(self, recipe: Recipe) -> Recipe:
        """Returns a recipe with this dreamer's network and the objective filled in."""
        objective = recipe.objective or self._network.graph.objective
        if objective is None:
            raise NetworkError(
                f"An objective must be given for {self.network}, which has none of its "
                "own",
                received="none",
                attempt="name a layer, see `dream layers NETWORK`",
            )
        return recipe.but(network=self.network, objective=objective)

    def octaves(
        self, size: Size, recipe: Recipe
    ) -> tuple[tuple[Octave, ...], tuple[str, ...]]:
        """Returns the octaves that a dream will run, and notices on the others.

        Args:
            size: The picture's (height, width) in pixels.
            recipe: The recipe.

        Raises:
            PictureError: If no octave is large enough for the layers.
            NetworkError, ObjectiveError: As for `gradient`.
        """
        gradient = self._gradient(self.complete(recipe))
        smallest = gradient.smallest_run()
        if recipe.small_octaves == "skip":
            smallest = max(smallest, gradient.smallest())
        every = engine.octaves_of(size, recipe)
        kept = tuple(octave for octave in every if min(octave.size) >= smallest)
        if not kept:
            raise PictureError(
                f"A picture must have sides of at least {smallest} pixels for "
                f"{self.network} and these layers",
                received=f"{size[1]} × {size[0]} pixels",
                attempt="try a larger picture, an earlier layer or a smaller border",
            )
        for octave in kept:
            gradient.check(octave.size)
        notices = tuple(
            f"Octave {octave.number} of {len(every)} is skipped: at "
            f"{octave.size[1]} × {octave.size[0]} pixels it is too small for the "
            f"layers, which need {smallest}."
            for octave in every
            if octave not in kept
        )
        return kept, notices

    def steps(
        self, photo: "Photo", recipe: Recipe | str = "default"
    ) -> Generator[Step, None, Dream]:
        """Dreams a picture step by step; stopping is `break`.

        Args:
            photo: A path, a PIL image, a numpy array (h, w), (h, w, 3) or (h, w, 4) of
                uint8 or of floats in [0, 1], or a `Picture`.
            recipe: A recipe or the name of a preset. Its network gives way to this
                dreamer's, which is what gets recorded.

        Yields:
            Every step; its `dream` is a whole result.

        Returns:
            The finished dream, as the generator's value.

        Raises:
            PictureError: If the photo cannot be read or is too small.
            ObjectiveError: If the network lacks what the objective names.
            NonFiniteError: If a gradient is not finite.
        """
        return (yield from self._run(as_picture(photo), chosen_recipe(recipe)))

    def dream(self, photo: "Photo", recipe: Recipe | str = "default") -> Dream:
        """Dreams a picture to its end; arguments and errors as for `steps`."""
        steps = self._run(as_picture(photo), chosen_recipe(recipe))
        while True:
            try:
                next(steps)
            except StopIteration as stopped:
                return stopped.value

    def memory(self, size: Size, recipe: Recipe) -> tuple[int, int | None]:
        """Returns the bytes that a dream's largest step holds, and the device's own.

        The first counts the maps of every layer; the second is None where untold.
        """
        octaves, _ = self.octaves(size, recipe)
        needed = self._gradient(self.complete(recipe)).memory(octaves[-1].size)
        return needed, self._backend.memory().get("total")

    def record(self, picture: Picture) -> Record:
        """Returns the record of a dream of a picture as it is before the first step."""
        return self._record(picture, {}, (), False)

    def gradient(self, image: np.ndarray, recipe: Recipe) -> tuple[float, np.ndarray]:
        """Returns the loss of an image and its gradient.

        Args:
            image: float32 (h, w, 3), nominally in [0, 1].
            recipe: Its objective, loss and border are used.

        Returns:
            The loss, and d loss / d image as float32 (h, w, 3).

        Raises:
            InputError: If the image has another shape.
            NetworkError: If the image is too small for the layers.
            ObjectiveError: If the network lacks what the objective names.
        """
        gradient = self._gradient(self.complete(recipe))
        check_image(image)
        held = self._backend.image(image)
        value, slope = gradient(held, (image.shape[0], image.shape[1]))
        return self._backend.to_float(value), self._backend.to_image(slope)

    def features(
        self, image: np.ndarray, layers: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Returns layers' activations for an image.

        Args:
            image: float32 (h, w, 3), nominally in [0, 1].
            layers: Layer names, such as "mixed4" or "conv2d@7".

        Returns:
            float32 (h, w, channels) by layer name.

        Raises:
            InputError: If the image has another shape.
            NetworkError: If the image is too small for the layers.
            ObjectiveError: If there is no such layer.
        """
        from keras_dream.network.run import Program

        check_image(image)
        nodes = [self.graph.node_of(layer) for layer in layers]
        program = Program(self.graph, nodes, self._backend)
        plan = self.graph.plan(image.shape[0], image.shape[1])
        run = self._backend.function(program)
        maps = run(self._backend.image(image), plan.values)
        return {
            layer: self._backend.to_image(x)
            for layer, x in zip(layers, maps, strict=True)
        }

    def _run(self, picture: Picture, recipe: Recipe) -> Generator[Step, None, Dream]:
        recipe = self.complete(recipe)
        size = (picture.pixels.shape[0], picture.pixels.shape[1])
        octaves, notices = self.octaves(size, recipe)

        def result(
            image: np.ndarray, losses: Mapping[str, Sequence[float]], complete: bool
        ) -> Dream:
            record = self._record(picture, losses, notices, complete)
            return Dream(image, picture.alpha, recipe, record)

        return (
            yield from engine.run(
                self._backend.image(picture.pixels),
                size,
                octaves,
                recipe,
                Parts(
                    self._backend,
                    Pixels(),
                    self._gradient(recipe),
                    NormalisedAscent(recipe, self._backend),
                ),
                result,
            )
        )

    def _record(
        self,
        picture: Picture,
        losses: Mapping[str, Sequence[float]],
        notices: tuple[str, ...],
        complete: bool,
    ) -> Record:
        backend = self._backend
        return Record(
            versions=versions(backend.name),
            processor=processor(),
            network=self.network,
            weights_sha256=self._network.sha256,
            source=picture.name,
            source_sha256=picture.sha256,
            size=(picture.pixels.shape[0], picture.pixels.shape[1]),
            run={
                "backend": backend.name,
                "device": backend.device,
                "precision": backend.precision,
                "threads": backend.threads,
            },
            steps=sum(map(len, losses.values())),
            losses=losses,
            notices=notices,
            complete=complete,
        )

    def _gradient(self, recipe: Recipe) -> WholeGradient:
        key = (recipe.objective, recipe.loss, recipe.border)
        if key not in self._gradients:
            if len(self._gradients) >= _KEPT_GRADIENTS:
                self._gradients.pop(next(iter(self._gradients)))
            self._gradients[key] = WholeGradient(
                self.graph, parse(str(recipe.objective)), recipe, self._backend
            )
        return self._gradients[key]


def chosen_recipe(recipe: Recipe | str) -> Recipe:
    """Returns a recipe for a recipe or the name of a preset."""
    return preset(recipe) if isinstance(recipe, str) else recipe
