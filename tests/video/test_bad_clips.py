"""Whatever a file is, it ends in a sentence and exit code 2, or in the right frames."""

import os
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from clips import pan, still, tone, write_clip
from PIL import Image

from keras_dream.errors import InputError
from keras_dream.pictures.limits import Limits
from keras_dream.video.source import open_source

MANY = 40


def frames_of(path, **options):
    """The survey and all frames, which are as many, in 8 bits."""
    source = open_source(path, **options)
    clip = source.survey()
    frames = [np.rint(255 * frame.image) for frame in source.frames()]
    starts = [stamp.start for stamp in clip.stamps]
    assert len(frames) == len(starts)
    assert starts == sorted(set(starts))
    assert starts[0] == 0
    assert all(frame.shape[:2] == clip.size for frame in frames)
    return clip, frames


def sentence(path, **options):
    with pytest.raises(InputError) as caught:
        frames_of(path, **options)
    assert caught.value.exit_code == 2
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


def error(image, wanted):
    return np.abs(np.asarray(image, float) - wanted).mean()


def test_one_frame(tmp_path):
    clip, [frame] = frames_of(write_clip(tmp_path / "a.mp4", still(1)))
    assert clip.seconds == Fraction(1, 25)
    assert error(frame, still(1)[0]) < 3


def test_no_frame(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv444p"
        container.start_encoding()
    assert "A film must" in sentence(path)


def test_no_video_stream(tmp_path):
    path = tmp_path / "a.mka"
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("flac", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(0.1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48_000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert "A film must have a video stream" in sentence(path)


def test_a_cover_alone_is_no_film(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuvj444p"
        stream.disposition = av.stream.Disposition.attached_pic
        track = container.add_stream("aac", rate=48_000, layout="mono")
        frame = av.VideoFrame.from_ndarray(still(1)[0], "rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        sound = av.AudioFrame.from_ndarray(
            tone(0.1)[:, :1024].astype(np.float32) / 32_768,
            format="fltp",
            layout="mono",
        )
        sound.sample_rate = 48_000
        container.mux(track.encode(sound))
        container.mux(track.encode(None))
    assert "A film must have a video stream" in sentence(path)


def test_a_stated_duration_of_24_hours(tmp_path):
    path = write_clip(tmp_path / "a.mkv", pan(6))
    data = bytearray(path.read_bytes())
    at = data.index(b"\x44\x89\x88") + 3  # the Duration of Matroska, in milliseconds
    data[at : at + 8] = struct.pack(">d", 86_400_000)
    path.write_bytes(data)
    with av.open(str(path)) as container:
        assert container.duration == 86_400 * 10**6
    shares = []
    clip = open_source(path).survey(progress=shares.append)
    assert clip.seconds == Fraction(6, 25)
    assert "states 86400.0 s of film" in clip.notices[0]
    assert shares[-2] > 0.3
    assert len(frames_of(path)[1]) == 6


def test_stamps_that_go_back_or_are_missing(tmp_path):
    """Of raw H.264 there are none; in a joined transport stream they begin again."""
    raw = write_clip(tmp_path / "a.h264", pan(6), options={"bf": "0", "crf": "4"})
    clip, frames = frames_of(raw)
    assert {stamp.duration for stamp in clip.stamps} == {Fraction(1, 25)}
    assert error(frames[5], pan(6)[5]) < 3
    path = tmp_path / "a.ts"
    for part in (0, 1):
        write_clip(
            tmp_path / f"{part}.ts",
            pan(12)[6 * part :][:6],
            codec="mpeg2video",
            pixel_format="yuv420p",
            options={"q": "2"},
        )
    path.write_bytes(
        (tmp_path / "0.ts").read_bytes() + (tmp_path / "1.ts").read_bytes()
    )
    clip, frames = frames_of(path)
    assert len(frames) == 12
    assert any("time stamp" in notice for notice in clip.notices)
    assert {stamp.duration for stamp in clip.stamps} == {Fraction(1, 25)}
    assert error(frames[11], pan(12)[11]) < 14


STAMPS = {
    "negative": ([-7, -5, -4], [0, 2, 3, 4]),
    "missing": ([0, None, None, 5], [0, 1, 2, 5, 6]),
    "all missing": ([None, None, None], [0, 1, 2, 3]),
    "twice": ([0, 3, 3, 4], [0, 3, 4, 5, 6]),
    "back": ([100, 101, 0, 1, 5], [0, 1, 2, 3, 7, 8]),
}


@pytest.mark.parametrize("name", STAMPS)
def test_stamps_are_mended(tmp_path, name):
    """The last number is where the film ends."""
    given, wanted = STAMPS[name]
    folder = tmp_path / "film"
    folder.mkdir()
    for number, image in enumerate(pan(len(given))):
        Image.fromarray(image).save(folder / f"{number}.png")
    source = open_source(folder)
    whole = source._reader.read

    def read():
        for decoded, ticks in zip(whole(), given, strict=True):
            decoded.ticks = ticks
            yield decoded

    source._reader.read = read
    clip = source.survey()
    starts = [25 * stamp.start for stamp in clip.stamps]
    assert [*starts, 25 * clip.seconds] == wanted
    assert clip.origin == Fraction(given[0] or 0, 25)
    assert bool(clip.notices) == (name != "negative")
    [frame] = source.frames(2, 3)  # which are not where their stamps say
    assert error(255 * frame.image, pan(len(given))[2]) < 0.01


def test_a_size_that_changes_on_the_way(tmp_path):
    parts = [still(3), still(3, (96, 128))]
    path = tmp_path / "a.h264"
    for number, frames in enumerate(parts):
        write_clip(tmp_path / f"{number}.h264", frames, options={"bf": "0", "crf": "4"})
    path.write_bytes(b"".join((tmp_path / f"{k}.h264").read_bytes() for k in (0, 1)))
    clip, frames = frames_of(path)
    assert len(frames) == 6
    assert any("size changes" in notice for notice in clip.notices)
    small = np.asarray(Image.fromarray(parts[1][0]).resize((64, 48), Image.BICUBIC))
    assert error(frames[5], small) < 6


def test_a_lost_index(tmp_path):
    path = write_clip(tmp_path / "a.mp4", pan(6))
    path.write_bytes(path.read_bytes()[:-200])
    assert "A film must be a video file that FFmpeg can read" in sentence(path)


def test_a_lost_end(tmp_path):
    """What is there of a film that was cut off is used, and told."""
    whole = pan(MANY)
    path = write_clip(tmp_path / "a.mkv", whole, codec="ffv1", rate=Fraction(5))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    clip, frames = frames_of(path)
    assert 5 < len(frames) < MANY
    assert any("can be read" in notice for notice in clip.notices)
    assert error(frames[4], whole[4]) < 2


@pytest.mark.parametrize("name", ["a.mp4", "a.ts", "a.avi"])
def test_damage_in_the_middle(tmp_path, name):
    """What decodes is used, the same each time, and it is told."""
    whole = pan(MANY, step=(0, 1))
    path = write_clip(
        tmp_path / name,
        whole,
        pixel_format="yuv420p",
        options={"x264-params": "keyint=8", "crf": "10"},
    )
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    noise = np.random.default_rng(1).integers(0, 256, 1500, np.uint8)
    data[middle : middle + 1500] = noise.tobytes()
    path.write_bytes(data)
    clip, frames = frames_of(path)
    assert len(frames) > MANY // 2
    if name != "a.avi":  # whose frames are found again by their marks
        assert any("damaged" in notice for notice in clip.notices)
    assert error(frames[3], whole[3]) < 8
    again = open_source(path).survey()
    assert again == clip


LISTS = {
    "a.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nb.mp4\n#EXT-X-ENDLIST\n",
    "a.ffconcat": "ffconcat version 1.0\nfile b.mp4\n",
    "a.mp4": "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/b.ts\n#EXT-X-ENDLIST\n",
    "a.sdp": "v=0\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
    "a.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>',
    "a.avs": 'AviSource("b.mp4")',
    "text.mp4": "This is no film.\n" * 100,
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_and_texts_lead_nowhere(tmp_path, name):
    write_clip(tmp_path / "b.mp4", still(2))
    (tmp_path / name).write_text(LISTS[name])
    assert "A film must be a video file that FFmpeg can read" in sentence(
        tmp_path / name
    )


def test_addresses_and_protocols_are_names_of_files_only(tmp_path, monkeypatch):
    write_clip(tmp_path / "b.mp4", still(2))
    assert "an address" in sentence("http://127.0.0.1:9/a.mp4")
    monkeypatch.chdir(tmp_path)
    for name in ("concat:b.mp4|b.mp4", "subfile,,start,0,end,0,,:b.mp4", "%01d.png"):
        assert "does not exist" in sentence(name)
    odd = tmp_path / "concat:%03d.mp4"
    odd.write_bytes((tmp_path / "b.mp4").read_bytes())
    assert len(frames_of(odd.name)[1]) == 2


def test_a_reference_movie_is_not_followed(tmp_path):
    """QuickTime's `rmra` and `dref` name other files and addresses."""
    write_clip(tmp_path / "b.mp4", still(2))
    path = write_clip(tmp_path / "a.mov", pan(3))
    data = path.read_bytes().replace(b"url \0\0\0\1", b"url \0\0\0\0")
    path.write_bytes(data)
    assert len(frames_of(path)[1]) == 3


def test_what_is_no_file(tmp_path):
    assert "does not exist" in sentence(tmp_path / "none.mp4")
    (tmp_path / "empty.mp4").touch()
    assert "an empty file" in sentence(tmp_path / "empty.mp4")
    (tmp_path / "folder").mkdir()
    assert "has none" in sentence(tmp_path / "folder")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.mp4")
        assert "a named pipe" in sentence(tmp_path / "pipe.mp4")
        assert "a device" in sentence("/dev/zero")


def test_pictures(tmp_path):
    Image.fromarray(still(1)[0]).save(tmp_path / "a.jpg")
    assert "a picture" in sentence(tmp_path / "a.jpg")
    Image.fromarray(still(1)[0]).save(tmp_path / "a.png")
    assert "a picture" in sentence(tmp_path / "a.png")
    folder = tmp_path / "film"
    folder.mkdir()
    for number, size in enumerate([(48, 64), (48, 64), (48, 63)]):
        Image.fromarray(still(1, size)[0]).save(folder / f"{number}.png")
    assert "'2.png' of 63 × 48" in sentence(folder)
    (folder / "2.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    assert "2.png" in sentence(folder)


@pytest.mark.parametrize(("suffix", "left"), [(".gif", 2), (".webp", 0)])
def test_a_damaged_animation(tmp_path, suffix, left):
    """Of a GIF the whole frames are used; libwebp reads no part of a file."""
    path = tmp_path / f"a{suffix}"
    first, *others = [Image.fromarray(image) for image in pan(4)]
    first.save(path, save_all=True, append_images=others, duration=40)
    path.write_bytes(path.read_bytes()[: int(0.7 * path.stat().st_size)])
    if not left:
        assert path.name in sentence(path)
        return
    clip, frames = frames_of(path)
    assert len(frames) == left
    assert "damaged" in clip.notices[0]


def test_a_damaged_film_that_decodes_to_chance_is_used(tmp_path, monkeypatch):
    """Some decoders leave what is damaged as it was in memory."""
    path = write_clip(tmp_path / "a.mp4", pan(6), options={"crf": "10"})
    source = open_source(path)
    source.survey()
    monkeypatch.setattr("keras_dream.video.source._check", lambda digest: -1)
    assert [frame.number for frame in source.frames(2)] == [2, 3, 4, 5]
    path.touch()
    with pytest.raises(InputError, match="must stay as it is"):
        next(source.frames(2))
    source._reader.is_damaged = True
    assert [frame.number for frame in source.frames(2)] == [2, 3, 4, 5]


def test_ffmpeg_is_silent(tmp_path, capfd):
    path = write_clip(tmp_path / "a.mp4", pan(MANY))
    data = bytearray(path.read_bytes())
    data[2000:4000] = bytes(2000)
    path.write_bytes(data)
    open_source(path).survey()
    (tmp_path / "b.mp4").write_bytes(data[:3000])
    sentence(tmp_path / "b.mp4")
    assert capfd.readouterr() == ("", "")


def test_a_size_in_the_header_takes_no_memory(tmp_path):
    path = write_clip(tmp_path / "a.y4m", pan(3), codec="rawvideo")
    data = path.read_bytes().replace(b"W64 H48", b"W30000 H30000")
    path.write_bytes(data)
    assert "A film" in sentence(path)
    path.write_bytes(data.replace(b"W30000 H30000", b"W64 H48"))
    assert len(frames_of(path)[1]) == 3
    assert "at most 1,000 pixels" in sentence(path, limits=Limits(max_pixels=1000))
