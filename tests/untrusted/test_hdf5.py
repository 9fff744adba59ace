"""HDF5 files of strangers, read by a real child process."""

import base64
import re
import time
import zlib

import h5py
import ml_dtypes
import numpy as np
import pytest

from keras_dream.errors import WeightsError
from keras_dream.untrusted import hdf5

# Three layers of one array each, as HDF5 1.14 writes them; one byte of it makes the
# library spin, deaf to signals, another one crash.
SOUND = zlib.decompress(
    base64.b64decode("""
eNrtms1OwkAQx3dbWgmBWBITPiLSowZjwBPxYoygHIwY9eBNORAxUQ9qAp70iG/gI/gIHj169BF4BN4A
aXe27a5WBC0RmV9CJjs77ZYyO2X+8FApbcUi6QixCIdJiBjESw8orohjPn8CloJtg31SuF+155LgN+D8
psrGj+A/3C+XreieBF+npTObJMg0Uilv7Fn2CMYm2FdFjDuv3dav8mALYFfd/CwOuW4c8lXO6yhpQX5H
yVw/K+11ji9rF/Vr25+ixD7ScPZGmMVTNoL0d6zuhtg+71iRxvSLfcUdrW/uq3aKeK4OmfZ9xau/qYtx
zbW8UOcrP1z3YLdasnKY592zKj5HOsLGcK/rZUaMe0sz250Xnw/dBTGusgTz2f/1+fnVgUZGrAN+bG9W
d6jnBlPxtjv1U/nMX5Dql6f+hqT6xvNH8/HrPn7ne8Ys7lUEQRAEQRAEQRAEGRWub8p6SxQUIUpitr7Z
rJ+dNm5cgXOQvkmJqCeoboitDVCisTnK45LC8Vw/cHWEpB0aN7PgM0kiTBJ3MK/1T27NK4pC2VLsfCrl
UrEhvfP2n/ocmB5GHT2shT90jMQgvZssEk+2ItOGn95tZMS439a7eZ2V9eog66w21jprTESd9dXLc1B3
B+RJMRtsnoyf+/XhXgiCIAiCTDpy39nJ4D0Jou/sLmPfOc3w/k/+H1KQ/Z8+1v7PnIj+70O9y2FujsI7
tNG3mA==
""")
)
SPINS, CRASHES = (907, 255), (857, 4)


def opened(path):
    return hdf5.opened(path, what="A weights file", error=WeightsError)


def changed(path, place, value):
    data = bytearray(SOUND)
    data[place] = value
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("change", [SPINS, CRASHES], ids=["spins", "crashes"])
def test_a_file_that_stops_the_library_stops_no_program(change, tmp_path, monkeypatch):
    """Other versions of the library may read it, or refuse it."""
    monkeypatch.setattr(hdf5, "SECONDS", 2.0)
    path, start = changed(tmp_path / "w.h5", *change), time.monotonic()
    with pytest.raises((WeightsError, hdf5.RefusedError)) as caught:
        opened(path)
    assert time.monotonic() - start < 30
    if isinstance(caught.value, WeightsError):
        said = r"within [0-9,.]+ (seconds|MB)|not crash its reader"
        assert re.search(said, str(caught.value))


def test_a_child_hands_over_what_a_file_holds(tmp_path):
    path = tmp_path / "w.h5"
    path.write_bytes(SOUND)
    root = opened(path)
    assert root.attrs == {"layer_names": ["layer0", "layer1", "layer2"]}
    assert list(root) == ["layer0", "layer1", "layer2"]
    assert root["layer1"].attrs == {"weight_names": ["w:0"]}
    assert np.array_equal(root["layer1"]["w:0"], np.ones(4, "f4"))
    root = hdf5.opened(path, what="a file", error=WeightsError, arrays=False)
    assert root.attrs == {"layer_names": ["layer0", "layer1", "layer2"]}
    assert root["layer1"]["w:0"] == hdf5.Fault("is not read")
    arrays = {
        "half": np.ones((2, 3), np.float16),
        "brain": np.ones(3, ml_dtypes.bfloat16),
        "flags": np.array([True, False]),
        "big": np.arange(3, dtype=">i8"),
        "one": np.float32(7),
    }
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
        file["brain"].attrs["dtype"] = "bfloat16"
        file["text"] = ["a"]
        file.attrs.update(number=3, text="b", table=np.ones((2, 2)))
        file.attrs["nothing"] = np.array([])  # of a layer without weights
        file["long"] = np.ones(2, np.longdouble)
    root = opened(path)
    assert root.attrs == {"number": 3, "text": "b", "table": None, "nothing": []}
    assert root.array_attrs["brain"] == {"dtype": "bfloat16"}
    for name, array in arrays.items():
        assert root[name].tobytes() == array.tobytes()
        assert root[name].shape == array.shape
    assert root["text"] == root["long"] == hdf5.Fault("is no array of numbers")
    with h5py.File(tmp_path / "again.h5", "w") as file:
        root.write(file)
    again = opened(tmp_path / "again.h5")
    assert all(again[name].tobytes() == a.tobytes() for name, a in arrays.items())
    assert again.array_attrs["brain"] == {"dtype": "bfloat16"}


def test_a_file_of_too_many_parts_is_refused(tmp_path, monkeypatch, in_this_process):
    monkeypatch.setattr(hdf5, "MOST_PARTS", 10)
    with h5py.File(tmp_path / "w.h5", "w") as file:
        for number in range(11):
            file.create_group(str(number))
    with pytest.raises(hdf5.RefusedError, match="more than 10 parts"):
        opened(tmp_path / "w.h5")
