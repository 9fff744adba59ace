"""Small files that ask for hours or gigabytes, and large ones of nothing."""

import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from picture_files import (
    bmp_runs,
    encode,
    gif,
    grey_tiff,
    png,
    png_chunks,
    put,
    scans,
    smooth,
    sparse,
    tiff,
)
from PIL import Image

from keras_dream.errors import PictureError
from keras_dream.pictures.headers import Bounds, check_header, check_opened
from keras_dream.pictures.limits import Limits
from keras_dream.pictures.picture import read_picture, to_uint8

MOST_SECONDS = 10
"""For each file on a busy machine; most would take minutes or for ever."""

MOST_BYTES = 450_000_000
"""Of memory over all files, of which Python, numpy and Pillow are 100 million."""

EXIF = b"Exif\0\0"


def inflating(size: int = 100_000_000) -> bytes:
    return zlib.compress(bytes(size), 9)


def avif(width: int, height: int) -> bytes:
    """An AVIF that claims another size than that of its pixels."""
    data = encode(Image.fromarray(smooth(16, 16)), ".avif")
    size = b"ispe\0\0\0\0" + struct.pack(">II", 16, 16)
    assert size in data
    return data.replace(size, size[:8] + struct.pack(">II", width, height))


def webp(width: int, height: int) -> bytes:
    """A WebP whose canvas is of another size."""
    first, second = (Image.new("RGB", (9, 9), c) for c in ["#ff0000", "#0000ff"])
    data = encode(first, ".webp", save_all=True, append_images=[second])
    size = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return data[:24] + size + data[30:]


def exif_tags(count: int, size: int) -> bytes:
    """EXIF whose tags all hold the same bytes."""
    tags = [(1000 + n, 7, size, 0) for n in range(count)]
    return EXIF + tiff(*tags, after=bytes(size))


def jpeg_segments(path: Path, kind: int, total: int, first: bytes = b"") -> Path:
    """A JPEG with segments of 64 KB, sparse."""
    data = encode(Image.fromarray(smooth()), ".jpg")
    count = total // 65_535
    head = bytes([0xFF, kind, 0xFF, 0xFF]) + first
    parts = {2 + n * 65_537: head for n in range(count)}
    end = 2 + count * 65_537
    return sparse(path, {0: data[:2], **parts, end: data[2:]}, end + len(data))


def avif_with(exif: bytes) -> bytes:
    """An AVIF with EXIF that Pillow would not write."""
    usual = EXIF + tiff() + bytes(len(exif) - 20)
    data = encode(Image.fromarray(smooth()), ".avif", exif=usual)
    assert usual[6:] in data
    return data.replace(usual[6:], exif[6:])


CYCLE = tiff((0x8769, 4, 1, 8), (0x8825, 4, 1, 8), following=None)
PNG_HEAD = b"\x89PNG\r\n\x1a\n"

HOSTILE: dict[str, tuple[str, bytes | Callable[[Path], object]]] = {
    "scans.jpg": ("at most 100 scans", scans(20_000, side=1000)),
    "large-scans.jpg": ("at most 20 scans", scans(85, side=4_000)),
    "app.jpg": (
        "16,777,216 bytes of metadata",
        lambda path: jpeg_segments(path, 0xED, 100_000_000),
    ),
    "exif.jpg": (
        "16,777,216 bytes of metadata",
        lambda path: jpeg_segments(path, 0xE1, 100_000_000, EXIF),
    ),
    "junk.jpg": (
        "bytes between its parts",
        lambda path: sparse(path, {0: b"\xff\xd8"}, 100_000_000),
    ),
    "segments.jpg": ("1,000 parts", b"\xff\xd8" + b"\xff\xfe\0\2" * 1_001),
    "sparse.png": (
        "1,000,000,000 bytes",
        lambda path: sparse(path, {0: PNG_HEAD}, 12_000_000_000),
    ),
    "sparse.tif": (
        "1,000,000,000 bytes",
        lambda path: sparse(path, {0: b"II*\0"}, 12_000_000_000),
    ),
    "text.png": ("too large", png_chunks((b"zTXt", b"a\0\0" + inflating()))),
    "itext.png": (
        "too large",
        png_chunks((b"iTXt", b"keras-dream\0\1\0\0\0" + inflating())),
    ),
    "profile.png": ("too large", png_chunks((b"iCCP", b"a\0\0" + inflating()))),
    "profiles.png": (
        "1,000 parts",
        png_chunks(*[(b"iCCP", b"a\0\0" + zlib.compress(bytes(1 << 20)))] * 1_001),
    ),
    "chunk.png": (
        "bytes of metadata",
        lambda path: sparse(
            path,
            {0: PNG_HEAD + b"\0\0\0\rIHDR", 33: b"\x0f\xff\xff\xfftEXt"},
            300_000_000,
        ),
    ),
    "chunks.png": (
        "500,000 parts",
        PNG_HEAD + b"\0\0\0\0IDAT\0\0\0\0" * 500_001,
    ),
    "frames.png": (
        "10,000 frames",
        png_chunks((b"acTL", struct.pack(">II", 100_000, 0))),
    ),
    "cut.png": ("pixels", png(65_000, 65_000, 8, 2, b"\x78")),
    "frames.gif": ("10,000 frames", gif(100_000)),
    "screen.gif": ("89,478,485 pixels", gif(1, size=(65_535, 65_535))),
    "comment.gif": (
        "bytes of metadata",
        gif(1, before=b"!\xfe" + (b"\xff" + b"a" * 255) * 70_000 + b"\0"),
    ),
    "junk.gif": ("bytes between its parts", gif(1, before=b"\1" * 70_000)),
    "tile.tif": (
        "tiles that are no larger",
        tiff(
            (256, 3, 1, 100), (257, 3, 1, 100), (258, 3, 1, 8), (259, 3, 1, 8),
            (262, 3, 1, 1), (322, 4, 1, 32_768), (323, 4, 1, 65_536), (324, 4, 1, 8),
            (325, 4, 1, 8),
        ),
    ),
    "strips.tif": ("262,144 strips", grey_tiff((324, 4, 1_000_000, 8))),
    "tags.tif": (
        "bytes of metadata",
        tiff(*[(1000 + n, 7, 1_000_000, 8) for n in range(30)], after=bytes(1_000_000)),
    ),
    "pages.tif": (
        "10,000 frames or pages",
        struct.pack("<2sHI", b"II", 42, 8)
        + b"".join(struct.pack("<HI", 0, 14 + 6 * n) for n in range(10_001)),
    ),
    "count.tif": (
        "65,535 tags",
        b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 1 << 40),
    ),
    "canvas.webp": ("89,478,485 pixels", webp(16_383, 16_383)),
    "frames.webp": (
        "10,000 frames",
        b"RIFF" + struct.pack("<I", 4 + 80_008) + b"WEBP" + b"ANMF\0\0\0\0" * 10_001,
    ),
    "exif.webp": (
        "bytes of metadata",
        lambda path: sparse(
            path, {0: b"RIFF\0\0\0\x7fWEBPEXIF" + struct.pack("<I", 1 << 25)}, 1 << 26
        ),
    ),
    "size.avif": ("pixels", avif(16_000, 16_000)),
    "bits.bmp": (
        "cannot be decoded",
        b"BM" + struct.pack("<IHHI", 58, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, 1, 1, 1, 7, 0, 4, 0, 0, 0, 0) + bytes(4),
    ),
    "runs.bmp": (
        "for run lengths",
        lambda path: sparse(path, {0: bmp_runs(8_000, 8_000, b"")}, 100_000_000),
    ),
    "wide.bmp": ("for run lengths", bmp_runs(89_000_000, 1, b"\0\2\0\xff" * 9)),
    "tall.bmp": ("be decoded", bmp_runs(9, 9, b"")),
}  # fmt: skip

# Pictures all the same: (height, width) of each.
HARMLESS: dict[str, tuple[tuple[int, int], bytes]] = {
    "wide.png": ((1, 65_535), png(65_535, 1, 8, 0, zlib.compress(bytes(65_536)))),
    "tall.png": ((65_535, 1), png(1, 65_535, 8, 0, zlib.compress(bytes(131_070)))),
    "tall.avif": (
        (17_000, 16),
        encode(Image.new("L", (16, 17_000)), ".avif", quality=1, speed=10),
    ),
    "loop.tif": ((1, 2), grey_tiff(following=None)),
    "tags.png": ((1, 2), png_chunks((b"eXIf", exif_tags(5_000, 60_000)[6:]))),
    "cycle.png": (
        (1, 2),
        png_chunks((b"eXIf", CYCLE)),
    ),
    "tags.jpg": (
        (24, 36),
        encode(Image.fromarray(smooth()), ".jpg", exif=exif_tags(400, 60_000)),
    ),
    "tags.webp": (
        (24, 36),
        encode(Image.fromarray(smooth()), ".webp", exif=exif_tags(5_000, 60_000)),
    ),
    "tags.avif": (
        (24, 36),
        avif_with(exif_tags(5_000, 60_000)),
    ),
    "script.gif": ((1, 1), gif(1) + b"*/=1;alert(document.cookie)//"),
    "scans.jpg": ((64, 64), scans(80)),
    "frames.gif": ((1, 1), gif(9_999)),
    "large.tif": ((1, 2), grey_tiff((37724, 7, 2, 0))),
}  # fmt: skip

SCRIPT = """
import contextlib, json, pathlib, resource, sys, time
from keras_dream.errors import DreamError
from keras_dream.pictures.metadata import read_notes
from keras_dream.pictures.picture import read_picture
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    start = time.monotonic()
    try:
        picture = read_picture(path)
        said = list(picture.pixels.shape[:2])
        picture.notices
    except DreamError as error:
        said = f"{error.exit_code} {error}"
    with contextlib.suppress(DreamError):
        read_notes(path)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    with contextlib.suppress(OSError):
        # Linux counts in the parent's memory at the fork; the peak of this program is:
        status = pathlib.Path("/proc/self/status").read_text()
        memory = int(status.split("VmHWM:")[1].split()[0]) * 1024
    print(json.dumps([path.name, said, time.monotonic() - start, memory]), flush=True)
"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list]:
    """What one process says of all files: how each ended, its seconds, its memory."""
    pytest.importorskip("resource")
    folder = tmp_path_factory.mktemp("hostile")
    for name, (_, data) in HOSTILE.items():
        path = folder / f"bad-{name}"
        data(path) if callable(data) else path.write_bytes(data)
    for name, (_, data) in HARMLESS.items():
        put(folder, data, f"good-{name}")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    for path in folder.iterdir():
        path.unlink()
    return {name: report for name, *report in lines}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_at_once(reports: dict[str, list], name: str):
    said, seconds, _ = reports[f"bad-{name}"]
    assert isinstance(said, str), f"read as {said}"
    assert said.startswith("2 ")
    assert HOSTILE[name][0].casefold() in said.casefold()
    assert seconds < MOST_SECONDS


@pytest.mark.parametrize("name", HARMLESS)
def test_odd_files_that_are_pictures_are_read(reports: dict[str, list], name: str):
    said, seconds, _ = reports[f"good-{name}"]
    assert said == list(HARMLESS[name][0])
    assert seconds < MOST_SECONDS


def test_all_of_them_take_little_memory(reports: dict[str, list]):
    before = 0
    for name, (_, _, memory) in reports.items():
        assert memory < MOST_BYTES, f"{name} took {memory - before:,} more"
        before = memory


# --- each limit can be raised and lowered --------------------------------------------


@pytest.mark.parametrize(
    ("data", "setting", "enough"),
    [
        (png_chunks((b"tEXt", b"a\0" + b"b" * 98)), "max_metadata_bytes", 100),
        (gif(5), "max_frames", 5),
        (grey_tiff(), "max_frames", 1),
        (gif(2), "max_file_bytes", len(gif(2))),
        (png(3, 5, 8, 0, zlib.compress(bytes(20))), "max_pixels", 15),
    ],
)
def test_limits_are_exact(tmp_path: Path, data: bytes, setting: str, enough: int):
    path = put(tmp_path, data)
    assert read_picture(path, limits=Limits.of({setting: enough})).pixels.size
    if enough > 1:
        with pytest.raises(PictureError, match=setting.replace("_", "-")):
            read_picture(path, limits=Limits.of({setting: enough - 1}))


def test_what_only_a_decoder_finds_is_checked_too():
    bounds = Bounds(None, 1, 3, 10)
    check_opened({"xmp": b"12345", "exif": "12345", "loop": 1}, 3, "a.avif", bounds)
    with pytest.raises(PictureError, match="bytes of metadata"):
        check_opened({"xmp": bytes(11)}, 1, "a.avif", bounds)
    with pytest.raises(PictureError, match="frames"):
        check_opened({}, 4, "a.avif", bounds)


@pytest.mark.parametrize("suffix", [".png", ".gif", ".webp", ".tif"])
def test_frames_are_counted_without_decoding_them(tmp_path: Path, suffix: str):
    first, *more = (Image.new("RGB", (9, 9), c) for c in ["red", "green", "blue"])
    data = encode(first, suffix, save_all=True, append_images=more)
    picture = read_picture(put(tmp_path, data, "a" + suffix))
    assert picture.frames == 3
    assert picture.notices == ("Only the first of 3 frames or pages is dreamed.",)
    assert read_picture(put(tmp_path, encode(first, suffix))).frames == 1


def test_big_tiff_is_read(tmp_path: Path):
    data = encode(Image.fromarray(smooth()), ".tif", big_tiff=True)
    picture = read_picture(put(tmp_path, data))
    np.testing.assert_array_equal(to_uint8(picture.pixels), smooth())
    assert picture.frames == 1


def test_headers_of_any_bytes_are_read_to_an_end(tmp_path: Path):
    """No error but ours, and the file is where it was."""
    bounds = Limits().bounds
    starts = [
        b"\xff\xd8",
        PNG_HEAD,
        b"GIF89a",
        b"RIFF0000WEBP",
        b"II*\0",
        b"MM\0+",
        b"BM",
    ]
    random = np.random.default_rng(5)
    for start in starts:
        for size in (0, 1, 3, 20, 300):
            data = start + random.bytes(size)
            with put(tmp_path, data).open("rb") as file:
                try:
                    assert check_header(file, "a", bounds).frames >= 1
                except PictureError:
                    continue
                finally:
                    assert file.tell() == 0


def test_ycck(tmp_path: Path):
    """CMYK as luma and chroma, with which Photoshop saves JPEG (Adobe's APP14)."""
    stored = Image.new("CMYK", (16, 16), (255 - 60, 255 - 128, 255 - 128, 255 - 220))
    data = encode(stored, ".jpg", quality=100, subsampling=0)
    at = data.index(b"Adobe")
    assert data[at + 11] == 0  # the transform: none
    ycck = put(tmp_path, data[: at + 11] + b"\2" + data[at + 12 :], "ycck.jpg")
    cmyk = Image.new("CMYK", (16, 16), (60, 60, 60, 255 - 220))
    plain = put(tmp_path, encode(cmyk, ".jpg", quality=100, subsampling=0), "cmyk.jpg")
    pixels = [to_uint8(read_picture(path).pixels).astype(int) for path in (ycck, plain)]
    assert np.abs(pixels[0] - pixels[1]).max() <= 3
    assert 100 < pixels[0].mean() < 200
