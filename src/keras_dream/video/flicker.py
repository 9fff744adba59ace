"""How much a film flickers: the warping error of Lai et al. 2018 (arXiv 1808.00449).

Of the paper is taken the error of its section on temporal stability, as its program
computes it: the mean of the squared difference between a frame and its neighbour that
was moved along the flow of the *source*, over the pixels that are not occluded and
over the channels, in units of the range [0, 1]; and the mean of that over the frames.

What differs: the flow is OpenCV's DIS and not FlowNet 2, so that numbers of the paper
are no numbers of ours, and are compared with the source's own, which has the same flow;
each frame is compared with the one before it and not with the one after it; frames on
two sides of a cut are left out; and so are frames in which nothing is visible, which
the paper's program counts as 0. As there, the mask of what is not occluded is that of
Ruder et al. 2016 (arXiv 1604.08610).
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

VISIBLE = 0.5
"""A pixel counts where its visibility is at least this: the mask of Ruder et al. has no
values between, and its soft edge lies evenly around this one."""

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
    back_flow: np.ndarray | None = None,
    visible: np.ndarray | None = None,
) -> Sample:
    """Measures one frame.

    Args:
        film: The film's frame, float32 (height, width, 3) in [0, 1].
        source: The source's, as large.
        before: The film's frame before it and the source's; None for the first frame of
            a scene.
        back_flow: As for `frame_error`; needed where there is a frame before.
        visible: As for `frame_error`; likewise.
    """
    error = source_error = None
    share = 0.0
    if before is not None and back_flow is not None and visible is not None:
        total, count = frame_error(before[0], film, back_flow, visible)
        own, _ = frame_error(before[1], source, back_flow, visible)
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
    """

    samples: tuple[Sample, ...]

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

    def data(self) -> dict[str, Any]:
        """Returns it for JSON, without the frames."""
        return {
            "film": self.film,
            "source": self.source,
            "compared": self.compared,
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
