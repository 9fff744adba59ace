"""Checks a `.keras` file before Keras opens it.

Keras says that there is no reliable way to detect a malicious model (SECURITY.md), and
a dozen holes in its loader were found since 2024. So nothing is detected here: what a
plain network of Keras' own layers does not need is refused.
"""

import io
import json
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any, NoReturn

from keras_dream.errors import NetworkError, short_repr
from keras_dream.names import name_fault

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"

MOST_MEMBERS = 16  # there are three, and folders
LARGEST_CONFIG = 32 << 20  # bytes; that of NASNetLarge has 2 MB
LARGEST_WEIGHTS = 4 << 30  # bytes; the largest of keras.applications has 1.4 GB
MOST_EXPANSION = 100  # times; Keras stores without compression, and flate does 1032
LARGEST_ARRAY = 1 << 31  # bytes
MOST_NUMBERS = LARGEST_WEIGHTS // 4  # in all arrays: packed ones are many times a file
DEEPEST = 64  # groups within groups; each nested model takes two or three

_OTHER_WEIGHTS = {
    "model.weights.npz": "weights as NumPy archives, which may hold pickled code",
    "model.weights.json": "weights in several files, which may lead elsewhere",
}


def inspect(path: Path) -> tuple[dict[str, Any], int]:
    """Makes sure that a `.keras` file holds what it must and nothing else.

    Args:
        path: The file.

    Returns:
        Its configuration, unchecked yet (see `configuration.check`), and how
        many numbers its arrays hold.

    Raises:
        NetworkError: With the reason of the refusal.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(path, archive.infolist())
            config = _config(path, archive.read(CONFIG))
            weights = io.BytesIO(archive.read(WEIGHTS))
    # Forged places lead before the file's beginning, which is the system's error.
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError):
        refuse(path, "no whole zip archive", "save or download it again")
    return config, _check_arrays(path, weights)


def refuse(path: Path, what: str, hint: str) -> NoReturn:
    """Raises the error for a model file that is not opened."""
    raise NetworkError(
        "A model file must be a .keras archive of Keras' own layers and their weights",
        received=f"{short_repr(path.name)}, {what}",
        hint=hint,
    )


_ANOTHER = "save the model again with model.save('model.keras'), of Keras 3"
_DISTRUST = "do not open it with anything else, and ask where it came from"


def _check_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """Checks the names, kinds and sizes of the members."""
    if len(members) > MOST_MEMBERS:
        refuse(path, f"which holds {len(members):,} members", _DISTRUST)
    names = Counter(member.filename for member in members)
    for member in members:
        _check_place(path, member)
    ((most, count),) = names.most_common(1) or [("", 0)]
    if count > 1:
        refuse(path, f"which holds {short_repr(most)} twice", _DISTRUST)
    _check_names(path, names)


def _check_names(path: Path, names: Collection[str]) -> None:
    """Makes sure that what a model needs is there, and nothing else."""
    for name in names:
        if name in _OTHER_WEIGHTS:
            refuse(path, f"which holds {_OTHER_WEIGHTS[name]}", _ANOTHER)
        if name.endswith(".pkl"):
            refuse(path, "a renamed archive of pickled code", _ANOTHER)
        if name.startswith("assets"):
            refuse(
                path,
                f"which holds files for its layers ({short_repr(name)}), as networks "
                "for pictures do not",
                "make a model of its picture layers only",
            )
        if name not in (CONFIG, METADATA, WEIGHTS):
            refuse(path, f"which holds {short_repr(name)}, too", _ANOTHER)
    for name in (CONFIG, WEIGHTS):
        if name not in names:
            refuse(path, f"which holds no {name}", _ANOTHER)


def _check_place(path: Path, member: zipfile.ZipInfo) -> None:
    """Checks a member's path, kind and size."""
    name, kind = member.filename, stat.S_IFMT(member.external_attr >> 16)
    # ZipInfo has put "/" for the system's separator and cut the name at a NUL.
    leads_out = any(map(name_fault, name.removesuffix("/").split("/")))
    if leads_out or name != member.orig_filename:
        refuse(path, f"whose {short_repr(name)} leads out of it", _DISTRUST)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        refuse(path, f"whose {short_repr(name)} is a link or no file", _DISTRUST)
    if member.flag_bits & 1:
        refuse(path, f"whose {short_repr(name)} is encrypted", _ANOTHER)
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        refuse(path, f"whose {short_repr(name)} is packed in an unusual way", _ANOTHER)
    bound = LARGEST_WEIGHTS if name == WEIGHTS else LARGEST_CONFIG
    if member.file_size > bound:
        size = f"{member.file_size / 1e6:,.0f} MB"
        refuse(path, f"whose {short_repr(name)} would have {size}", _DISTRUST)
    if member.file_size > MOST_EXPANSION * max(member.compress_size, 1 << 12):
        size = f"{member.compress_size:,} to {member.file_size:,} bytes"
        refuse(path, f"whose {short_repr(name)} expands from {size}", _DISTRUST)


def _config(path: Path, data: bytes) -> dict[str, Any]:
    """Reads the configuration; a repeated name would be ambiguous."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            refuse(path, "whose configuration says one thing twice", _DISTRUST)
        return dict(pairs)

    config: Any = None
    try:
        config = json.loads(data, object_pairs_hook=once)
    except NetworkError:
        raise
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        refuse(path, "whose config.json cannot be read", _ANOTHER)
    return config


def _check_arrays(path: Path, data: io.BytesIO) -> int:
    """Checks the weights file; returns how many numbers it holds."""
    import h5py

    try:
        with h5py.File(data, "r") as file:
            count = _count(path, file, "", set())
    except NetworkError:
        raise
    except (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError):
        refuse(path, "whose model.weights.h5 is damaged", "save or download it again")
    if count > MOST_NUMBERS:
        refuse(path, f"whose arrays claim {count:,} numbers in all", _DISTRUST)
    return count


def _count(path: Path, group: Any, place: str, seen: set[int]) -> int:
    """Checks every link of a group, and returns how many numbers are in its arrays.

    External and virtual data sets read other files of the host (CVE-2026-1669,
    CVE-2026-12480), links lead to them, forged shapes allocate without bound
    (CVE-2026-0897, CVE-2026-12570), and a group named `..` steps out of the folder that
    a layer writes to (CVE-2026-12479).
    """
    import h5py

    low: Any = h5py  # its type stubs lack the low-level modules
    total = 0
    for name in group:
        where = f"{place}/{name}"
        if where.count("/") > DEEPEST or name in (".", "..") or "\\" in name:
            refuse(path, f"whose weights have a place {short_repr(where)}", _DISTRUST)
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            refuse(path, f"whose {short_repr(where)} is a link to elsewhere", _DISTRUST)
        member = group[name]
        address = low.h5o.get_info(member.id).addr
        if address in seen:
            refuse(
                path, f"whose {short_repr(where)} stands for another place", _DISTRUST
            )
        seen.add(address)
        if isinstance(member, h5py.Group):
            total += _count(path, member, where, seen)
        else:
            total += _size(path, member, where)
    return total


def _size(path: Path, data: Any, where: str) -> int:
    """Returns how many numbers an array holds, if they are in the file itself."""
    import h5py

    if not isinstance(data, h5py.Dataset) or data.dtype.kind not in "biufV":
        refuse(path, f"whose {short_repr(where)} is no array of numbers", _DISTRUST)
    if data.external or data.is_virtual:
        refuse(path, f"whose {short_repr(where)} lies in another file", _DISTRUST)
    stored = data.id.get_storage_size()
    if data.nbytes > min(LARGEST_ARRAY, MOST_EXPANSION * max(stored, 1 << 12)):
        refuse(
            path,
            f"whose {short_repr(where)} claims {data.nbytes:,} bytes and holds "
            f"{stored:,}",
            _DISTRUST,
        )
    return int(data.size or 0)
