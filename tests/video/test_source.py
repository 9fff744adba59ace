"""What a source gives: every frame once, upright, in sRGB, when it is shown."""

import gc
import struct
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from clips import fade, hard_cut, pan, still, texture, tone, turned, write_clip
from PIL import Image

from keras_dream.errors import InputError, SettingError
from keras_dream.pictures.limits import Limits
from keras_dream.video import colors
from keras_dream.video.source import open_source

LIMITED, FULL = 1, 2
BT709, BT601, BT2020 = 1, 5, 9


def images(source, *range_):
    return [np.rint(255 * frame.image) for frame in source.frames(*range_)]


def error(image, wanted):
    return np.abs(np.asarray(image, float) - wanted).mean()


def encode(path, frames, *, form, codec="ffv1", tags=(), prepare=lambda s: None):
    """Writes frames of any format as they are, with tags of colour."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = frames[0].height, frames[0].width
        stream.pix_fmt = form
        if codec == "libx264":
            stream.options = {"crf": "0"}
        for name, value in dict(tags).items():
            setattr(stream.codec_context, name, value)
        prepare(stream)
        for number, frame in enumerate(frames):
            for name, value in dict(tags).items():
                setattr(frame, name, value)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def planes_of(image, matrix, span):
    """Y'CbCr by the formulas of BT.601, BT.709 and BT.2020, 8 bits, 4:4:4."""
    red, blue = {BT601: (0.299, 0.114), BT709: (0.2126, 0.0722)}[matrix]
    r, g, b = np.moveaxis(image / 255.0, -1, 0)
    y = red * r + (1 - red - blue) * g + blue * b
    cb, cr = (b - y) / (2 - 2 * blue), (r - y) / (2 - 2 * red)
    if span == FULL:
        values = 255 * y, 128 + 255 * cb, 128 + 255 * cr
    else:
        values = 16 + 219 * y, 128 + 224 * cb, 128 + 224 * cr
    return np.clip(np.rint(np.stack(values)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("matrix", [BT601, BT709])
@pytest.mark.parametrize("span", [LIMITED, FULL])
def test_matrix_and_range_of_the_tags_hold(tmp_path, matrix, span):
    image = texture()
    frame = av.VideoFrame.from_ndarray(planes_of(image, matrix, span), "yuv444p")
    tags = {"colorspace": matrix, "color_range": span}
    path = encode(tmp_path / "a.mkv", [frame], form="yuv444p", tags=tags)
    [own] = images(open_source(path))
    assert np.abs(own - image).max() <= 3
    assert error(own, image) < 0.8


@pytest.mark.parametrize("span", [LIMITED, FULL])
def test_grey_films(tmp_path, span):
    grey = texture()[..., :1]
    values = grey if span == FULL else 16 + 219 * grey.astype(float) / 255
    plane = np.rint(values[..., 0]).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(plane, "gray")
    path = encode(tmp_path / "a.mkv", [frame], form="gray", tags={"color_range": span})
    [own] = images(open_source(path))
    assert np.abs(own - grey).max() <= (0 if span == FULL else 1)


@pytest.mark.parametrize("primaries", [9, 12])
def test_wide_colors_are_converted(tmp_path, primaries):
    """A red, green and blue of BT.709, written in BT.2020 or P3."""
    wide = {  # BT.2087-0, table 2; and SMPTE RP 431-2's primaries with D65
        9: [
            [0.6274, 0.3293, 0.0433],
            [0.0691, 0.9195, 0.0114],
            [0.0164, 0.088, 0.8956],
        ],
        12: [[0.8225, 0.1775, 0], [0.0332, 0.9668, 0], [0.0171, 0.0724, 0.9105]],
    }[primaries]
    light = np.tile(np.transpose(wide)[None], (48, 1, 1)).repeat(16, axis=1)
    curve = 1.055 * light ** (1 / 2.4) - 0.055
    values = np.where(light <= 0.0031308, 12.92 * light, curve)
    frame = av.VideoFrame.from_ndarray(np.rint(255 * values).astype(np.uint8), "rgb24")
    path = encode(
        tmp_path / "a.mov",
        [frame.reformat(format="rgb24")],
        form="rgb24",
        codec="png",
        tags={"color_primaries": primaries},
    )
    source = open_source(path)
    assert any("converted to sRGB" in notice for notice in source.survey().notices)
    [own] = images(source)
    assert np.abs(own[:, ::16] - 255 * np.eye(3)).max() <= 8


@pytest.mark.parametrize(("size", "matrix"), [((48, 64), BT601), ((600, 64), BT709)])
def test_an_untagged_matrix_goes_by_the_size(tmp_path, size, matrix):
    image = texture(size)
    frame = av.VideoFrame.from_ndarray(planes_of(image, matrix, LIMITED), "yuv444p")
    path = encode(tmp_path / "a.mkv", [frame], form="yuv444p")
    [own] = images(open_source(path))
    assert error(own, image) < 0.8


def test_frames_of_ten_bits_stay_deep(tmp_path):
    ramp = np.linspace(0, 65_535, 64).astype(np.uint16)
    image = np.broadcast_to(ramp[None, :, None], (48, 64, 3))
    write_clip(
        tmp_path / "a.mkv",
        np.stack([image] * 2),
        codec="libx265",
        pixel_format="yuv444p10le",
        options={"x265-params": "lossless=1:log-level=none"},
    )
    source = open_source(tmp_path / "a.mkv")
    assert source.survey().bits == 10
    frame = next(source.frames())
    assert np.abs(frame.image - image / 65_535).max() < 1 / 600


def hdr_frame(image, transfer):
    """A picture of sRGB as HDR: its white at 203 cd/m², in BT.2020's primaries."""
    light = np.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)
    # BT.2087-0, table 2.
    to_2020 = [
        [0.6274, 0.3293, 0.0433],
        [0.0691, 0.9195, 0.0114],
        [0.0164, 0.088, 0.8956],
    ]
    light = np.maximum(203 * light @ np.transpose(to_2020), 0)
    if transfer == colors._PQ:
        power = (light / 10_000) ** 0.1593017578125
        signal = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    else:
        luminance = light @ [0.2627, 0.6780, 0.0593]
        scene = light / 1000 / ((luminance / 1000) ** (1 / 6))[..., None]
        logs = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9))
        signal = np.where(scene <= 1 / 12, np.sqrt(3 * scene), logs + 0.55991073)
    frame = av.VideoFrame.from_ndarray(
        np.rint(65_535 * signal).astype(np.uint16), "rgb48le"
    )
    return frame.reformat(
        format="yuv444p10le",
        dst_colorspace=BT2020,
        src_color_range=FULL,
        dst_color_range=LIMITED,
    )


@pytest.mark.parametrize("transfer", [colors._PQ, colors._HLG])
def test_hdr_is_mapped_to_the_picture_that_it_shows(tmp_path, transfer):
    image = texture() / 255
    tags = {
        "colorspace": BT2020,
        "color_range": LIMITED,
        "color_trc": transfer,
        "color_primaries": 9,
    }
    frame = hdr_frame(image, transfer)
    path = encode(tmp_path / "a.mkv", [frame], form="yuv444p10le", tags=tags)
    source = open_source(path)
    assert any("HDR" in notice for notice in source.survey().notices)
    own = next(source.frames()).image
    # What is not bright is as it was, what is bright is rolled off.
    dark = image.max(axis=-1) < 0.6
    assert np.abs(own - image)[dark].mean() < 0.01
    assert np.abs(own - image).mean() < 0.04


def test_the_curves_of_hdr():
    signal = np.array([0.0, 0.5081, 0.7518, 1.0], np.float32)
    light = colors.pq_to_light(signal)
    # BT.2100 and BT.2408: 58 % of PQ is 203 cd/m², 75.18 % is 1,000.
    np.testing.assert_allclose(light, [0, 100, 1000, 10_000], rtol=0.01, atol=1e-3)
    grey = np.full((1, 1, 3), 0.75, np.float32)
    assert colors.hlg_to_light(grey).max() == pytest.approx(203, rel=0.01)
    steps = np.linspace(0, 1000, 2000)
    mapped = colors.eetf(steps, peak=1000)
    assert (np.diff(mapped) >= 0).all()
    assert mapped[-1] == pytest.approx(203, rel=1e-3)
    np.testing.assert_allclose(mapped[steps < 80], steps[steps < 80], rtol=1e-6)


TURNS = {
    "90": (0, 1, -1, 0),
    "180": (-1, 0, 0, -1),
    "270": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
    "upside down": (1, 0, 0, -1),
    "transposed": (0, 1, 1, 0),
}


def turn(path, matrix):
    """Writes the display matrix of an MP4's first track."""
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd") + 4 + 4 + 20 + 16
    a, b, c, d = (65_536 * value for value in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


@pytest.mark.parametrize("name", TURNS)
def test_frames_are_upright(tmp_path, name):
    frames = still(2)
    path = write_clip(tmp_path / "a.mp4", frames)
    turn(path, TURNS[name])
    wanted = {
        "90": np.rot90(frames[0], -1),  # clockwise, as phones hold it
        "180": np.rot90(frames[0], 2),
        "270": np.rot90(frames[0]),
        "mirrored": frames[0][:, ::-1],
        "upside down": frames[0][::-1],
        "transposed": frames[0].swapaxes(0, 1),
    }[name]
    source = open_source(path)
    assert source.survey().size == wanted.shape[:2]
    for image in images(source):
        assert error(image, wanted) < 3


def test_odd_sizes(tmp_path):
    frames = pan(3, (47, 63))
    path = write_clip(tmp_path / "a.mkv", frames, codec="ffv1")
    source = open_source(path)
    assert source.survey().size == (47, 63)
    for image, wanted in zip(images(source), frames, strict=True):
        assert error(image, wanted) < 2


def test_pixels_become_square(tmp_path):
    def stretch(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)

    frames = turned(2, (48, 48))
    path = write_clip(tmp_path / "a.mp4", frames, prepare=stretch)
    source = open_source(path)
    clip = source.survey()
    assert clip.size == (48, 64)
    assert any("4:3" in notice for notice in clip.notices)
    wide = np.asarray(Image.fromarray(frames[0]).resize((64, 48), Image.BICUBIC))
    assert error(images(source)[0], wide) < 4


def interlace(stream):
    stream.options = {"crf": "0", "flags": "+ildct+ilme", "x264-params": "bff=1"}


def test_interlaced_frames_are_made_whole(tmp_path):
    """A frame has the lines of two moments: the odd ones, and half a step later."""
    moving = pan(12, step=(0, 4))
    woven = moving[::2].copy()
    woven[:, ::2] = moving[1::2, ::2]
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv444p"
        interlace(stream)
        for number, image in enumerate(woven):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    source = open_source(path)
    clip = source.survey()
    assert len(clip.stamps) == 6
    assert {stamp.duration for stamp in clip.stamps} == {Fraction(1, 25)}
    assert any("interlaced" in notice for notice in clip.notices)
    own = images(source)
    # The first field's moment, and no comb.
    assert error(own[3], moving[6]) < 0.5 * error(woven[3], moving[6])
    assert error(images(source, 3)[0], own[3]) == 0


@pytest.mark.parametrize(
    ("name", "codec", "form"),
    [
        ("a.webm", "libvpx-vp9", "yuva420p"),
        ("a.mov", "prores_ks", "yuva444p10le"),
        ("a.mov", "png", "rgba"),
    ],
)
def test_alpha_is_kept(tmp_path, name, codec, form):
    rgba = np.dstack([texture(), np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))])
    frame = av.VideoFrame.from_ndarray(rgba, "rgba").reformat(format=form)
    path = encode(tmp_path / name, [frame], form=form, codec=codec)
    source = open_source(path)
    assert source.survey().has_alpha
    [frame] = source.frames()
    assert error(255 * frame.alpha, rgba[..., 3]) < 3


def test_stamps_of_an_uneven_rate_are_the_sources(tmp_path):
    stamps = [0, 3, 4, 10, 11, 30]
    path = write_clip(
        tmp_path / "a.mkv",
        pan(6),
        stamps=[40 * stamp for stamp in stamps],
        time_base=Fraction(1, 1000),
        sound=tone(1.2),
        sound_codec="flac",
    )
    clip = open_source(path).survey()
    starts = [Fraction(stamp, 25) for stamp in stamps]
    assert [stamp.start for stamp in clip.stamps] == starts
    assert all(
        stamp.start + stamp.duration == after.start
        for stamp, after in zip(clip.stamps, clip.stamps[1:], strict=False)
    )
    assert clip.has_sound


def test_a_range_and_every_second_frame(tmp_path):
    frames = pan(12)
    path = write_clip(tmp_path / "a.mp4", frames)
    part = open_source(path, start=Fraction(3, 25), end=Fraction(10, 25), every=2)
    clip = part.survey()
    assert [25 * stamp.start for stamp in clip.stamps] == [0, 2, 4, 6]
    assert [25 * stamp.duration for stamp in clip.stamps] == [2, 2, 2, 1]
    assert clip.origin == Fraction(3, 25)
    for image, number in zip(images(part), (3, 5, 7, 9), strict=True):
        assert error(image, frames[number]) < 3
    again = open_source(
        path, start=Fraction(3, 25), end=Fraction(10, 25), every=2, clip=clip
    )
    for image, number in zip(images(again, 2), (7, 9), strict=True):
        assert error(image, frames[number]) < 3


def test_a_range_within_one_long_frame_is_that_frame(tmp_path):
    path = write_clip(
        tmp_path / "a.mkv", pan(3), stamps=[0, 1000, 9000], time_base=Fraction(1, 1000)
    )
    source = open_source(path, start=Fraction(3), end=Fraction(4))
    assert len(source.survey().stamps) == 1
    assert error(images(source)[0], pan(3)[1]) < 3
    with pytest.raises(InputError, match=r"in the selected range.* it ends at 9.04 s"):
        open_source(path, start=Fraction(300)).survey()
    with pytest.raises(SettingError, match="must begin at 0"):
        open_source(path, start=Fraction(3), end=Fraction(3))


KINDS = {
    "b-frames": (
        "a.mp4",
        "libx264",
        {"crf": "18", "x264-params": "keyint=10:bframes=3"},
    ),
    "open gop": (
        "a.mkv",
        "libx264",
        {"crf": "18", "x264-params": "keyint=8:open-gop=1:bframes=3:b-pyramid=normal"},
    ),
    "intra refresh": (
        "a.ts",
        "libx264",
        {"crf": "18", "x264-params": "keyint=8:intra-refresh=1:bframes=0"},
    ),
    "no index": ("a.ts", "mpeg2video", {"g": "6", "bf": "2"}),
    "no container": ("a.h264", "libx264", {"x264-params": "keyint=10:bframes=2"}),
    "vp9": ("a.webm", "libvpx-vp9", {"g": "12", "lag-in-frames": "8", "cpu-used": "8"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_frames_do_not_depend_on_the_first(tmp_path, kind):
    name, codec, options = KINDS[kind]
    path = write_clip(
        tmp_path / name,
        pan(60, step=(0, 1)),
        codec=codec,
        pixel_format="yuv420p",
        options=options,
    )
    source = open_source(path)
    clip = source.survey()
    assert len(clip.stamps) == 60
    whole = images(source)
    again = open_source(path, clip=clip)
    for first in (1, 13, 29, 37, 58):
        [own] = images(again, first, first + 1)
        assert np.array_equal(own, whole[first]), first
    for known in (None, replace(clip, checks=())):  # from the start
        assert np.array_equal(images(open_source(path, clip=known), 58)[1], whole[59])


@pytest.mark.parametrize("kind", KINDS)
def test_a_far_range_is_entered_in_the_middle(tmp_path, kind, monkeypatch):
    """Where it can be, and it has the frames that decoding from the start gives."""
    name, codec, options = KINDS[kind]
    path = write_clip(
        tmp_path / name,
        pan(60, step=(0, 1)),
        codec=codec,
        pixel_format="yuv420p",
        options=options,
    )
    wanted = open_source(path, start=Fraction(41, 25)).survey()
    monkeypatch.setattr("keras_dream.video.source._FAR", 0)
    monkeypatch.setattr("keras_dream.video.source._LEAD", Fraction(1, 2))
    monkeypatch.setattr("keras_dream.video.container._PREROLL", Fraction(1, 5))
    source = open_source(path, start=Fraction(41, 25))
    if source._reader.first is not None:
        monkeypatch.setattr(source._reader, "read", None)
    assert source.survey() == wanted


def test_a_frame_in_the_middle_is_found_by_its_keyframe(tmp_path, monkeypatch):
    path = write_clip(
        tmp_path / "a.mp4",
        pan(60, step=(0, 1)),
        rate=Fraction(5),
        pixel_format="yuv420p",
        options={"x264-params": "keyint=10:bframes=2"},
    )
    source = open_source(path)
    source.survey()
    monkeypatch.setattr(source._reader, "read", None)  # from the start
    [frame] = source.frames(50, 51)
    assert error(255 * frame.image, pan(60, step=(0, 1))[50]) < 8


def test_a_file_that_changes_is_refused(tmp_path):
    path = write_clip(tmp_path / "a.mp4", pan(4))
    source = open_source(path)
    source.survey()
    write_clip(path, pan(4)[::-1])
    with pytest.raises(InputError, match="frame 3 has changed"):
        list(source.frames(2))
    folder = folder_of(tmp_path / "film", pan(3), numbers=(1, 2, 3))
    source = open_source(folder)
    source.survey()
    Image.fromarray(pan(4)[3]).save(folder / "frame-2.png")
    with pytest.raises(InputError, match="frame 2 has changed"):
        list(source.frames())


def test_no_frame_stays_in_memory(tmp_path):
    path = write_clip(tmp_path / "a.mp4", pan(20))
    gc.collect()
    gc.disable()
    try:
        source = open_source(path)
        source.survey()
        list(source.frames(10))
        left = [o for o in gc.get_objects() if type(o).__name__ == "VideoFrame"]
    finally:
        gc.enable()
    assert len(left) <= 2


def test_the_hash_is_of_pixels_and_stamps(tmp_path):
    one = write_clip(tmp_path / "a.mkv", pan(4), codec="ffv1")
    same = write_clip(tmp_path / "b.mkv", pan(4), codec="ffv1", options={"g": "1"})
    other = write_clip(tmp_path / "c.mkv", fade(4), codec="ffv1")
    slow = write_clip(tmp_path / "d.mkv", pan(4), codec="ffv1", rate=Fraction(5))
    hashes = [open_source(p).survey().sha256 for p in (one, same, other, slow)]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


def test_progress_goes_from_0_to_1(tmp_path):
    path = write_clip(tmp_path / "a.mp4", hard_cut(), options={"crf": "18"})
    shares = []
    clip = open_source(path).survey(progress=shares.append)
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 0.5
    assert shares[-1] == 1
    assert clip.cuts == (0, 4)
    assert open_source(path).survey(cuts=False).cuts == (0,)


def test_a_cover_is_no_film_and_the_largest_stream_is(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        streams = []
        for size in ((24, 32), (48, 64)):
            stream = container.add_stream("ffv1", rate=25)
            stream.height, stream.width = size
            stream.pix_fmt = "yuv444p"
            streams.append(stream)
        for number in range(3):
            for stream in streams:
                image = texture((stream.height, stream.width), seed=number)
                frame = av.VideoFrame.from_ndarray(image, "rgb24")
                frame.pts = number
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    clip = open_source(path).survey()
    assert clip.size == (48, 64)
    assert any("largest" in notice for notice in clip.notices)


def folder_of(path, frames, *, numbers):
    path.mkdir()
    for number, image in zip(numbers, frames, strict=True):
        Image.fromarray(image).save(path / f"frame-{number}.png")
    return path


def test_a_folder_of_pictures(tmp_path):
    frames = pan(4)
    folder = folder_of(tmp_path / "film", frames, numbers=(8, 9, 10, 12))
    (folder / "notes.txt").write_text("none of them")
    source = open_source(folder, rate=Fraction(10))
    clip = source.survey()
    assert clip.notices == (
        "Of the pictures 8 to 12, 1 are missing (11); the others follow each other.",
    )
    assert [stamp.start for stamp in clip.stamps] == [Fraction(k, 10) for k in range(4)]
    assert np.array_equal(images(source), frames)
    assert np.array_equal(images(source, 2), frames[2:])
    assert clip.name == "film"


def test_one_picture_is_a_film_of_one_frame(tmp_path):
    folder = folder_of(tmp_path / "film", still(1), numbers=[1])
    clip = open_source(folder).survey()
    assert clip.seconds == Fraction(1, 25)
    assert clip.cuts == (0,)


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_animations_keep_their_times(tmp_path, suffix):
    first, *others = [Image.fromarray(image) for image in pan(3)]
    path = tmp_path / f"a{suffix}"
    durations = [40, 0, 250]
    options = {"lossless": True} if suffix == ".webp" else {}
    first.save(
        path, save_all=True, append_images=others, duration=durations, loop=0, **options
    )
    source = open_source(path)
    clip = source.survey()
    assert [1000 * stamp.duration for stamp in clip.stamps] == [40, 100, 250]
    assert any("as in browsers" in notice for notice in clip.notices)
    for number, image in enumerate(images(source)):
        assert error(image, pan(3)[number]) < (6 if suffix == ".gif" else 0.01)
    assert np.array_equal(images(source, 2)[0], images(source)[2])


def test_a_transparent_animation(tmp_path):
    rgba = np.dstack([texture(), np.full((48, 64), 255, np.uint8)])
    rgba[:20, :, 3] = 0
    path = tmp_path / "a.webp"
    frames = [Image.fromarray(rgba), Image.fromarray(rgba[::-1])]
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    source = open_source(path)
    assert source.survey().has_alpha
    second = list(source.frames())[1]
    assert second.alpha[-20:].max() == 0
    assert second.alpha[:20].min() == 1


def test_limits(tmp_path):
    path = write_clip(tmp_path / "a.mp4", pan(4))
    with pytest.raises(InputError, match="at most 3 frames"):
        open_source(path, limits=Limits(max_film_frames=3)).survey()
    with pytest.raises(InputError, match="at most 100 pixels"):
        open_source(path, limits=Limits(max_pixels=100))
