"""What of a dream is held over a scene: its strength, and what it does to its frames.

A dream's difference is taken apart into a shift of the mean colour, a share of the
frame's own contrast and of its own saturation, and a rest, which is the dream's own
texture, in light and in colour. The scene's first frame is the measure of all of them.
So neither the mean nor the contrast nor the colours of a film drift, and a dream
neither fades nor burns out, whatever its recipe does to a frame again and again.
"""

from typing import NamedTuple

import numpy as np

_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)  # ITU-R BT.709, of sRGB values

_LIT = 0.2
"""The root mean square of a frame's luma below which it is dark. The dream of a scene
that fades to black fades with it, and a black frame says nothing on the mean of a
dream, which can only brighten it."""

_BRIGHTER, _GLIMMER, _CLEARLY = 4.0, 0.02, 1.5
"""A dark scene is measured anew when it is so many times brighter, and by so much, or
no longer dark and clearly brighter: the dream of a frame of which little is seen has a
fifth to two thirds of the strength that it has when the lights are on."""

_FLAT = 1e-4  # variance of a frame's luma (0.01 squared) that says little on contrast
_LEAST = 1e-2  # share of a frame's pixels below which nothing is measured
_MOST = 4.0  # times that a difference is made stronger: no dream is made of noise
_NOTHING = 1e-7

_LINEAR, _BENT = 0.03, 0.4
"""How the strength of a dream grows with what its steps push: measured on `motif` and
SqueezeNet, default recipe, with step sizes from 0.0008 to 0.012 and 1 to 32 steps."""

_TRIES = 4
_NEAR = 5e-4  # an eighth of a grey level


class Lock(NamedTuple):
    """The measures of a dream's difference.

    Attributes:
        level: The root mean square of the frame's luma.
        mean: The mean of the difference, of each channel.
        contrast: How much of the frame's luma, without its mean, the difference has.
        saturation: The same of its colours.
        light: The root mean square of the rest's luma.
        color: That of the rest's colours.
        push: By how much the steps of the frame have moved its pixels, were they always
            moved the same way; 0 where the frame was not dreamed.
    """

    level: float
    mean: tuple[float, float, float]
    contrast: float
    saturation: float
    light: float
    color: float
    push: float = 1.0

    @classmethod
    def of(
        cls,
        frame: np.ndarray,
        difference: np.ndarray,
        *,
        push: float = 1.0,
        within: np.ndarray | None = None,
    ) -> "Lock":
        """Returns the measures of the first frame of a scene.

        Args:
            frame: float32 (height, width, 3) in [0, 1].
            difference: What was dreamed into it, float32 (height, width, 3).
            push: As in the attribute.
            within: Which pixels are dreamed, bool (height, width); None for all. Where
                there are none, the frame was not dreamed.
        """
        weights = np.ones(frame.shape[:2], np.float32)
        if within is not None and within.any():
            weights = within.astype(np.float32)
        elif within is not None:
            push = 0.0
        lock = _Measured(frame, _clipped(frame, difference), weights).lock
        return lock._replace(push=push).rounded()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was dreamed, although there were steps."""
        return self.light + self.color < _NOTHING < self.push

    def is_outshone(self, frame: np.ndarray, within: np.ndarray | None) -> bool:
        """Tells whether a frame is too bright for the measures to say much on it.

        That is so while a scene fades in.

        Args:
            frame: float32 (height, width, 3) in [0, 1].
            within: Which pixels are dreamed, bool (height, width); None for all.
        """
        square = np.square(_luma(frame))
        if within is not None:
            square = square[within] if within.any() else np.zeros(1, np.float32)
        level = float(np.sqrt(square.mean(dtype=np.float64)))
        return self.level < _LIT and level >= self._measured_until

    @property
    def _measured_until(self) -> float:
        """The level from which a dark scene is measured anew."""
        brighter = min(_LIT, _BRIGHTER * self.level + _GLIMMER)
        return max(brighter, _CLEARLY * self.level)

    def rounded(self) -> "Lock":
        """Returns what is left of it in float32, as it is saved."""
        return Lock.unpacked(self.packed())

    def packed(self) -> np.ndarray:
        """Returns it as float32 (9,)."""
        level, mean, *others = self
        return np.array([level, *mean, *others], np.float32)

    @classmethod
    def unpacked(cls, values: np.ndarray) -> "Lock":
        """Returns what `packed` made an array of."""
        level, red, green, blue, *others = map(float, values)
        return cls(level, (red, green, blue), *others)

    def hold(
        self,
        frame: np.ndarray,
        difference: np.ndarray,
        weights: np.ndarray,
        *,
        push: float = 1.0,
    ) -> np.ndarray:
        """Returns a later frame's difference with the measures of the first one's.

        Args:
            frame: float32 (height, width, 3) in [0, 1].
            difference: float32 (height, width, 3).
            weights: How much each pixel is held, float32 (height, width) in [0, 1]: a
                dream that has just begun at a pixel is left to grow.
            push: That of the frame's recipe, had it the steps of a first frame: where
                it changes with time, the strength that is held changes with it.
        """
        if weights.mean() < _LEAST:
            return difference
        measured = _Measured(frame, difference, weights)
        growth = _strength(push) / max(_strength(self.push), _NOTHING)
        wanted = target = self._at(measured.lock.level, growth)
        held = measured.brought_to(target)
        for _ in range(_TRIES):  # what is clipped when it is shown is made up for
            own = _Measured(frame, _clipped(frame, held), weights).lock
            if own.is_near(wanted):
                break
            target = target._beyond(own, wanted)
            held = measured.brought_to(target)
        return held

    def is_near(self, other: "Lock") -> bool:
        """Tells whether a film does not change visibly between two measures."""
        pairs = zip(
            (*self.mean, self.contrast, self.saturation),
            (*other.mean, other.contrast, other.saturation),
            strict=True,
        )
        return all(abs(a - b) < _NEAR for a, b in pairs) and all(
            abs(a - b) <= 10 * _NEAR * b
            for a, b in ((self.light, other.light), (self.color, other.color))
        )

    def _at(self, level: float, growth: float) -> "Lock":
        """Returns what a frame of a level is to have."""
        shown = growth * min(
            1.0, (level + _NOTHING) / (min(self.level, _LIT) + _NOTHING)
        )
        trust = 1.0
        if self.level < _LIT:
            until = self._measured_until
            trust = min(max((until - level) / (until - self.level), 0.0), 1.0)
        red, green, blue = (shown * trust * value for value in self.mean)
        return Lock(
            level=level,
            mean=(red, green, blue),
            contrast=growth * trust * self.contrast,
            saturation=growth * trust * self.saturation,
            light=shown * self.light,
            color=shown * self.color,
        )

    def _beyond(self, own: "Lock", wanted: "Lock") -> "Lock":
        """Returns a target beyond one that has led to `own` instead of what is wanted.

        Args:
            own: What it has led to.
            wanted: What is wanted.
        """

        def times(wanted: float, own: float) -> float:
            return min(max(wanted / max(own, _NOTHING), 0.5), 2.0)

        red, green, blue = (
            target + want - got
            for target, want, got in zip(self.mean, wanted.mean, own.mean, strict=True)
        )
        return Lock(
            level=self.level,
            mean=(red, green, blue),
            contrast=self.contrast + wanted.contrast - own.contrast,
            saturation=self.saturation + wanted.saturation - own.saturation,
            light=self.light * times(wanted.light, own.light),
            color=self.color * times(wanted.color, own.color),
        )


class _Measured:
    """A frame's difference and its measures.

    Args:
        frame: float32 (height, width, 3).
        difference: float32 (height, width, 3).
        weights: How much each pixel counts, float32 (height, width).
    """

    def __init__(self, frame: np.ndarray, difference: np.ndarray, weights: np.ndarray):
        self._frame, self._difference, self._weights = frame, difference, weights
        total = weights.sum(dtype=np.float64)

        def mean(values: np.ndarray) -> float:
            return float((values * weights).sum(dtype=np.float64) / total)

        self._means, own = (
            np.array([mean(image[..., channel]) for channel in range(3)])
            for image in (frame, difference)
        )
        luma, own_luma = _luma(frame), _luma(difference)
        level = np.sqrt(mean(np.square(luma)))
        self._luma_mean = mean(luma)
        y = luma - np.float32(self._luma_mean)
        d = own_luma - np.float32(mean(own_luma))
        contrast = mean(y * d) / (mean(y * y) + _FLAT)
        light = mean(np.square(d - np.float32(contrast) * y))
        pairs = [
            (
                frame[..., channel] - np.float32(self._means[channel]) - y,
                difference[..., channel] - np.float32(own[channel]) - d,
            )
            for channel in range(3)
        ]
        shared = sum(mean(y * d) for y, d in pairs)
        saturation = shared / (sum(mean(y * y) for y, _ in pairs) + _FLAT)
        color = sum(mean(np.square(d - np.float32(saturation) * y)) for y, d in pairs)
        red, green, blue = map(float, own)
        self.lock = Lock(
            level=float(level),
            mean=(red, green, blue),
            contrast=contrast,
            saturation=saturation,
            light=float(np.sqrt(light)),
            color=float(np.sqrt(color)),
        )

    def brought_to(self, target: Lock) -> np.ndarray:
        """Returns the difference with other measures, as far as its pixels are held."""
        own = self.lock
        light = min(target.light / max(own.light, _NOTHING), _MOST)
        color = min(target.color / max(own.color, _NOTHING), _MOST)
        contrast = target.contrast - light * own.contrast
        saturation = target.saturation - color * own.saturation
        # The change of each pixel; luma and colours apart, and the means taken out.
        luma = _luma(self._difference) * np.float32(light - color)
        luma += _luma(self._frame) * np.float32(contrast - saturation)
        change = self._difference * np.float32(color - 1)
        change += self._frame * np.float32(saturation)
        change += luma[..., None]
        means = (
            color * np.array(own.mean)
            + (light - color) * float(np.dot(own.mean, _LUMA))
            + saturation * self._means
            + (contrast - saturation) * self._luma_mean
        )
        change += (np.array(target.mean) - means).astype(np.float32)
        change *= self._weights[..., None]
        change += self._difference
        return change


def _strength(push: float) -> float:
    """Returns about how strong a dream becomes, up to a factor of its network."""
    return push / (1 + push / _LINEAR) ** _BENT


def _clipped(frame: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """Returns what of a difference is seen, in a picture in [0, 1]."""
    image = frame + difference
    np.clip(image, 0, 1, out=image)
    image -= frame
    return image


def _luma(image: np.ndarray) -> np.ndarray:
    return (
        image[..., 0] * _LUMA[0] + image[..., 1] * _LUMA[1] + image[..., 2] * _LUMA[2]
    )
