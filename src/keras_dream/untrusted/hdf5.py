"""HDF5 files of strangers, read in a child process: groups, arrays and short texts.

One changed byte can make the library of HDF5 spin for ever, deaf to signals, crash, or
take all memory. So a file that is not known by a published hash is opened in a child
with limits (`isolation`), which hands over what plain weights need and nothing else:
the program itself never opens it.
"""

import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from keras_dream import isolation
from keras_dream.errors import InputError

LARGEST = 4 << 30  # bytes of all arrays; the largest of keras.applications has 1.4 GB
LARGEST_ARRAY = 1 << 31  # bytes
MOST_EXPANSION = 100  # times, of one array; deflate packs zeros 1032 times
MOST_IN_ALL = (
    16  # times, of all beside the first 64 MiB; trained ones are hardly packed
)
MOST_PARTS = 100_000  # groups and arrays; NASNetLarge has some thousands
MOST_TEXT = 1 << 16  # characters of an attribute that are kept; names are shorter
DEEPEST = 64  # groups within groups; each nested model takes two or three
SECONDS = 20.0  # to read a file, and one more for each of so many bytes
SLOWEST = 5 << 20  # bytes a second, of a slow network drive
MEMORY = 1 << 30  # bytes, beside those of the file and its arrays

_DAMAGED = "is no HDF5 file laid out as one, or is damaged"


class RefusedError(Exception):
    """A file cannot be read; the text goes on after "which"."""


@dataclass(frozen=True)
class Fault:
    """What stands in the place of a part that is not handed over.

    Attributes:
        reason: Why; it goes on after the part's name.
    """

    reason: str


@dataclass
class Group(Mapping[str, Any]):
    """A group: parts by their names, each a `Group`, an array or a `Fault`.

    Attributes:
        attrs: Texts, lists of texts and numbers by their names; None for others.
        members: The parts.
        array_attrs: The `attrs` of those that are arrays.
    """

    attrs: dict[str, Any] = field(default_factory=dict)
    members: dict[str, "Group | np.ndarray | Fault"] = field(default_factory=dict)
    array_attrs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.members[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.members)

    def __len__(self) -> int:
        return len(self.members)

    def walk(self, *, place: str = "") -> Iterator[tuple[str, np.ndarray | Fault]]:
        """Yields every array and fault with its place."""
        for name, part in self.members.items():
            if isinstance(part, Group):
                yield from part.walk(place=f"{place}/{name}")
            else:
                yield f"{place}/{name}", part

    def write(self, target: Any) -> None:
        """Writes everything into an open group of `h5py`."""
        _write_attributes(target, self.attrs)
        for name, part in self.members.items():
            if isinstance(part, Group):
                part.write(target.create_group(name))
            elif isinstance(part, np.ndarray):
                data = target.create_dataset(name, data=part)
                _write_attributes(data, self.array_attrs.get(name, {}))


def _write_attributes(target: Any, attributes: Mapping[str, Any]) -> None:
    import h5py

    for name, value in attributes.items():
        if isinstance(value, list):
            target.attrs[name] = np.array(value, dtype=h5py.string_dtype())
        elif value is not None:
            target.attrs[name] = value


def opened(
    path: Path,
    *,
    what: str,
    error: type[InputError],
    member: str | None = None,
    arrays: bool = True,
) -> Group:
    """Reads a file in a child.

    Args:
        path: The file.
        what: What it should be, for messages, such as "a weights file".
        error: The class for a file that takes too long or too much.
        member: What it is called in a zip archive, if it is in one.
        arrays: Whether arrays are read; else there are faults in their places.

    Returns:
        Its root.

    Raises:
        RefusedError: If it cannot be read.
        InputError: Or `error`: it takes too long or too much memory, or crashes.
        RunError: If there is no child.
    """
    size = path.stat().st_size
    most = min(LARGEST, MOST_IN_ALL * size + MEMORY // 16)
    head, values = isolation.call(
        f"{__name__}:read",
        path,
        {"member": member, "arrays": arrays, "most": most},
        limits=isolation.Limits(
            seconds=SECONDS + size // SLOWEST,
            memory=MEMORY + size + 2 * most,
            answer=most,
        ),
        what=what,
        error=error,
    )
    if "refused" in head:
        raise RefusedError(str(head["refused"]))
    try:
        return _group(head["root"], values)
    except (AttributeError, LookupError, TypeError, ValueError):
        raise RefusedError(_DAMAGED) from None


def _group(node: Any, arrays: Sequence[Any]) -> Group:
    """Returns a group as the child has described it."""
    group = Group(dict(node["attrs"]))
    for name, part in node["members"].items():
        if isinstance(part, str):
            group.members[name] = Fault(part)
        elif "array" in part:
            group.members[name] = arrays[part["array"]].view(part["dtype"])
            group.array_attrs[name] = dict(part["attrs"])
        else:
            group.members[name] = _group(part, arrays)
    return group


# -- in the child ----------------------------------------------------------------------
def read(path: str, *, member: str | None, arrays: bool, most: int) -> isolation.Result:
    """Reads a whole file, at most so many bytes of arrays; called in the child."""
    import h5py

    walk = _Walk(reads=arrays, most=most)
    try:
        source: Any = path
        if member is not None:
            with zipfile.ZipFile(path) as archive:
                source = io.BytesIO(archive.read(member))
        with h5py.File(source, "r") as file:
            root = walk.group(file, 0)
    except RefusedError as refused:
        return {"refused": str(refused)}, []
    except (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError):
        return {"refused": _DAMAGED}, []
    return {"root": root}, walk.arrays


class _Walk:
    """Reads the parts of an open file, each once.

    External and virtual data sets read other files of the host (CVE-2026-1669,
    CVE-2026-12480), links lead to them, forged shapes allocate without bound
    (CVE-2026-0897, CVE-2026-12570), and a group named `..` steps out of the folder that
    a layer writes to (CVE-2026-12479).
    """

    def __init__(self, *, reads: bool, most: int) -> None:
        self._reads, self._most = reads, most
        self.arrays: list[np.ndarray] = []
        self._seen: set[int] = set()
        self._bytes = 0

    def group(self, group: Any, depth: int) -> dict[str, Any]:
        members = {name: self._member(group, name, depth + 1) for name in group}
        return {"attrs": _attributes(group), "members": members}

    def _member(self, group: Any, name: str, depth: int) -> dict[str, Any] | str:
        """Returns a part, or why it is not handed over."""
        import h5py

        low: Any = h5py  # its type stubs lack the low-level modules
        if depth > DEEPEST or name in (".", "..") or "\\" in name:
            return "is no place for weights"
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            return "is a link to elsewhere"
        part = group[name]
        address = low.h5o.get_info(part.id).addr
        if address in self._seen:
            return "stands for another place"
        self._seen.add(address)
        if len(self._seen) > MOST_PARTS:
            raise RefusedError(f"has more than {MOST_PARTS:,} parts")
        if isinstance(part, h5py.Group):
            return self.group(part, depth)
        return self._array(part) if self._reads else "is not read"

    def _array(self, data: Any) -> dict[str, Any] | str:
        import h5py

        if (
            not isinstance(data, h5py.Dataset)
            or data.shape is None
            or data.dtype.kind not in "biufV"
            or data.dtype.names
            or data.dtype.itemsize not in (1, 2, 4, 8)
        ):
            return "is no array of numbers"
        if data.external or data.is_virtual:
            return "lies in another file"
        stored = data.id.get_storage_size()
        if data.nbytes > min(LARGEST_ARRAY, MOST_EXPANSION * max(stored, 1 << 12)):
            return f"claims {data.nbytes:,} bytes and holds {stored:,}"
        self._bytes += data.nbytes
        if self._bytes > self._most:
            raise RefusedError(f"has arrays of more than {self._most:,} bytes in all")
        array = np.asarray(data[()], order="C")
        kind = array.dtype
        if kind.kind in "bV":  # as plain bytes: a bfloat16 is an opaque type in HDF5
            array = array.view(f"u{kind.itemsize}")
        self.arrays.append(array)
        number = len(self.arrays) - 1
        return {"array": number, "dtype": kind.str, "attrs": _attributes(data)}


def _attributes(part: Any) -> dict[str, Any]:
    return {name: _attribute(part.attrs[name]) for name in part.attrs}


def _attribute(value: Any) -> Any:
    """Returns a text, a list of texts or a number; None for anything else."""
    if isinstance(value, np.ndarray) and not value.size:
        return []  # Keras 1 writes no names as an array of numbers
    if isinstance(value, bytes | str):
        return _text(value)[:MOST_TEXT]
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "SUO":
        texts = value.tolist()
        return [_text(text) for text in texts] if all(map(_is_text, texts)) else None
    if isinstance(value, np.number | np.bool_):
        return value.item()
    return None


def _is_text(value: object) -> bool:
    return isinstance(value, bytes | str)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
