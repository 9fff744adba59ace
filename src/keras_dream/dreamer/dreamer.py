"""The dreamer: a network on a device, and what can be done with it."""

import functools
import math
import os
import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from keras_dream.backend import host, load as backends
from keras_dream.backend.protocol import Backend
from keras_dream.dreamer.ensemble import Ensemble
from keras_dream.dreamer.features import feature_maps
from keras_dream.dreamer.fit import check_fits, octaves_that_fit
from keras_dream.dreamer.plans import PlannedRun, Planner
from keras_dream.dreamer.precision import fitting
from keras_dream.dreamer.responses import Responses
from keras_dream.dreamer.variations import pushed_from
from keras_dream.engine import cost, loop
from keras_dream.engine.checkpoint import Checkpoint
from keras_dream.engine.finish import (
    Unfinished,
    at_size,
    check_files,
    check_strengths,
    finish,
)
from keras_dream.engine.gradients import ObjectiveGraph, PreparedObjective
from keras_dream.engine.loop import Octave, Run
from keras_dream.engine.regions import Places, places_of, step_weights
from keras_dream.engine.result import (
    MOST_RECIPE,
    Dream,
    Record,
    processor,
    unpicklable,
    versions,
)
from keras_dream.engine.transparency import opacity
from keras_dream.errors import (
    InputError,
    PictureError,
    SettingError,
    nearest,
    short_repr,
)
from keras_dream.geometry import Size
from keras_dream.graph.graph import Graph
from keras_dream.graph.passes import truncate
from keras_dream.parts.part import Part
from keras_dream.parts.starts import Photo as PhotoStart, Start
from keras_dream.parts.transforms import View
from keras_dream.pictures.limits import Limits
from keras_dream.pictures.picture import (
    Picture,
    as_picture,
    check_image,
)
from keras_dream.pictures.seams import seamless
from keras_dream.pictures.sources import is_source, paint
from keras_dream.recipe.files import Files
from keras_dream.recipe.presets import preset
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.recipe.scheme_plans import AUTO, WHOLE
from keras_dream.recipe.settings import pop_keys
from keras_dream.recipe.synonyms import setting_advice
from keras_dream.weights.source import BeforeDownload, Progress
from keras_dream.zoo import user_models
from keras_dream.zoo.catalogue import ZOO
from keras_dream.zoo.network import Network, as_networks, network_of, networks_of

if TYPE_CHECKING:
    from PIL.Image import Image

    Photo = str | os.PathLike[str] | Image | np.ndarray | Picture


_UNRECORDED = {"offline", "memory", "halo"}

_FITTING = (
    *("objective", "regions", "per_octave", "border", "transforms"),
    *("octaves", "octaves_above", "octave_scale", "octave_sides"),
)
"""Settings that decide whether a network can be run at a size."""

_KEPT, _BLOCK, _MOST_BLOCK = 64, 256, 32 << 20
"""Shares of a limit of memory: what is kept of it when it is freed, and the largest
block of that. On torch, `motif` at 1 GB on four megapixels took 1.23 GB with 512 and
32 MiB, 1.15 with 32 and 32, 1.07 with 32 and 16, and 0.82 with 16 and 4, in the same
time."""

BLENDED_EDGES = (
    "The photo's opposite edges do not fit, so that its outer quarters fade into the "
    "photo shifted by half."
)
"""The notice on a photo that had to be made seamless."""

FIRST_MOMENT = (
    "The recipe's keyframes are for films: a picture is dreamed with their values at "
    "0 s, and those of silence."
)
"""The notice on a recipe whose settings change in time."""


class Dreamer:
    """One network or several, loaded on a device, reusable for many dreams.

    Args:
        network: A `Network` or a list of them, of which each may be in its short form:
            a network's name, a `.keras` file or a built `keras.Model`. With several, a
            recipe that does not name more networks itself dreams with all of them.
        weights: As for `Network`, where there is one.
        preprocessing: As for `Network`, where there is one.
        trust_model: Whether `.keras` files may be opened: Keras builds whatever their
            author wrote into them.
        classifier: Whether class scores will be asked for: some networks publish their
            classifier in a file of its own.
        run: How to compute.
        progress: Called with the bytes so far and in all, or None, of a download.
        before_download: Called before a download, as in `weights.locate`.
        files: Files that a recipe may name, such as a guide, where they are not named
            by a path in it: paths, or what finds them.
        limits: What the files of photos, masks and guides may have and take, see
            `kd.Limits`; None for those of `files`, or the defaults.

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
        trust_model: bool = False,
        classifier: bool = False,
        run: RunSettings | None = None,
        progress: Progress | None = None,
        before_download: BeforeDownload | None = None,
        files: Files | Sequence[str | os.PathLike[str]] = (),
        limits: Limits | None = None,
    ):
        networks = as_networks(
            network,
            weights=weights,
            preprocessing=preprocessing,
            trust=trust_model,
            classifier=classifier,
        )
        self.run = run or RunSettings()
        chosen = backends.choose(self.run.backend)
        # One dreamer's own backend is not every later one's, unless Keras must run.
        if self.run.backend is None:
            backends.set_default_keras_backend(chosen)
        is_auto = self.run.precision == AUTO
        # What is measured instead of dreamed is exact, unless the user says otherwise.
        self._measures = backends.load(
            chosen,
            device=self.run.device,
            precision="float32" if is_auto else self.run.precision,
            threads=self.run.threads,
        )
        limit = self.run.memory or host.address_space()
        if limit is not None:
            kept, block = limit // _KEPT, limit // _BLOCK
            host.keep_freed(kept, block=min(block, _MOST_BLOCK))
        loaded = [
            network.load(
                backend=chosen,
                offline=self.run.offline,
                progress=progress,
                before_download=before_download,
            )
            for network in networks
        ]
        self._backend = self._measures
        if is_auto:
            self._backend = self._measures.at(fitting(self._measures, loaded))
        by_name = {network.name: network for network in loaded}
        self.files = files if isinstance(files, Files) else Files(named=files)
        self.files.limits = limits or self.files.limits
        self._ensemble = Ensemble(
            by_name,
            self._backend,
            self.files,
            halo=self.run.halo,
            measures=self._measures,
        )

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        network: Any = None,
        *,
        networks: Sequence[Network] = (),
        weights: str | os.PathLike[str] | None = None,
        preprocessing: str | None = None,
        trust_model: bool = False,
        **options: Any,
    ) -> "Dreamer":
        """Loads all that a recipe asks for.

        Args:
            recipe: Its networks, and the classifiers of those whose class scores it
                maximises, are loaded.
            network: In place of the recipe's first: as for `Dreamer`.
            networks: What the recipe's names stand for, where it is more than a name:
                model files, or networks with weights files of the user's.
            weights: As for `Dreamer`.
            preprocessing: As for `Dreamer`; None takes the recipe's.
            trust_model: As for `Dreamer`.
            **options: `run`, `progress`, `before_download`, `files` and `limits`, as
                for `Dreamer`.
        """
        first = as_networks(
            network_of(recipe.network, networks=networks)
            if network is None
            else network,
            weights=weights,
            preprocessing=preprocessing,
            trust=trust_model,
        )
        return cls(list(networks_of(recipe, first, networks=networks)), **options)

    @property
    def network(self) -> str:
        """The first network's name."""
        return self.networks[0]

    def __reduce__(self) -> NoReturn:
        raise unpicklable("A dreamer", "its recipe, and make it again")

    @property
    def networks(self) -> tuple[str, ...]:
        """The names of all networks."""
        return self._ensemble.names

    @property
    def graph(self) -> Graph:
        """The first network's graph, exact and unfolded."""
        return self.graph_of(self.network)

    def graph_of(self, network: str) -> Graph:
        """Returns the graph of one of the networks, exact and unfolded.

        Raises:
            NetworkError: If there is none of that name.
        """
        return self._ensemble.loaded(network).graph

    def responses(self, *, network: str | None = None) -> Responses:
        """Returns how the channels of a network respond to pictures.

        Args:
            network: The network's name; None for the first one.

        Raises:
            NetworkError: If there is none of that name.
        """
        return self._ensemble.responses(network or self.network)

    def complete(self, recipe: Recipe) -> Recipe:
        """Returns a recipe with this dreamer's networks and the objectives filled in.

        The first network of the recipe gives way to the dreamer's own. More of them
        are those that the recipe names, or else all others of the dreamer.
        """
        return self._ensemble.complete(recipe)

    def octaves(
        self, size: Size, recipe: Recipe
    ) -> tuple[tuple[Octave, ...], tuple[str, ...]]:
        """Returns the octaves that a dream will run, and notices.

        They are on octaves that are left out, and on how the networks were loaded.
        Nothing is put on a device for that.

        Args:
            size: The picture's (height, width) in pixels.
            recipe: The recipe.

        Raises:
            PictureError: If no octave is large enough for the layers.
            NetworkError, ObjectiveError: As for `gradient`.
        """
        return octaves_that_fit(size, self.complete(recipe.still), self._ensemble)

    def check_keyframes(self, size: Size, recipe: Recipe) -> None:
        """Makes sure that a film can be dreamed at all keyframes of its recipe.

        Args:
            size: The film's (height, width) in pixels.
            recipe: The recipe.

        Raises:
            PictureError: If no octave is large enough for the layers.
            NetworkError, ObjectiveError: As for `gradient`.
        """
        for moment in self.complete(recipe).with_values_of(*_FITTING):
            octaves_that_fit(size, moment, self._ensemble)

    def steps(
        self,
        photo: "Photo",
        recipe: Recipe | str = "default",
        *,
        start: "np.ndarray | Dream | Checkpoint | Start | str | None" = None,
        keep_octaves: bool = False,
        adjust: Callable[[np.ndarray], np.ndarray] | None = None,
        **settings: Any,
    ) -> Run:
        """Returns the run that dreams a picture step by step; stopping is `break`.

        Args:
            photo: A path, a PIL image, a numpy array (h, w), (h, w, 3) or (h, w, 4) of
                uint8 or of floats in [0, 1], a `Picture`, or a source without a photo
                such as "noise:640x480"; it is read at this call.
            recipe: A recipe or the name of a preset. Its network gives way to this
                dreamer's, which is what gets recorded.
            start: What the dream starts from in the photo's place: the recipe's setting
                of this name, such as "noise"; another dream or an image, float32
                (h, w, 3) of the size at which the photo is dreamed; or the `checkpoint`
                of a step, after which it goes on, exactly as the undisturbed run where
                photo and recipe are the same. The record names the photo, and `replay`
                cannot make a dream again that started from an image.
            keep_octaves: Whether the dream keeps what each octave added, for `mix`.
            adjust: Is given the image as the last step left it, float32 (h, w, 3), and
                returns the one, as large, that is finished in its place: with colours,
                blend and so on. A step's own dream is adjusted too.
            **settings: Settings of the recipe, put over it.

        Returns:
            An iterator of steps, each a whole result; its `dream` is the dream so far,
            and after the last step the finished one.

        Raises:
            PictureError: If the photo cannot be read, is too small or wholly
                transparent.
            InputError: If `start` does not fit the photo or the recipe.
            SettingError: If a setting is unknown or impossible.
            ObjectiveError: If the network lacks what the objective names.
            NonFiniteError: While it runs, if a gradient is not finite.
        """
        if isinstance(start, str | Part):
            settings["start"], start = start, None
        chosen = self._chosen(recipe, settings)
        task = self._task(photo, self.complete(chosen.still), start)
        run = self._run(replace(task, adjust=adjust), keep_octaves=keep_octaves)
        if chosen.keyframes:  # which the recorded recipe has no more
            run.plan.note(FIRST_MOMENT)
        return run

    def _run(self, task: "_Task", *, keep_octaves: bool) -> Run:
        recipe, places = task.recipe, task.places
        strongest = self._ensemble.strongest(recipe, task.image, places=places)
        planner = Planner(self._ensemble, self._backend, self.run)
        size = (task.image.shape[0], task.image.shape[1])
        planned = planner.plan(size, recipe, task.octaves, resumed=task.resumed)
        record = replace(task.record, strongest=strongest)
        task = replace(task, record=record, planned=planned)
        run = loop.run(
            task.image,
            task.octaves,
            recipe,
            gradient_of=lambda octave: self._ensemble.gradient(
                recipe.at(octave.number),
                strongest,
                places=places,
                turn=planned.turn(octave, task.resumed),
            ),
            backend=self._backend,
            result=functools.partial(self._finished, task, keep_octaves),
            original=task.original,
            resumed=task.resumed,
            start=loop.Start(task.record.start_sha256, is_given=task.is_start_given),
            keep_octaves=keep_octaves or bool(recipe.octave_strengths),
            weights=step_weights(recipe, places, self._backend),
            plan=planned.plan,
        )
        run.planned = planned.event(
            recipe, task.image, lambda own: self._ensemble.schemes(own, strongest)
        )
        return run

    @property
    def backend(self) -> Backend:
        """Where it computes."""
        return self._backend

    def objective(self, recipe: Recipe) -> PreparedObjective:
        """Returns what a recipe of one network maximises, on the device.

        Args:
            recipe: A complete recipe, without `strongest(n)`.
        """
        return self._ensemble.objective(recipe)

    def _places(self, recipe: Recipe, photo: Picture, size: Size) -> Places:
        """Returns the masks of a complete recipe as maps of a size."""
        return places_of(recipe, photo, size, files=self.files)

    def dream(
        self, photo: "Photo", recipe: Recipe | str = "default", **options: Any
    ) -> Dream:
        """Dreams a picture to its end; arguments and errors as for `steps`."""
        return self.steps(photo, recipe, **options).finish()

    def _chosen(self, recipe: Recipe | str, settings: Mapping[str, Any]) -> Recipe:
        """Returns a recipe, or a preset, with other settings."""
        check_settings(settings)
        recipe, name = as_recipe(recipe).but(**settings), recipe
        if isinstance(name, str):
            check_preset(name, recipe.but(network=self.network))
        return recipe

    def _task(
        self,
        photo: "Photo",
        recipe: Recipe,
        start: np.ndarray | Dream | Checkpoint | None,
    ) -> "_Task":
        """Reads and checks all that a dream needs before its first step."""
        source = photo_read = _own(self._source(photo, recipe), photo)
        if recipe.wrap != "none":
            source = replace(source, pixels=seamless(source.pixels, recipe.wrap))
        blended = () if source.pixels is photo_read.pixels else (BLENDED_EDGES,)
        picture = at_size(source, recipe)
        size = (picture.pixels.shape[0], picture.pixels.shape[1])
        recipe = recipe.for_size(size)
        check_strengths(recipe)
        _check_length(recipe)
        check_files(recipe, source, self.files)
        resumed = start if isinstance(start, Checkpoint) else None
        given = start.start if isinstance(start, Checkpoint) else start
        image = _started(picture.pixels, recipe, given)
        octaves, left_out = self.octaves(size, recipe)
        start_sha256 = _start_sha256(image, recipe, start)
        record = self.record(photo_read, recipe)
        return _Task(
            record=replace(record, start_sha256=start_sha256),
            source=source,
            picture=picture,
            image=image,
            recipe=recipe,
            octaves=octaves,
            places=self._places(recipe, source, size),
            notices=(*source.notices, *blended, *left_out),
            resumed=resumed,
            is_start_given=given is not None,
        )

    def _finished(
        self,
        task: "_Task",
        keep_octaves: bool,
        image: np.ndarray,
        losses: Mapping[str, Sequence[float]],
        complete: bool,
        octaves: Mapping[int, np.ndarray] | None = None,
        ended: Sequence[str] = (),
        gradients: np.ndarray | None = None,
    ) -> Dream:
        """Returns the dream of a task as its last step left it."""
        recipe = task.recipe
        gradient = _plan_so_far(task, losses, complete=complete)
        record = replace(
            task.record,
            run={**task.record.run, "gradient": gradient},
            steps=sum(map(len, losses.values())),
            losses=losses,
            notices=(*task.notices, *ended),
            complete=complete,
        )
        image = image if task.adjust is None else task.adjust(image)
        unfinished = Unfinished(image, octaves)
        finished = finish(
            unfinished,
            recipe,
            photo=task.source,
            original=task.picture,
            files=self.files,
        )
        if gradients is not None:
            finished = replace(finished, alpha=opacity(gradients, finished))
        return Dream(
            finished.pixels,
            finished.alpha,
            recipe,
            record,
            exif=task.source.exif,
            bits=task.source.bits,
            unfinished=unfinished if keep_octaves else None,
        )

    def _source(self, photo: "Photo", recipe: Recipe) -> Picture:
        """Returns the photo, or the picture of a source without one."""
        if isinstance(photo, str) and is_source(photo):
            return paint(photo, seed=recipe.seed)
        picture = as_picture(photo, limits=self.files.limits)
        if isinstance(photo, str | os.PathLike):
            self.files.look_in(Path(photo).parent)
        if picture.alpha is not None and not picture.alpha.any():
            raise PictureError(
                "A picture must be opaque somewhere, for a dream is as transparent",
                received=f"{short_repr(picture.name)}, which is wholly transparent"
                if picture.name
                else "a wholly transparent one",
                hint="take out its alpha channel first",
            )
        return picture

    def variations(
        self,
        photo: "Photo",
        recipe: Recipe | str,
        *,
        count: int = 4,
        diversity: float = 1.0,
    ) -> Iterator[Dream]:
        """Yields dreams of one photo: each another seed, and unlike those before it.

        Args:
            photo: As for `steps`.
            recipe: As for `steps`; the seeds follow on its own.
            count: How many, 1 or more.
            diversity: How strongly each is pushed away from the statistics of those
                before it, in the layers of the objective; 0 is by its seed only.

        Yields:
            A dream as soon as it is finished. The recipe of the third, say, names the
            first two as `variation-1.png` and `variation-2.png`: to replay it, save
            them under these names beside it.

        Raises:
            ObjectiveError: If no layer is in the objective.
            DreamError: As for `steps`.
        """
        if count < 1 or not 0 <= diversity < math.inf:
            raise InputError(
                "Variations must be 1 or more, and their diversity a finite number, 0 "
                "or more",
                received=f"count={count}, diversity={diversity:g}",
                hint="try count=4, diversity=1",
            )
        recipe = self.complete(as_recipe(recipe).still)
        with tempfile.TemporaryDirectory() as folder:
            pictures: list[Path] = []
            for number in range(1, count + 1):
                own = pushed_from(recipe, pictures, diversity)
                dream = self.dream(photo, own.but(seed=recipe.seed + number - 1))
                pictures.append(dream.save(Path(folder) / f"variation-{number}.png"))
                yield dream

    def seconds(self, size: Size, recipe: Recipe) -> float:
        """Returns about how many seconds a dream takes on two cores of a processor.

        Args:
            size: The picture's (height, width) in pixels.
            recipe: The recipe.
        """
        graphs: dict[Recipe, Sequence[ObjectiveGraph]] = {}

        def passes(own: Recipe, view: Size) -> float:
            if own not in graphs:
                graphs[own] = self._ensemble.graphs(own)
            # Those that are too small are skipped.
            fitting = [g.graph for g in graphs[own] if g.graph.misfit(view) is None]
            flops = sum(graph.flops(*view) for graph in fitting)
            return len(fitting) * cost.NETWORK + flops * cost.FLOP

        return cost.seconds(size, self.complete(recipe.still), passes=passes)

    def record(self, picture: Picture, recipe: Recipe | None = None) -> Record:
        """Returns the record of a dream of a picture as it is before the first step.

        Args:
            picture: The picture.
            recipe: Names the networks that will dream; None for all of them.
        """
        backend = self._backend
        first, *more = used = self._ensemble.used(recipe or Recipe())
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
                # Going online or not changes no pixel, and so no file; what is made of
                # the memory and the halo is in the gradient.
                **self.run.model_dump(mode="json", exclude=_UNRECORDED),
                "gradient": WHOLE.text
                if self.run.gradient == AUTO
                else self.run.gradient,
                "backend": backend.name,
                "device": backend.device,
                "precision": backend.precision,
                "threads": backend.threads,
            },
            steps=0,
            losses={},
            complete=False,
        )

    def gradient(self, image: np.ndarray, recipe: Recipe) -> tuple[float, np.ndarray]:
        """Returns the loss of an image and its gradient.

        Args:
            image: float32 (h, w, 3), nominally in [0, 1].
            recipe: Its objective, loss, border, wrap and regions are used, but not its
                mask; of several networks or regions its normalizer, too.

        Returns:
            The loss, and d loss / d image as float32 (h, w, 3). Of several networks or
            regions, the sum of the losses, and that of the normalised gradients.

        Raises:
            InputError: If the image has another shape.
            PictureError: If the image is too small for the layers or the border.
            NetworkError: If the border leaves nothing of a layer at any size.
            ObjectiveError: If the network lacks what the objective names.
        """
        check_image(image)
        recipe = self.complete(recipe.still.but(mask=None))
        size = (image.shape[0], image.shape[1])
        check_fits(size, recipe, self._ensemble)
        places = self._places(recipe, Picture(image), size)
        strongest = self._ensemble.strongest(recipe, image, places=places)
        octave = Octave(1, size)
        planner = Planner(self._ensemble, self._backend, self.run)
        turn = planner.plan(size, recipe, (octave,)).turn(octave, None)
        gradient = self._ensemble.gradient(recipe, strongest, places=places, turn=turn)
        held = self._backend.image(image)
        loss, image_gradient = gradient(held, size, view=View(size), original=held)
        return self._backend.to_float(loss), self._backend.to_image(image_gradient)

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
        check_image(image)
        nodes = [self.graph.node_of(layer) for layer in layers]
        graph = truncate(self.graph, frozenset(nodes))
        maps = feature_maps(graph, nodes, image, self._measures)
        return {
            layer: self._measures.to_image(x)
            for layer, x in zip(layers, maps, strict=True)
        }


@dataclass(frozen=True, eq=False)
class _Task:
    """What is known of a dream before its first step.

    Attributes:
        record: That of the dream before its first step.
        source: The photo, made seamless where the recipe wraps.
        picture: That at the size at which it is dreamed.
        image: The image that the first step changes, which may be the picture's.
        recipe: The recipe, filled in.
        octaves: The octaves that run.
        places: The recipe's masks.
        notices: What a person should know.
        resumed: Where the dream goes on from, or None.
        is_start_given: Whether the image is in the place of what recipe and photo make.
        planned: By which schemes the gradients are computed.
        adjust: What is made of the last image before it is finished, as for `steps`.
    """

    record: Record
    source: Picture
    picture: Picture
    image: np.ndarray
    recipe: Recipe
    octaves: tuple[Octave, ...]
    places: Places
    notices: tuple[str, ...]
    resumed: Checkpoint | None
    is_start_given: bool
    planned: PlannedRun | None = None
    adjust: Callable[[np.ndarray], np.ndarray] | None = None

    @property
    def original(self) -> np.ndarray | None:
        """The photo's pixels, None where the dream starts from them."""
        photo = self.picture.pixels
        return None if self.image is photo else photo


def _plan_so_far(
    task: _Task, losses: Mapping[str, Sequence[float]], *, complete: bool
) -> str:
    """Returns by which schemes the steps that were made have been computed."""
    if task.planned is None:
        return WHOLE.text
    if complete or not losses:
        return task.planned.plan.text()
    octave, values = list(losses.items())[-1]
    return task.planned.plan.text(until=(int(octave), len(values)))


def _own(picture: Picture, photo: "Photo") -> Picture:
    """Makes a picture read-only that nobody else has, so that nobody copies it."""
    if picture is not photo:
        picture.pixels.setflags(write=False)
    return picture


def _check_length(recipe: Recipe) -> None:
    """Refuses a recipe that no picture's metadata could hold: before the dream."""
    length = len(recipe.json_text())
    if length > MOST_RECIPE:
        raise SettingError(
            f"A recipe must have at most {MOST_RECIPE:,} characters, so that a picture "
            "can hold it",
            received=f"{length:,}",
            hint="use shorter objectives, or fewer regions and per_octave entries",
        )


def _start_sha256(
    image: np.ndarray, recipe: Recipe, start: np.ndarray | Dream | Checkpoint | None
) -> str:
    """Returns what a record says of the start: "" where recipe and photo make it."""
    if start is None:
        return ""
    if not isinstance(start, Checkpoint):
        return Picture(image).sha256
    same = (start.recipe_sha256, start.start_sha256)
    is_same = same == (recipe.sha256, Picture(image).sha256)
    return start.recorded_start if is_same else start.sha256


def _started(
    photo: np.ndarray, recipe: Recipe, start: np.ndarray | Dream | None
) -> np.ndarray:
    """Returns the image that the first step changes, which may be the photo itself."""
    if start is None:
        if isinstance(recipe.start, PhotoStart):
            return photo
        size = (photo.shape[0], photo.shape[1])
        return seamless(recipe.start.paint(size, recipe.seed), recipe.wrap)
    image = start.image if isinstance(start, Dream) else start
    check_image(image)
    if image.shape != photo.shape:
        raise InputError(
            "The image that a dream starts from must have the photo's size",
            received=f"{image.shape} for {photo.shape}",
            hint="resize it",
        )
    return image


def check_settings(settings: Mapping[str, Any], *, more: Sequence[str] = ()) -> None:
    """Refuses a keyword that is no setting of a recipe.

    Args:
        settings: Keywords and values.
        more: Further keywords that could be meant, for the hint.
    """
    unknown = [n for n in settings if n not in (*Recipe.model_fields, "layers")]
    if unknown:
        names = [*Recipe.model_fields, "layers", *more]
        raise SettingError(
            "A setting must be one that exists",
            received=repr(unknown[0]),
            hint=setting_advice(unknown[0], names) or nearest(unknown[0], names),
        )


def check_preset(name: str, recipe: Recipe) -> None:
    """Refuses a preset whose objective names layers of another network.

    Args:
        name: The preset's name.
        recipe: It, with other settings over it. What a network of one's own has is not
            known here.

    Raises:
        SettingError: If it is.
    """
    base = preset(name)
    if base.objective is None or recipe.objective != base.objective:
        return
    if recipe.network != base.network and recipe.network in ZOO:
        raise SettingError(
            f"The preset {name} must be dreamed with {base.network}, of which it names "
            "layers or classes",
            received=recipe.network,
            hint=f"leave the network out, or add an objective: `dream layers "
            f"{shlex.quote(recipe.network)}` shows its layers",
        )


def as_recipe(recipe: Recipe | str) -> Recipe:
    """Returns a recipe for a recipe or the name of a preset."""
    return preset(recipe) if isinstance(recipe, str) else recipe


def dream(
    photo: "Photo",
    recipe: Recipe | str = "default",
    *,
    weights: str | os.PathLike[str] | None = None,
    preprocessing: str | None = None,
    trust_model: bool = False,
    files: Sequence[str | os.PathLike[str]] = (),
    limits: Limits | None = None,
    keep_octaves: bool = False,
    **settings: Any,
) -> Dream:
    """Dreams one picture: a `Dreamer` for one use.

    Args:
        photo: As for `Dreamer.steps`.
        recipe: A recipe or the name of a preset.
        weights: As for `Dreamer`.
        preprocessing: As for `Dreamer`.
        trust_model: As for `Dreamer`.
        files: As for `Dreamer`.
        limits: As for `Dreamer`.
        keep_octaves: As for `Dreamer.steps`.
        **settings: Any setting of the recipe, put over it, and any run setting;
            `layers={"mixed3": 3.0}` is another way to write an objective, and
            `network` may be whatever `Dreamer` takes.

    Returns:
        The dream; `dream(...).save("out.png")` writes it.

    Raises:
        SettingError: If a setting is unknown or impossible.
        DreamError: As for `Dreamer` and `Dreamer.steps`.
    """
    network = settings.pop("network", None)
    if isinstance(network, str) and not user_models.is_file(network):
        settings["network"], network = network, None
    run = pop_keys(settings, RunSettings.model_fields)
    check_settings(settings, more=[*RunSettings.model_fields, "weights"])
    chosen = as_recipe(recipe).but(**settings)
    if isinstance(recipe, str):
        check_preset(recipe, chosen)
    dreamer = Dreamer.of(
        chosen,
        network,
        weights=weights,
        preprocessing=preprocessing,
        trust_model=trust_model,
        run=RunSettings.of(run),
        files=files,
        limits=limits,
    )
    return dreamer.dream(photo, chosen, keep_octaves=keep_octaves)
