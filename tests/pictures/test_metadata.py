"""Notes in pictures are read back, and untrusted ones are bounded."""

import json
from pathlib import Path

import numpy as np
import pytest
from picture_files import OURS, encode, put, smooth
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from keras_dream.errors import InputError, PictureError
from keras_dream.pictures.encoding import save_picture
from keras_dream.pictures.metadata import MAX_NOTES_BYTES, read_notes
from keras_dream.pictures.picture import read_picture


@pytest.mark.parametrize("suffix", OURS)
def test_notes_have_a_limit(tmp_path: Path, suffix: str):
    room = MAX_NOTES_BYTES - len('{"keras-dream":{"recipe":""}}')
    path = tmp_path / ("a" + suffix)
    image = smooth() / np.float32(255)
    full = {"recipe": json.dumps("x" * room)}
    save_picture(path, image, notes=full)
    assert read_notes(path) == full
    with pytest.raises(InputError, match="at most 64,000 bytes"):
        save_picture(path, image, notes={"recipe": json.dumps("x" * (room + 1))})
    assert read_notes(path) == full


@pytest.mark.parametrize("text", ["", "{", "NaN", "1e999", "[" * 30_000 + "]" * 30_000])
def test_notes_must_be_json(tmp_path: Path, text: str):
    with pytest.raises(InputError, match="JSON"):
        save_picture(
            tmp_path / "a.png", smooth() / np.float32(255), notes={"recipe": text}
        )
    assert not (tmp_path / "a.png").exists()


def with_text(folder: Path, *texts: tuple[str, str], compressed: bool = False) -> Path:
    info = PngInfo()
    for keyword, text in texts:
        info.add_itxt(keyword, text, zip=compressed)
    return put(folder, encode(Image.fromarray(smooth()), ".png", pnginfo=info))


def wrapped(recipe: object) -> str:
    return json.dumps({"keras-dream": {"recipe": recipe}})


def test_last_of_duplicate_chunks_is_read(tmp_path: Path):
    path = with_text(tmp_path, ("keras-dream", wrapped(1)), ("keras-dream", wrapped(2)))
    assert read_notes(path) == {"recipe": "2"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        '{"keras-dream": 7}',
        '{"other": {}}',
        '{"keras-dream": {"recipe": NaN}}',
        '{"keras-dream": {"recipe": 1e999}}',
        '{"keras-dream": {"recipe": ' + "9" * 10_000 + "}}",
        '{"keras-dream":' + "[" * 30_000,
        "[" * 30_000 + "]" * 30_000,
        '{"keras-dream": {"recipe":' + "[" * 20_000 + "]" * 20_000 + "}}",
        wrapped("x" * 70_000),
    ],
    ids=lambda text: text[:30],
)
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_malformed_notes_are_none(tmp_path: Path, suffix: str, text: str):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0" + text.encode()
    exif[0x8769] = exif.get_ifd(0x8769)
    if suffix in (".jpg", ".webp") and len(text) > 65_000:
        pytest.skip("EXIF holds no more")
    if suffix == ".png":
        path = with_text(tmp_path, ("keras-dream", text))
    else:
        options = {"tiffinfo": {270: text}} if suffix == ".tif" else {"exif": exif}
        path = put(tmp_path, encode(Image.fromarray(smooth()), suffix, **options))
    assert read_notes(path) is None
    np.testing.assert_allclose(read_picture(path).pixels, smooth() / 255, atol=0.15)


def test_compressed_notes_are_bounded(tmp_path: Path):
    """Pillow inflates at most a megabyte, and of that only 64,000 bytes are read."""
    path = with_text(tmp_path, ("keras-dream", wrapped(1)), compressed=True)
    assert read_notes(path) == {"recipe": "1"}
    large = ("keras-dream", wrapped("x" * 70_000))
    assert read_notes(with_text(tmp_path, large, compressed=True)) is None
    bomb = with_text(tmp_path, ("keras-dream", "x" * 2**21), compressed=True)
    with pytest.raises(PictureError, match="too large"):
        read_notes(bomb)


def test_metadata_of_others_is_none(tmp_path: Path):
    path = with_text(
        tmp_path,
        ("parameters", "a dog\nSteps: 20, Sampler: Euler"),  # AUTOMATIC1111
        ("workflow", '{"nodes": []}'),  # ComfyUI
        ("keras-dreams", wrapped(1)),
    )
    assert read_notes(path) is None
    exif = Image.Exif()
    exif[0x8769] = {0x9286: b"UNICODE\0" + "a dog".encode("utf-16-be")}
    path = put(tmp_path, encode(Image.fromarray(smooth()), ".jpg", exif=exif))
    assert read_notes(path) is None
    for suffix in [".gif", ".bmp", ".avif"]:
        path = put(tmp_path, encode(Image.fromarray(smooth()), suffix))
        assert read_notes(path) is None
