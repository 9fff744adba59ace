"""Results of huge dreams: BigTIFF and deep-zoom pyramids, PNG and JPEG, by pyvips.

libvips reads the picture as an uncompressed TIFF file that exists nowhere: its rows are
made when they are asked for. A file of such rows would take the disk once more, and
mapped into memory its pages would count as memory of this process.
"""

import contextlib
import os
import re
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import TiffImagePlugin, TiffTags

from keras_dream.errors import OutputError, SaveError, short_repr
from keras_dream.files import sync_folder
from keras_dream.huge.stores import Source
from keras_dream.pictures import vips
from keras_dream.pictures.deepzoom import comment
from keras_dream.pictures.encoding import LONGEST_SIDE
from keras_dream.pictures.metadata import encode_notes, metadata_options
from keras_dream.pictures.picture import to_depth

SUFFIXES = (".tif", ".tiff", ".dzi", ".szi", ".png", ".jpg", ".jpeg")
"""The suffixes of the results of huge dreams."""

BAND = 1 << 22
"""Bytes of a strip of the TIFF file that libvips reads."""

_TILE = 512  # pixels; of 256 × 256 a picture of 17 gigapixels would have too many
_TIFF: dict[str, Any] = {
    "bigtiff": True,
    "tile": True,
    "compression": "deflate",
    # In directories of their own, so that a viewer sees one page.
    "pyramid": True,
    "subifd": True,
}
_PREDICTORS = {"8": "horizontal", "16": "horizontal", "float": "float"}
# Of the tiles of a deep zoom; full colour resolution, as our .jpg files have it.
_TILES = {"8": ".jpg[Q=90,subsample_mode=off]", "16": ".png"}
_FULL = re.compile(r"no space|disk full|quota", re.IGNORECASE)


def bytes_of(pixels: int, suffix: str, depth: str) -> int:
    """Returns how many bytes a result takes, about, for what is checked before.

    A lossless file of a dream, full of detail, takes three quarters of its values; the
    smaller sizes of a pyramid take a third more.
    """
    if suffix in (".jpg", ".jpeg") or (suffix in (".dzi", ".szi") and depth == "8"):
        return pixels
    return pixels * 3 * {"8": 1, "16": 2, "float": 4}[depth]


def save_huge(
    image: Source,
    path: Path,
    *,
    notes: Mapping[str, str] | None,
    depth: str,
    exif: bytes,
    folder: Path,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Writes a picture that is larger than memory, whole or not at all.

    A .dzi file and the folder of its tiles beside it are put in their places one after
    the other, the file last.

    Args:
        image: float32 (height, width, 3), sRGB-encoded; clipped to [0, 1].
        path: The result, with one of `SUFFIXES`.
        notes: Recipe and record as JSON texts, or None.
        depth: Bits of a channel: "8", "16" or "float".
        exif: What is kept of the photo's; PNG and JPEG files hold it.
        folder: On the same disk, where it is written first; removed in the end.
        progress: Called with the share that is written, from 0 to 1, after each band;
            in another thread.

    Raises:
        InputError: If the picture is not finite.
        OutputError: If the format is too small for the picture.
        SaveError: If the disk refuses.
    """
    check_size(image.shape, path.suffix)
    suffix = path.suffix.lower()
    text = encode_notes(notes) if notes else ""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with _saving(path):
            folder.mkdir()
            part = folder / path.name
            strips = _Strips(image, depth, progress)
            with _encoding(strips, path):
                strips.pull(_write, part, suffix, depth, text=text, exif=exif)
            if text and suffix == ".dzi":
                part.write_text(comment(part.read_text("utf-8"), text), "utf-8")
            elif text and suffix == ".szi":
                with zipfile.ZipFile(part, "a") as archive:
                    archive.comment = text.encode()
            _put(part, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_size(shape: tuple[int, int, int], suffix: str) -> None:
    """Refuses a picture whose sides are too long for a format."""
    longest = LONGEST_SIDE.get(suffix.lower())
    if longest and max(shape[:2]) > longest:
        raise OutputError(
            f"a {suffix} file must have sides of at most {longest:,} pixels",
            received=f"{shape[1]:,} × {shape[0]:,}",
            hint="save it as .tif or .dzi",
        )


def _write(
    image: Any, part: Path, suffix: str, depth: str, *, text: str, exif: bytes
) -> None:
    """Writes the file, or the file and the folder, of a result."""
    image = image.copy()
    strings = vips.load().GValue.gstr_type
    if suffix in (".tif", ".tiff"):
        if text:
            image.set_type(strings, "image-description", text)
        # Of one that is much larger than its picture libvips reads nothing.
        side = min(_TILE, -(-max(image.width, image.height) // 16) * 16)
        sides = {"tile_width": side, "tile_height": side}
        image.tiffsave(str(part), predictor=_PREDICTORS[depth], **sides, **_TIFF)
    elif suffix in (".dzi", ".szi"):
        where = part.with_suffix("") if suffix == ".dzi" else part
        image.dzsave(str(where), suffix=_TILES[depth], layout="dz")
        # It has the time at which it was made.
        for properties in folder_of(part).glob("vips-properties.xml"):
            properties.unlink()
    elif suffix == ".png":
        if text:
            image.set_type(strings, "png-comment-0-keras-dream", text)
        _set_exif(image, exif)
        image.pngsave(str(part))
    else:
        metadata = metadata_options(".jpg", text, exif=exif)["exif"]
        _set_exif(image, metadata.tobytes())
        image.jpegsave(str(part), Q=95, subsample_mode="off")


def _set_exif(image: Any, exif: bytes) -> None:
    if exif:
        image.set_type(vips.load().GValue.blob_type, "exif-data", exif)


def folder_of(path: Path) -> Path:
    """Returns the folder of the tiles of a .dzi file."""
    return path.with_name(f"{path.stem}_files")


def _put(part: Path, path: Path) -> None:
    """Gives a written result its name; of a .dzi file the folder of its tiles first."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    tiles = folder_of(part)
    if tiles.is_dir():
        if folder_of(path).exists():
            folder_of(path).replace(tiles.with_name(f"{tiles.name}.old"))
        tiles.replace(folder_of(path))
    part.replace(path)
    sync_folder(path.parent)


@contextlib.contextmanager
def _saving(path: Path) -> Iterator[None]:
    """Turns a refusal of the disk into our sentence."""
    try:
        yield
    except OSError as failure:
        raise _save_error(path, failure.strerror or str(failure)) from failure


@contextlib.contextmanager
def _encoding(strips: "_Strips", path: Path) -> Iterator[None]:
    """Raises what the picture has raised, or what libvips says of the disk."""
    pyvips = vips.load()
    try:
        yield
    except pyvips.Error as failure:
        if strips.failure not in (None, failure):
            raise cast("BaseException", strips.failure) from None
        raise _save_error(path, str(failure)) from failure


def _save_error(path: Path, reason: str) -> SaveError:
    where, reason = short_repr(str(path)), " ".join(reason.split()).lower()
    free = shutil.disk_usage(path.parent).free
    # libvips says no more than that a write has failed.
    is_full = _FULL.search(reason) or free < BAND
    return SaveError(
        f"the disk must {'have room for' if is_full else 'take'} the result",
        received=f"{free:,} bytes left for {where}"
        if is_full
        else f"{short_repr(reason)} for {where}",
        hint="free some space and run the same command: it saves the finished dream"
        if is_full
        else "check the disk and run the same command: it saves the finished dream",
    )


class _Strips:
    """A picture as an uncompressed BigTIFF file that is read as a stream.

    Attributes:
        failure: What reading the picture has raised: libvips has no exceptions.
    """

    def __init__(
        self,
        image: Source,
        depth: str,
        progress: Callable[[float], None] | None = None,
    ):
        self.failure: BaseException | None = None
        self._image, self._depth, self._progress = image, depth, progress
        height, width, channels = image.shape
        kind = to_depth(np.zeros(1, np.float32), depth).dtype
        self._row = width * channels * kind.itemsize
        rows = min(height, max(1, BAND // self._row))
        strips = range(0, height, rows)
        ifd = TiffImagePlugin.ImageFileDirectory_v2(_HEAD)
        tags = {256: width, 257: height, 258: (8 * kind.itemsize,) * channels}
        tags |= {259: 1, 262: 2, 277: channels, 278: rows}  # no compression, RGB
        tags |= {273: tuple(top * self._row for top in strips)}
        tags |= {279: tuple(min(rows, height - top) * self._row for top in strips)}
        tags |= {339: ({"f": 3}.get(kind.kind, 1),) * channels}
        for tag, value in tags.items():
            ifd[tag] = value
        ifd.tagtype[273] = ifd.tagtype[279] = TiffTags.LONG8
        self._head = _HEAD + ifd.tobytes(len(_HEAD))
        self._rows, self._at = rows, 0
        self._end = len(self._head) + height * self._row
        self._band: tuple[int, bytes] = (-1, b"")

    def pull(self, function: Callable[..., None], *rest: Any, **options: Any) -> None:
        """Calls a function of the image and more, which Ctrl-C ends.

        Signals are handled between two lines of Python of this thread, and libvips
        takes minutes: so another one calls it, and it is told that the picture ends.
        """
        with ThreadPoolExecutor(1) as pool:
            work = pool.submit(lambda: function(self._open(), *rest, **options))
            try:
                work.result()
            except BaseException as failure:
                self.failure = self.failure or failure
                raise

    def _open(self) -> Any:
        """Returns it as an image of pyvips, to be read in order."""
        pyvips = vips.load()
        # Kept, for libvips does not know that it must live as long as the image.
        source = self._source = pyvips.SourceCustom()
        source.on_read(self._read)
        source.on_seek(self._seek)
        image = pyvips.Image.tiffload_source(
            source, access="sequential", fail_on="error"
        )
        kind = {"8": "srgb", "16": "rgb16", "float": "srgb"}[self._depth]
        return image.copy(interpretation=kind)

    def _seek(self, offset: int, whence: int) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._end}
        self._at = base[whence] + offset
        return self._at

    def _read(self, size: int) -> bytes:
        if self.failure is not None:
            return b""
        try:
            data = self._data(size)
        # libvips calls this: nothing may be raised through it.
        except BaseException as failure:  # noqa: BLE001
            self.failure = failure
            return b""
        self._at += len(data)
        return data

    def _data(self, size: int) -> bytes:
        """Returns some bytes, at most so many, from where it is."""
        if self._at < len(self._head):
            return self._head[self._at : self._at + size]
        number, rest = divmod(self._at - len(self._head), self._rows * self._row)
        if self._at >= self._end:
            return b""
        if self._band[0] != number:
            first = number * self._rows
            end = min(first + self._rows, self._image.shape[0])
            pixels = to_depth(self._image.rows(first, end), self._depth)
            if self._progress is not None:
                self._progress(end / self._image.shape[0])
            self._band = number, pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
        return self._band[1][rest : rest + size]


_HEAD = struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16)  # BigTIFF
