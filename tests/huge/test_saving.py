"""Results larger than memory are saved by rows, whole or not at all."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from picture_files import NOTES
from PIL import Image

from keras_dream.errors import InputError, OutputError, SaveError
from keras_dream.huge import saving
from keras_dream.huge.saving import save_huge
from keras_dream.pictures import vips
from keras_dream.pictures.encoding import save_picture
from keras_dream.pictures.limits import Limits
from keras_dream.pictures.metadata import read_notes
from keras_dream.pictures.picture import read_picture

pytest.importorskip("pyvips")
KINDS = [("a.tif", "8"), ("a.tif", "16"), ("a.tif", "float"), ("a.png", "8")]
KINDS += [("a.png", "16"), ("a.jpg", "8"), ("a.dzi", "8"), ("a.dzi", "16")]
KINDS += [("a.szi", "8")]


class Rows:
    """A picture by rows, of which some may fail."""

    def __init__(self, values: np.ndarray, failing: Exception | None = None):
        self.values, self.failing = values, failing
        self.shape: Any = values.shape

    def rows(self, first: int, end: int) -> np.ndarray:
        if self.failing is not None and end > len(self.values) // 2:
            raise self.failing
        return self.values[first:end]


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(saving, "BAND", 20_000)  # strips of some rows


def image(height: int = 300, width: int = 270) -> np.ndarray:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    waves = [np.sin(x / 9) + 1, y / 4, np.cos((x + y) / 20) + 1]
    return np.stack(waves, axis=-1) * 0.52 - 0.02  # a little outside of [0, 1]


def save(values: np.ndarray, path: Path, depth: str, **options: Any) -> None:
    rows, shares = Rows(values, options.pop("failing", None)), list[float]()
    options["progress"] = shares.append
    options = {"notes": NOTES, "exif": b"", **options}
    save_huge(rows, path, depth=depth, folder=path.parent / "work", **options)
    assert shares == sorted(shares)
    assert shares[-1] == 1


@pytest.mark.parametrize(("name", "depth"), KINDS)
def test_results_are_those_of_pictures_in_memory(tmp_path: Path, name: str, depth: str):
    path, values = tmp_path / name, image()
    save(values, path, depth)
    assert read_notes(path) == NOTES
    first = path.read_bytes()
    save(1 - values, path, depth, notes={"recipe": "1"})
    assert read_notes(path) == {"recipe": "1"}
    save(values, path, depth)
    if path.suffix != ".szi":  # which has the time
        assert path.read_bytes() == first
    assert not list((tmp_path / "work").rglob("*.tmp"))
    if path.suffix in (".dzi", ".szi"):
        return
    saved, expected = read_picture(path), tmp_path / f"expected{path.suffix}"
    save_picture(expected, values, depth=depth)
    off = 12 / 255 if path.suffix == ".jpg" else 0
    np.testing.assert_allclose(saved.pixels, read_picture(expected).pixels, atol=off)
    assert (saved.frames, saved.bits) == (1, {"8": 8, "16": 16, "float": 32}[depth])


def test_a_deep_zoom_has_all_tiles_of_the_picture(tmp_path: Path):
    path, values = tmp_path / "a.dzi", image()
    save(1 - values, path, "16")
    save(values, path, "16")  # replaces the file and all tiles
    assert 'Width="270"' in path.read_text()
    tile = read_picture(tmp_path / "a_files" / "9" / "0_0.png").pixels
    np.testing.assert_allclose(tile, values[:255, :255].clip(0, 1), atol=1e-5)
    assert len(list((tmp_path / "a_files" / "9").iterdir())) == 4
    assert not (tmp_path / "a_files" / "vips-properties.xml").exists()


def test_bigtiff_has_a_pyramid_on_one_page(tmp_path: Path):
    save(np.tile(image(), (4, 4, 1)), tmp_path / "a.tif", "16")
    with Image.open(tmp_path / "a.tif") as opened:
        assert opened.n_frames == 1
    whole = vips.load().Image.tiffload(str(tmp_path / "a.tif"))
    assert whole.get("n-subifds") == 2
    small = vips.load().Image.tiffload(str(tmp_path / "a.tif"), subifd=0)
    assert (small.width, small.height) == (540, 600)
    assert (tmp_path / "a.tif").read_bytes()[2] == 43


@pytest.mark.parametrize("name", ["a.tif", "a.dzi", "a.szi", "a.png"])
def test_what_fails_leaves_the_old_result(tmp_path: Path, name: str):
    path, values = tmp_path / name, image()
    save(values, path, "8")
    before = path.read_bytes()
    for failing, error in [
        (SaveError("the disk must be there"), SaveError),
        (OSError(5, "lost"), (OSError, SaveError)),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ]:
        with pytest.raises(error):
            save(values, path, "8", failing=failing)
    bad = values.copy()
    bad[200] = np.nan
    with pytest.raises(InputError, match="finite"):
        save(bad, path, "8")
    assert path.read_bytes() == before
    assert read_notes(path) == NOTES
    if name == "a.dzi":
        assert (tmp_path / "a_files" / "9" / "0_0.jpg").exists()


def test_formats_that_are_too_small_are_refused(tmp_path: Path):
    with pytest.raises(OutputError, match="at most 65,535 pixels"):
        save(np.zeros((1, 65_536, 3), np.float32), tmp_path / "a.jpg", "8")


@pytest.mark.parametrize("suffix", [".dzi", ".szi"])
def test_forged_notes_of_deep_zooms(tmp_path: Path, suffix: str):
    path = tmp_path / f"a{suffix}"
    texts = [b"", b"\xff\xfe" * 9, b"<!-- keras-dream {} -->", b"PK\5\6" + bytes(18)]
    texts += [b'<!-- keras-dream {"keras-dream": {"recipe": 1}'] * 2
    texts += [b"PK\5\6" + bytes(16) + b"\2\0[]", b"PK\5\6" * 20_000]
    for text in texts:
        path.write_bytes(text or b" ")
        assert read_notes(path) is None
    text = b'{"keras-dream": {"recipe": [1]}}'
    size = len(text).to_bytes(2, "little")
    whole = {
        ".dzi": b"<Image/><!-- keras-dream " + text + b" -->",
        ".szi": b"PK\3\4" + b"PK\5\6" + bytes(16) + size + text,
    }
    path.write_bytes(whole[suffix])
    assert read_notes(path) == {"recipe": "[1]"}
    assert read_notes(path, limits=Limits(untrusted=True)) == {"recipe": "[1]"}
