"""Writes `.caffemodel` files, for tests: the wire format from the other side."""

import struct

import numpy as np


def varint(whole):
    made = bytearray()
    while True:
        whole, low = whole >> 7, whole & 0x7F
        made.append(low | (0x80 if whole else 0))
        if not whole:
            return bytes(made)


def whole(number, value):
    return varint(number << 3) + varint(value)


def piece(number, value):
    return varint(number << 3 | 2) + varint(len(value)) + value


def blob(array, *, legacy=False, packed=True, double=False):
    """A BlobProto; `legacy` states four sides, the first of them ones."""
    array = np.asarray(array)
    values = array.ravel()
    number, kind, wire = (8, "<d", 1) if double else (5, "<f", 5)
    if packed:
        data = piece(number, values.astype("<f8" if double else "<f4").tobytes())
    else:
        key = varint(number << 3 | wire)
        data = b"".join(key + struct.pack(kind, v) for v in values)
    if legacy:
        shape = [1] * (4 - array.ndim) + list(array.shape)
        return b"".join(whole(k + 1, n) for k, n in enumerate(shape)) + data
    dims = b"".join(map(varint, array.shape))
    shape = piece(1, dims) if packed else b"".join(whole(1, n) for n in array.shape)
    return data + piece(7, shape)


def layer(name, kind, blobs, *, old=False):
    """A layer as a field of a NetParameter; `old` writes a V1LayerParameter."""
    if old:
        inside = piece(2, b"below") + piece(4, name.encode()) + whole(5, 4)
        return piece(2, inside + b"".join(piece(6, b) for b in blobs))
    inside = piece(1, name.encode()) + piece(2, kind.encode()) + piece(3, b"below")
    return piece(100, inside + b"".join(piece(7, b) for b in blobs) + whole(10, 1))


def network(layers, name="GoogleNet"):
    return piece(1, name.encode()) + b"".join(layers)


def of_model(model, *, old=False, rename=lambda name: name, **how):
    """Returns a Keras model of convolutions and dense layers as a `.caffemodel`.

    As BVLC's files do, it holds what only training needs: `data` twice, and the layers
    of a head that the network does not have.
    """
    made = [layer("data", "Data", [], old=old)] * 2
    for found in model.layers:
        if not found.weights:
            continue
        kernel, *rest = (value(v) for v in found.weights)
        axes = (3, 2, 0, 1) if kernel.ndim == 4 else (1, 0)
        arrays = [kernel.transpose(axes), *rest]
        blobs = [blob(a, **how) for a in arrays]
        kind = "Convolution" if kernel.ndim == 4 else "InnerProduct"
        made.append(layer(rename(found.name), kind, blobs, old=old))
        made.append(layer(rename(found.name) + "/relu", "ReLU", [], old=old))
    made.append(layer("loss1/classifier", "InnerProduct", [blob(np.ones((2, 3)))]))
    return network(made)


def value(variable):
    held = variable.value
    return np.asarray(held.detach() if hasattr(held, "detach") else held)
