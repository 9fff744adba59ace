"""The sound of a film: the packets of its source, untouched."""

from fractions import Fraction

import av
import numpy as np
import pytest
from clips import pan, tone, write_clip

from keras_dream.errors import InputError
from keras_dream.video.frames import Clip, Stamp
from keras_dream.video.sink import Encoding, check_film, write_film
from keras_dream.video.source import open_source

FRAMES = pan(25, (48, 64))
START, END = Fraction(2, 5), Fraction(4, 5)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A second of video with sound, in several containers, by name."""
    folder = tmp_path_factory.mktemp("sources")
    webm = {
        "codec": "libvpx-vp9",
        "pixel_format": "yuv420p",
        "options": {"deadline": "realtime", "cpu-used": "8"},
    }
    codecs = {
        "aac.mp4": {},
        "aac.mkv": {},
        "aac.ts": {},
        "pcm.mov": {"sound_codec": "pcm_s16le"},
        "opus.webm": {"sound_codec": "libopus", **webm},
        "mp3.mkv": {"sound_codec": "libmp3lame"},
    }
    # A click in the middle of each tenth, so that a shift is heard.
    sound = tone(1.0) // 12
    # No packet is equal to another.
    sound += np.random.default_rng(0).integers(-300, 300, sound.shape, np.int16)
    for tenth in range(10):
        at = tenth * 4800 + 2400
        sound[:, at : at + 240] = (-1) ** (np.arange(240) // 12) * 20_000
    for name, options in codecs.items():
        write_clip(folder / name, FRAMES, sound=sound, **options)
    return folder


def packets_of(path, track=0):
    """Returns (start, bytes) of every packet of sound, in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[track]
        return [
            (packet.pts * packet.time_base, bytes(packet))
            for packet in container.demux(stream)
            if packet.size
        ]


def made(source, path, *, start=Fraction(0), end=None, sound=True, encoding=None):
    """Writes the frames of a source as they are, and returns the clip."""
    opened = open_source(source, start=start, end=end)
    clip = opened.survey(cuts=False)
    pictures = (np.rint(f.image * 255).astype(np.uint8) for f in opened.frames())
    encoding = encoding or Encoding()
    told = check_film(path, encoding, clip, sound=opened)
    write_film(path, clip, pictures, encoding=encoding, sound=opened)
    return clip, told


COPIED = [
    ("aac.mp4", ".mp4"), ("aac.mp4", ".mov"), ("aac.mp4", ".mkv"), ("aac.mkv", ".mp4"),
    ("aac.mkv", ".mkv"), ("pcm.mov", ".mov"), ("pcm.mov", ".mkv"),
    ("opus.webm", ".webm"), ("opus.webm", ".mp4"), ("opus.webm", ".mkv"),
    ("mp3.mkv", ".mp4"), ("mp3.mkv", ".mkv"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "suffix"), COPIED)
@pytest.mark.parametrize("span", [(Fraction(0), None), (START, END)])
def test_packets_are_byte_equal_and_in_time(sources, tmp_path, name, suffix, span):
    path = tmp_path / f"film{suffix}"
    clip, told = made(sources / name, path, start=span[0], end=span[1])
    assert told == ()
    assert clip.origin == span[0]
    before, after = packets_of(sources / name), packets_of(path)
    at = {data: start for start, data in before}
    # Milliseconds are Matroska's clock.
    slack = Fraction(1, 1000) if suffix in (".mkv", ".webm") else 0
    for start, data in after:
        assert abs(start - (at[data] - clip.origin)) <= slack
    first = before.index((at[after[0][1]], after[0][1]))
    assert [data for _, data in after] == [
        data for _, data in before[first : first + len(after)]
    ]
    # All that is heard is there: up to a packet at both ends.
    length = Fraction(26, 1000)
    assert after[0][0] <= length
    assert after[-1][0] >= min(clip.seconds, before[-1][0] - clip.origin) - length
    if span[1] is None and suffix != ".mkv":
        assert len(after) == len(before)  # with what the decoder is primed by
    with av.open(str(path)) as container:
        frames = [f.pts * f.time_base for f in container.decode(video=0)]
    assert frames == [stamp.start for stamp in clip.stamps]  # the sound moves none


def test_a_source_that_does_not_begin_at_0(sources, tmp_path):
    """An MPEG transport stream has its own clock, and headers that MP4 has not."""
    clip, _ = made(sources / "aac.ts", tmp_path / "a.mp4")
    assert clip.origin > 0
    before = packets_of(sources / "aac.ts")
    after = packets_of(tmp_path / "a.mp4")
    header = 7  # bytes of ADTS: ISO/IEC 13818-7, 6.2
    assert [data for _, data in after] == [data[header:] for _, data in before]
    for (start, _), (old, _) in zip(after, before, strict=True):
        assert abs(start - (old - clip.origin)) < Fraction(1, 40_000)


def clicks_in(path):
    """Returns the times of the clicks that are heard, in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        begin, samples, rate = None, [], stream.rate
        for frame in container.decode(stream):
            values = frame.to_ndarray().astype(np.float64)
            if frame.format.is_packed:
                values = values.reshape(-1, frame.layout.nb_channels).T
            if begin is None:
                begin = float(frame.pts * frame.time_base)
            samples.append(values[0])
    loud = np.abs(np.concatenate(samples))
    loud = np.flatnonzero(loud > 0.5 * loud.max())
    starts = loud[np.flatnonzero(np.diff(loud, prepend=-10_000) > 2400)]
    return begin + starts / rate


@pytest.mark.parametrize(
    ("name", "suffix", "codec"),
    [("pcm.mov", ".mp4", "aac"), ("aac.mp4", ".webm", "opus"),
     ("mp3.mkv", ".webm", "opus"), ("opus.webm", ".mov", "aac")],
)  # fmt: skip
def test_what_a_container_cannot_hold_is_coded_anew_and_told(
    sources, tmp_path, name, suffix, codec
):
    """And is heard at the same time."""
    path = tmp_path / f"film{suffix}"
    _, told = made(sources / name, path, start=START, end=END)
    assert any(f"coded anew as {codec}" in notice for notice in told)
    with av.open(str(path)) as container:
        assert container.streams.audio[0].codec_context.codec.canonical_name == codec
    heard = clicks_in(path)
    heard = heard[(heard > 0) & (heard < 0.4)]
    assert np.allclose(heard, [0.05, 0.15, 0.25, 0.35], atol=0.004)
    first = path.read_bytes()
    made(sources / name, path, start=START, end=END)
    assert path.read_bytes() == first


def test_copied_clicks_are_heard_in_time(sources, tmp_path):
    """Players honour the edit lists, which cut what is before the film."""
    for suffix in (".mp4", ".mkv"):
        path = tmp_path / f"film{suffix}"
        made(sources / "aac.mp4", path, start=START, end=END)
        heard = clicks_in(path)
        heard = heard[(heard > 0) & (heard < 0.4)]
        assert np.allclose(heard, [0.05, 0.15, 0.25, 0.35], atol=0.004)


def test_sound_that_begins_later_stays_there(tmp_path):
    source = tmp_path / "late.mkv"
    write_clip(source, FRAMES, sound=tone(0.5))
    with av.open(str(source)) as old, av.open(str(tmp_path / "in.mkv"), "w") as new:
        streams = {s.index: new.add_stream_from_template(s) for s in old.streams}
        for packet in old.demux():
            if packet.size:
                if packet.stream.type == "audio":
                    packet.pts += 400  # milliseconds
                    packet.dts = packet.pts
                packet.stream = streams[packet.stream.index]
                new.mux(packet)
    made(tmp_path / "in.mkv", tmp_path / "a.mp4")
    start = packets_of(tmp_path / "a.mp4")[0][0]
    assert abs(start - packets_of(tmp_path / "in.mkv")[0][0]) < Fraction(1, 1000)
    assert start > Fraction(1, 3)
    made(tmp_path / "in.mkv", tmp_path / "a.webm")  # where it is coded anew
    with av.open(str(tmp_path / "a.webm")) as container:
        heard = [
            (frame.pts * frame.time_base, np.abs(frame.to_ndarray()).max())
            for frame in container.decode(audio=0)
        ]
    first = next(time for time, loudest in heard if loudest > 0.05)
    assert abs(first - start) < Fraction(1, 20)


def film_of(seconds=1, **known):
    stamps = tuple(Stamp(Fraction(k, 5), Fraction(1, 5)) for k in range(5 * seconds))
    return Clip("in", "0" * 64, (48, 64), stamps, Fraction(1, 5), Fraction(5), **known)


def test_another_file_in_the_place_of_the_track(sources, tmp_path):
    """From its own beginning, to the end of the film."""
    import wave

    with wave.open(str(tmp_path / "in.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(tone(3.0).tobytes())
    film, path = film_of(), tmp_path / "a.mov"
    for sound in (tmp_path / "in.wav", sources / "aac.ts", sources / "mp3.mkv"):
        assert check_film(path, clip=film, sound=sound) == ()
        write_film(path, film, FRAMES[:5], sound=sound)
        packets = packets_of(path)
        assert -0.05 < packets[0][0] <= 0
        assert 0.9 < packets[-1][0] < 1.01  # packets of PCM are cut anew when read
    with pytest.raises(InputError, match=r"sound of a film must .*does not exist"):
        check_film(path, clip=film, sound=tmp_path / "missing.wav")
    write_clip(tmp_path / "silent.mp4", FRAMES[:2])
    with pytest.raises(InputError, match="which has none"):
        check_film(path, clip=film, sound=tmp_path / "silent.mp4")
    # A list of files is none, wherever they are.
    (tmp_path / "list.txt").write_text("ffconcat version 1.0\nfile in.wav\n")
    with pytest.raises(InputError, match="that FFmpeg can read"):
        check_film(path, clip=film, sound=tmp_path / "list.txt")


def test_sound_may_be_left_out(sources, tmp_path):
    path = tmp_path / "a.mp4"
    made(sources / "aac.mp4", path, encoding=Encoding(sound=False))
    with av.open(str(path)) as container:
        assert not container.streams.audio
    clip = film_of(has_sound=True)
    for name in ("a.gif", "a.webp", "folder"):
        (told,) = check_film(tmp_path / name, clip=clip)
        assert "silent" in told
        assert check_film(tmp_path / name, Encoding(sound=False), clip) == ()


def test_every_track_is_copied(sources, tmp_path):
    source = tmp_path / "two.mkv"
    with (
        av.open(str(sources / "aac.mkv")) as one,
        av.open(str(sources / "mp3.mkv")) as two,
        av.open(str(source), "w") as new,
    ):
        streams = [*one.streams, two.streams.audio[0]]
        targets = {id(s): new.add_stream_from_template(s, opaque=True) for s in streams}
        targets[id(streams[-1])].metadata["language"] = "fra"
        for old, each in ((one, streams[:-1]), (two, streams[-1:])):
            for packet in old.demux(*each):
                if packet.size:
                    packet.stream = targets[id(packet.stream)]
                    new.mux(packet)
    made(source, tmp_path / "a.mp4")
    assert len(packets_of(tmp_path / "a.mp4", 0)) == len(packets_of(source, 0))
    assert len(packets_of(tmp_path / "a.mp4", 1)) == len(packets_of(source, 1))
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.audio[1].metadata["language"] == "fra"
