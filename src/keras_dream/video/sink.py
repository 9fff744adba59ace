"""Films: encoded frame by frame, with their stamps, colours, sound and notes.

A film is written completely or not at all, and the same frames give the same bytes.
"""

import contextlib
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from keras_dream.errors import InputError, OutputError
from keras_dream.files import check_output, staging
from keras_dream.pictures.metadata import encode_notes, read_notes
from keras_dream.video import extra
from keras_dream.video.animations import Gif, WebP
from keras_dream.video.formats import (
    FOLDER,
    SUFFIXES,
    Codec,
    Encoding,
    Format,
    clock,
    codec_of,
    format_of,
    in_ticks,
)
from keras_dream.video.frames import Clip, Stamp
from keras_dream.video.muxer import Muxer, Target
from keras_dream.video.numbered import Folder, check_folder, staging_folder
from keras_dream.video.sound import notices as sound_notices, sound_of

if TYPE_CHECKING:
    from keras_dream.video.source import Source

_MOST_LOOPS = 65_535  # 16 bits of a GIF and of a WebP
DEFAULT = Encoding()
"""How films are saved where nothing else is said."""


class Writer(Protocol):
    """A film while it is written."""

    def add(self, picture: np.ndarray, stamp: Stamp) -> None:
        """Adds one picture."""
        ...

    def end(self) -> None:
        """Writes what is left."""
        ...

    def close(self) -> None:
        """Closes what is open, whether the film is complete or not."""
        ...


_WRITERS: dict[str, Callable[[Target], Writer]] = {
    "muxer": Muxer,
    "gif": Gif,
    "webp": WebP,
    "folder": Folder,
}


def check_film(
    path: str | os.PathLike[str],
    encoding: Encoding = DEFAULT,
    clip: Clip | None = None,
    *,
    sound: "Source | str | os.PathLike[str] | None" = None,
) -> tuple[str, ...]:
    """Checks, before any frame is dreamed, that a film can be written.

    Args:
        path: The film; one without a suffix, or with a slash at its end, is a folder.
        encoding: How it is to be saved.
        clip: What is known of its frames; its size is that of the film.
        sound: As for `write_film`.

    Returns:
        What a person should know of the film, in sentences.

    Raises:
        OutputError: If it cannot be written there, or not so.
        InputError: If a given file has no sound, or it cannot be copied.
    """
    extra.require()
    kind = format_of(path)
    codec = codec_of(kind, encoding.codec)
    codec.quality_of(encoding)
    codec.format(encoding, has_alpha=False)
    if not 0 <= encoding.loop <= _MOST_LOOPS:
        raise OutputError(
            f"a film must be shown from 1 to {_MOST_LOOPS:,} times, or 0 for without "
            "end",
            received=f"{encoding.loop:,}",
        )
    if kind is FOLDER:
        check_folder(Path(path))
    else:
        check_output(path, SUFFIXES)
    if clip is None:
        return ()
    _check_frames(kind, codec, clip)
    return (
        *_notices(kind, codec, encoding, clip),
        *_sound_notices(kind, encoding, clip, sound),
    )


def is_deep(path: str | os.PathLike[str], encoding: Encoding = DEFAULT) -> bool:
    """Tells whether a film holds more than 8 bits: its pictures should be uint16.

    Args:
        path: The film.
        encoding: How it is to be saved.

    Raises:
        OutputError: If the format cannot hold it so.
    """
    return codec_of(format_of(path), encoding.codec).bits(encoding) > 8


def write_film(
    path: str | os.PathLike[str],
    clip: Clip,
    pictures: Iterable[np.ndarray],
    *,
    encoding: Encoding = DEFAULT,
    notes: Mapping[str, str] | None = None,
    sound: "Source | str | os.PathLike[str] | None" = None,
    progress: Callable[[float], object] | None = None,
) -> Path:
    """Writes a film, whole or not at all; the same pictures give the same bytes.

    Args:
        path: The film; an older one is replaced. One without a suffix, or with a slash
            at its end, is a folder of PNG files.
        clip: What is known of its frames: their stamps, and whether they have alpha.
        pictures: uint8 or uint16 (height, width, 3 or 4), sRGB, one for each stamp.
        encoding: How it is saved.
        notes: JSON texts by name, such as "recipe" and "record".
        sound: The source whose sound is copied, or a file with sound; None for none.
        progress: Called with the share that is written, from 0 to 1.

    Returns:
        The path.

    Raises:
        InputError: If the pictures are not those of the clip.
        OutputError: If it cannot be written so.
        SaveError: If the disk refuses.
    """
    extra.require()
    kind, codec = format_of(path), codec_of(format_of(path), encoding.codec)
    path, count = Path(path), len(clip.stamps)
    with _staging(path, kind) as temporary:
        text = encode_notes(notes) if notes else ""
        track = sound_of(kind, encoding, clip, sound)
        target = Target(path, temporary, kind, codec, encoding, clip, text, track)
        with contextlib.closing(_WRITERS[kind.writer](target)) as writer:
            for number, picture in enumerate(_checked(pictures, count)):
                writer.add(_suited(picture, target), clip.stamps[number])
                if progress is not None:
                    progress((number + 1) / count)
            writer.end()
    return path


@contextlib.contextmanager
def _staging(path: Path, kind: Format) -> Generator[Path, None, None]:
    """Yields what is to be written: a file, or a folder."""
    if kind is FOLDER:
        with staging_folder(path) as folder:
            yield folder
    else:
        with staging(path) as staged:
            yield staged.temporary


def _suited(picture: np.ndarray, target: Target) -> np.ndarray:
    """Returns a picture without the alpha and the bits that the codec does not have."""
    codec, encoding = target.codec, target.encoding
    if picture.shape[2] == 4 and not codec.has_alpha(encoding):
        picture = picture[..., :3]
    if picture.dtype == np.uint16 and codec.bits(encoding) == 8:
        # 65,535 is 257 times 255.
        picture = ((picture.astype(np.uint32) + 128) // 257).astype(np.uint8)
    elif picture.dtype == np.uint8 and codec.bits(encoding) > 8:
        picture = picture.astype(np.uint16) * 257
    return np.ascontiguousarray(picture)


def _checked(pictures: Iterable[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """Yields pictures of one size and type, exactly so many."""
    first, number = None, 0
    for number, picture in enumerate(pictures, 1):
        first = picture if first is None else first
        if (
            picture.dtype not in (np.uint8, np.uint16)
            or picture.ndim != 3
            or picture.shape[2] not in (3, 4)
            or (picture.shape, picture.dtype) != (first.shape, first.dtype)
            or number > count
        ):
            raise InputError(
                f"a film must have {count:,} pictures of one size, uint8 or uint16 "
                "with 3 or 4 channels",
                received=f"{picture.dtype} {picture.shape} as picture {number:,}",
            )
        yield picture
    if number < count:
        raise InputError(f"a film must have {count:,} pictures", received=f"{number:,}")


def _check_frames(kind: Format, codec: Codec, clip: Clip) -> None:
    """Refuses sizes and stamps that a format does not have."""
    height, width = clip.size
    if min(clip.size) < codec.least:
        raise OutputError(
            f"the sides of a film in this codec must be of at least {codec.least} "
            "pixels",
            received=f"{width} × {height}",
            hint="try another codec, or a larger size",
        )
    if kind.most is not None and max(clip.size) > kind.most:
        raise OutputError(
            f"the sides of {kind.name} must be of at most {kind.most:,} pixels",
            received=f"{width} × {height}",
            hint="try .mp4, or a smaller size",
        )
    shortest = min(stamp.duration for stamp in clip.stamps)
    if shortest < kind.shortest:
        most = 1 / kind.shortest
        raise OutputError(
            f"{kind.name} must have at most {float(most):g} frames a second",
            received=f"one that is shown for {float(shortest) * 1000:.3g} ms",
            hint="take fewer frames with --every 2, or save it as .mp4",
        )
    base = clock(kind, clip.stamps)
    starts = {in_ticks(base, stamp)[0] for stamp in clip.stamps}
    if kind.writer != "folder" and len(starts) < len(clip.stamps):
        raise OutputError(
            f"the frames of {kind.name} must be {float(base) * 1000:g} ms apart",
            received="some that are shown for less",
            hint="take fewer frames with --every 2, or save it as .mp4",
        )
    longest = max(stamp.duration for stamp in clip.stamps)
    if kind.longest is not None and longest > kind.longest:
        raise OutputError(
            f"a frame of {kind.name} must be shown for at most {float(kind.longest):g} "
            "seconds",
            received=f"{float(longest):g}",
            hint="save it as .mp4",
        )


def _notices(
    kind: Format, codec: Codec, encoding: Encoding, clip: Clip
) -> Iterator[str]:
    """Yields what a person should know of a film before it is made."""
    height, width = clip.size
    if clip.has_alpha and not codec.has_alpha(encoding):
        yield (
            f"The film is opaque, because {kind.name} with this codec holds no "
            "transparency; .webm does."
        )
    rows, columns = codec.padding(encoding, clip.size)
    if rows or columns:
        yield (
            f"The film has {width + columns} × {height + rows} pixels, because this "
            "codec needs even sides: the last row or column is repeated."
        )
    base = clock(kind, clip.stamps)
    if any((stamp.start / base).denominator != 1 for stamp in clip.stamps):
        yield (
            f"Stamps are rounded to {float(base) * 1000:g} ms, the clock of "
            f"{kind.name}."
        )


def _sound_notices(
    kind: Format,
    encoding: Encoding,
    clip: Clip,
    sound: "Source | str | os.PathLike[str] | None",
) -> Iterator[str]:
    track = sound_of(kind, encoding, clip, sound)
    if track is not None:
        yield from sound_notices(kind, track)
    elif (
        encoding.sound
        and not kind.sounds
        and (clip.has_sound or isinstance(sound, str | os.PathLike))
    ):
        yield f"The film is silent, because {kind.name} holds no sound; .mp4 does."


def read_film_notes(path: str | os.PathLike[str]) -> dict[str, str] | None:
    """Reads the notes that were saved in a film; None where there are none.

    They are untrusted, as those of pictures.

    Args:
        path: The film, whatever it is called.

    Raises:
        PictureError: If there is no such file, or it is neither film nor picture.
    """
    return read_notes(path)
