"""The dreamer: a network on a device, and what can be done with it."""

import os
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_dream.backend import protocol as backends
from keras_dream.dreamer.ensemble import Networks
from keras_dream.dreamer.responses import Responses
from keras_dream.engine import loop
from keras_dream.engine.canvases import Pixels
from keras_dream.engine.loop import Octave, Parts, Step
from keras_dream.engine.optimizers import NormalisedAscent
from keras_dream.engine.result import Dream, Record, processor, versions
from keras_dream.errors import PictureError
from keras_dream.geometry import Size
from keras_dream.graph.graph import Graph
from keras_dream.pictures.picture import Picture, as_picture, check_image
from keras_dream.recipe.presets import preset
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.weights.locate import BeforeDownload, Progress
from keras_dream.zoo import user_models
from keras_dream.zoo.loading import (
    OnePerNetwork,
    as_list,
    asks_for_class,
    load_networks,
    name_of,
    stated_in,
)

if TYPE_CHECKING:
    from PIL.Image import Image

    Photo = str | os.PathLike[str] | Image | np.ndarray | Picture


class Dreamer:
    """One network or several, loaded on a device, reusable for many dreams.

    Args:
        network: A network's name, a `.keras` file or a built `keras.Model`, or a list
            of them: then a recipe that does not name more networks itself dreams with
            all of them.
        weights: A weights file for the (first) named network, or a dictionary of them
            by network; None takes the shipped, cached or published ones.
        preprocessing: "tf", "caffe", "torch", "0-1" or "0-255": what every given
            `keras.Model` expects, or a dictionary of it by network ("model:NAME");
            needless where one begins with its own Rescaling or Normalization.
        trust_model: Whether a `.keras` file may be opened: Keras builds whatever its
            author wrote into it.
        run: How to compute.
        classifier: Whether class scores will be asked for, or of which networks: some
            publish their classifier in a file of its own.
        progress: Told how a download goes: bytes so far, bytes in all or None.
        before_download: Asked before a download, as in `network.weights.locate`.

    Raises:
        NetworkError: If the network is unknown or cannot be lowered.
        WeightsError: If its weights cannot be had.
        SettingError: If the backend or the device is not here.
    """

    def __init__(
        self,
        network: Any = "motif",
        *,
        weights: OnePerNetwork = None,
        preprocessing: OnePerNetwork = None,
        run: RunSettings | None = None,
        classifier: bool | Collection[str] = False,
        trust_model: bool = False,
        progress: Progress | None = None,
        before_download: BeforeDownload | None = None,
    ):
        self.run = run or RunSettings()
        chosen = backends.choose(self.run.backend)
        # One dreamer's own backend is not every later one's, unless Keras must run.
        if self.run.backend is None:
            backends.lead_keras(chosen)
        self._backend = backends.load(
            chosen,
            device=self.run.device,
            precision=self.run.precision,
            threads=self.run.threads,
        )
        loaded = load_networks(
            network,
            weights=weights,
            preprocessing=preprocessing,
            classifier=classifier,
            trust_model=trust_model,
            offline=self.run.offline,
            progress=progress,
            before_download=before_download,
            before_keras=lambda: backends.lead_keras(chosen),
        )
        self._networks = Networks(loaded, self._backend)

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        network: Any = None,
        *,
        models: Mapping[str, str | os.PathLike[str]] | None = None,
        preprocessing: OnePerNetwork = None,
        **options: Any,
    ) -> "Dreamer":
        """Loads all that a recipe asks for.

        Args:
            recipe: Its networks, and the classifiers of those whose class scores it
                maximises, are loaded.
            network: In place of the recipe's first: as for `Dreamer`.
            models: The model files that the recipe's names stand for.
            preprocessing: As for `Dreamer`; None takes the recipe's.
            **options: The other arguments of `Dreamer`.
        """
        files = models or {}
        first = (
            user_models.resolve(recipe.network, files) if network is None else network
        )
        given = as_list(first)
        recipe = recipe.but(network=name_of(given[0]))
        names = {name_of(network) for network in given}
        more = dict.fromkeys(term.network for term in recipe.also or ())
        others = [
            user_models.resolve(name, files) for name in more if name not in names
        ]
        return cls(
            [*given, *others],
            classifier=asks_for_class(recipe),
            preprocessing=stated_in(recipe) if preprocessing is None else preprocessing,
            **options,
        )

    @property
    def network(self) -> str:
        """The first network's name."""
        return self.networks[0]

    @property
    def networks(self) -> tuple[str, ...]:
        """The names of all networks."""
        return self._networks.names

    @property
    def graph(self) -> Graph:
        """The first network's graph, exact and unfolded."""
        return self.graph_of(self.network)

    def graph_of(self, network: str) -> Graph:
        """Returns the graph of one of the networks, exact and unfolded.

        Raises:
            NetworkError: If there is none of that name.
        """
        return self._networks.loaded(network).graph

    def responses(self, network: str | None = None) -> Responses:
        """Returns how the channels of a network respond to pictures.

        Args:
            network: The network's name; None for the first one.

        Raises:
            NetworkError: If there is none of that name.
        """
        return self._networks.responses(network or self.network)

    def complete(self, recipe: Recipe) -> Recipe:
        """Returns a recipe with this dreamer's networks and the objectives filled in.

        The first network of the recipe gives way to the dreamer's own. More of them
        are those that the recipe names, or else all others of the dreamer.
        """
        return self._networks.complete(recipe)

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
        gradient = self._networks.gradient(self.complete(recipe))
        smallest = gradient.smallest_run()
        if recipe.small_octaves == "skip":
            smallest = max(smallest, gradient.smallest())
        every = loop.octaves_of(size, recipe)
        kept = tuple(octave for octave in every if min(octave.size) >= smallest)
        if not kept:
            raise PictureError(
                f"A picture must have sides of at least {smallest} pixels for "
                f"{' + '.join(self.networks)} and these layers",
                received=f"{size[1]} × {size[0]} pixels",
                hint="try a larger picture"
                + (", a smaller border" if recipe.border else "")
                + f" or an earlier layer, see `dream layers {self.networks[0]}`",
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

        The first counts the maps of every layer of every network; the second is None
        where untold.
        """
        octaves, _ = self.octaves(size, recipe)
        needed = self._networks.gradient(self.complete(recipe)).memory(octaves[-1].size)
        return needed, self._backend.memory().get("total")

    def record(self, picture: Picture, recipe: Recipe | None = None) -> Record:
        """Returns the record of a dream of a picture as it is before the first step.

        Args:
            picture: The picture.
            recipe: Names the networks that will dream; None for all of them.
        """
        return self._record(picture, recipe or Recipe(), {}, (), False)

    def gradient(self, image: np.ndarray, recipe: Recipe) -> tuple[float, np.ndarray]:
        """Returns the loss of an image and its gradient.

        Args:
            image: float32 (h, w, 3), nominally in [0, 1].
            recipe: Its objective, loss and border are used; of several networks its
                normalizer, too.

        Returns:
            The loss, and d loss / d image as float32 (h, w, 3). Of several networks,
            the weighted sum of the losses, and that of the normalised gradients.

        Raises:
            InputError: If the image has another shape.
            NetworkError: If the image is too small for the layers.
            ObjectiveError: If the network lacks what the objective names.
        """
        check_image(image)
        recipe = self.complete(recipe)
        strongest = self._networks.strongest(recipe, image)
        gradient = self._networks.gradient(recipe, strongest)
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
        from keras_dream.graph.passes import truncate
        from keras_dream.graph.program import Program

        check_image(image)
        nodes = [self.graph.node_of(layer) for layer in layers]
        graph = truncate(self.graph, frozenset(nodes))
        program = Program(graph, nodes, self._backend)
        plan = graph.plan(image.shape[0], image.shape[1])
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
        strongest = self._networks.strongest(recipe, picture.pixels)

        def result(
            image: np.ndarray, losses: Mapping[str, Sequence[float]], complete: bool
        ) -> Dream:
            record = self._record(picture, recipe, losses, notices, complete)
            record = replace(record, strongest=strongest)
            return Dream(image, picture.alpha, recipe, record)

        return (
            yield from loop.run(
                self._backend.image(picture.pixels),
                size,
                octaves,
                recipe,
                Parts(
                    self._backend,
                    Pixels(),
                    self._networks.gradient(recipe, strongest),
                    NormalisedAscent(recipe, self._backend),
                ),
                result,
            )
        )

    def _record(
        self,
        picture: Picture,
        recipe: Recipe,
        losses: Mapping[str, Sequence[float]],
        notices: tuple[str, ...],
        complete: bool,
    ) -> Record:
        backend = self._backend
        first, *more = used = self._networks.used(recipe)
        return Record(
            versions=versions(backend.name, keras=any(n.keras for n in used)),
            processor=processor(),
            network=first.name,
            weights_sha256=first.sha256,
            also={network.name: network.sha256 for network in more},
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


def chosen_recipe(recipe: Recipe | str) -> Recipe:
    """Returns a recipe for a recipe or the name of a preset."""
    return preset(recipe) if isinstance(recipe, str) else recipe
