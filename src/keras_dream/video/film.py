"""The film of an ascent: a dream as it comes into being, step by step.

Each frame is the dream as if it ended after a step: at its whole size, with the detail
that small octaves have lost put back, and finished. So the film begins with the photo,
its first octaves draw what is large and its last ones what is small, and it ends with
the very dream that `dream` makes. (The octaves' own images, enlarged, would begin out
of focus, and would jump wherever an octave puts its detail back.)
"""

import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from keras_dream.dreamer.dreamer import Dreamer
from keras_dream.engine.checkpoint import Checkpoint
from keras_dream.engine.finish import result_size
from keras_dream.engine.growth import Octave
from keras_dream.engine.loop import Run
from keras_dream.engine.result import Step
from keras_dream.errors import SettingError
from keras_dream.events import Event
from keras_dream.pictures.picture import Picture, to_depth
from keras_dream.recipe.camera import exact_rate
from keras_dream.recipe.recipe import Recipe
from keras_dream.video.folder import Place
from keras_dream.video.frames import Clip, Stamp
from keras_dream.video.from_picture import PictureRun, PictureSetup, Work
from keras_dream.video.setup import Setup
from keras_dream.video.sink import DEFAULT, Encoding

FPS = 12.0
"""Frames a second where nothing is said: a dream of 400 × 300 pixels has 32 steps, one
of 1600 × 1200 has 96."""

HOLD = 1.0
"""Seconds for which the first and the last frame are shown beside their own time."""

_MOST_HOLD = 3600.0  # seconds


class FilmRun(PictureRun):
    """A film of an ascent that is being made; see `PictureRun` and `dream_film`.

    Args:
        setup: As for `PictureRun`.
        out: As for `PictureRun`.
        fps: Frames a second: steps shown in a second.
        hold: Seconds for which the first and the last frame are shown in addition.
        encoding: As for `PictureRun`.
        sound: As for `PictureRun`.
        resume: As for `PictureRun`.
        notes: As for `PictureRun`.
        dreamer: As for `PictureRun`.

    Raises:
        SettingError: If `fps` or `hold` is no such number.
    """

    kind = "ascent"

    def __init__(
        self,
        setup: PictureSetup,
        out: str | os.PathLike[str],
        *,
        fps: float = FPS,
        hold: float = HOLD,
        encoding: Encoding = DEFAULT,
        sound: str | os.PathLike[str] | None = None,
        resume: bool = True,
        notes: bool = True,
        dreamer: Dreamer | Callable[[Setup], Dreamer] | None = None,
    ):
        for name, value, least, most in (
            ("fps", fps, 0.1, 1000),
            ("hold", hold, 0, _MOST_HOLD),
        ):
            if not least <= value <= most:
                raise SettingError(
                    f"`{name}` must be a number from {least:g} to {most:g}",
                    received=f"{value}",
                )
        self._rate = exact_rate(fps)
        self._hold = Fraction(str(hold))
        super().__init__(
            setup,
            out,
            encoding=encoding,
            sound=sound,
            resume=resume,
            notes=notes,
            dreamer=dreamer,
        )

    def _completed(self, recipe: Recipe, picture: Picture) -> Recipe:
        return recipe.but(video=None, camera=None)

    def _places(self, recipe: Recipe, octaves: Sequence[Octave]) -> tuple[Place, ...]:
        steps = sum(recipe.at(octave.number).steps for octave in octaves)
        return tuple(Place(0, number) for number in range(steps + 1))

    def _film_places(self, work: Work) -> Sequence[Place]:
        # Fewer than were planned, where an octave has ended early.
        return [place for place in work.places if work.folder.is_done(place)]

    def _clip(self, recipe: Recipe, picture: Picture, count: int) -> Clip:
        pixels = self._photo.pixels
        each = 1 / self._rate
        ends = [each * number for number in range(1, count)]
        starts = [Fraction(0), *(end + self._hold for end in ends)]
        last = starts[-1] + each + self._hold
        pairs = itertools.pairwise([*starts, last])
        return Clip(
            name=picture.name,
            sha256=picture.sha256,
            size=result_size((pixels.shape[0], pixels.shape[1]), recipe),
            stamps=tuple(Stamp(start, end - start) for start, end in pairs),
            time_base=1 / (self._rate.numerator * Fraction(self._hold.denominator)),
            rate=self._rate,
            has_alpha=_has_alpha(recipe, picture),
        )

    def _seconds(self, work: Work, waiting: Sequence[Place]) -> float:
        size = (work.picture.pixels.shape[0], work.picture.pixels.shape[1])
        whole = work.dreamer.seconds(size, work.recipe)
        return whole * len(waiting) / len(work.places)

    def _check_state(self, path: Path, number: int) -> None:
        if number:  # the first frame is the photo: nothing has to be handed on
            Checkpoint.read(path)

    def _dreamed(self, work: Work, done: int) -> Iterator[Event]:
        start = None
        if done > 1:
            start = Checkpoint.read(work.folder.state_path(work.places[done - 1]))
        run = work.dreamer.steps(self._photo, work.recipe, start=start)
        if not done:
            yield self._kept(work, 0, run, None, time.perf_counter())
        began = time.perf_counter()
        for number, step in enumerate(run, start=max(done, 1)):
            work.folder.begin(work.places[number])
            yield self._step(work, number, 1, 1)
            yield self._kept(work, number, run, step, began)
            began = time.perf_counter()

    def _kept(
        self,
        work: Work,
        number: int,
        run: Run,
        step: Step | None,
        began: float,
    ) -> Event:
        """Keeps a frame, that of the photo or of a step, and returns its event."""
        dream = run.dream if step is None else step.dream
        pixels = to_depth(dream.image, str(work.bits))
        if _has_alpha(work.recipe, work.picture):
            alpha = np.float32(1) if dream.alpha is None else dream.alpha
            alpha = np.broadcast_to(alpha, pixels.shape[:2])
            pixels = np.dstack([pixels, to_depth(alpha, str(work.bits))])
        return self._saved(
            work,
            number,
            pixels,
            None if step is None else step.checkpoint,
            steps=min(number, 1),
            notices=(*dream.record.notices, *run.plan.take_notices()),
            began=began,
        )


def _has_alpha(recipe: Recipe, picture: Picture) -> bool:
    return recipe.transparency or picture.alpha is not None
