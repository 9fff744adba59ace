"""How loud a sound is at every moment, for settings that follow it.

A track is decoded once, in bounded memory, and measured a hundred times a second in
windows of a twentieth of a second: as a whole, or in bands of frequencies.
"""

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from keras_dream.errors import InputError, short_repr
from keras_dream.recipe.keyframes import Sound
from keras_dream.video.frames import Stamp
from keras_dream.video.sound import opened

RATE = 100  # values a second
WINDOW = Fraction(1, 20)
"""Seconds that a value is measured over, by a Hann window: long enough to tell 60 Hz
from 100 Hz, and not much longer than a frame."""

QUIET, LOUD = 5, 95
"""Percentiles of a track that become 0 and 1."""

PEAK_SHARE = 0.25
"""The level 1 is at least at this share of the loudest moment: in a track of clicks
the 95th percentile is silence."""

STEADY = 0.05
"""The levels 0 and 1 are at least this share of the louder one apart: the ripples of a
steady tone are nothing to follow."""

SILENCE = 1e-4  # -80 dB of full scale: what is quieter is not made loud

MOST_SECONDS = 24 * 3600
MOST_SAMPLE_RATE = 768_000
GAP = Fraction(1, 50)  # seconds; smaller ones are how stamps are rounded

_BLOCK = 256  # values that are measured at once
Band = tuple[float, float] | None


@dataclass(frozen=True, eq=False)
class Levels:
    """A sound's levels over time.

    Attributes:
        start: When the first value is, in seconds of the film.
        values: float32, 0 for the quietest to 1 for the loudest, `RATE` a second.
    """

    start: Fraction
    values: np.ndarray

    def at(self, stamp: Stamp) -> float:
        """Returns the highest level while a frame is shown; 0 outside of the track."""
        begin = (stamp.start - self.start) * RATE
        end = (stamp.start + stamp.duration - self.start) * RATE
        first, last = math.ceil(begin), math.ceil(end)
        if last <= first:  # a frame shorter than the distance of two values
            first = round(begin)
            last = first + 1
        shown = self.values[max(first, 0) : max(last, 0)]
        return float(shown.max()) if len(shown) else 0.0


def levels_of(
    path: str | os.PathLike[str], sounds: Iterable[Sound], *, origin: Fraction | None
) -> dict[Sound, Levels]:
    """Returns the levels of a file's sound.

    Args:
        path: The file: a film, or a sound of its own.
        sounds: What is followed; their files do not count.
        origin: The time of the file's own clock at which the film begins; None where
            the sound begins with the film.

    Raises:
        InputError: If the file cannot be read, or has no sound.
    """
    sounds = tuple(sounds)
    bands = tuple(dict.fromkeys(sound.band for sound in sounds))
    start, measured = _measured(Path(path), bands)
    begin = Fraction(0) if origin is None else start - origin
    return {
        sound: Levels(begin, _leveled(_smoothed(measured[sound.band], sound)))
        for sound in sounds
    }


def _smoothed(values: np.ndarray, sound: Sound) -> np.ndarray:
    """Returns values that rise and fall no faster than a sound's attack and release.

    The branching smooth peak detector of Giannoulis, Massberg and Reiss, "Digital
    Dynamic Range Compressor Design" (2012), equation 16.
    """
    rise, fall = (
        math.exp(-1 / (RATE * seconds)) if seconds else 0.0
        for seconds in (sound.attack, sound.release)
    )
    last, smoothed = 0.0, list[float]()
    for value in values.tolist():
        kept = rise if value > last else fall
        last = kept * last + (1 - kept) * value
        smoothed.append(last)
    return np.array(smoothed)


def _leveled(values: np.ndarray) -> np.ndarray:
    """Returns values from 0 for the track's quiet moments to 1 for its loud ones."""
    quiet, loud = np.percentile(values, (QUIET, LOUD))
    loud = max(loud, PEAK_SHARE * values.max(), SILENCE)
    span = max(loud - quiet, STEADY * loud)
    return np.clip((values - quiet) / span, 0, 1).astype(np.float32)


# -- measuring -------------------------------------------------------------------------
def _measured(
    path: Path, bands: Sequence[Band]
) -> tuple[Fraction, dict[Band, np.ndarray]]:
    """Returns when a file's sound begins, and its amplitudes, `RATE` a second."""
    with opened(path) as container:
        stream = next(s for s in container.streams.audio if s.codec_context)
        meter: _Meter | None = None
        start = Fraction(0)
        for time, rate, samples in _decoded(container, stream):
            if meter is None:
                start = time or Fraction(0)
                meter = _Meter(rate, bands, channels=len(samples))
            place = None if time is None else round((time - start) * meter.rate)
            if len(samples) != meter.channels:  # a track may change its layout
                mean = samples.mean(0, keepdims=True)
                samples = mean.repeat(meter.channels, 0)  # noqa: PLW2901
            meter.add(_resampled(samples, rate, meter.rate), place)
            if meter.count > MOST_SECONDS * meter.rate:
                raise InputError(
                    "A sound that settings follow must be at most 24 hours long",
                    received=f"{short_repr(path.name)}, which is longer",
                    hint="cut it to the part that is heard",
                )
    if meter is None:
        raise InputError(
            "A sound that settings follow must have samples",
            received=f"{short_repr(path.name)}, of which none can be decoded",
            hint="copy it again, or convert it to WAV first",
        )
    return start, meter.finish()


class _Meter:
    """Measures samples as they come.

    Args:
        rate: Samples a second.
        bands: What is measured: bands of frequencies, or None for all of them.
        channels: How many channels; their powers are averaged, since their sum would be
            silent where they are opposite.

    Attributes:
        rate: As above.
        channels: As above.
        count: Samples so far.
    """

    def __init__(self, rate: int, bands: Sequence[Band], *, channels: int):
        self.rate, self.channels, self.count = rate, channels, 0
        self._length = max(2, round(WINDOW * rate))
        self._hann = np.hanning(self._length + 1)[:-1].astype(np.float32)
        self._bins = {band: self._bins_of(band) for band in bands}
        self._values: dict[Band, list[np.ndarray]] = {band: [] for band in bands}
        # A window ends where its value is: nothing is followed before it is heard.
        self._buffer = np.zeros((channels, self._length), np.float32)
        self._base, self._done = -self._length, 0

    def _bins_of(self, band: Band) -> slice | None:
        if band is None:
            return None
        low, high = (edge * self._length / self.rate for edge in band)
        first, last = math.ceil(low), math.floor(high)
        if last < first:  # narrower than two frequencies are apart
            first = last = round((low + high) / 2)
        return slice(first, last + 1)

    def add(self, samples: np.ndarray, place: int | None) -> None:
        """Adds samples; those before a place where there is nothing are silent.

        Args:
            samples: float32 (channels, samples).
            place: Of the first of them; None for behind the last.
        """
        missing = 0 if place is None else place - self.count
        if missing > GAP * self.rate:
            self._silence(min(missing, MOST_SECONDS * self.rate))
        elif missing < -GAP * self.rate:
            samples = samples[:, -missing:]
        self._put(samples)

    def _silence(self, count: int) -> None:
        while count > 0:
            part = min(count, self.rate)
            self._put(np.zeros((self.channels, part), np.float32))
            count -= part

    def _put(self, samples: np.ndarray) -> None:
        self.count += samples.shape[1]
        self._buffer = np.concatenate((self._buffer, samples), axis=1)
        step = _BLOCK * self.rate // RATE
        while self._buffer.shape[1] >= self._length + step:
            self._measure(_BLOCK)

    def finish(self) -> dict[Band, np.ndarray]:
        """Returns what was measured, by band."""
        rest = np.zeros((self.channels, 2 * self._length), np.float32)
        total = -(-(self.count + self._length) * RATE // self.rate)
        self._buffer = np.concatenate((self._buffer, rest), axis=1)
        while self._done < total:
            self._measure(min(_BLOCK, total - self._done))
        return {band: np.concatenate(parts) for band, parts in self._values.items()}

    def _measure(self, count: int) -> None:
        """Measures the next windows, and lets go of the samples before them."""
        numbers = np.arange(self._done, self._done + count)
        starts = numbers * self.rate // RATE - self._length - self._base
        windows = np.lib.stride_tricks.sliding_window_view(
            self._buffer, self._length, axis=1
        )
        windows = windows[:, starts] * self._hann
        power = float(np.square(self._hann).sum())
        spectrum: np.ndarray | None = None
        for band, bins in self._bins.items():
            if bins is None:
                squares = np.square(windows).sum(2) / power
            else:
                if spectrum is None:
                    spectrum = np.square(np.abs(np.fft.rfft(windows)))
                squares = 2 * spectrum[..., bins].sum(2) / (power * self._length)
            self._values[band].append(np.sqrt(squares.mean(0)).astype(np.float32))
        self._done += count
        cut = self._done * self.rate // RATE - self._length - self._base
        self._buffer = self._buffer[:, cut:]
        self._base += cut


# -- decoding --------------------------------------------------------------------------
def _decoded(
    container: Any, stream: Any
) -> Iterator[tuple[Fraction | None, int, np.ndarray]]:
    """Yields time, rate and samples, float32 (channels, samples), of each frame."""
    import av.error

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            frames = () if packet is None else packet.decode()
        except av.error.InvalidDataError:
            continue
        if packet is None:
            return
        for frame in frames:
            rate = frame.sample_rate
            if not 0 < rate <= MOST_SAMPLE_RATE:
                raise InputError(
                    f"A sound must have 1 to {MOST_SAMPLE_RATE:,} samples a second",
                    received=f"{rate:,}",
                    hint="convert it to 48,000",
                )
            time = None if frame.pts is None else frame.pts * frame.time_base
            yield time, rate, _samples(frame)


def _samples(frame: Any) -> np.ndarray:
    """Returns a frame's samples, float32 (channels, samples) in about [-1, 1]."""
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    if values.dtype.kind == "u":
        values = values.astype(np.float32) - 128
        values /= 128
    elif values.dtype.kind == "i":
        values = values / float(-np.iinfo(values.dtype).min)
    return np.clip(np.nan_to_num(values), -8, 8).astype(np.float32)


def _resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Returns samples at another rate, where a track changes its own."""
    count = samples.shape[1]
    if rate == wanted or not count:
        return samples
    places = np.arange(count * wanted // rate) * (rate / wanted)
    each = [np.interp(places, np.arange(count), channel) for channel in samples]
    return np.array(each, np.float32)
