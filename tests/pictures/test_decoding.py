"""Every kind of picture comes in as sRGB floats or is refused in one sentence."""

import contextlib
import os
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from picture_files import NOTES, OURS, encode, png, put, smooth, transparent
from PIL import Image, ImageCms

from keras_dream.errors import PictureError
from keras_dream.pictures.encoding import encode_picture
from keras_dream.pictures.limits import Limits
from keras_dream.pictures.metadata import read_notes
from keras_dream.pictures.picture import read_picture, to_uint8

posix = pytest.mark.skipif(os.name != "posix", reason="pipes and devices of POSIX")


def bytes_of(path: Path) -> np.ndarray:
    return to_uint8(read_picture(path).pixels)


def refusal(path: str | Path) -> str:
    with pytest.raises(PictureError) as caught:
        read_picture(path)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert caught.value.exit_code == 2
    return message


# --- every format in -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "options", "off"),
    [
        (".png", {}, 0),
        (".tif", {}, 0),
        (".tif", {"compression": "jpeg", "quality": 95}, 12),
        (".bmp", {}, 0),
        (".webp", {"lossless": True}, 0),
        (".jpg", {"quality": 95, "subsampling": 0}, 12),
        (".avif", {"quality": 95}, 16),
    ],
)
def test_formats(tmp_path: Path, suffix: str, options: dict, off: int):
    path = put(
        tmp_path, encode(Image.fromarray(smooth()), suffix, **options), "日é" + suffix
    )
    picture = read_picture(path)
    assert picture.pixels.dtype == np.float32
    assert picture.pixels.shape == (24, 36, 3)
    assert picture.alpha is None
    assert picture.name == path.name
    difference = np.abs(to_uint8(picture.pixels).astype(int) - smooth())
    assert difference.max() <= off


def test_contents_decide_and_not_the_name(tmp_path: Path):
    path = put(tmp_path, encode(Image.fromarray(smooth()), ".bmp"), "a.jpg")
    np.testing.assert_array_equal(bytes_of(path), smooth())


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".tif", ".avif"])
def test_first_of_several_frames(tmp_path: Path, suffix: str):
    first, second = (Image.new("RGB", (9, 9), c) for c in ["#ff0000", "#0000ff"])
    data = encode(first, suffix, save_all=True, append_images=[second])
    mean = read_picture(put(tmp_path, data, "a" + suffix)).pixels.mean((0, 1))
    np.testing.assert_allclose(mean, [1, 0, 0], atol=0.02)


# --- modes ---------------------------------------------------------------------------


def test_grey(tmp_path: Path):
    grey = smooth()[..., 0]
    pixels = bytes_of(put(tmp_path, encode(Image.fromarray(grey), ".png")))
    np.testing.assert_array_equal(pixels, np.dstack([grey] * 3))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_one_bit(tmp_path: Path, suffix: str):
    bits = smooth()[..., 0] > 100
    path = put(tmp_path, encode(Image.fromarray(bits), suffix))
    np.testing.assert_array_equal(bytes_of(path)[..., 2], bits * 255)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_grey_keeps_its_precision(tmp_path: Path, suffix: str):
    values = np.arange(65536, dtype=np.uint16).reshape(128, 512)
    picture = read_picture(put(tmp_path, encode(Image.fromarray(values), suffix)))
    np.testing.assert_array_equal(picture.pixels[..., 1], values / np.float32(65535))
    np.testing.assert_array_equal(picture.pixels[..., 0], picture.pixels[..., 2])


def test_big_endian_16_bit_tiff(tmp_path: Path):
    image = Image.frombytes("I;16B", (2, 1), b"\x00\x00\xff\xff")
    pixels = read_picture(put(tmp_path, encode(image, ".tif"))).pixels
    np.testing.assert_array_equal(pixels[0, :, 0], [0, 1])


def test_16_bit_rgb_png_comes_in_8_bits(tmp_path: Path):
    row = b"\0" + struct.pack(">6H", 0, 0x1234, 0xFFFF, 0x80FF, 0x8000, 0x7FFF)
    pixels = bytes_of(put(tmp_path, png(2, 1, 16, 2, zlib.compress(row))))
    assert pixels.tolist() == [[[0, 0x12, 0xFF], [0x80, 0x80, 0x7F]]]


def test_float_tiff(tmp_path: Path):
    values = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    picture = read_picture(put(tmp_path, encode(Image.fromarray(values), ".tif")))
    np.testing.assert_array_equal(picture.pixels[..., 0], values)
    for wrong in [2.0, -0.1, np.nan, np.inf]:
        values[1, 1] = wrong
        data = encode(Image.fromarray(values), ".tif")
        assert "finite and in [0, 1]" in refusal(put(tmp_path, data))


def test_32_bit_integers_are_refused(tmp_path: Path):
    data = encode(Image.fromarray(np.full((4, 4), 70_000, np.int32)), ".tif")
    assert "32-bit integers" in refusal(put(tmp_path, data))


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_without_a_profile(tmp_path: Path, suffix: str):
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    pixels = read_picture(put(tmp_path, encode(image, suffix))).pixels
    np.testing.assert_allclose(pixels.mean((0, 1)), [1, 0, 0], atol=0.02)


def test_lab_tiff(tmp_path: Path):
    image = Image.frombytes("LAB", (2, 1), bytes([255, 0, 0, 0, 0, 0]))
    pixels = read_picture(put(tmp_path, encode(image, ".tif"))).pixels
    np.testing.assert_allclose(pixels, [[[1, 1, 1], [0, 0, 0]]], atol=0.01)


# --- transparency --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "options"),
    [(".png", {}), (".tif", {}), (".webp", {"lossless": True, "exact": True})],
)
def test_alpha(tmp_path: Path, suffix: str, options: dict):
    data = encode(Image.fromarray(transparent()), suffix, **options)
    picture = read_picture(put(tmp_path, data))
    assert picture.alpha is not None
    assert picture.alpha.dtype == np.float32
    # Colour under full transparency is kept too: a dream may make it visible.
    np.testing.assert_array_equal(to_uint8(picture.pixels), smooth())
    np.testing.assert_array_equal(to_uint8(picture.alpha), transparent()[..., 3])


def test_grey_with_alpha(tmp_path: Path):
    both = transparent()[..., [0, 3]]
    picture = read_picture(put(tmp_path, encode(Image.fromarray(both, "LA"), ".png")))
    assert picture.alpha is not None
    np.testing.assert_array_equal(to_uint8(picture.pixels)[..., 1], both[..., 0])
    np.testing.assert_array_equal(to_uint8(picture.alpha), both[..., 1])


@pytest.mark.parametrize("transparency", [1, b"\xff\x00\x80"])
@pytest.mark.parametrize("suffix", [".png", ".gif"])
def test_palette_with_transparency(
    tmp_path: Path, suffix: str, transparency: int | bytes
):
    if suffix == ".gif" and isinstance(transparency, bytes):
        pytest.skip("GIF has one transparent colour")
    image = Image.frombytes("P", (3, 1), bytes([0, 1, 2]))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    data = encode(image, suffix, transparency=transparency)
    picture = read_picture(put(tmp_path, data))
    assert picture.alpha is not None
    expected = [255, 0, 255 if isinstance(transparency, int) else 128]
    assert to_uint8(picture.alpha).tolist() == [expected]
    assert picture.pixels[0, 0].tolist() == [1, 0, 0]
    assert picture.pixels[0, 2].tolist() == [0, 0, 1]


def test_transparent_colour(tmp_path: Path):
    image = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    picture = read_picture(put(tmp_path, encode(image, ".png", transparency=(1, 2, 3))))
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[0, 1]]


# --- orientation ---------------------------------------------------------------------

UPRIGHT = {
    0: lambda a: a,  # no such orientation
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a.swapaxes(0, 1)[::-1],
    9: lambda a: a,
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".jpg"])
def test_orientation(tmp_path: Path, suffix: str, orientation: int):
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = {"lossless": True} if suffix == ".webp" else {}
    data = encode(Image.fromarray(smooth()), suffix, exif=exif, **lossless)
    expected = UPRIGHT[orientation](smooth())
    pixels = bytes_of(put(tmp_path, data))
    assert pixels.shape == expected.shape
    off = 12 if suffix == ".jpg" else 0
    assert np.abs(pixels.astype(int) - expected).max() <= off


def test_orientation_turns_alpha_and_16_bits(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(Image.fromarray(transparent()), ".png", exif=exif)
    alpha = read_picture(put(tmp_path, data)).alpha
    assert alpha is not None
    np.testing.assert_array_equal(to_uint8(alpha), UPRIGHT[6](transparent()[..., 3]))
    deep = np.arange(6, dtype=np.uint16).reshape(2, 3)
    path = put(tmp_path, encode(Image.fromarray(deep), ".png", exif=exif))
    assert read_picture(path).pixels.shape == (3, 2, 3)


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff"])
def test_broken_exif_is_ignored(tmp_path: Path, exif: bytes):
    data = encode(Image.fromarray(smooth()), ".png", exif=exif)
    np.testing.assert_array_equal(bytes_of(put(tmp_path, data)), smooth())
    assert read_notes(tmp_path / "a.png") is None


# --- colour profiles -----------------------------------------------------------------


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped_profile() -> bytes:
    """A profile whose red is sRGB's green and the other way round."""
    data = srgb_profile()
    return (
        data.replace(b"rXYZ", b"????")
        .replace(b"gXYZ", b"rXYZ")
        .replace(b"????", b"gXYZ")
    )


def linear_grey_profile() -> bytes:
    """ICC.1:2001-04: a header and two tags, white point and a curve of gamma 1."""
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)  # D50
    curve = b"curv\0\0\0\0" + struct.pack(">IHxx", 1, 0x0100)
    start = 128 + 4 + 2 * 12
    tags = struct.pack(">I4sII", 2, b"wtpt", start, 20)
    tags += struct.pack(">4sII", b"kTRC", start + 20, 16)
    head = struct.pack(">II", start + 36, 0) + b"\x02\x40\0\0" + b"mntrGRAYXYZ "
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + tags + white + curve


def to_linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp", ".avif"])
def test_profile_is_applied(tmp_path: Path, suffix: str):
    image = Image.new("RGB", (16, 16), (255, 0, 0))
    data = encode(image, suffix, icc_profile=swapped_profile())
    mean = read_picture(put(tmp_path, data)).pixels.mean((0, 1))
    np.testing.assert_allclose(mean, [0, 1, 0], atol=0.05)


def test_profile_is_applied_under_alpha_and_palettes(tmp_path: Path):
    for image in [
        Image.new("RGBA", (4, 4), (255, 0, 0, 7)),
        Image.new("RGB", (4, 4), (255, 0, 0)).convert("P"),
    ]:
        data = encode(image, ".png", icc_profile=swapped_profile())
        picture = read_picture(put(tmp_path, data))
        np.testing.assert_allclose(picture.pixels[0, 0], [0, 1, 0], atol=0.01)


def test_srgb_profile_changes_nothing(tmp_path: Path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), ".png", icc_profile=srgb_profile())
    np.testing.assert_array_equal(bytes_of(put(tmp_path, data)), noise)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_profile(tmp_path: Path, dtype: type):
    top = np.iinfo(dtype).max
    values = np.linspace(0, top, 60).astype(dtype).reshape(6, 10)
    data = encode(Image.fromarray(values), ".png", icc_profile=linear_grey_profile())
    pixels = read_picture(put(tmp_path, data)).pixels[..., 0]
    linear = np.vectorize(to_linear)(pixels)
    # The ramp of 256 colours is coarse where sRGB is steep, in the darkest of them.
    np.testing.assert_allclose(linear, values / top, atol=0.01)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "CMYK"])
@pytest.mark.parametrize("profile", ["garbage", "cut", "grey", "rgb"])
def test_profiles_that_do_not_fit_are_ignored(tmp_path: Path, mode: str, profile: str):
    if (mode, profile) in {("RGB", "rgb"), ("RGBA", "rgb"), ("L", "grey")}:
        pytest.skip("this one fits")
    data = {
        "garbage": b"garbage" * 40,
        "cut": srgb_profile()[:150],
        "grey": linear_grey_profile(),
        "rgb": swapped_profile(),
    }[profile]
    image = Image.fromarray(smooth()).convert(mode)
    path = put(tmp_path, encode(image, ".tif", icc_profile=data))
    np.testing.assert_array_equal(bytes_of(path), np.asarray(image.convert("RGB")))


# --- refusals ------------------------------------------------------------------------


def test_bomb(tmp_path: Path):
    """16384² grey pixels in a third of a megabyte, written without holding them."""
    flat = zlib.compressobj(1)
    row = bytes(1 + 16384)
    path = put(
        tmp_path,
        png(
            16384,
            16384,
            8,
            0,
            *(flat.compress(row) for _ in range(16384)),
            flat.flush(),
        ),
    )
    assert path.stat().st_size < 2_000_000
    assert "at most 89,478,485 pixels" in refusal(path)
    assert read_notes(path) is None  # which decodes nothing


@pytest.mark.parametrize("size", [(1, 2**31 - 1), (2**31 - 1, 1), (0, 0), (0, 5)])
def test_sizes_that_only_the_header_claims(tmp_path: Path, size: tuple[int, int]):
    refusal(put(tmp_path, png(*size, 8, 2, zlib.compress(b"\0"))))


def test_max_pixels_can_be_lowered_and_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = put(tmp_path, encode(Image.fromarray(smooth(10, 10)), ".png"))
    for limit in [99, 49, 1]:  # Pillow itself would only warn at the first
        with pytest.raises(PictureError, match=f"at most {limit} pixels"):
            read_picture(path, limits=Limits(max_pixels=limit))
    assert read_picture(path, limits=Limits(max_pixels=100)).pixels.shape == (10, 10, 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)
    assert read_picture(path).pixels.shape == (10, 10, 3)
    assert Image.MAX_IMAGE_PIXELS == 5


def test_threads_keep_their_own_limits(tmp_path: Path):
    path = put(tmp_path, encode(Image.fromarray(smooth(10, 10)), ".png"))

    def accepted(limit: int) -> bool:
        try:
            return bool(read_picture(path, limits=Limits(max_pixels=limit)))
        except PictureError:
            return False

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(accepted, [99, 100] * 100)) == [False, True] * 100


@pytest.mark.parametrize(
    "suffix", [".png", ".jpg", ".webp", ".tif", ".gif", ".bmp", ".avif"]
)
def test_truncated(tmp_path: Path, suffix: str):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), suffix)
    for part in [0.9, 0.5, 0.1]:
        refusal(put(tmp_path, data[: int(len(data) * part)], "a" + suffix))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"hello", "none of these"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"8BPS\0\1", "Photoshop"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\x89PNG\r\n\x1a\n", "damaged"),
        (b"P6 1 1 255 abc", "none of these"),  # which Pillow could read
    ],
)
def test_no_picture(tmp_path: Path, data: bytes, words: str):
    path = put(tmp_path, data)
    assert words in refusal(path)
    with pytest.raises(PictureError):
        read_notes(path)


@posix
def test_no_file(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.png")
    assert "a named pipe" in refusal(tmp_path / "pipe.png")
    assert "a device" in refusal("/dev/zero")
    assert "a folder" in refusal(tmp_path)
    assert "does not exist" in refusal(tmp_path / "sky.png")
    assert "an empty file" in refusal(put(tmp_path, b""))
    assert "NUL" in refusal("a\0.png")


def test_long_reasons_stay_one_sentence(tmp_path: Path):
    assert len(refusal(put(tmp_path, b"x", "y" * 200))) < 400


FUZZED = {
    suffix: encode(Image.fromarray(transparent()[::3, ::3, :channels]), suffix)
    for channels, suffixes in [(4, ".png .webp .tif"), (3, ".jpg .gif .bmp")]
    for suffix in suffixes.split()
} | {
    "ours" + suffix: encode_picture(
        smooth(8, 12) / np.float32(255), suffix, notes=NOTES
    )
    for suffix in OURS[1:]
}


@given(
    data=st.sampled_from(sorted(FUZZED)).map(FUZZED.__getitem__),
    wounds=st.lists(
        st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=6)), max_size=4
    ),
    keep=st.floats(0.2, 1),
)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_damage_is_refused_or_survived(
    tmp_path: Path, data: bytes, wounds: list, keep: float
):
    for at, patch in wounds:
        i = int(at * (len(data) - 1))
        data = data[:i] + patch + data[i + len(patch) :]
    path = put(tmp_path, data[: int(len(data) * keep)])
    for read in [read_picture, read_notes]:
        with contextlib.suppress(PictureError):
            read(path)


def test_warnings_of_others_are_left_alone(tmp_path: Path):
    path = put(tmp_path, encode(Image.fromarray(smooth()), ".png"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_picture(path)
        warnings.warn("mine", stacklevel=1)
    assert [str(warning.message) for warning in caught] == ["mine"]
