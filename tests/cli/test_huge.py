"""`dream huge`: read in bands, dreamed in tiles, saved in bands."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_dream.events import TileDone
from keras_dream.huge import saving
from keras_dream.huge.run import HugeRun
from keras_dream.pictures import vips
from keras_dream.pictures.encoding import save_picture
from keras_dream.pictures.picture import read_picture

pytest.importorskip("pyvips")
QUICK = ("--octaves", 2, "--steps", 2, "--gradient", "cells 2x2", "--objective", "near")

Dream = Callable[..., tuple[int, str, str]]


@pytest.fixture
def deep(photo: Path) -> Path:
    """A photo of 16 bits, alone in the current folder."""
    image = read_picture(photo).pixels
    photo.unlink()
    save_picture("deep.tif", image * np.float32(0.97), depth="16")
    return Path("deep.tif")


def names() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def test_the_result_is_that_of_dream(dream: Dream, deep: Path):
    code, out, error = dream("huge", deep, *QUICK, "--threads", 2)
    assert (code, out) == (0, "deep-dream.tif\n"), error
    assert "Reading deep.tif: 100%." in error
    assert "tile 1 of 4" in error
    assert "Saving deep-dream.tif: 100%." in error
    assert "is kept in '.deep-dream.tif.huge'" in error
    assert names() == ["deep-dream.tif", "deep.tif"]
    assert dream(deep, *QUICK, "-o", "memory.tif", "--threads", 2)[0] == 0
    saved, expected = read_picture("deep-dream.tif"), read_picture("memory.tif")
    assert saved.bits == 16
    np.testing.assert_array_equal(saved.pixels, expected.pixels)
    code, out, _ = dream("show", "deep-dream.tif", "--json")
    record = json.loads(out)["record"]
    assert (record["source"], record["size"]) == ("deep.tif", [40, 60])
    assert record["run"]["depth"] == "auto"
    # Its recipe serves other photos, and another run of this one.
    again = ("huge", deep, "--recipe", "deep-dream.tif", "-o", "a.dzi", "--depth", 16)
    code, out, error = dream(*again, "--gradient", "cells 2x2", "--json")
    assert code == 0, error
    kinds = [json.loads(line)["event"] for line in out.splitlines()]
    assert {"started", "step", "tile", "file", "saved"} <= set(kinds)
    assert dream("show", "a.dzi")[0] == 0
    code, _, error = dream("replay", "a.dzi", "-o", "b.tif")
    assert code == 2
    assert "must be one picture" in error
    assert "`dream PHOTO --recipe a.dzi`" in error


def test_a_huge_dream_is_made_again_in_memory(dream: Dream, deep: Path):
    """libvips has written it, so that the PNG file is another one."""
    assert dream("huge", deep, *QUICK, "-o", "a.png")[0] == 0
    code, _, error = dream("replay", "a.png", "-o", "b.png", "--quiet")
    assert code == 0, error
    assert Path("a.png").read_bytes() != Path("b.png").read_bytes()


def test_the_same_command_goes_on(
    dream: Dream, deep: Path, monkeypatch: pytest.MonkeyPatch
):
    assert dream("huge", deep, *QUICK, "-o", "whole.tif")[0] == 0
    command = ("huge", deep, *QUICK, "-o", "a.tif")
    follow, tiles = HugeRun.__next__, 0

    def stopped(run: HugeRun) -> Any:
        nonlocal tiles
        event = follow(run)
        if isinstance(event, TileDone):
            tiles += 1
            if tiles == 6:
                raise KeyboardInterrupt
        return event

    monkeypatch.setattr(HugeRun, "__next__", stopped)
    code, _, error = dream(*command)
    assert code == 130
    assert "'.a.tif.huge', and the same command goes on from there" in error
    assert names() == [".a.tif.huge", "deep.tif", "whole.tif"]

    def disk_is_full(*_: object, **__: object) -> Iterator[None]:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(saving, "_put", disk_is_full)
        code, _, error = dream(*command)
    assert code == 1
    assert "must have room for the result" in error
    before = tiles
    assert dream(*command)[0] == 0
    assert tiles == before  # it was only to be saved
    assert names() == ["a.tif", "deep.tif", "whole.tif"]
    np.testing.assert_array_equal(
        read_picture("a.tif").pixels, read_picture("whole.tif").pixels
    )


def test_what_cannot_be_is_refused_at_once(
    dream: Dream, deep: Path, monkeypatch: pytest.MonkeyPatch
):
    def refused(*arguments: object) -> str:
        before = names()
        code, _, error = dream("huge", *arguments)
        assert code == 2, error
        assert names() == before
        return error

    assert "must end in one of .tif" in refused(deep, "-o", "a.exr")
    assert "its own photo" in refused(deep, "-o", "deep.tif", "--yes")
    assert "does not exist" in refused("no.tif")
    assert "must exist" in refused(deep, "-o", "no/a.tif")
    assert "of depth float must be" in refused(deep, "-o", "a.png", "--depth", "float")
    assert "--untrusted" in refused(deep, "--untrusted")
    error = refused(deep, "--loss", "softmax_mean", "--objective", "near")
    assert "a sum over cells" in error
    assert "loss=l2_mean" in error
    # Before the photo is read, which may take an hour.
    assert "in tiles of cells" in refused(deep, "--gradient", "whole")
    assert "smallest tiles" in refused(deep, "--memory", "10MB")
    assert "at most 9 pixels" in refused(deep, "--max-pixels", 9)
    Path("a_files").mkdir()
    assert "a new name, or --yes" in refused(deep, "-o", "a.dzi")
    monkeypatch.setattr(vips, "is_installed", lambda: False)
    assert "pip install 'keras-dream[huge]'" in refused(deep)
