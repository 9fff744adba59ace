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
from typing import Any, NamedTuple, NoReturn

from keras_dream.errors import NetworkError, short_repr
from keras_dream.names import name_fault
from keras_dream.untrusted import hdf5

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"

MOST_MEMBERS = 16  # there are three, and folders
LARGEST_CONFIG = 32 << 20  # bytes; that of NASNetLarge has 2 MB
LARGEST_WEIGHTS = 4 << 30  # bytes; the largest of keras.applications has 1.4 GB
MOST_EXPANSION = 100  # times; Keras stores without compression, and flate does 1032

_OTHER_WEIGHTS = {
    "model.weights.npz": "weights as NumPy archives, which may hold pickled code",
    "model.weights.json": "weights in several files, which may lead elsewhere",
}


class Contents(NamedTuple):
    """What a `.keras` file holds.

    Attributes:
        config: Its configuration, unchecked yet (see `configuration.check`).
        weights: Its weights.
        numbers: How many they are.
    """

    config: dict[str, Any]
    weights: hdf5.Group
    numbers: int

    def write(self, path: Path) -> None:
        """Writes a `.keras` file of these contents and nothing else.

        Raises:
            OSError: If the disk refuses.
        """
        import h5py

        data = io.BytesIO()
        with h5py.File(data, "w") as file:
            self.weights.write(file)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(CONFIG, json.dumps(self.config))
            archive.writestr(METADATA, "{}")
            archive.writestr(WEIGHTS, data.getbuffer())


def inspect(path: Path) -> Contents:
    """Makes sure that a `.keras` file holds what it must and nothing else.

    Its weights are read in a child process.

    Args:
        path: The file.

    Raises:
        NetworkError: With the reason of the refusal.
        RunError: If there is no child process.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(path, archive.infolist())
            config = _config(path, archive.read(CONFIG))
    # Forged places lead before the file's beginning, which is the system's error.
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError):
        refuse(path, "no whole zip archive", "save or download it again")
    try:
        weights = hdf5.opened(
            path, what="A model file", error=NetworkError, member=WEIGHTS
        )
    except hdf5.RefusedError as refused:
        refuse(path, f"whose {WEIGHTS} {refused}", "save or download it again")
    count = 0
    for place, part in weights.walk():
        if isinstance(part, hdf5.Fault):
            refuse(path, f"whose {short_repr(place)} {part.reason}", _DISTRUST)
        count += part.size
    return Contents(config, weights, count)


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
