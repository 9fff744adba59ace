"""A dream of a picture larger than memory, as an iterator of events.

Octaves by steps, as in `engine.loop`, and with the same parts of the recipe; but all
pictures are stores on the disk. A step is its gradient, tile by tile; what the whole
gradient is divided by; and the next image, in bands.
"""

import itertools
import math
import os
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from keras_dream.dreamer.dreamer import (
    Dreamer,
    as_recipe,
    check_preset,
    check_settings,
)
from keras_dream.engine.ascent import ROUNDING, check_finite
from keras_dream.engine.finish import Unfinished, finish
from keras_dream.engine.gradients import PreparedObjective
from keras_dream.engine.growth import Growth, Octave, octaves_of
from keras_dream.engine.result import Record, Step
from keras_dream.engine.tiled import CellGradient, check_local
from keras_dream.errors import RunError, SettingError
from keras_dream.events import Event, Notice, TileDone
from keras_dream.files import check_room
from keras_dream.geometry import Size
from keras_dream.huge.bands import Bands, Map
from keras_dream.huge.folder import Folder, State
from keras_dream.huge.gradients import DiskGradient, reader
from keras_dream.huge.local import check_recipe
from keras_dream.huge.plan import HugePlan
from keras_dream.huge.stores import Source, Store, bands, sha256_of
from keras_dream.parts.filters import Place
from keras_dream.parts.normalizers import Normalizer
from keras_dream.parts.stops import Distance, Watched
from keras_dream.parts.transforms import Lookup, View, draw
from keras_dream.pictures.picture import Picture
from keras_dream.recipe.recipe import FINISHING, Recipe, RunSettings


@dataclass(frozen=True)
class HugeDream:
    """The result of a huge dream.

    Attributes:
        image: float32 (height, width, 3), sRGB, nominally in [0, 1]; in the work
            folder.
        recipe: What decided it, with the network and objective that were used.
        record: What happened.
    """

    image: Store
    recipe: Recipe
    record: Record


class HugeRun(Iterator[Event]):
    """A huge dream that is being made: an iterator of events.

    They are `Notice`, `GradientPlan`, `TileDone` and `Step`. It holds its folder until
    it is closed; use it as a context manager.

    Attributes:
        recipe: The complete recipe, with the octaves' number.
        gradient: The tiles of each octave, as a record has them.
    """

    def __init__(self, work: "_Work"):
        self.recipe = work.recipe
        self.gradient = work.gradient
        self._work = work
        self._events = work.events()
        self._result: HugeDream | None = None

    def __next__(self) -> Event:
        try:
            return next(self._events)
        except StopIteration as end:
            self._result = end.value or self._result
            raise StopIteration from None

    @property
    def result(self) -> HugeDream:
        """The finished dream.

        Raises:
            RunError: If there are events before the last one.
        """
        if self._result is None:
            raise RunError("a huge dream must have come to its end", hint="go on")
        return self._result

    def close(self) -> None:
        """Lets another process use the folder; what is done is kept."""
        self._events.close()  # so that scratch is removed
        self._work.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def dream_huge(
    dreamer: Dreamer,
    source: Source,
    folder: str | os.PathLike[str],
    recipe: Recipe | str = "default",
    *,
    name: str = "",
    **settings: Any,
) -> HugeRun:
    """Dreams a picture that is larger than memory, or goes on with it.

    Args:
        dreamer: The network on a device; its run settings decide on the tiles.
        source: The photo, sRGB in [0, 1], such as a `Store`, which is not copied.
        folder: An existing folder for all that the dream keeps meanwhile. If it has an
            unfinished dream of the same photo and recipe, that one goes on.
        recipe: A recipe or the name of a preset.
        name: The photo's name, for the record.
        **settings: Settings of the recipe, put over it.

    Returns:
        The run; its `result` is the dream.

    Raises:
        SettingError: If the recipe has what cannot be computed in bands and tiles.
        PictureError: If the photo is too small for the layers.
        JobsError: If another process uses the folder, or it has another dream.
        SaveError: If the disk has no room.
    """
    check_settings(settings)
    chosen = as_recipe(recipe).but(**settings)
    if isinstance(recipe, str):
        check_preset(recipe, chosen.but(network=dreamer.network))
    size = (source.shape[0], source.shape[1])
    complete = dreamer.complete(chosen).for_size(size)
    check_recipe(complete)
    return HugeRun(_Work(dreamer, source, Path(folder), complete, name))


def check_huge(dreamer: Dreamer, size: Size, recipe: Recipe) -> None:
    """Checks, before a photo is read, that it can be dreamed in tiles in the memory.

    Args:
        dreamer: As for `dream_huge`.
        size: The photo's (height, width) in pixels.
        recipe: The recipe.

    Raises:
        SettingError, PictureError: As for `dream_huge`.
    """
    complete = dreamer.complete(recipe).for_size(size)
    check_recipe(complete)
    octaves, _ = dreamer.octaves(size, complete)
    HugePlan(octaves, complete, _objectives(dreamer, complete), dreamer.run)


def _objectives(
    dreamer: Dreamer, recipe: Recipe
) -> Callable[[Octave], PreparedObjective]:
    """Returns what returns the objective of an octave, checked, once for all alike."""
    made: dict[Any, PreparedObjective] = {}

    def objective(octave: Octave) -> PreparedObjective:
        own = recipe.at(octave.number)
        key = (own.objective, own.loss, own.border)
        if key not in made:
            made[key] = dreamer.objective(own)
            _check_tiles(made[key])
        return made[key]

    return objective


class _Work:
    """The work on a huge dream; arguments as for `dream_huge`."""

    def __init__(
        self, dreamer: Dreamer, source: Source, folder: Path, recipe: Recipe, name: str
    ):
        self.recipe = recipe
        self._dreamer = dreamer
        self._name = name
        self._size: Size = (source.shape[0], source.shape[1])
        self._octaves, self._notices = dreamer.octaves(self._size, recipe)
        self._count = len(octaves_of(self._size, recipe))
        self._objective = _objectives(dreamer, recipe)
        planned = self._planned(dreamer.run)
        self._bands = Bands(dreamer.backend, folder)
        # Of a backend they use what `Bands` has.
        self._backend: Any = self._bands
        self._normalizer = Normalizer(recipe.normalizer, recipe.epsilon, self._backend)
        self._sha256 = _sha256(source)
        self._folder = Folder(folder, self._key, planned.text, self._bands)
        try:
            self.gradient = self._folder.gradient
            if self.gradient != planned.text:  # of a dream that goes on
                planned = self._planned(dreamer.run.but(gradient=self.gradient))
            self._plan = planned
            check_room(self._folder.result_path(), self._room(source))
            self._source = self._stored(source)
        except BaseException:
            self._folder.close()
            raise
        self._growth = _DiskGrowth(
            self._source, self._octaves, recipe, self._bands, folder
        )

    def close(self) -> None:
        """Ends the work; another process may go on."""
        self._folder.close()

    def _planned(self, run: RunSettings) -> HugePlan:
        return HugePlan(self._octaves, self.recipe, self._objective, run)

    @cached_property
    def _record(self) -> Record:
        """The record before the first step."""
        pixels = np.broadcast_to(np.float32(0), (*self._size, 3))
        photo = _Photo(pixels, name=self._name, hash=self._sha256)
        return self._dreamer.record(photo, self.recipe)

    @property
    def _key(self) -> dict[str, str]:
        """What decides the bytes of the result."""
        run = self._record.run
        words = (self._dreamer.run.gradient, *(run[n] for n in _DECIDING))
        return {
            "photo": self._sha256,
            "recipe": self.recipe.sha256,
            "network": self._record.weights_sha256,
            "run settings": " ".join(map(str, words)),
        }

    def _room(self, source: Source) -> int:
        """Returns how many bytes the dream may take in all, less what is there."""
        pixels = math.prod(self._octaves[-1].size)
        # The gradient and two images; coarse maps of filters, and smaller octaves.
        pictures = 3.0 + (0.5 if self.recipe.filters else 0)
        pictures += {"momentum": 2, "adam": 4}.get(self.recipe.optimizer.name, 0)
        needed = pictures * pixels + sum(math.prod(o.size) for o in self._octaves[:-1])
        if not isinstance(source, Store):
            needed += math.prod(self._size)
        return max(int(12 * needed) - self._folder.bytes, 0)

    def _stored(self, source: Source) -> Store:
        """Returns the photo as a store, a copy if it is none."""
        if isinstance(source, Store):
            return source
        path = self._folder.path / "source.npy"
        if path.exists():
            return Store.open(path, shape=source.shape)
        height, width, channels = source.shape
        store = Store.create(path, source.shape)
        for first, end in bands(height, 4 * width * channels):
            store.write(first, source.rows(first, end))
        return store.commit()

    # -- the loop -----------------------------------------------------------------
    def events(self) -> Generator[Event, None, HugeDream]:
        """Yields the events of the dream and returns it."""
        self._folder.begin(self._name)
        yield from map(Notice, self._notices)
        yield self._plan.event(self._size, self._halo_error())
        done = self._folder.result(self._size)
        if done is None:
            sizes = [octave.size for octave in self._octaves]
            last_step = self._folder.last(sizes)
            state, image = last_step or (State(), self._entered(State()))
            last = len(self._octaves) - 1
            while True:
                state, image = yield from self._octave(state, image)
                left = self._growth.leave(state.place, self._bands.image(image))
                if state.place == last:
                    break
                state = State(state.place + 1, 0, state.losses, state.ended)
                grown = self._growth.enter(state.place, left)
                image = self._folder.keep(state, grown)
            done = state, self._finished(state, left)
        self._folder.end()
        return self._dream(*done)

    def _halo_error(self) -> float | None:
        """Returns how wrong a bounded halo makes the largest octave; None for none."""
        planned = self._plan.octaves[-1]
        if planned.scheme.halo is None:
            return None
        view = self._plan.view(planned.octave)
        # The photo stretched to what the network sees, without filtering: a sample.
        axes = zip(view, self._size, strict=True)
        rows, columns = (np.arange(long) * own // long for long, own in axes)
        read = reader(self._source, Lookup(rows, columns))
        tiles = CellGradient(self._objective(planned.octave), planned.scheme)
        return tiles.halo_error(view, read, read_original=read)

    def _entered(self, state: State) -> Store:
        """Returns the image that the first octave begins with."""
        first = self._growth.enter(0, None)
        return first.store if first.store else self._folder.keep(state, first)

    def _octave(
        self, state: State, image: Store
    ) -> Generator[Event, None, tuple[State, Store]]:
        """Makes the steps of an octave that are left; returns the last."""
        octave = self._octaves[state.place]
        recipe = self.recipe.at(octave.number)
        scheme = self._plan.octaves[state.place].scheme
        tiles = CellGradient(self._objective(octave), scheme)
        gradient = DiskGradient(tiles, self._bands, self._folder.path)
        needs_original = any(g.needs_reference for g in self._objective(octave).goals)
        original = self._growth.original(state.place).store if needs_original else None
        optimizer = recipe.optimizer.start()
        if state.iteration > 0:
            optimizer = self._folder.maps_of(state, image, optimizer)
        for view in self._views(recipe, octave, state.iteration):
            if state.is_over:
                break
            began = time.perf_counter()
            lookup = view.chain.lookup(octave.size, view.constants)
            if lookup is None:
                raise RuntimeError("a view that is no lookup")
            step = f"{state.place} {state.iteration + 1}"
            for at in gradient.make(step, image, lookup, original):
                self._folder.note(at.done, at.of)
                yield self._tile(octave, recipe, state, at.done, at.of)
            check_finite(gradient.loss, gradient.is_finite, octave.size, recipe)
            found = gradient.gradient(lookup, octave.size)
            if recipe.max_loss_rule == "before" and _is_above(recipe, gradient.loss):
                break
            with self._bands.scratch():
                state, image, optimizer = self._stepped(
                    octave, recipe, state, image, optimizer, gradient.loss, found
                )
            gradient.remove()
            yield self._step(octave, recipe, state, image, time.perf_counter() - began)
        else:
            if recipe.steps and not state.is_changed:
                how = "has changed nothing: nothing there responds to the objective"
                state = _ended(state, octave, how)
        gradient.remove()
        return state, image

    def _views(self, recipe: Recipe, octave: Octave, made: int) -> Iterator[View]:
        views = draw(
            octave.size,
            recipe.transforms,
            seed=recipe.seed,
            octave=octave.number - 1,
            steps=recipe.steps,
            jitter=recipe.jitter,
            backend=self._dreamer.backend,
        )
        return (view for (view,) in itertools.islice(views, made, None))

    def _stepped(
        self,
        octave: Octave,
        recipe: Recipe,
        state: State,
        image: Store,
        optimizer: Any,
        loss: float,
        gradient: Map,
    ) -> tuple[State, Store, Any]:
        """Returns the state, the image and the optimizer's state after a step."""
        b, now = self._backend, self._bands.image(image)
        progress = state.iteration / max(recipe.steps - 1, 1)
        place = Place(octave.size, progress, None, recipe.wrap, 1.0)
        for filtered in self.recipe.filters:
            gradient = filtered.apply(b, gradient, place)
        divisor = self._normalizer.divisor(gradient)
        state = replace(
            state,
            iteration=state.iteration + 1,
            losses=(*state.losses, (octave.number, loss)),
        )
        step_size = recipe.step_size * recipe.strength
        optimizer, (update,) = recipe.optimizer.step(
            b, optimizer, (gradient,), divisor=divisor, step_size=step_size
        )
        noted, optimizer = self._folder.kept(state, optimizer)
        moved = b.add(now, update)
        moved = b.clip(moved, 0.0, 1.0) if recipe.clamp else moved
        reason = self._reason(octave, recipe, state, moved)
        if reason and state.iteration < recipe.steps:
            steps = f"{state.iteration} of {recipe.steps} steps"
            state = _ended(state, octave, f"ended after {steps}: {reason}")
        state = replace(
            state,
            is_changed=state.is_changed or self._is_changed(now, moved, recipe),
            is_over=bool(reason) or _is_above(recipe, loss),
            optimizer=noted,
        )
        return state, self._folder.keep(state, moved), optimizer

    def _reason(self, octave: Octave, recipe: Recipe, state: State, image: Map) -> str:
        """Returns why an octave ends after a step, or ""."""
        if not recipe.stop:
            return ""
        losses = [loss for number, loss in state.losses if number == octave.number]
        watched = Watched(
            octave.number / self._count, self._growth.original(state.place)
        )
        for stop in recipe.stop:
            watcher = stop.watch(self._backend, watched)
            # A distance is of this step alone.
            earlier = [] if isinstance(stop, Distance) else losses[:-1]
            for loss in earlier:
                watcher(loss, image)
            if reason := watcher(losses[-1], image):
                return reason
        return ""

    def _is_changed(self, before: Map, after: Map, recipe: Recipe) -> bool:
        b = self._backend
        if recipe.clamp:  # resampling may have left [0, 1]
            before = b.clip(before, 0.0, 1.0)
        return self._bands.exceeds(b.subtract(after, before), ROUNDING)

    def _finished(self, state: State, left: Map) -> Store:
        """Writes the dream after what is done behind its last step."""
        recipe, files = self.recipe, self._dreamer.files
        plain = all(getattr(recipe, n) == _FIELDS[n].default for n in FINISHING)
        if plain and left.store is not None and left.shape[:2] == self._size:
            named = self._folder.named(state, left.store)
            if named is not None:
                return named
        store = Store.create(self._folder.result_path(), (*self._size, 3))
        with self._bands.scratch():
            dreamed = self._growth.whole_map(len(self._octaves) - 1, left)
            for first, band in self._bands.computed(dreamed):
                image = self._dreamer.backend.to_image(band)
                rows = Picture(self._source.rows(first, first + len(image)))
                finished = finish(
                    Unfinished(image), recipe, photo=rows, original=rows, files=files
                )
                store.write(first, finished.pixels)
        return store.commit(asdict(state))

    def _dream(self, state: State, image: Store) -> HugeDream:
        losses: dict[str, list[float]] = {}
        for octave, loss in state.losses:
            losses.setdefault(str(octave), []).append(loss)
        record = replace(
            self._record,
            run={**self._record.run, "gradient": self.gradient},
            steps=len(state.losses),
            losses=losses,
            notices=(*self._notices, *state.ended),
            complete=True,
        )
        return HugeDream(image, self.recipe, record)

    # -- events -------------------------------------------------------------------
    def _tile(
        self, octave: Octave, recipe: Recipe, state: State, done: int, of: int
    ) -> TileDone:
        made = state.iteration + done / of
        return TileDone(
            octave=octave.number,
            octaves=self._count,
            iteration=state.iteration + 1,
            iterations=recipe.steps,
            tile=done,
            tiles=of,
            share=self._share(state.place, made),
        )

    def _share(self, place: int, made: float) -> float:
        """Returns the share of the work that is done: its pixels times its steps."""
        works = [
            math.prod(o.size) * self.recipe.at(o.number).steps for o in self._octaves
        ]
        octave = self._octaves[place]
        done = sum(works[:place]) + made * math.prod(octave.size)
        return min(done / max(sum(works), 1), 1.0)

    def _step(
        self, octave: Octave, recipe: Recipe, state: State, image: Store, seconds: float
    ) -> Step:
        return Step(
            octave=octave.number,
            octaves=self._count,
            iteration=state.iteration,
            iterations=recipe.steps,
            size=octave.size,
            loss=state.losses[-1][1],
            seconds=seconds,
            _image=lambda: image.rows(0, image.shape[0]),
            _dream=_refused,
            _checkpoint=_refused,
        )


_DECIDING = ("backend", "device", "precision")
_FIELDS = Recipe.model_fields


@dataclass(frozen=True, eq=False)
class _Photo(Picture):
    """A photo whose pixels are not in memory.

    Attributes:
        hash: The sha256 of its pixels.
    """

    hash: str = ""

    @property
    def sha256(self) -> str:
        """The sha256 of its pixels, as of any picture."""
        return self.hash


class _DiskGrowth(Growth):
    """The octaves' pictures as stores, each made once."""

    def __init__(
        self,
        source: Store,
        octaves: tuple[Octave, ...],
        recipe: Recipe,
        bands: Bands,
        folder: Path,
    ):
        # It asks a picture for its shape, and a backend for what `Bands` has.
        picture: Any = source
        backend: Any = bands
        super().__init__(picture, octaves, recipe, backend, original=None)
        self._bands = bands
        self._folder = folder

    def whole_map(self, place: int, image: Map) -> Map:
        """Returns an octave's image at the picture's own size."""
        return self._resample(image, self._sizes[place], self.size)

    def _shrunk(self, picture: Any, place: int) -> Map:
        path = self._folder / f"base-{place:02}.npy"
        if self._sizes[place] == self.size:
            return self._bands.image(picture)
        if not path.exists():
            with self._bands.scratch():
                shrunk = super()._shrunk(picture, place)
                self._bands.written(shrunk, path).commit().close()
        return self._bands.image(Store.open(path, shape=(*self._sizes[place], 3)))


def _check_tiles(objective: PreparedObjective) -> None:
    """Refuses an objective that is no sum over tiles in rows."""
    hint = "try layers alone, with loss=l2_mean"
    check_local(objective.goals, objective.context.loss, hint=hint)
    if any(not goal.nodes or goal.cell is not None for goal in objective.goals):
        raise SettingError(
            "An objective of a picture larger than memory must be of layers",
            received="a term of a single cell, or of the image itself",
            hint="leave it out",
        )
    fields = objective.graph.graph.receptive_fields()
    for node in objective.graph.nodes:
        if not math.isfinite(fields[node].size):
            raise SettingError(
                "An objective of a picture larger than memory must see a part of it",
                received=f"{node}, which sees the whole picture",
                hint="name a layer, such as one of `dream layers`",
            )


def _is_above(recipe: Recipe, loss: float) -> bool:
    return recipe.max_loss is not None and loss > recipe.max_loss


def _ended(state: State, octave: Octave, how: str) -> State:
    return replace(state, ended=(*state.ended, f"Octave {octave.number} {how}."))


def _sha256(source: Source) -> str:
    noted = source.notes.get("sha256") if isinstance(source, Store) else None
    return str(noted) if noted else sha256_of(source)


def _refused() -> Any:
    raise RunError(
        "a step of a huge dream must be looked at by its image",
        hint="go on to the end, or run it again: it goes on from there",
    )
