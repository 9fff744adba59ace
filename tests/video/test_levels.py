"""How loud a sound is at every moment."""

from fractions import Fraction

import av
import numpy as np
import pytest
from clips import still, tone, write_clip

from keras_dream.errors import InputError
from keras_dream.recipe.keyframes import Sound
from keras_dream.video import levels
from keras_dream.video.frames import Stamp
from keras_dream.video.levels import RATE, Levels, levels_of

LOUDNESS = Sound(release=0.0)
LOW, HIGH = (Sound(band=band, release=0.0) for band in ((60, 250), (2000, 4000)))


def write_sound(path, samples, *, rate=48_000, codec="pcm_s16le", layout="mono"):
    """Writes int16 or float32 (channels, samples) as a file of sound."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = layout
        packed = np.ascontiguousarray(samples.T.reshape(1, -1))
        kind = "s16" if samples.dtype == np.int16 else "flt"
        frame = av.AudioFrame.from_ndarray(packed, format=kind, layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def values_of(path, sound):
    return levels_of(path, [sound], origin=None)[sound].values


@pytest.fixture
def low_then_high(tmp_path):
    """A second of 120 Hz, one of silence, and one of 3 kHz."""
    silence = np.zeros((1, 48_000), np.int16)
    parts = [tone(1, hertz=120), silence, tone(1, hertz=3000)]
    return write_sound(tmp_path / "two.wav", np.concatenate(parts, 1))


def test_bands_hear_their_own_tones(low_then_high):
    found = levels_of(low_then_high, [LOUDNESS, LOW, HIGH], origin=None)
    middles = [found[s].values[50:300:100] for s in (LOUDNESS, LOW, HIGH)]
    assert np.allclose(middles, [[1, 0, 1], [1, 0, 0], [0, 0, 1]], atol=0.02)


def test_a_value_is_the_amplitude_of_the_window_before_it(tmp_path):
    """By NumPy, of all windows at once, and for a band of all frequencies."""
    random = np.random.default_rng(0)
    samples = (3000 * random.standard_normal((1, 44_100))).astype(np.int16)
    path = write_sound(tmp_path / "noise.wav", samples, rate=44_100)
    _, measured = levels._measured(path, [None, (0, 22_050)])
    length, x = 2205, np.concatenate((np.zeros(2205), samples[0] / 32768))
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    for number in (0, 1, 7, 63, 99):
        window = x[number * 441 : number * 441 + length] * hann
        expected = np.sqrt((window**2).sum() / (hann**2).sum())
        assert measured[None][number] == pytest.approx(expected, rel=1e-4, abs=1e-7)
        assert measured[0, 22_050][number] == pytest.approx(expected, rel=0.01)


def test_attack_and_release_are_time_constants(low_then_high):
    slow = Sound(attack=0.1, release=0.4)
    _, measured = levels._measured(low_then_high, [None])
    smooth = levels._smoothed(measured[None], slow)
    top = measured[None][50]
    assert smooth[14] == pytest.approx(top * (1 - np.exp(-1)), rel=0.2)
    fall = smooth[110:200]
    assert np.allclose(fall[1:] / fall[:-1], np.exp(-1 / (0.4 * RATE)))


def test_clicks_are_followed_though_the_track_is_silence_else(tmp_path):
    samples = np.zeros((1, 480_000), np.int16)
    samples[0, 96_000:96_200] = 20_000
    values = values_of(write_sound(tmp_path / "click.wav", samples), Sound(release=0.1))
    assert values[:200].max() == 0
    assert values[200:207].max() == 1
    assert values[265] < 0.02


@pytest.mark.parametrize("volume", [0, 0.001, 1])
def test_a_steady_tone_is_nothing_to_follow(tmp_path, volume):
    samples = (volume * tone(2)).astype(np.int16)
    values = values_of(write_sound(tmp_path / "tone.wav", samples), LOUDNESS)
    assert np.ptp(values[10:190]) < 0.1


def test_channels_and_formats_of_one_sound_are_alike(tmp_path):
    sound = np.concatenate((tone(0.5), np.zeros((1, 24_000), np.int16)), 1)
    expected = values_of(write_sound(tmp_path / "a.wav", sound), LOUDNESS)
    both = np.repeat(sound, 2, 0)
    floats = (both / 32768).astype(np.float32)
    for name, samples, options in (
        ("b.wav", both, {"layout": "stereo"}),
        ("c.wav", floats, {"layout": "stereo", "codec": "pcm_f32le"}),
        ("d.flac", both, {"layout": "stereo", "codec": "flac"}),
        ("e.wav", both, {"layout": "stereo", "codec": "pcm_u8"}),
        # As of a microphone that is wired the wrong way round: their sum is silence.
        ("g.wav", sound * np.int16([[1], [-1]]), {"layout": "stereo"}),
    ):
        own = values_of(write_sound(tmp_path / name, samples, **options), LOUDNESS)
        assert np.allclose(own, expected, atol=0.02), name
    wild = floats.copy()
    wild[:, 40_000] = np.nan
    own = values_of(
        write_sound(tmp_path / "f.wav", wild, layout="stereo", codec="pcm_f32le"),
        LOUDNESS,
    )
    assert np.isfinite(own).all()


def test_frames_have_the_loudest_value_while_they_are_shown():
    found = Levels(Fraction(1), np.array([0, 0.1, 0.9, 0.2, 0.3], np.float32))
    at = lambda start, long: found.at(Stamp(Fraction(start), Fraction(long)))  # noqa: E731
    assert at(1, Fraction(4, 100)) == pytest.approx(0.9)
    assert at(Fraction(103, 100), Fraction(1, 100)) == pytest.approx(0.2)
    assert at(Fraction(1019, 1000), Fraction(1, 1000)) == pytest.approx(0.9)
    assert at(0, 1) == 0
    assert at(2, 1) == 0


def test_a_gap_in_the_track_is_silent():
    meter = levels._Meter(8000, [None], channels=1)
    loud = np.full((1, 4000), 0.5, np.float32)
    meter.add(loud, 0)
    meter.add(loud, 8000)
    values = meter.finish()[None]
    assert values[10:50] == pytest.approx(0.5, rel=1e-3)
    assert values[56:100].max() == 0
    assert values[110:150] == pytest.approx(0.5, rel=1e-3)


def test_memory_does_not_grow_with_the_track():
    """A second more holds a hundred numbers more, and no samples."""
    meter = levels._Meter(48_000, [None, (60, 250)], channels=2)
    sizes = []
    for _ in range(20):
        meter.add(np.zeros((2, 48_000), np.float32), None)
        sizes.append(meter._buffer.shape[1])
    assert max(sizes) < 4 * 48_000


def test_what_has_no_sound_is_refused(tmp_path):
    silent = write_clip(tmp_path / "silent.mp4", still(2))
    text = tmp_path / "text.wav"
    text.write_text("no sound at all")
    for path in (silent, text, tmp_path / "none.wav"):
        with pytest.raises(InputError) as error:
            levels_of(path, [LOUDNESS], origin=None)
        assert str(error.value).count("received") == 1
