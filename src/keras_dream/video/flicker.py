"""How much a film flickers: the warping error of Lai et al. 2018 (arXiv 1808.00449).

Of the paper is taken the error of its section on temporal stability, as its program
computes it: the mean of the squared difference between a frame and its neighbour that
was moved along the flow of the *source*, over the pixels that are not occluded and
over the channels, in units of the range [0, 1]; and the mean of that over the frames.

What differs: the flow is OpenCV's DIS and not FlowNet 2, so that the paper's numbers
cannot be compared with ours, but the source's own can, which has the same flow. Each
frame is compared with the one before it and not with the one after it, and that one is
sampled by Lanczos and not bilinearly. Frames on two sides of a cut are left out, and so
are frames in which nothing is visible, which the paper's program counts as 0. The mask
of what is not occluded is that of Ruder et al. 2016 (arXiv 1604.08610) as there, but
counts what looks as the flow says, too, and knows camera moves, see `flow.visible`.
"""

import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from keras_dream.errors import InputError, short_repr
from keras_dream.geometry import resample
from keras_dream.pictures.limits import Limits
from keras_dream.recipe.times import seconds_of, time_text
from keras_dream.recipe.video import VideoSettings
from keras_dream.video.frames import Clip, Frame

if TYPE_CHECKING:
    from keras_dream.video.carry import Motion
    from keras_dream.video.source import Source

VISIBLE = 0.5
"""A pixel counts where its visibility is at least this. The mask of Ruder et al. is 0
or 1; ours has soft edges."""

DARK = 0.01
"""Means and contrasts below this are too near zero to say by which share they drift."""

_LUMA = (0.2126, 0.7152, 0.0722)  # Rec. ITU-R BT.709, of encoded values


class Sample(NamedTuple):
    """What is measured of one frame of a film and of its source.

    Attributes:
        error: The film's warping error; None where nothing is compared: at the first
            frame of a scene, and where nothing is visible.
        source_error: The source's own.
        visible: The share of the pixels that are compared.
        mean: The mean of the film's frame, its luma in [0, 1].
        contrast: The standard deviation of the same.
        source_mean: The source's own.
        source_contrast: The source's own.
    """

    error: float | None
    source_error: float | None
    visible: float
    mean: float
    contrast: float
    source_mean: float
    source_contrast: float


def frame_error(
    previous: np.ndarray,
    current: np.ndarray,
    back_flow: np.ndarray,
    visible: np.ndarray,
) -> tuple[float, int]:
    """Returns the warping error of a frame as a sum and what to divide it by.

    Args:
        previous: The frame before it, float32 (height, width, 3) in [0, 1].
        current: The frame, as large.
        back_flow: The source's flow from this frame to the one before it, float32
            (height, width, 2): where each pixel came from, (down, across) in pixels.
        visible: What is seen in both, float32 (height, width) in [0, 1].

    Returns:
        The sum of the squared differences over visible pixels and channels, and how
        many these are.
    """
    from keras_dream.video.flow import warp

    mask = visible >= VISIBLE
    difference = (current - warp(previous, back_flow))[mask]
    return float(np.sum(np.square(difference), dtype=np.float64)), difference.size


def sample(
    film: np.ndarray,
    source: np.ndarray,
    *,
    before: tuple[np.ndarray, np.ndarray] | None = None,
    moved: "Motion | None" = None,
) -> Sample:
    """Measures one frame.

    Args:
        film: The film's frame, float32 (height, width, 3) in [0, 1].
        source: The source's, as large.
        before: The film's frame before it and the source's; None for the first frame of
            a scene.
        moved: How the source has moved since then; needed where there is one.
    """
    error = source_error = None
    share = 0.0
    if before is not None and moved is not None:
        total, count = frame_error(before[0], film, moved.back, moved.visible)
        own, _ = frame_error(before[1], source, moved.back, moved.visible)
        share = count / film.size
        if count:
            error, source_error = total / count, own / count
    return Sample(error, source_error, share, *_moments(film), *_moments(source))


@dataclass(frozen=True)
class Flicker:
    """How much a film flickers, beside its source.

    Sums are exact (`math.fsum`): the numbers are the same for the same samples, in
    whatever parts they were measured.

    Attributes:
        samples: What was measured of each frame.
        starts: When each frame is shown, in seconds; empty where that is not known.
        notices: What a person should know.
    """

    samples: tuple[Sample, ...]
    starts: tuple[Fraction, ...] = ()
    notices: tuple[str, ...] = ()

    @classmethod
    def of(cls, samples: Iterable[Iterable[Any]]) -> "Flicker":
        """Returns the flicker of samples, which may be lists as JSON has them."""
        return cls(tuple(Sample(*values) for values in samples))

    @property
    def errors(self) -> tuple[float | None, ...]:
        """The film's warping error of each frame, as in `Sample`."""
        return tuple(one.error for one in self.samples)

    @property
    def film(self) -> float | None:
        """The film's warping error; None where no frame is compared."""
        return _mean(one.error for one in self.samples)

    @property
    def source(self) -> float | None:
        """The source's own warping error, over the same pixels."""
        return _mean(one.source_error for one in self.samples)

    @property
    def compared(self) -> int:
        """How many frames are compared with the one before them."""
        return sum(error is not None for error in self.errors)

    @property
    def worst(self) -> int | None:
        """The number of the frame with the greatest error, from 0."""
        errors = {n: e for n, e in enumerate(self.errors) if e is not None}
        return max(errors, key=lambda n: errors[n]) if errors else None

    @property
    def mean_drift(self) -> float:
        """How far the mean departs from that of a scene's first frame, as a share.

        What the source does itself is divided out: 0.01 is one percent brighter or
        darker than the scene's first frame is, each beside its source. The greatest of
        all frames; frames darker than `DARK` do not count.
        """
        return self._drift(lambda one: (one.mean, one.source_mean))

    @property
    def contrast_drift(self) -> float:
        """The same of the contrast."""
        return self._drift(lambda one: (one.contrast, one.source_contrast))

    @property
    def visible(self) -> float:
        """The share of the pixels that are compared, in the frames that are."""
        return _mean(one.visible for one in self.samples if one.error is not None) or 0

    def data(self) -> dict[str, Any]:
        """Returns it for JSON, without the single frames."""
        return {
            "film": self.film,
            "source": self.source,
            "compared": self.compared,
            "visible": self.visible,
            "worst": self.worst,
            "mean_drift": self.mean_drift,
            "contrast_drift": self.contrast_drift,
        }

    def _drift(self, pair: Callable[[Sample], tuple[float, float]]) -> float:
        greatest = 0.0
        first: float | None = None
        for one in self.samples:
            film, source = pair(one)
            if one.error is None:
                first = None
            if min(film, source) < DARK:
                continue
            first = film / source if first is None else first
            greatest = max(greatest, abs(film / source / first - 1))
        return greatest


def _mean(values: Iterable[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return math.fsum(numbers) / len(numbers) if numbers else None


def _moments(image: np.ndarray) -> tuple[float, float]:
    """Returns the mean and the standard deviation of an image's luma."""
    red, green, blue = (image[..., channel] * _LUMA[channel] for channel in range(3))
    luma = red + green + blue
    return float(luma.mean(dtype=np.float64)), float(luma.std(dtype=np.float64))


def flicker(
    film: str | os.PathLike[str],
    *,
    source: str | os.PathLike[str],
    start: object = 0,
    end: object = None,
    every: int = 1,
    flow_size: int = VideoSettings().flow_size,
    limits: Limits | None = None,
    progress: Callable[[float], object] | None = None,
) -> Flicker:
    """Measures how much a film flickers, beside the source it was made of.

    Frames belong together where they are shown at the same time. A source of another
    size is resized to the film's.

    Args:
        film: A video file, a GIF, a WebP or a folder of pictures.
        source: What it was made of.
        start: Where the film begins in the source: seconds, or text as in "0:12".
        end: Where it ends; None for the end of the source.
        every: 2 where the film has every second frame of the source, and so on.
        flow_size: The longest side at which the optical flow is computed, in pixels.
        limits: What the files may have and take; None for the defaults.
        progress: Called now and then with the share that is done, 0 to 1.

    Returns:
        The flicker, with the samples of each frame.

    Raises:
        InputError: If one of them is no film, or the source has no frame at the time of
            one of the film's.
        SettingError: If a time or `every` is none.
    """
    from keras_dream.video.source import open_source

    dreamed = open_source(film, limits=limits)
    own = open_source(
        source,
        start=seconds_of(start, "from"),
        end=None if end is None else seconds_of(end, "to"),
        every=every,
        limits=limits,
    )
    said: Callable[[float], object] = progress or (lambda share: None)
    clip = own.survey(progress=lambda share: said(share / 2))
    settings = VideoSettings.of({"flow_size": flow_size})
    starts, samples = list[Fraction](), list[Sample]()
    for one in _measured(dreamed, own, clip.cuts, settings):
        starts.append(one[0])
        samples.append(one[1])
        said(0.5 + min(float(one[0] / clip.seconds), 1) / 2)
    return Flicker(tuple(samples), tuple(starts), _notices(len(starts), clip))


def _measured(
    film: "Source", source: "Source", cuts: Collection[int], settings: VideoSettings
) -> Iterator[tuple[Fraction, Sample]]:
    """Yields when each of the film's frames is shown, and what is measured of it."""
    from keras_dream.video.carry import motion

    before: tuple[np.ndarray, np.ndarray] | None = None
    last = -1
    for made, own in _together(film, source):
        dreamed, original = _alike(made.image, own.image)
        if any(last < cut <= own.number for cut in cuts):
            before = None
        moved = None if before is None else motion(before[1], original, settings)
        yield made.stamp.start, sample(dreamed, original, before=before, moved=moved)
        before, last = (dreamed, original), own.number


def _together(film: "Source", source: "Source") -> Iterator[tuple[Frame, Frame]]:
    """Yields the frames of a film with those of its source that are shown then.

    The clocks of two formats tick differently: a GIF's in hundredths of a second. So it
    is the nearest in time, by less than half of what the film's frame takes.
    """
    candidates = source.frames()
    own, after = next(candidates), next(candidates, None)
    for made in film.frames():
        start = made.stamp.start
        while after is not None and _apart(after, start) <= _apart(own, start):
            own, after = after, next(candidates, None)
        if _apart(own, start) >= made.stamp.duration / 2:
            raise InputError(
                "A film must be as long as its source, with a frame of it at each time",
                received=f"{short_repr(film.name)}, whose frame at {time_text(start)} "
                f"has none in {short_repr(source.name)}",
                hint="give the part of the source with --from, --to and --every",
            )
        yield made, own


def _apart(frame: Frame, start: Fraction) -> Fraction:
    return abs(frame.stamp.start - start)


def _alike(film: np.ndarray, source: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns both frames in one size.

    Codecs that need even sides repeat a row or a column, which is cut off.

    Raises:
        InputError: If their sides are not in proportion.
    """
    (height, width), (own_height, own_width) = film.shape[:2], source.shape[:2]
    if 0 <= height - own_height <= 1 and 0 <= width - own_width <= 1:
        return film[:own_height, :own_width], source
    scaled = height * own_width / own_height, width * own_height / own_width
    # A pixel by which a smaller film was rounded, and a repeated one.
    if abs(width - scaled[0]) > 2 and abs(height - scaled[1]) > 2:
        raise InputError(
            "A film must have the proportions of its source",
            received=f"{width} × {height} pixels beside {own_width} × {own_height}",
            hint="name the source that it was dreamed from",
        )
    return film, resample(source, (height, width)).clip(0, 1)


def _notices(count: int, clip: Clip) -> tuple[str, ...]:
    unused = len(clip.stamps) - count
    if not unused:
        return ()
    return (f"{unused} of the source's {len(clip.stamps)} frames are not in the film.",)
