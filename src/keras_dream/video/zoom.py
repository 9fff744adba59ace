"""The endless zoom: each frame is dreamed from the last one, seen from nearer.

The canvas of the last frame, floats that no file has rounded, is resampled once by the
camera's step, and a few steps of ascent dream on. Each frame takes as long as the next.

Each frame is a whole dream of its own: of its blend, its mask and its kept colours the
"original" is what it was begun with, and the next frame begins with what comes out, for
nothing else is left of the photo. Only the treatments of `colors` are for the eye
alone: the same picture would be treated again and again. Their original is the photo
that has moved with the camera, or the photo as it was for those that compare wholes.
"""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from keras_dream.engine.arrays import Kind, encode_arrays, read_arrays
from keras_dream.engine.finish import Unfinished, finish
from keras_dream.engine.growth import Octave
from keras_dream.errors import InputError, SettingError, short_repr
from keras_dream.events import Event
from keras_dream.files import check_file
from keras_dream.parts.colors import ContrastLock, Histogram
from keras_dream.pictures.picture import Picture, to_depth
from keras_dream.recipe.camera import CameraSettings
from keras_dream.recipe.recipe import Recipe
from keras_dream.recipe.video import VideoSettings
from keras_dream.video.camera import Mirror, move, moved
from keras_dream.video.folder import Place
from keras_dream.video.frames import Clip
from keras_dream.video.from_picture import PictureRun, Work, even_stamps
from keras_dream.video.setup import with_steps
from keras_dream.video.spectrum import Spectrum
from keras_dream.video.timeline import Timeline


@dataclass(frozen=True, eq=False)
class Canvas:
    """What the next frame is begun with.

    Attributes:
        image: float32 (height, width, 3).
        spectrum: The contrasts of the first frame.
        photo: The photo as the camera sees it, of the image's shape, where the recipe
            has treatments of colours; else None.
    """

    image: np.ndarray
    spectrum: Spectrum
    photo: np.ndarray | None = None

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes it to a file, not atomically; the same values give the same bytes."""
        path, own = Path(path), self.spectrum
        arrays = {
            "image": self.image.astype("<f4", copy=False),
            "mean": own.mean.astype("<f8"),
            "whole": own.whole.astype("<f8"),
            "bands": own.bands.astype("<f8"),
        }
        if self.photo is not None:
            arrays["photo"] = self.photo.astype("<f4", copy=False)
        path.write_bytes(encode_arrays(arrays))
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Canvas":
        """Reads what `save` wrote, as untrusted.

        Raises:
            InputError: If it is missing or damaged.
        """
        path = check_file(path, "The canvas of a zoom")
        arrays = read_arrays(path, _KINDS, _refused)
        photo = arrays.pop("photo", None)
        if set(arrays) != {kind.name for kind in _KINDS} - {"photo"}:
            raise _refused(f"{short_repr(str(path))}, where an array is missing")
        spectrum = Spectrum(arrays["mean"], arrays["whole"], arrays["bands"])
        return cls(arrays["image"], spectrum, photo)


_KINDS = (
    Kind("image", ("<f4",), (None, None, 3)),
    Kind("mean", ("<f8",), (3,)),
    Kind("whole", ("<f8",), (2,)),
    Kind("bands", ("<f8",), (None, 2), most=100),
    Kind("photo", ("<f4",), (None, None, 3)),
)


def _refused(received: str) -> InputError:
    return InputError(
        "The canvas of a zoom must be whole, as the run wrote it",
        received=received,
        hint="remove it: it is made again",
    )


class ZoomRun(PictureRun):
    """A zoom that is being dreamed; see `PictureRun` and `dream_zoom`.

    A loop has its first frames, as many as its `seam`, dreamed twice. The second time
    they go on from the last frame, and are pulled towards the first time's, more from
    frame to frame, until the first one after them is that of the first time. They are
    pulled before their steps, so that the dream closes what does not fit; and only
    these are shown.
    """

    kind = "zoom"

    def _check(self, recipe: Recipe) -> None:
        for name in ("full_size", "transparency"):
            if getattr(recipe, name):
                raise SettingError(
                    f"`{name}` must be false for a zoom, whose frames are opaque and "
                    "of one size",
                    received="true",
                    hint="leave it out",
                )
        camera = recipe.camera or CameraSettings()
        if recipe.wrap != "none" and (camera.rate, camera.rotate) != (1, 0):
            raise SettingError(
                "The camera of a picture whose edges belong together must only shift",
                received=f"wrap={recipe.wrap} with rate={camera.rate:g}, "
                f"rotate={camera.rotate:g}",
                hint="set rate to 1 and rotate to 0, or leave wrap out",
            )

    def _completed(self, recipe: Recipe, picture: Picture) -> Recipe:
        camera = recipe.camera or CameraSettings()
        video = recipe.video or VideoSettings()
        return recipe.but(camera=camera, video=video)

    @cached_property
    def _camera(self) -> CameraSettings:
        return self._setup.recipe.camera or CameraSettings()

    @cached_property
    def _video(self) -> VideoSettings:
        return self._setup.recipe.video or VideoSettings()

    @property
    def _seam(self) -> int:
        """How many frames are made twice, so that the last leads into the first."""
        if not self._camera.loop:
            return 0
        return min(self._camera.seam, self._camera.frames - 1)

    def _places(self, recipe: Recipe, octaves: Sequence[Octave]) -> tuple[Place, ...]:
        # What a frame hands on is removed after the next one of its part, but the first
        # frames of a loop are wanted once more.
        frames, twice = self._camera.frames, self._seam
        first = (Place(min(number, twice), number) for number in range(frames))
        again = (Place(twice + 1, number) for number in range(twice))
        return (*first, *again)

    def _film_places(self, work: Work) -> Sequence[Place]:
        twice, frames = self._seam, self._camera.frames
        return (*work.places[frames:], *work.places[twice:frames])

    def _clip(self, recipe: Recipe, picture: Picture, count: int) -> Clip:
        del count
        rate = self._camera.frame_rate
        return Clip(
            name=picture.name,
            sha256=picture.sha256,
            size=(picture.pixels.shape[0], picture.pixels.shape[1]),
            stamps=even_stamps(self._camera.frames, rate),
            time_base=1 / rate,
            rate=rate,
            notices=() if picture.alpha is None else (_OPAQUE,),
        )

    def _states(self, recipe: Recipe) -> int:
        return (self._seam + 2) * (2 if recipe.colors else 1)

    def _seconds(self, work: Work, waiting: Sequence[Place]) -> float:
        size = (work.picture.pixels.shape[0], work.picture.pixels.shape[1])
        first = sum(place == work.places[0] for place in waiting)
        seconds = first * work.dreamer.seconds(size, self._stepped(work.recipe, 0))
        later = work.dreamer.seconds(size, self._stepped(work.recipe, 1))
        return seconds + (len(waiting) - first) * later

    def _stepped(self, recipe: Recipe, number: int) -> Recipe:
        """Returns the recipe of a frame in the order of work, with its steps."""
        first, later = (recipe.video or self._video).frame_steps(recipe.steps)
        if number == 0:
            return with_steps(recipe, first).but(video=None, camera=None, colors=())
        own = with_steps(recipe, later)
        return own.but(video=None, camera=None, colors=(), start="photo")

    def _check_state(self, path: Path, number: int) -> None:
        Canvas.load(path)

    def _dreamed(self, work: Work, done: int) -> Iterator[Event]:
        clip = self._clip(work.recipe, work.picture, 0)
        timeline = Timeline(
            work.recipe, clip, sound=self._sound, files=work.dreamer.files
        )
        canvas, size = None, clip.size
        mirror = Mirror.around(size)
        if done:
            canvas = Canvas.load(work.folder.state_path(work.places[done - 1]))
        for number in range(len(work.places)):
            began = time.perf_counter()
            recipe = timeline.at(clip.stamps[number % self._camera.frames])
            before = mirror
            if number:
                step = move(recipe.camera or CameraSettings(), size)
                mirror = mirror.after(step, size)
            if number < done:
                continue
            image, photo = self._begun(work, number, canvas, recipe, before)
            start = Picture(image.clip(0, 1), None, work.picture.name)
            work.folder.begin(work.places[number])
            run = work.dreamer.steps(start, self._stepped(recipe, number))
            made = 0
            for made, step in enumerate(run, start=1):
                steps = step.octaves * step.iterations
                yield self._step(work, number, made, steps)
            dream = run.dream
            canvas = settled(dream.image, canvas, lock=self._video.lock)
            canvas = replace(canvas, photo=photo if recipe.colors else None)
            yield self._saved(
                work,
                number,
                to_depth(_colored(canvas, recipe, work), str(work.bits)),
                canvas,
                steps=made,
                notices=(*dream.record.notices, *run.plan.take_notices()),
                began=began,
            )

    def _begun(
        self,
        work: Work,
        number: int,
        canvas: Canvas | None,
        recipe: Recipe,
        mirror: Mirror,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns what a frame is dreamed from, and the photo as the camera sees it."""
        if canvas is None:
            return work.picture.pixels, work.picture.pixels
        again = number - self._camera.frames
        image, photo = canvas.image, canvas.photo
        if again > 0:
            before = Canvas.load(work.folder.state_path(work.places[again - 1]))
            way = again / self._seam
            image = pulled(image, before.image, way)
            if photo is not None and before.photo is not None:
                photo = photo + np.float32(way) * (before.photo - photo)
        size = (image.shape[0], image.shape[1])
        step = move(recipe.camera or CameraSettings(), size)
        see = partial(moved, by=step, wrap=recipe.wrap, mirror=mirror)
        return see(image), None if photo is None else see(photo)


_OPAQUE = "The film is opaque: a zoom has no transparency."


def _colored(canvas: Canvas, recipe: Recipe, work: Work) -> np.ndarray:
    """Returns a frame after the treatments of its colours."""
    image, seen = canvas.image, canvas.photo
    for color in recipe.colors:
        original = work.picture.pixels if seen is None else seen
        if isinstance(color, Histogram | ContrastLock):
            original = work.picture.pixels  # what the camera sees is soon one colour
        if isinstance(color, ContrastLock):
            color = ContrastLock()  # noqa: PLW2901 - its places have left the frame
        one = Picture(original.clip(0, 1))
        dream = Unfinished(image)
        only = Recipe(colors=(color,))
        files = work.dreamer.files
        image = finish(dream, only, photo=one, original=one, files=files).pixels
    return image


def settled(image: np.ndarray, before: Canvas | None, *, lock: bool = True) -> Canvas:
    """Returns what the next frame is begun with.

    Args:
        image: A frame as it was dreamed, float32 (height, width, 3).
        before: The canvas of the frame before it; None for the first frame.
        lock: Whether it has the contrasts and the mean colour of the first frame.
    """
    image = np.ascontiguousarray(image, np.float32)
    if before is None:
        return Canvas(image, Spectrum.of(image))
    return Canvas(before.spectrum.hold(image) if lock else image, before.spectrum)


def pulled(image: np.ndarray, other: np.ndarray, way: float) -> np.ndarray:
    """Returns a picture on its way to another one, as rich in contrast as both.

    How far they are from each other falls along a smoothstep. It is measured, because
    the steps in between amplify whatever the picture still has of its own. The mean of
    two pictures that differ has less contrast than either, at each size of detail,
    which would show as a film that becomes pale and soft; so contrasts are put back.

    Args:
        image: float32 (height, width, 3).
        other: The same.
        way: How far it has come, from 0 to 1.
    """
    apart = np.sqrt(np.square(image - other).mean(dtype=np.float64))
    # So far apart are two pictures that have nothing in common but their mean.
    most = np.sqrt(sum(np.square(_centered(x)).mean() for x in (image, other)))
    left = most * (1 - way * way * (3 - 2 * way))
    share = 1 - float(left / apart) if apart else 1.0
    # Some are further apart at first: by chance one is dark where the other is light.
    share = min(max(share, 0.0), 2 * way, 1.0)
    wanted = Spectrum.of(image).between(Spectrum.of(other), share)
    mixed = image + np.float32(share) * (other - image)
    return wanted.hold(mixed, most=np.inf)


def _centered(image: np.ndarray) -> np.ndarray:
    return image - image.mean((0, 1), dtype=np.float64)
