"""`--untrusted`: pictures are decoded in a child, with the same result."""

import json
import re
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from picture_files import NOTES, bmp_runs, encode, gif, png, put, smooth, transparent
from PIL import Image

from keras_dream import isolation
from keras_dream.errors import PictureError, RunError, SettingError
from keras_dream.pictures import decoding, limits, metadata, picture as pictures
from keras_dream.pictures.encoding import encode_picture
from keras_dream.pictures.limits import Limits, default_limits
from keras_dream.pictures.metadata import read_notes
from keras_dream.pictures.picture import as_picture, read_picture, read_size

UNTRUSTED = Limits(untrusted=True)
linux = pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")


def camera() -> Image.Exif:
    exif = Image.Exif()
    exif[271] = "Camera"
    exif[0x0112] = 6
    return exif


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("rgb.jpg", encode(Image.fromarray(smooth()), ".jpg", exif=camera())),
        ("alpha.png", encode(Image.fromarray(transparent()), ".png")),
        (
            "deep.png",
            encode(
                Image.fromarray(np.arange(6, dtype=np.uint16).reshape(2, 3)), ".png"
            ),
        ),
        (
            "float.tif",
            encode(Image.fromarray(np.linspace(0, 1, 6, dtype="f4")[None]), ".tif"),
        ),
        ("frames.gif", gif(3)),
    ],
)
def test_the_child_sees_what_we_see(tmp_path: Path, name: str, data: bytes):
    path = put(tmp_path, data, name)
    here, there = read_picture(path), read_picture(path, limits=UNTRUSTED)
    assert there.sha256 == here.sha256
    assert read_size(path, limits=UNTRUSTED) == read_size(path)
    assert there.pixels.dtype == np.float32
    assert there.pixels.flags["C_CONTIGUOUS"]
    assert (there.name, there.exif, there.frames) == (name, here.exif, here.frames)
    assert (there.alpha is None) == (here.alpha is None)


def test_notes_and_errors_are_those_of_the_child(tmp_path: Path):
    saved = put(
        tmp_path, encode_picture(smooth() / np.float32(255), ".png", notes=NOTES)
    )
    assert read_notes(saved, limits=UNTRUSTED) == read_notes(saved)
    assert read_notes(saved) is not None
    plain = put(tmp_path, gif(1), "plain.gif")
    assert read_notes(plain, limits=UNTRUSTED) is None
    broken = put(tmp_path, b"hello", "broken.png")
    for read in (read_picture, read_notes):
        errors = []
        for each in (Limits(), UNTRUSTED):
            with pytest.raises(PictureError) as caught:
                read(broken, limits=each)
            errors.append((str(caught.value), caught.value.exit_code))
        assert errors[0] == errors[1]


def test_what_headers_do_not_tell_is_stopped_in_time(tmp_path: Path):
    """Runs of one pixel, which Pillow decodes in Python: many seconds."""
    path = put(tmp_path, bmp_runs(4_000, 4_000, b"\1\1" * 8_000_000), "runs.bmp")
    short = Limits(untrusted=True, max_decode_seconds=1)
    with pytest.raises(PictureError, match=r"within 1 seconds.*--max-decode-seconds"):
        read_picture(path, limits=short)


@linux
def test_memory_is_limited(tmp_path: Path):
    flat = zlib.compressobj(1)
    rows = b"".join(flat.compress(bytes(1 + 1_150)) for _ in range(9_200))
    path = put(tmp_path, png(9_200, 9_200, 1, 0, rows + flat.flush()))
    little = Limits(untrusted=True, max_decode_memory=256)
    with pytest.raises(PictureError, match=r"within 268 MB of memory.*'a.png'"):
        read_picture(path, limits=little)


@pytest.mark.parametrize("text", ["", "out of memory error when reading image file"])
@pytest.mark.parametrize("kind", [MemoryError, OSError])
def test_no_memory_is_not_the_pictures_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dream: Any, kind: type, text: str
):
    if kind is OSError and not text:
        text = "decoder error -9 when reading image file"

    def fail(_: Image.Image) -> None:
        raise kind(text)

    path = put(tmp_path, gif(1))
    monkeypatch.setattr(decoding, "decode", fail)
    with pytest.raises(RunError, match=r"enough memory to read a picture; .*'a.png'"):
        read_picture(path)
    code, _, error = dream(path)
    assert code == 1
    assert "enough memory" in error
    assert not list(tmp_path.glob("a-*"))


@pytest.mark.parametrize(
    ("head", "arrays"),
    [
        ({"frames": 1}, [np.zeros((2, 2), np.uint8), np.zeros(0, np.uint8)]),
        ({"frames": 1}, [np.zeros((2, 2, 4), np.uint8), np.zeros(0, np.uint8)]),
        ({"frames": 1}, [np.full((2, 2, 3), 2, np.float32), np.zeros(0, np.uint8)]),
        ({"frames": 1}, [np.full((2, 2, 3), np.nan, "<f4"), np.zeros(0, np.uint8)]),
        (
            {"frames": 1},
            [np.zeros((2, 2, 3), np.uint8), np.zeros((3, 2), np.uint8)] * 2,
        ),
        ({"frames": 1}, []),
        ({"frames": "x"}, [np.zeros((2, 2, 3), np.uint8), np.zeros(0, np.uint8)]),
        ({}, [np.zeros((2, 2, 3), np.uint8), np.zeros(0, np.uint8)]),
        ({"frames": 1}, [np.zeros((0, 2, 3), np.uint8), np.zeros(0, np.uint8)]),
    ],
)
def test_what_a_taken_over_child_answers_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: dict, arrays: list
):
    monkeypatch.setattr(isolation, "call", lambda *_, **__: (head, arrays))
    with pytest.raises(PictureError):
        read_picture(put(tmp_path, gif(1)), limits=UNTRUSTED)


def test_forged_notes_are_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for notes in ([], {"a": 5}, "x", None):
        answer = {"notes": notes}, []
        monkeypatch.setattr(isolation, "call", lambda *_, a=answer, **__: a)
        read = read_notes(put(tmp_path, gif(1)), limits=UNTRUSTED)
        assert read in (None, {"a": "5"})


def test_the_default_is_the_environments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = put(tmp_path, png(3, 5, 8, 0, zlib.compress(bytes(20))))
    assert default_limits() == Limits()
    monkeypatch.setenv(limits.VARIABLE, '{"max_pixels": 14, "max_frames": 7}')
    with pytest.raises(PictureError, match="at most 14 pixels"):
        read_picture(path)
    with pytest.raises(PictureError, match="at most 14 pixels"):
        as_picture(path)
    assert read_picture(path, limits=Limits()).frames == 1
    with limits.session(Limits(max_pixels=15)):
        assert default_limits() == Limits(max_pixels=15, max_frames=7)
        assert read_picture(path).frames == 1
    assert default_limits().max_pixels == 14
    for wrong in ("{", '{"max_pixels": 0}', '{"pickle": true}', "[]"):
        monkeypatch.setenv(limits.VARIABLE, wrong)
        with pytest.raises(SettingError, match=limits.VARIABLE):
            read_picture(path)


def test_every_picture_of_a_command_is_decoded_in_a_child(
    dream: Callable[..., Any],
    photo: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """Photo, mask, guide, palette, metadata; and in `show` and `replay`."""
    for name in ("mask.png", "guide.png", "palette.png"):
        put(Path(), encode(Image.fromarray(smooth(40, 60)), ".png"), name)

    def here(*_: object) -> None:
        pytest.fail("an untrusted picture was opened here")

    for module in (decoding, pictures, metadata):
        monkeypatch.setattr(module, "open_image", here)
    calls: list[str] = []
    call = isolation.call
    monkeypatch.setattr(
        isolation,
        "call",
        lambda *arguments, **options: (
            calls.append(Path(arguments[1]).name) or call(*arguments, **options)
        ),
    )
    wishes = ["--steps", 1, "--octaves", 1, "--mask", "mask.png", "--untrusted"]
    wishes += [
        "--objective",
        "guide(guide.png, far)",
        "--colors",
        "palette(palette.png)",
    ]
    code, _, error = dream(photo, "-o", "a.png", *wishes)
    assert code == 0, error
    assert {"photo.png", "mask.png", "guide.png", "palette.png"} <= set(calls)
    assert dream("batch", photo, "-o", "out", "--steps", 1, "--untrusted")[0] == 0
    assert Path("out").is_dir()
    calls.clear()
    assert dream("show", "a.png", "--untrusted")[0] == 0
    assert dream("--untrusted", "replay", "a.png", "--quiet")[0] == 0
    assert set(calls) >= {"a.png", "photo.png", "mask.png"}
    with pytest.raises(pytest.fail.Exception):
        dream("show", "a.png")


def test_each_limit_is_a_flag_of_every_command(dream: Callable[..., Any], photo: Path):
    for command in ([], ["show"], ["grid"], ["explain"], ["replay"], ["mix"]):
        code, out, _ = dream(*command, "--help")
        assert code == 0
        assert set(re.findall(r"--max-[\w-]+", out)) >= {
            f"--{name.replace('_', '-')}"
            for name in Limits.model_fields
            if name != "untrusted"
        }
        assert "--untrusted" in out
    code, _, error = dream(photo, "--max-pixels", "100")
    assert code == 2
    assert "at most 100 pixels" in error
    code, _, error = dream(photo, "--max-frames", "0")
    assert code == 2
    assert "`max_frames` must be a whole number from 1" in error
    assert json.loads(default_limits().json_text())["untrusted"] is False


def test_limits_are_an_argument_in_python(photo: Path, motif: Path):
    import keras_dream as kd

    few = kd.Limits(max_pixels=100)
    assert photo.is_file()
    for call in (
        lambda: kd.read_picture(photo, limits=few),
        lambda: kd.dream(photo, limits=few),
        lambda: kd.Dreamer(limits=few).steps(photo),
        lambda: kd.explain(photo, limits=few),
        lambda: kd.grid(photo, x={"steps": [0, 1]}, limits=few),
        lambda: kd.dream("noise:9x9", mask=str(photo), limits=few),
    ):
        with pytest.raises(PictureError, match="at most 100 pixels"):
            call()
