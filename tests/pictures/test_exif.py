"""Who took a photo, when and with which camera is kept; where, never."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
from picture_files import OURS, encode, put, smooth
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from keras_dream.errors import PictureError
from keras_dream.pictures.encoding import save_picture
from keras_dream.pictures.metadata import MAX_NOTES_BYTES, read_notes
from keras_dream.pictures.picture import as_picture, read_picture

EXIF_IFD, GPS_IFD = 0x8769, 0x8825
PLACE = b"51 deg 28' 38\" N"


def camera(**more):
    """EXIF as a camera writes it, with a place, serial numbers and a thumbnail."""
    exif = Image.Exif()
    exif.update({271: "Nikon", 272: "D850", 274: 1, 305: "Firmware 1", 306: SAVED})
    exif.update({315: "Ada", 33432: "© Ada".encode("latin-1")})
    inner = exif.get_ifd(EXIF_IFD)
    inner.update({33434: IFDRational(1, 250), 34855: 400, 36867: TAKEN, 42036: "85mm"})
    inner.update({42033: "SERIAL77", 37500: b"makernote SERIAL77", 42032: "Owner Bob"})
    exif[EXIF_IFD] = inner
    place = exif.get_ifd(GPS_IFD)
    place.update({1: "N", 2: (51.0, 28.0, 38.0), 3: "W", 27: PLACE})
    exif[GPS_IFD] = place
    exif.update(more.get("tags", {}))
    return exif


TAKEN, SAVED = "2024:05:17 10:20:30", "2024:06:01 11:00:00"


def photo(folder: Path, suffix: str = ".jpg", **more) -> Path:
    data = encode(Image.fromarray(smooth()), suffix, exif=camera(**more))
    return put(folder, data, "photo" + suffix)


@pytest.mark.parametrize("suffix", OURS)
@pytest.mark.parametrize("source", [".jpg", ".png", ".webp", ".tif"])
def test_camera_date_and_copyright_are_kept(tmp_path, suffix, source):
    picture = read_picture(photo(tmp_path, source))
    path = tmp_path / ("result" + suffix)
    save_picture(path, picture.pixels, exif=picture.exif, notes={"recipe": "{}"})
    with Image.open(path) as image:
        exif = image.getexif()
    found = [exif.get(tag) for tag in (271, 272, 315)]
    assert found == ["Nikon", "D850", "Ada"]
    assert exif[33432].encode("latin-1") == "© Ada".encode("latin-1")
    assert exif.get(274) is None
    if suffix in (".tif", ".tiff"):
        assert exif[306] == TAKEN
    else:
        inner = exif.get_ifd(EXIF_IFD)
        assert exif[306] == SAVED
        assert inner[33434] == IFDRational(1, 250)
        assert (inner[34855], inner[36867], inner[42036]) == (400, TAKEN, "85mm")
    assert read_notes(path) == {"recipe": "{}"}
    again = tmp_path / ("again" + suffix)
    save_picture(again, picture.pixels, exif=read_picture(path).exif)
    with Image.open(again) as image:
        assert image.getexif()[33432] == exif[33432]


@pytest.mark.parametrize("suffix", OURS)
def test_place_owner_and_serial_numbers_are_not(tmp_path, suffix):
    picture = read_picture(photo(tmp_path))
    path = tmp_path / ("result" + suffix)
    save_picture(path, picture.pixels, exif=picture.exif)
    data = path.read_bytes()
    for private in (PLACE, b"SERIAL77", b"Owner Bob", b"Firmware"):
        assert private in (tmp_path / "photo.jpg").read_bytes()
        assert private not in data
    with Image.open(path) as image:
        assert not image.getexif().get_ifd(GPS_IFD)


def test_a_picture_without_exif_has_none(tmp_path):
    path = put(tmp_path, encode(Image.fromarray(smooth()), ".jpg"))
    assert read_picture(path).exif == b""
    assert as_picture(smooth()).exif == b""
    with Image.open(photo(tmp_path)) as image:
        assert as_picture(image).exif == read_picture(tmp_path / "photo.jpg").exif


def test_odd_values_are_left_out_and_long_ones_are_cut(tmp_path):
    tags = {271: "x" * 5_000, 272: "  ", 315: "tab\0\0"}
    picture = read_picture(photo(tmp_path, tags=tags))
    exif = Image.Exif()
    exif.load(picture.exif)
    assert exif[271] == "x" * 160
    assert exif.get(272) is None
    assert exif[315] == "tab"


@pytest.mark.parametrize("suffix", OURS)
def test_the_longest_exif_and_the_longest_notes_fit_together(tmp_path, suffix):
    long = dict.fromkeys((271, 272, 306, 315, 33432), "x" * 300)
    source = camera(tags=long)
    inner = source.get_ifd(EXIF_IFD)
    inner.update(dict.fromkeys((36867, 36868, 36880, 36881, 42035, 42036), "y" * 300))
    source[EXIF_IFD] = inner
    data = encode(Image.fromarray(smooth()), ".jpg", exif=source)
    picture = read_picture(put(tmp_path, data, "photo.jpg"))
    text = "x" * (MAX_NOTES_BYTES - len('{"keras-dream":{"recipe":""}}') - 2)
    notes = {"recipe": f'"{text}"'}
    path = tmp_path / ("result" + suffix)
    save_picture(path, picture.pixels, exif=picture.exif, notes=notes)
    assert read_notes(path) == notes


@pytest.mark.parametrize("damage", range(0, 400, 7))
def test_damaged_exif_hinders_nothing(tmp_path, damage):
    data = bytearray(photo(tmp_path).read_bytes())
    data[30 + damage : 34 + damage] = b"\xff\xfe\x00\xff"
    path = put(tmp_path, bytes(data), "damaged.jpg")
    with contextlib.suppress(PictureError):
        picture = read_picture(path)
        save_picture(tmp_path / "out.png", picture.pixels, exif=picture.exif)


@pytest.mark.parametrize(
    ("suffix", "count"), [(".gif", 3), (".tif", 3), (".webp", 3), (".jpg", 1)]
)
def test_further_frames_are_counted(tmp_path, suffix, count):
    frames = [Image.fromarray(np.roll(smooth(), 5 * n, 1)) for n in range(3)]
    more = {"save_all": True, "append_images": frames[1:]} if count > 1 else {}
    picture = read_picture(put(tmp_path, encode(frames[0], suffix, **more), "a"))
    assert picture.frames == count
    assert len(picture.notices) == (count > 1)
    assert all(str(count) in notice for notice in picture.notices)
