"""Films that are written: stamps, colours, sizes, bytes, and what is refused."""

import hashlib
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import hard_cut, moving_square, pan, still, texture
from PIL import Image, ImageSequence

from keras_dream.errors import InputError, OutputError, SaveError
from keras_dream.pictures.picture import read_picture
from keras_dream.video import formats
from keras_dream.video.frames import Clip, Stamp
from keras_dream.video.sink import Encoding, check_film, is_deep, write_film
from keras_dream.video.source import open_source

NOTES = {"recipe": '{"steps":1}', "record": '{"frames":6}'}
SIZE = (64, 80)  # as small as every codec takes
# Of very different lengths, on the clock of NTSC.
UNEVEN = [3, 5, 1, 10, 4, 2]
NTSC = Fraction(1001, 30_000)


def stamps_of(durations, base=Fraction(1, 25)):
    starts = np.cumsum([0, *durations])[:-1]
    return tuple(
        Stamp(int(start) * base, duration * base)
        for start, duration in zip(starts, durations, strict=True)
    )


def clip_of(frames, stamps=None, **known):
    stamps = stamps or stamps_of([1] * len(frames))
    seconds = stamps[-1].start + stamps[-1].duration
    return Clip(
        name="in.mp4",
        sha256="0" * 64,
        size=frames.shape[1:3],
        stamps=stamps,
        time_base=Fraction(1, 25),
        rate=len(stamps) / seconds,
        **known,
    )


def with_alpha(frames):
    """Frames of which the corner is transparent."""
    alpha = np.full((*frames.shape[:3], 1), 255, np.uint8)
    alpha[:, :16, :16] = 0
    return np.concatenate([frames, alpha], axis=3)


def stamps_in(path):
    """Returns the stamps of a video file, as FFmpeg plays it."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return tuple(
            Stamp(frame.pts * frame.time_base, frame.duration * frame.time_base)
            for frame in container.decode(stream)
        )


def pixels_in(path, decoder=None):
    """Returns the frames of a video file as RGB, by the matrix that it names."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        if decoder is not None:
            context = av.CodecContext.create(decoder, "r")
            context.extradata = stream.codec_context.extradata
        frames = [
            frame
            for packet in container.demux(stream)
            for frame in context.decode(packet if packet.size else None)
        ]
        return np.stack(
            [
                frame.to_ndarray(format="rgba" if decoder else "rgb24")
                for frame in frames
            ]
        )


def digest(path):
    path = Path(path)
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    data = b"".join(file.name.encode() + file.read_bytes() for file in files)
    return hashlib.sha256(data).hexdigest()


CASES = {
    "h264.mp4": Encoding(),
    "hevc.mp4": Encoding(codec="hevc"),
    "av1.mp4": Encoding(codec="av1"),
    "h264.mov": Encoding(),
    "prores.mov": Encoding(codec="prores"),
    "h264.mkv": Encoding(),
    "deep.mkv": Encoding(codec="hevc", bits=10),
    "vp9.webm": Encoding(),
    "av1.webm": Encoding(codec="av1"),
    "film.gif": Encoding(),
    "film.webp": Encoding(),
    "folder": Encoding(),
    "deep": Encoding(bits=16),
}


@pytest.mark.parametrize("name", CASES)
def test_the_same_frames_give_the_same_bytes(tmp_path, name):
    """And the bytes name no library's version, but for that of the format."""
    frames = pan(6, SIZE)
    first, again = tmp_path / "first", tmp_path / "again"
    for folder in (first, again):
        folder.mkdir()
        write_film(
            folder / name, clip_of(frames), frames, encoding=CASES[name], notes=NOTES
        )
    assert digest(first / name) == digest(again / name)
    assert [path.name for path in first.iterdir()] == [name]
    if (first / name).is_file():
        data = (first / name).read_bytes()
        for mark in (b"x264", b"x265", b"Lavf6", b"Lavc6", b"SVT-AV1", b"creation"):
            assert mark not in data


@pytest.mark.parametrize("name", [n for n in CASES if "." in n and n != "film.webp"])
def test_stamps_are_those_of_the_clip(tmp_path, name):
    """Also uneven ones, and how long the last frame is shown."""
    frames, kind = pan(6, SIZE), formats.format_of(name)
    base = NTSC if kind.tick is None else kind.tick * 4
    stamps = stamps_of(UNEVEN, base)
    path = tmp_path / name
    write_film(path, clip_of(frames, stamps), frames, encoding=CASES[name])
    read = stamps_in(path)
    assert [stamp.start for stamp in read] == [stamp.start for stamp in stamps]
    assert read[-1].duration == stamps[-1].duration
    if kind.muxer in ("mp4", "mov"):
        assert [stamp.duration for stamp in read] == [s.duration for s in stamps]
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.duration * stream.time_base == sum(UNEVEN) * base


@pytest.mark.parametrize("name", ["h264.mp4", "hevc.mp4", "av1.mp4", "vp9.mp4"])
def test_any_clock_and_any_rate(tmp_path, name):
    """Ten thousand frames a second, one in a minute, and a million ticks a second."""
    frames, path = pan(6, SIZE), tmp_path / name
    encoding = Encoding(codec=name.partition(".")[0])
    for base in (Fraction(1, 10_000), Fraction(60), Fraction(1, 1_000_003)):
        stamps = stamps_of(UNEVEN, base)
        write_film(path, clip_of(frames, stamps), frames, encoding=encoding)
        read = stamps_in(path)
        assert [stamp.start for stamp in read] == [stamp.start for stamp in stamps]


def test_stamps_that_a_clock_does_not_have_are_rounded_and_told(tmp_path):
    frames = pan(6, SIZE)
    clip = clip_of(frames, stamps_of([1] * 6, NTSC))
    for name, tick in (("a.mkv", Fraction(1, 1000)), ("a.gif", Fraction(1, 100))):
        (told,) = check_film(tmp_path / name, clip=clip)
        assert f"rounded to {float(tick) * 1000:g} ms" in told
        write_film(tmp_path / name, clip, frames)
        read = stamps_in(tmp_path / name)
        # None adds up: every stamp is the nearest.
        for stamp, expected in zip(read, clip.stamps, strict=True):
            assert stamp.start == round(expected.start / tick) * tick
    assert check_film(tmp_path / "a.mp4", clip=clip) == ()


def test_frames_that_are_even_may_be_coded_out_of_order(tmp_path):
    """B-frames do not move the beginning."""
    frames = np.concatenate([pan(12, SIZE), pan(12, SIZE)[::-1]])
    write_film(tmp_path / "a.mp4", clip_of(frames), frames)
    with av.open(str(tmp_path / "a.mp4")) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    assert [p.pts for p in packets] != sorted(p.pts for p in packets)
    assert stamps_in(tmp_path / "a.mp4") == stamps_of([1] * 24)


def test_colours_come_back(tmp_path):
    """By the matrix of BT.709 in limited range, which the file names."""
    ramp = np.repeat(np.arange(256, dtype=np.uint8), 2)[None, :, None]
    ramp = np.tile(ramp, (64, 1, 3))
    patches = np.array(
        [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255],
         [255, 0, 255], [255, 255, 255], [0, 0, 0]], np.uint8,
    )  # fmt: skip
    flat = np.repeat(np.repeat(patches, 64, axis=0)[None], 64, axis=0)
    frames = np.stack([ramp, flat])
    for name, encoding in {
        "a.mp4": Encoding(quality=0, chroma="444"),
        "b.mp4": Encoding(quality=0),
        "c.mov": Encoding(codec="prores"),
        "d.webm": Encoding(quality=0),
        "e.mkv": Encoding(codec="hevc", quality=0, bits=10),
    }.items():
        write_film(tmp_path / name, clip_of(frames), frames, encoding=encoding)
        with av.open(str(tmp_path / name)) as container:
            context = container.streams.video[0].codec_context
            assert (context.color_range, context.colorspace) == (1, 1)
            assert (context.color_primaries, context.color_trc) == (1, 1)
        back = pixels_in(tmp_path / name).astype(int)
        assert np.abs(back[0] - frames[0]).max() <= 2
        # Where a patch ends, its colour is shared with its neighbour's.
        inner = np.arange(512) % 64
        inner = (inner > 8) & (inner < 56)
        assert np.abs(back[1] - frames[1])[:, inner].max() <= 2


@pytest.mark.parametrize(
    ("name", "size", "told"),
    [
        ("a.mp4", (66, 82), True),
        ("a.webm", (65, 81), False),
        ("a.mov", (65, 81), False),
        ("a.gif", (65, 81), False),
        ("a.webp", (65, 81), False),
    ],
)
def test_odd_sides(tmp_path, name, size, told):
    """Where a codec needs even ones the edge is repeated, and nothing is resampled."""
    frames = np.stack([texture((65, 81), grain=4)] * 2)
    codec = "prores" if name.endswith(".mov") else None
    quality = {"a.mp4": 0, "a.webm": 0, "a.webp": 100}.get(name)
    encoding = Encoding(codec=codec, quality=quality)
    notices = check_film(tmp_path / name, encoding, clip_of(frames))
    assert any("82 × 66 pixels" in notice for notice in notices) == told
    write_film(tmp_path / name, clip_of(frames), frames, encoding=encoding)
    if name == "a.webp":
        with Image.open(tmp_path / name) as image:
            back = np.asarray(image.convert("RGB"))
    else:
        back = pixels_in(tmp_path / name)[0]
    assert back.shape[:2] == size
    assert np.abs(back[:65, :81].astype(int) - frames[0]).mean() < 9
    if told:
        assert np.abs(back[65].astype(int) - back[64]).mean() < 2


def test_transparency(tmp_path):
    frames = with_alpha(still(2, SIZE))
    clip = clip_of(frames, has_alpha=True)
    for name, decoder in (("a.webm", "libvpx-vp9"), ("a.mov", "prores")):
        encoding = Encoding(codec="prores" if decoder == "prores" else None)
        assert check_film(tmp_path / name, encoding, clip) == ()
        write_film(tmp_path / name, clip, frames, encoding=encoding)
        alpha = pixels_in(tmp_path / name, decoder)[0, ..., 3]
        assert alpha[:12, :12].max() <= 2
        assert alpha[20:, 20:].min() >= 253
    for name in ("a.gif", "a.webp"):
        assert check_film(tmp_path / name, clip=clip) == ()
        write_film(tmp_path / name, clip, frames)
        with Image.open(tmp_path / name) as image:
            alpha = np.asarray(image.convert("RGBA"))[..., 3]
        assert alpha[:16, :16].max() == 0
        assert alpha[16:].min() == 255
    write_film(tmp_path / "folder", clip, frames)
    with Image.open(tmp_path / "folder" / "000001.png") as image:
        assert (np.asarray(image) == frames[0]).all()
    (told,) = check_film(tmp_path / "a.mp4", clip=clip)
    assert "opaque" in told
    write_film(tmp_path / "a.mp4", clip, frames)


def test_more_than_eight_bits(tmp_path):
    """A ramp that 8 bits do not have comes back in its steps."""
    ramp = np.tile(np.linspace(20_000, 24_000, 128).astype(np.uint16)[None, :, None],
                   (64, 1, 3))  # fmt: skip
    frames = np.stack([ramp] * 2)
    encoding = Encoding(codec="hevc", bits=10, quality=0)
    path = tmp_path / "a.mkv"
    assert is_deep(path, encoding)
    assert is_deep("a.mov", Encoding(codec="prores"))
    assert not is_deep(path)
    write_film(path, clip_of(frames), frames, encoding=encoding)
    with av.open(str(path)) as container:
        back = next(container.decode(video=0)).to_ndarray(format="rgb48le")
    assert np.abs(back.astype(int) - ramp).max() < 257
    assert len(np.unique(back[0, :, 1])) > 50  # of 8 bits there would be 16
    write_film(tmp_path / "deep", clip_of(frames), frames, encoding=Encoding(bits=16))
    image = read_picture(tmp_path / "deep" / "000002.png").pixels
    assert (np.rint(image * 65_535) == ramp).all()


def test_gifs_have_a_palette_for_each_scene_and_do_not_flicker(tmp_path):
    moving = moving_square(3, SIZE)
    frames = np.concatenate([moving, 255 - moving])
    clip = clip_of(frames, cuts=(0, 3))
    write_film(tmp_path / "a.gif", clip, frames, encoding=Encoding(loop=3))
    with Image.open(tmp_path / "a.gif") as image:
        assert image.info["loop"] == 2  # the file says how often it is repeated
        back = [np.asarray(i.convert("RGB")) for i in ImageSequence.Iterator(image)]
    stands = (frames[0] == frames[2]).all(axis=2)
    assert 0.5 < stands.mean() < 1
    assert (back[0] == back[2])[stands].all()
    assert (back[3] == back[5])[stands].all()
    for number in (0, 3):
        near = np.abs(back[number].astype(int) - frames[number])
        assert near.mean() < 8
    write_film(tmp_path / "b.gif", clip_of(frames), frames, encoding=Encoding(loop=1))
    with Image.open(tmp_path / "b.gif") as image:
        assert "loop" not in image.info


def test_webp_frames_follow_each_other(tmp_path):
    frames = hard_cut(6, SIZE, at=3)
    clip = clip_of(frames, stamps_of(UNEVEN, Fraction(1, 24)))
    write_film(tmp_path / "a.webp", clip, frames, encoding=Encoding(quality=95, loop=2))
    starts = [round(stamp.start * 1000) for stamp in clip.stamps]
    ends = [*starts[1:], round(clip.seconds * 1000)]
    with Image.open(tmp_path / "a.webp") as image:
        assert (image.n_frames, image.info["loop"]) == (6, 2)
        for number, each in enumerate(ImageSequence.Iterator(image)):
            back = np.asarray(each.convert("RGB")).astype(int)
            errors = [np.abs(back - frame).mean() for frame in frames]
            assert np.argmin(errors) == number
            assert each.info["duration"] == ends[number] - starts[number]


def test_folders_have_their_stamps_beside_them(tmp_path):
    frames = pan(6, SIZE)
    clip = clip_of(frames, stamps_of(UNEVEN, NTSC))
    folder = tmp_path / "film.v2"
    path = write_film(f"{folder}/", clip, frames, notes=NOTES)
    assert path == folder
    names = [f"{number:06}.png" for number in range(1, 7)]
    assert sorted(p.name for p in folder.iterdir()) == [*names, "film.json"]
    for name, frame in zip(names, frames, strict=True):
        with Image.open(folder / name) as image:
            assert (np.asarray(image) == frame).all()
    index = json.loads((folder / "film.json").read_text())
    assert [Fraction(s) for s in index["stamps"]] == [s.start for s in clip.stamps]
    assert Fraction(index["seconds"]) == clip.seconds
    again = open_source(folder)
    assert again.survey(cuts=False).stamps == clip.stamps
    assert [frame.number for frame in again.frames(4)] == [4, 5]
    assert open_source(folder, rate=Fraction(10)).survey(cuts=False).rate == 10
    for broken in ('{"stamps": ["0"]}', "[", '{"stamps": ["0"], "seconds": "1/0"}'):
        (folder / "film.json").write_text(broken)
        assert open_source(folder).survey(cuts=False).rate == 25
    left = tmp_path / ".film.v2.part"  # by a process that was killed
    left.mkdir()
    (left / "000009.png").touch()
    # It may be written again, and loses what it had; other folders are left alone.
    write_film(folder, clip_of(frames[:2]), frames[:2])
    assert len(list(folder.iterdir())) == 3
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"nothing but a film.*mine\.txt"):
        check_film(folder)


@pytest.mark.parametrize(
    ("name", "encoding", "match"),
    [
        ("a.avi", {}, "must end in one of"),
        ("a.mp4", {"codec": "vp8"}, "codec of an MP4 must be h264 or hevc"),
        ("a.mp4", {"codec": "prores"}, r"try \.mov for it"),
        ("a.webm", {"codec": "h264"}, "vp9 or av1"),
        ("a.mp4", {"quality": 52}, "from 0, the best, to 51; received 52"),
        ("a.webm", {"codec": "av1", "quality": 0}, "from 1, the best, to 63"),
        ("a.gif", {"quality": 20}, "must be left out"),
        ("a.gif", {"loop": -1}, "shown from 1 to 65,535 times"),
        ("a.mp4", {"bits": 16}, "420 with 8 or 444 with 8 or 420 with 10"),
        ("a.mp4", {"codec": "av1", "chroma": "444"}, "420 with 8"),
        ("nowhere/a.mp4", {}, "must exist and take files"),
        ("nowhere/folder", {}, "folder of a film"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_run(
    tmp_path, name, encoding, match
):
    with pytest.raises(OutputError, match=match):
        check_film(tmp_path / name, Encoding(**encoding))
    assert not list(tmp_path.iterdir())


def test_frames_that_a_format_cannot_hold(tmp_path):
    fast = clip_of(pan(2), stamps_of([1, 1], Fraction(1, 60)))
    with pytest.raises(OutputError, match="A GIF must have at most 50 frames a second"):
        check_film(tmp_path / "a.gif", clip=fast)
    with pytest.raises(OutputError, match="at least 64 pixels"):
        check_film(tmp_path / "a.mp4", Encoding(codec="av1"), fast)
    close = clip_of(pan(2), stamps_of([1, 1], Fraction(1, 5000)))
    with pytest.raises(OutputError, match="must be 1 ms apart"):
        check_film(tmp_path / "a.mkv", clip=close)
    slow = clip_of(pan(2), stamps_of([1, 1], Fraction(3600 * 5)))
    with pytest.raises(OutputError, match=r"at most 655\.35 seconds"):
        check_film(tmp_path / "a.gif", clip=slow)
    wide = replace(fast, size=(10, 20_000))
    with pytest.raises(OutputError, match="at most 16,383 pixels"):
        check_film(tmp_path / "a.webp", clip=wide)


def test_an_encoder_that_the_wheel_lacks(tmp_path, monkeypatch):
    lacking = replace(formats.CODECS["hevc"], encoder="libnothing")
    monkeypatch.setitem(formats.CODECS, "hevc", lacking)
    with pytest.raises(OutputError, match="must have the encoder libnothing"):
        check_film(tmp_path / "a.mp4", Encoding(codec="hevc"))


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.webp", "a.mkv", "folder"])
def test_a_film_is_whole_or_not_there(tmp_path, name):
    frames = pan(6, SIZE)
    path = tmp_path / name
    write_film(path, clip_of(frames), frames)
    before = digest(path)

    def broken():
        yield from frames[:4]
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        write_film(path, clip_of(frames), broken())
    for wrong in (frames[:5], np.concatenate([frames, frames[:1]])):
        with pytest.raises(InputError, match="6 pictures"):
            write_film(path, clip_of(frames), wrong)
    assert digest(path) == before
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.gif", "a.webp", "folder"])
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, name):
    """A limit of file sizes refuses a write in the middle, as a full disk does."""
    resource = pytest.importorskip("resource")
    random = np.random.default_rng(0)
    frames = random.integers(0, 255, (12, *SIZE, 3), dtype=np.uint8)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, hard))
    try:
        with pytest.raises(SaveError, match="must have room for"):
            write_film(tmp_path / name, clip_of(frames), frames)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def test_progress_ends_at_one(tmp_path):
    shares = []
    frames = pan(3)
    write_film(tmp_path / "a.mp4", clip_of(frames), frames, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert len(shares) == 3


def test_the_muxers_and_codecs_of_the_registry_exist():
    for kind in formats.FORMATS:
        if kind.muxer:
            assert kind.muxer in av.formats_available
        for name in kind.codecs:
            codec = formats.CODECS[name]
            if codec.encoder:
                known = {f.name for f in av.Codec(codec.encoder, "w").video_formats}
                if name != "gif":
                    assert set(codec.pixels.values()) <= known
