"""Photos larger than memory are read in bands, as they would be read at once."""

import re
import struct
from pathlib import Path

import numpy as np
import pytest
from picture_files import smooth
from PIL import Image, ImageCms

from keras_dream.errors import InputError, PictureError, SaveError
from keras_dream.huge import photo as photos, stores
from keras_dream.huge.photo import open_photo, read_photo
from keras_dream.pictures import vips
from keras_dream.pictures.encoding import save_picture
from keras_dream.pictures.limits import Limits
from keras_dream.pictures.picture import read_picture

pytest.importorskip("pyvips")
TILED = {"tile": True, "tile_width": 16, "tile_height": 16, "bigtiff": True}


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch):
    """Bands of some rows, so that no photo is read at once."""
    monkeypatch.setattr(stores, "BAND", 9_000)


def image(height: int = 70, width: int = 90) -> np.ndarray:
    return np.random.default_rng(0).random((height, width, 3), np.float32)


def tiff(path: Path, values: np.ndarray, **options: object) -> Path:
    options = {"compression": "deflate", **options}
    vips.load().Image.new_from_array(values).tiffsave(str(path), **options)
    return path


def every_kind(folder: Path) -> list[Path]:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ")
    swapped = swapped.replace(b"????", b"gXYZ")
    deep = np.rint(image() * 65_535).astype(np.uint16)
    paths = [
        tiff(folder / "tiled.tif", deep, **TILED),
        tiff(folder / "float.tif", image(), predictor="float"),
        tiff(folder / "pages.tif", deep, **TILED, pyramid=True),
        tiff(folder / "grey.tif", deep[..., :1]),
    ]
    for name in ("a.png", "a.jpg", "a.webp", "a.tif"):
        paths.append(folder / name)
        save_picture(paths[-1], image())
    save_picture(folder / "deep.png", image(), alpha=np.ones((70, 90)), depth="16")
    grey = Image.fromarray(smooth()[..., 0])
    grey.convert("P").save(folder / "palette.png")
    Image.fromarray(smooth()).save(folder / "profile.png", icc_profile=swapped)
    return [*paths, *(folder / n for n in ("deep.png", "palette.png", "profile.png"))]


def test_the_pixels_are_those_of_the_whole(tmp_path: Path):
    for path in every_kind(tmp_path):
        photo, whole = open_photo(path), read_picture(path)
        store = tmp_path / f"{path.name}.npy"
        with read_photo(photo, store) as pixels:
            assert photo.size == pixels.size == whole.pixels.shape[:2]
            # Pillow and libvips round colours of a profile each in its own way.
            off = 1.01 / 255 if path.name == "profile.png" else 1e-6
            off = 6 / 255 if path.suffix in (".jpg", ".webp") else off
            found = pixels.rows(0, photo.size[0])
            np.testing.assert_allclose(found, whole.pixels, atol=off, err_msg=str(path))
        assert photo.bits == whole.bits
        assert (photo.frames > 1) == (path.name == "pages.tif")


def test_it_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(photos, "_SETTLED", 0)
    path, store = tiff(tmp_path / "a.tif", image()), tmp_path / "store.npy"
    shares: list[float] = []
    read_photo(open_photo(path), store, progress=shares.append).close()
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert len(shares) > 5
    read_photo(open_photo(path), store, progress=shares.append).close()
    assert len([share for share in shares if share == 1]) == 1
    tiff(path, 1 - image(), compression="none")  # another photo of this name
    with read_photo(open_photo(path), store) as again:
        np.testing.assert_array_equal(again.rows(0, 70), 1 - image())


def forged(path: Path, size: int, *, rows: int | None = None) -> Path:
    """A TIFF of a strip that says to have so many columns and rows."""
    save_picture(path, image(8, 8), depth="16")
    data = bytearray(path.read_bytes())
    (count,) = struct.unpack_from("<H", data, 8)
    for at in range(10, 10 + 12 * count, 12):
        (tag,) = struct.unpack_from("<H", data, at)
        if tag in (256, 257):
            value = size if tag == 256 else rows or size
            struct.pack_into("<HHII", data, at, tag, 4, 1, value)
    path.write_bytes(data)
    return path


def test_forged_files_are_refused(tmp_path: Path):
    store = tmp_path / "store.npy"

    def refused(path: Path, limits: Limits | None = None) -> str:
        with pytest.raises((PictureError, SaveError)) as caught:
            read_photo(open_photo(path, limits=limits), store)
        assert not list(tmp_path.glob("store*"))
        return str(caught.value)

    assert "have room" in refused(forged(tmp_path / "a.tif", 1_000_000))
    assert "be whole" in refused(forged(tmp_path / "a.tif", 300))
    # Whose strips alone would take 20 gigabytes.
    long = forged(tmp_path / "a.tif", 30_000_000, rows=64)
    assert "tiles or strips much smaller" in refused(long)
    few = Limits(max_pixels=99)
    assert "at most 99 pixels" in refused(forged(tmp_path / "a.tif", 300), few)
    path = tiff(tmp_path / "a.tif", image(), **TILED)
    assert "is trusted" in refused(path, Limits(untrusted=True))
    data = path.read_bytes()
    for part in (0.9, 0.4, 0.01):
        path.write_bytes(data[: int(len(data) * part)])
        assert re.search("be whole|damaged", refused(path))
    # The next directory is this one.
    save_picture(path, image(8, 8), depth="16")
    looped = bytearray(path.read_bytes())
    (count,) = struct.unpack_from("<H", looped, 8)
    struct.pack_into("<I", looped, 10 + 12 * count, 8)
    path.write_bytes(looped)
    read_photo(open_photo(path), store).close()
    store.unlink()
    for text in (
        b"%PDF-1.7\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"GIF89a",
    ):
        path.write_bytes(text)
        refused(path)
    save_picture(path, image(8, 8), alpha=np.full((8, 8), 0.5))
    assert "opaque" in refused(path)
    tiff(path, image(8, 8) + 1)
    assert "[0, 1]" in refused(path)


def test_what_is_not_read_from_top_to_bottom_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(smooth()).save(path, exif=exif)
    with pytest.raises(PictureError, match="upright"):
        open_photo(path)
    Image.fromarray(smooth()).save(path, progressive=True)
    assert open_photo(path).size == (24, 36)
    monkeypatch.setattr(photos, "MOST_DECODED", 1_000)
    with pytest.raises(PictureError, match="row by row"):
        open_photo(path)
    with pytest.raises(PictureError, match="smaller than itself"):
        open_photo(tiff(tmp_path / "a.tif", image(), **TILED))
    Image.fromarray(smooth()).save(tmp_path / "a.bmp")
    with pytest.raises(PictureError, match="TIFF, PNG, JPEG or WebP"):
        open_photo(tmp_path / "a.bmp")


def test_pyvips_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(vips, "is_installed", lambda: False)
    with pytest.raises(InputError, match=r"pip install 'keras-dream\[huge\]'"):
        open_photo(tmp_path / "a.tif")
