"""Reads Caffe's published weights (`.caffemodel`) without Caffe and protobuf.

Such a file is one protobuf message, a `NetParameter`. Of its hundreds of fields these
are read, and all others are skipped:

    NetParameter       2   layers (V1LayerParameter), 100 layer (LayerParameter)
    V1LayerParameter   4   name, 6 blobs
    LayerParameter     1   name, 7 blobs
    BlobProto          1-4 num, channels, height, width, 5 data, 7 shape, 8 double_data
    BlobShape          1   dim

Sources: BVLC/caffe, src/caffe/proto/caffe.proto; protobuf.dev, "Encoding". Nothing in a
file is trusted: a length beyond the message, a shape of another size than its numbers
and too many fields are refused, each with one sentence.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_dream.errors import WeightsError
from keras_dream.files import check_file

LARGEST_FILE = 1 << 31  # bytes; protobuf's own limit, and Caffe's
MOST_FIELDS = 1 << 20  # GoogLeNet's file has some thousands
MOST_AXES = 32  # kMaxBlobAxes in BVLC/caffe, include/caffe/blob.hpp

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types
_WIDTHS = {_FIXED64: 8, _FIXED32: 4}

Field = tuple[int, int, int, memoryview]  # number, wire type, whole number, bytes
_NOTHING = memoryview(b"")


class _Forged(Exception):
    """A file is not what it must be; the text says what it is instead."""


@dataclass
class _Budget:
    """How many more fields may be looked at."""

    left: int

    def spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise _Forged(f"which has more than {MOST_FIELDS} fields")


def blobs(path: Path) -> dict[str, list[np.ndarray]]:
    """Returns the weights in a `.caffemodel`, by layer.

    Args:
        path: The file.

    Returns:
        For every layer that has any: its arrays in Caffe's own order and shapes,
        float32 or float64, as views of what was read; a convolution's kernel is
        (out, in, height, width), and in old files a bias is (1, 1, 1, out).

    Raises:
        WeightsError: If the file is not a whole `.caffemodel`, or holds no weights.
    """
    check_file(path, "A weights file", error=WeightsError)
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise _Forged(f"which is larger than {LARGEST_FILE >> 30} GiB")
        layers = _network(memoryview(path.read_bytes()), _Budget(MOST_FIELDS))
    except _Forged as error:
        raise WeightsError(
            "A .caffemodel must be a whole network that Caffe wrote",
            received=f"{path.name}, {error}",
            hint="fetch it again, or give another one with --weights FILE",
        ) from None
    except OSError as error:
        raise WeightsError(
            "A weights file must be readable",
            received=f"{path.name}: {error.strerror or error}",
        ) from None
    return layers


def _network(data: memoryview, budget: _Budget) -> dict[str, list[np.ndarray]]:
    layers: dict[str, list[np.ndarray]] = {}
    for number, wire, _, value in _fields(data, budget):
        if wire != _BYTES or number not in (2, 100):
            continue
        old = number == 2
        name, arrays = _layer(value, budget, name=4 if old else 1, blob=6 if old else 7)
        if not arrays:
            continue  # training files hold "data" twice, without weights
        if name in layers:
            raise _Forged(f"which has two layers {name!r} with weights")
        layers[name] = arrays
    if not layers:
        raise _Forged("in which there are no layers with weights")
    return layers


def _layer(
    data: memoryview, budget: _Budget, *, name: int, blob: int
) -> tuple[str, list[np.ndarray]]:
    """Returns a layer's name and arrays, which stand in fields of these numbers."""
    label = b""
    values: list[memoryview] = []
    for number, wire, _, value in _fields(data, budget):
        if wire == _BYTES and number == name:
            label = bytes(value)
        elif wire == _BYTES and number == blob:
            values.append(value)
    try:
        text = label.decode("utf-8")
    except UnicodeDecodeError:
        raise _Forged("in which a layer's name is no text") from None
    return text, [_blob(value, budget, text) for value in values]


def _blob(data: memoryview, budget: _Budget, layer: str) -> np.ndarray:
    sides: dict[int, int] = {}
    shape: list[int] | None = None
    singles: list[memoryview] = []
    doubles: list[memoryview] = []
    for number, wire, whole, value in _fields(data, budget):
        if number in (1, 2, 3, 4) and wire == _VARINT:
            sides[number] = whole
        elif number == 5 and wire in (_BYTES, _FIXED32):
            singles.append(value)
        elif number == 8 and wire in (_BYTES, _FIXED64):
            doubles.append(value)
        elif number == 7 and wire == _BYTES:
            shape = _dimensions(value, budget)
    if shape is None:
        shape = [sides.get(number, 0) for number in (1, 2, 3, 4)]
    kind = "<f8" if doubles else "<f4"
    values = _joined(doubles or singles, kind)
    # A side beside one of 0 may be any number, of which numpy's own are shorter.
    fits = math.prod(shape) == values.size and max(shape, default=0) <= values.size
    if len(shape) > MOST_AXES or not fits:
        sizes = " × ".join(map(str, shape[:8]))
        raise _Forged(f"whose {layer} holds {values.size} numbers and says {sizes}")
    return values.reshape(shape)


def _dimensions(data: memoryview, budget: _Budget) -> list[int]:
    sides: list[int] = []
    for number, wire, whole, value in _fields(data, budget):
        if number == 1 and wire == _VARINT:
            sides.append(whole)
        elif number == 1 and wire == _BYTES:  # packed
            at = 0
            while at < len(value):
                budget.spend()
                side, at = _varint(value, at)
                sides.append(side)
    return sides


def _joined(parts: list[memoryview], kind: str) -> np.ndarray:
    width = np.dtype(kind).itemsize
    if any(len(part) % width for part in parts):
        raise _Forged(f"in which numbers do not end after {width} bytes")
    arrays = [np.frombuffer(part, kind) for part in parts]
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate([np.zeros(0, kind), *arrays])


def _fields(data: memoryview, budget: _Budget) -> Iterator[Field]:
    """Yields the fields of one message, none of which reaches beyond it.

    Numbers that stand one by one, as in files without packing, come as one field.
    """
    at = 0
    while at < len(data):
        budget.spend()
        start = at
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if not number:
            raise _Forged("which is no such message")
        if wire == _VARINT:
            whole, at = _varint(data, at)
            yield number, wire, whole, _NOTHING
            continue
        if wire in _WIDTHS:
            value, at = _run(data, start, at, _WIDTHS[wire])
        elif wire == _BYTES:
            length, at = _varint(data, at)
            value, at = _cut(data, at, length)
        else:
            raise _Forged("which is no such message")
        yield number, wire, 0, value


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Returns a whole number of up to 64 bits, seven in a byte, and where it ends."""
    whole = 0
    for place in range(10):
        if at + place >= len(data):
            raise _Forged("which ends too early")
        byte = data[at + place]
        whole |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return whole, at + place + 1
    raise _Forged("which is no such message")


def _cut(data: memoryview, at: int, length: int) -> tuple[memoryview, int]:
    if length > len(data) - at:
        raise _Forged("which ends too early")
    return data[at : at + length], at + length


def _run(data: memoryview, start: int, at: int, width: int) -> tuple[memoryview, int]:
    """Returns numbers that follow each other under one key, and where they end.

    Args:
        data: The message.
        start: Where the first one's key begins.
        at: Where that key ends.
        width: Bytes of a number.
    """
    first, end = _cut(data, at, width)
    if at - start > 1:
        return first, end  # only keys of one byte come in millions
    step = width + 1
    there = (len(data) - start) // step
    records = np.frombuffer(data[start : start + there * step], np.uint8)
    records = records.reshape(there, step)
    alike, look = 1, 64
    while alike < there:  # by growing pieces, lest short runs cost the whole message
        keys = records[alike : alike + look, 0] == data[start]
        if not keys.all():
            alike += int(keys.argmin())
            break
        alike, look = alike + len(keys), look * 4
    return memoryview(records[:alike, 1:].tobytes()), start + alike * step
