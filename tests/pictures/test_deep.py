"""Pictures of 16 bits and of floats keep what they have, in and out."""

import contextlib
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from picture_files import NOTES, png, put, smooth
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from keras_dream.errors import OutputError, PictureError
from keras_dream.parts.colorspaces import to_linear
from keras_dream.pictures import exr, vips
from keras_dream.pictures.encoding import depth_of, save_picture
from keras_dream.pictures.limits import Limits
from keras_dream.pictures.metadata import read_notes
from keras_dream.pictures.picture import read_picture, read_size

pytest.importorskip("pyvips")
OpenEXR = pytest.importorskip("OpenEXR")

UNTRUSTED = Limits(untrusted=True)
DEEP = [(".png", "16"), (".tif", "16"), (".tif", "float"), (".exr", "16")]
DEEP += [(".exr", "float")]
_IN_CHILD = {(".tif", "16", True), (".exr", "float", False)}  # half a second each


def deep(channels: int = 3, size: tuple[int, int] = (70, 9)) -> np.ndarray:
    """Values of 16 bits whose lower bits count, in more rows than a band has."""
    random = np.random.default_rng(5)
    return random.integers(0, 65_536, (*size, channels), dtype=np.uint16)


def png16(values: np.ndarray) -> bytes:
    height, width, channels = values.shape
    rows = values.astype(">u2").reshape(height, -1).view(np.uint8)
    data = np.insert(rows, 0, 0, axis=1).tobytes()
    color = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    return png(width, height, 16, color, zlib.compress(data))


def tiff(values: np.ndarray, **more: Any) -> bytes:
    """A TIFF in one strip, without compression; tags by their numbers as `t339`."""
    height, width, channels = values.shape
    ifd = ImageFileDirectory_v2(prefix=b"II")
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    tags = {256: width, 257: height, 258: (8 * values.itemsize,) * channels, 259: 1}
    tags |= {262: 2 if channels > 2 else 1, 273: 0, 277: channels, 278: height}
    tags |= {279: values.nbytes, 339: (kind,) * channels}
    tags |= {338: 2} if channels in (2, 4) else {}
    for tag, value in {**tags, **{int(k[1:]): v for k, v in more.items()}}.items():
        ifd[tag] = value
    return struct.pack("<2sHI", b"II", 42, 8) + ifd.tobytes(8) + values.tobytes()


@pytest.mark.parametrize("encode", [png16, tiff])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bits_are_kept(tmp_path: Path, encode: Callable[..., bytes], channels: int):
    values = deep(channels)
    path = put(tmp_path, encode(values))
    picture = read_picture(path)
    colors = values[..., : 3 if channels > 2 else 1]
    expected = np.broadcast_to(colors / np.float32(65_535), (70, 9, 3))
    np.testing.assert_array_equal(picture.pixels, expected)
    assert (picture.bits, picture.notices) == (16, ())
    assert read_size(path) == (70, 9)
    if channels in (2, 4):
        opacity = values[..., -1] / np.float32(65_535)
        np.testing.assert_array_equal(picture.alpha, opacity)
    else:
        assert picture.alpha is None


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_floats_are_kept(tmp_path: Path, channels: int):
    values = np.random.default_rng(1).random((8, 9, channels), np.float32)
    path = put(tmp_path, tiff(values, t270='{"keras-dream": {"recipe": 5}}'))
    picture = read_picture(path)
    colors = values[..., : 3 if channels > 2 else 1]
    np.testing.assert_array_equal(picture.pixels, np.broadcast_to(colors, (8, 9, 3)))
    assert picture.bits == 32
    assert read_size(path) == (8, 9)
    assert read_notes(path) == {"recipe": "5"}  # which Pillow does not open
    values[3, 3, 0] = 1.5
    with pytest.raises(PictureError, match=r"finite and in \[0, 1\]"):
        read_picture(put(tmp_path, tiff(values)))


@pytest.mark.parametrize("kind", [np.int16, np.uint32, np.float64])
def test_other_numbers_are_refused(tmp_path: Path, kind: type):
    with pytest.raises(PictureError, match=r"16 bits|cannot be decoded"):
        read_picture(put(tmp_path, tiff(np.zeros((4, 4, 3), kind))))


def test_half_floats_and_turned_pictures(tmp_path: Path):
    values = np.random.default_rng(1).random((8, 9, 3)).astype(np.float16)
    picture = read_picture(put(tmp_path, tiff(values, t274=6)))
    np.testing.assert_array_equal(picture.pixels, values.swapaxes(0, 1)[:, ::-1])


def test_a_profile_is_applied_with_16_bits(tmp_path: Path):
    """Display P3's red is outside of sRGB, its grey is sRGB's."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ")
    swapped = swapped.replace(b"????", b"gXYZ")  # its red is sRGB's green
    values = deep(3, (9, 9))
    for data, expected in [(profile, values), (swapped, values[..., [1, 0, 2]])]:
        path = put(tmp_path, tiff(values, t34675=data))
        found = read_picture(path).pixels
        np.testing.assert_allclose(found, expected / 65_535, atol=6e-3)
        # Not by 8 bits: its levels are not those of 255.
        assert len(np.unique(found)) > 200
    broken = read_picture(put(tmp_path, tiff(values, t34675=profile[:99]))).pixels
    np.testing.assert_array_equal(broken, values / np.float32(65_535))


@pytest.mark.parametrize(("suffix", "depth"), DEEP)
@pytest.mark.parametrize("has_alpha", [False, True])
def test_round_trip(tmp_path: Path, suffix: str, depth: str, has_alpha: bool):
    image = deep() / np.float32(65_535)
    alpha = np.maximum(image[..., 0], 0.2) if has_alpha else None
    path = tmp_path / f"a{suffix}"
    how: Any = {"alpha": alpha, "notes": NOTES, "depth": depth}
    save_picture(path, image, **how)
    first = path.read_bytes()
    save_picture(path, image, **how)
    assert path.read_bytes() == first
    error = {"16": 0.6 / 65_535, "float": 3e-7}[depth]
    error = 2e-3 if (suffix, depth) == (".exr", "16") else error
    assert read_notes(path) == NOTES
    in_child = (suffix, depth, has_alpha) in _IN_CHILD
    for limits in (None, UNTRUSTED) if in_child else (None,):
        picture = read_picture(path, limits=limits)
        assert picture.bits == (32 if depth == "float" else 16)
        np.testing.assert_allclose(picture.pixels, image, atol=error)
        if alpha is not None:
            np.testing.assert_allclose(picture.alpha, alpha, atol=error)


def test_an_exr_file_is_linear_and_has_the_photos_exif(tmp_path: Path):
    kept = Image.Exif()
    kept.update({271: "Canon", 315: "É. Artist"})
    kept.get_ifd(0x8769).update({36867: "2026:01:02 03:04:05", 33437: 2.5})
    kept[0x8769] = kept.get_ifd(0x8769)
    image = np.full((4, 5, 3), 0.5, np.float32)
    save_picture(tmp_path / "a.exr", image, exif=kept.tobytes())
    with OpenEXR.File(str(tmp_path / "a.exr")) as file:
        header, light = file.header(), file.channels()["RGB"].pixels
        assert header["capDate"] == "2026:01:02 03:04:05"
        assert (header["cameraMake"], header["aperture"]) == ("Canon", 2.5)
        assert header["owner"].endswith("Artist")
    np.testing.assert_allclose(light, to_linear(image), atol=1e-3)
    assert light.dtype == np.float16


def exr_file(path: Path, channels: dict[str, np.ndarray]) -> Path:
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, channels).write(str(path))
    return path


@pytest.mark.usefixtures("in_this_process")
def test_odd_exr_files(tmp_path: Path):
    path = tmp_path / "a.exr"
    grey = np.full((4, 5), 0.25, np.float32)
    assert read_picture(exr_file(path, {"Y": grey})).pixels[0, 0, 2] > 0.5
    bright = read_picture(exr_file(path, dict.fromkeys("RGB", grey * 8)))
    np.testing.assert_allclose(bright.pixels, 1, atol=1e-6)
    assert "above 1 are clipped" in bright.notices[0]
    # Colours are multiplied by the opacity.
    half = {**dict.fromkeys("RGB", grey), "A": np.full_like(grey, 0.5)}
    picture = read_picture(exr_file(path, half))
    np.testing.assert_allclose(to_linear(picture.pixels), 0.5, atol=1e-6)
    for channels, words in [
        ({"beauty.R": grey, "Z": grey}, "which has Z, beauty.R"),
        ({**dict.fromkeys("RG", grey), "B": grey * np.nan}, "finite"),
        (dict.fromkeys(map("l{}".format, range(30)), grey), "160 values in all"),
    ]:
        with pytest.raises(PictureError, match=words):
            read_picture(exr_file(path, channels), limits=Limits(max_pixels=20))
    with pytest.raises(PictureError, match="at most 19 pixels"):
        read_picture(exr_file(path, {"Y": grey}), limits=Limits(max_pixels=19))


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(("suffix", "depth"), DEEP)
def test_truncated_and_damaged_files_are_refused(
    tmp_path: Path, suffix: str, depth: str
):
    path = tmp_path / f"a{suffix}"
    save_picture(path, deep() / np.float32(65_535), notes=NOTES, depth=depth)
    data, random = path.read_bytes(), np.random.default_rng(2)
    for part in (0.9, 0.5, 0.1):
        path.write_bytes(data[: int(len(data) * part)])
        with pytest.raises(PictureError):
            read_picture(path)
    for at in random.integers(0, min(len(data), 600), 40):  # the header, mostly
        path.write_bytes(data[:at] + random.bytes(3) + data[at + 3 :])
        for read in (read_picture, read_notes):
            with contextlib.suppress(PictureError):
                read(path)


def test_depths_of_formats():
    assert depth_of(".png", "auto") == "8"
    assert depth_of(".png", "auto", bits=32) == "16"
    assert depth_of(".tif", "auto", bits=32) == "float"
    assert depth_of(".exr", "auto") == "16"
    assert depth_of(".jpg", "auto", bits=16) == "8"
    with pytest.raises(OutputError, match=r"must be a \.png or \.tif or \.exr file"):
        depth_of(".webp", "16")
    with pytest.raises(OutputError, match="leave the depth out"):
        depth_of(".png", "float")


def test_a_dream_is_as_deep_as_its_photo(dream: Callable[..., Any], photo: Path):
    put(Path(), png16(deep(3, (40, 60))), "deep.png")
    assert dream("deep.png", "--steps", 1, "--octaves", 1, "--quiet")[0] == 0
    picture = read_picture("deep-dream.png")
    assert picture.bits == 16
    assert len(np.unique(picture.pixels)) > 1000  # 256 of 8 bits
    for name in ("deep-dream.png", "deep-dream.exr"):
        if name.endswith("exr"):
            wishes = ("--depth", "float", "-o", name, "--steps", 1, "--octaves", 1)
            assert dream("deep.png", *wishes)[0] == 0
        code, out, _ = dream("show", name)
        assert code == 0
        assert "depth" in out
        assert dream("replay", name, "--quiet", "-o", f"again-{name}")[0] == 0
    again = Path("again-deep-dream.exr").read_bytes()
    assert again == Path("deep-dream.exr").read_bytes()
    # A mix has no such setting: it takes the dream's where its format has it.
    wishes = ("--depth", "float", "--save-octaves", "--steps", 1, "--octaves", 1)
    assert dream("deep.png", *wishes, "-o", "d.tif")[0] == 0
    for name, bits in (("m.tif", 32), ("m.png", 16), ("m.jpg", 8)):
        assert dream("mix", "d.tif", "-o", name)[0] == 0
        assert read_picture(name).bits == bits
    for wrong in (("-o", "a.jpg"), ("batch", "-o", "out", "--format", "jpg")):
        code, _, error = dream(*wrong[:-2], photo, *wrong[-2:], "--depth", "16")
        assert code == 2
        assert "must be a .png or .tif or .exr file" in error


def test_without_the_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dream: Callable[..., Any]
):
    """16-bit RGB comes in with 8 bits, and a notice; other pictures are refused."""
    monkeypatch.chdir(tmp_path)
    exr_file(Path("a.exr"), {"Y": np.zeros((4, 5), np.float32)})
    monkeypatch.setattr(vips, "is_installed", lambda: False)
    monkeypatch.setattr(exr, "is_installed", lambda: False)
    line = r"pip install 'keras-dream\[huge\]'"
    picture = read_picture(put(tmp_path, png16(deep())))
    assert picture.bits == 8
    assert "more than 8 bits" in picture.notices[0]
    with pytest.raises(PictureError, match=f"pyvips is not installed.*{line}"):
        read_picture(put(tmp_path, tiff(np.zeros((4, 4, 3), np.float32))))
    with pytest.raises(PictureError, match=f"OpenEXR must be installed.*{line}"):
        read_picture("a.exr")
    assert read_size("a.exr") == (4, 5)
    code, _, error = dream("a.png", "-o", "b.exr")
    assert code == 2
    assert "OpenEXR must be installed" in error


def test_damaged_exr_files_say_nothing_but_the_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    """Their library writes to standard output, where a program reads JSON."""
    path = tmp_path / "a.exr"
    save_picture(path, smooth(90, 90) / np.float32(255), depth="16")
    data = path.read_bytes()
    path.write_bytes(data[:-200] + bytes(100) + data[-100:])
    with pytest.raises(PictureError, match="cannot be decoded"):
        read_picture(path)
    assert capfd.readouterr() == ("", "")
