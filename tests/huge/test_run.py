"""A dream on the disk has the pixels of the same dream in memory, bit by bit."""

import contextlib
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from keras_dream import Dreamer, files
from keras_dream.errors import InputError, JobsError, SaveError, SettingError
from keras_dream.events import GradientPlan, TileDone
from keras_dream.huge import bands as bands_module, plan
from keras_dream.huge.run import dream_huge
from keras_dream.huge.stores import Store
from keras_dream.recipe.recipe import Recipe, RunSettings

PLAIN = {"objective": "mixed1 + 0.5*mixed0:3", "steps": 2, "octaves": 2, "jitter": 5}


GRIDS = ("cells 2x3", "cells 1x1", "cells 5x2")


@pytest.fixture(scope="module")
def dreamers():
    settings = {"backend": "torch", "device": "cpu", "threads": 2}
    return [Dreamer("motif", run=RunSettings(**settings, gradient=g)) for g in GRIDS]


@pytest.fixture(scope="module")
def dreamer(dreamers):
    return dreamers[0]


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """Bands of a few rows."""
    monkeypatch.setattr(bands_module, "MEMORY", 60_000)


def photo(height=61, width=47):
    return np.random.default_rng(0).random((height, width, 3), dtype=np.float32)


def stored(folder, values):
    folder.mkdir(exist_ok=True)
    store = Store.create(folder / "photo.npy", values.shape)
    store.write(0, values)
    return store.commit()


def huge(dreamer, folder, values, recipe):
    with dream_huge(dreamer, stored(folder, values), folder, recipe) as run:
        events = list(run)
        return events, run.result


CASES = [
    {},
    {"transforms": "pad(size=7) + flip", "jitter": 30},
    {"jitter": 0, "detail": "none", "octaves_above": 1, "octave_scale": 1.3},
    {"filters": "chroma(sigma=4)", "detail": "after", "octaves": 3},
    {"filters": "smooth + clip", "normalizer": "std", "clamp": False},
    {"filters": "laplacian(levels=3) + decorrelate", "normalizer": "l2"},
    {"normalizer": "rms", "octave_sizes": "chained", "octaves": 3},
    {"optimizer": "adam", "step_size": 0.01},
    {"optimizer": "momentum", "normalizer": "none"},
    {"loss": "even"},
    {"objective": "caricature(mixed1)", "border": 0},
    {"objective": "class:owl + 0.1*motifs:3", "transforms": "pad(size=24)"},
    {"blend": 0.7, "keep_colors": True, "colors": "chroma + soft_clip"},
    {"stop": "distance(limit=0.001)", "steps": 3},
    {"max_loss": 1e-6, "max_loss_rule": "before"},
    {"max_loss": 1e-6, "max_loss_rule": "after"},
    {"per_octave": ["2: step_size=0.01", "1: steps=1"]},
]


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda n: str(CASES[n]))
def test_the_pixels_are_those_of_the_dream_in_memory(dreamers, tmp_path, number):
    """In each case with another size and other tiles."""
    values = photo(*((61, 47), (44, 90), (73, 50), (52, 52))[number % 4])
    dreamer = dreamers[number % 3]
    recipe = Recipe(**{**PLAIN, **CASES[number]})
    _, found = huge(dreamer, tmp_path / "work", values, recipe)
    expected = dreamer.dream(values, recipe)
    assert np.array_equal(found.image.rows(0, len(values)), expected.image)
    assert found.record.losses == expected.record.losses
    assert found.record.source_sha256 == expected.record.source_sha256
    assert found.record.notices == expected.record.notices
    assert found.record.steps == expected.record.steps
    assert found.recipe == expected.recipe


def test_a_dream_that_is_stopped_goes_on_with_the_same_pixels(dreamer, tmp_path):
    """At any event, and in each phase; and what is done is not done again."""
    values = photo()
    recipe = Recipe(**PLAIN, filters="chroma(sigma=4)", optimizer="momentum")
    events, whole = huge(dreamer, tmp_path / "whole", values, recipe)
    folder = tmp_path / "stopped"
    store = stored(folder, values)
    seen = []
    for life in range(200):
        with dream_huge(dreamer, store, folder, recipe) as run:
            for _ in range(1 + life % 9):
                event = next(run, None)
                if event is None:
                    break
                seen.append(event)
            else:
                continue
            break
    assert life > 8
    assert np.array_equal(run.result.image.rows(0, 61), whole.image.rows(0, 61))
    assert run.result.record == whole.record
    assert (folder / "dream.npy").read_bytes() == (
        tmp_path / "whole" / "dream.npy"
    ).read_bytes()
    # A row has three tiles: with every stop at most one row is made again.
    tiles = [event for event in events if isinstance(event, TileDone)]
    assert len([e for e in seen if isinstance(e, TileDone)]) <= len(tiles) + 3 * life
    shares = [event.share for event in tiles]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def renoted(path, **changes):
    """Writes a store anew with other notes."""
    with Store.open(path) as store:
        values, notes = store.rows(0, store.shape[0]), dict(store.notes)
    again = Store.create(path, values.shape)
    again.write(0, values)
    again.commit({**notes, **changes}).close()


STEP = "image-00-000001.npy"
FORGED = [
    (STEP, {"place": 5}),
    (STEP, {"place": -1}),
    (STEP, {"iteration": "x"}),
    (STEP, {"iteration": 99}),
    (STEP, {"losses": 5}),
    (STEP, {"ended": "abc"}),
    (STEP, {"optimizer": None}),
    (STEP, {"optimizer": [1, [{"map": 99}], None]}),
    (STEP, {"optimizer": [1, [{"map": "../x"}], None]}),
    (STEP, (2, 2, 3)),
    (STEP, (43, 33, 1)),
    ("base-00.npy", (2, 2, 3)),
    ("state-00-000001-0.npy", (2, 2, 3)),
]
BEGUN_ANEW = [
    ("carry.npy", {"rows": "x"}),
    ("carry.npy", {"rows": -1}),
    ("carry.npy", {"pixels": 10**9}),
    ("carry.npy", {"first": 10**6}),
    ("carry.npy", {"sums": [1]}),
    ("carry.npy", {"loss": None}),
    ("carry.npy", (3, 5, 3)),
    ("gradient.npy.part", (5, 5, 3)),
]


def test_a_forged_or_damaged_folder_is_refused_in_a_sentence(dreamer, tmp_path):
    """What only a step has so far is begun anew."""
    values, recipe = photo(48, 36), Recipe(**PLAIN, optimizer="adam", loss="even")
    folder, begun = tmp_path / "work", tmp_path / "begun"
    _, whole = huge(dreamer, tmp_path / "whole", values, recipe)
    with dream_huge(dreamer, stored(begun, values), begun, recipe) as run:
        done = 0
        while done < 20:  # a step of twelve tiles, and the sums of the next
            done += isinstance(next(run), TileDone)
    for name, change in (*FORGED, *BEGUN_ANEW):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(begun, folder)
        assert (folder / name).exists(), name
        if isinstance(change, dict):
            renoted(folder / name, **change)
        else:
            plain = name.removesuffix(".part")
            notes = {} if plain != name else dict(Store.open(folder / name).notes)
            store = Store.create(folder / plain, change)
            store.write(0, np.zeros(change, np.float32))
            if plain == name:
                store.commit(notes).close()
        with (
            pytest.raises(InputError, match="must be as it was written")
            if (name, change) in FORGED
            else contextlib.nullcontext(),
            Store.open(folder / "photo.npy") as source,
            dream_huge(dreamer, source, folder, recipe) as run,
        ):
            list(run)
            assert run.result.record.losses == whole.record.losses


def test_a_finished_dream_is_there_again(dreamer, tmp_path):
    values, folder = photo(), tmp_path / "work"
    _, first = huge(dreamer, folder, values, Recipe(**PLAIN))
    assert sorted(p.name for p in folder.iterdir() if p.suffix == ".npy") == [
        "dream.npy",
        "photo.npy",
    ]
    events, again = huge(dreamer, folder, values, Recipe(**PLAIN))
    assert [type(event) for event in events] == [GradientPlan]
    assert again.record == first.record
    assert np.array_equal(again.image.rows(0, 61), first.image.rows(0, 61))


def test_a_folder_is_of_one_dream_and_one_process(dreamer, tmp_path):
    values, recipe = photo(), Recipe(**PLAIN)
    store = stored(tmp_path, values)
    with dream_huge(dreamer, store, tmp_path, recipe) as run:
        next(run)
        with pytest.raises(JobsError, match="one writer at a time"):
            dream_huge(dreamer, store, tmp_path, recipe)
    with pytest.raises(JobsError, match=r"same dream; received .*, of another recipe;"):
        dream_huge(dreamer, store, tmp_path, recipe.but(seed=1))
    other = stored(tmp_path / "other", values + np.float32(1e-6))
    with pytest.raises(JobsError, match="of another photo;"):
        dream_huge(dreamer, other, tmp_path, recipe)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"canvas": "fourier"}, "canvas=fourier, whose numbers change the whole"),
        ({"optimizer": "lbfgs"}, "optimizer=lbfgs, which compares whole pictures"),
        ({"start": "noise"}, "start=noise, which is painted at once"),
        ({"wrap": "both"}, "wrap=both, which joins opposite edges"),
        ({"size": 50}, "size=50, which resizes the photo first"),
        ({"transforms": "rotate + pad"}, "rotate, whose pixels come from anywhere"),
        ({"transforms": "crop(size=32)"}, "crop.*, whose pixels come from anywhere"),
        ({"mask": "box(0%, 0%, 50%, 50%)"}, "mask, which is a picture as large"),
        ({"objective": "mixed4:strongest(3)"}, "strongest.*, which is measured on"),
        ({"keep_detail": 0.5}, "keep_detail, which needs all of the dream"),
        ({"colors": "histogram"}, "colors=histogram, which measures the colours"),
        ({"objective": "dense@1"}, "dense@1, which sees the whole picture"),
        ({"objective": "mixed1 - 5*tv"}, "of the image itself"),
        ({"loss": "softmax_mean"}, "compares all cells"),
        ({"steps": "0s: 1, 9s: 2"}, "keyframes, which are for films"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_sees_the_whole_picture_is_refused(dreamer, tmp_path, settings, sentence):
    store = stored(tmp_path, photo())
    with pytest.raises(SettingError, match=sentence):
        dream_huge(dreamer, store, tmp_path, Recipe(**{**PLAIN, **settings}))
    assert [path.name for path in tmp_path.iterdir()] == ["photo.npy"]


def test_a_small_disk_is_refused_before_the_dream(dreamer, tmp_path, monkeypatch):
    store = stored(tmp_path, photo())
    usage = shutil.disk_usage(tmp_path)._replace(free=100_000)
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(SaveError, match="disk must have room"):
        dream_huge(dreamer, store, tmp_path, Recipe(**PLAIN))
    assert not list(tmp_path.glob("image*"))


def test_the_error_of_a_bounded_halo_is_measured(tmp_path):
    """As it is in memory, on the photo, which is stretched there with a filter."""
    values, recipe, errors = photo(), Recipe(**PLAIN, transforms="pad(size=7)"), []
    for number, gradient in enumerate(("cells 2x2", "cells 2x2 halo 4")):
        settings = RunSettings(backend="torch", device="cpu", gradient=gradient)
        dreamer, folder = Dreamer("motif", run=settings), tmp_path / str(number)
        with dream_huge(dreamer, stored(folder, values), folder, recipe) as run:
            (error,) = (e.halo_error for e in [next(run)] if e.kind == "plan")
        planned = dreamer.steps(values, recipe).planned
        errors.append((error, planned.halo_error))
    assert errors[0] == (None, None)
    assert errors[1][0] == pytest.approx(errors[1][1], rel=0.3)


def test_the_tiles_of_a_dream_are_those_it_was_begun_with(tmp_path, monkeypatch):
    """Also where there is more memory when it goes on."""
    values, recipe = photo(96, 80), Recipe(**PLAIN)
    store = stored(tmp_path, values)
    settings = {"backend": "torch", "device": "cpu", "threads": 2}
    dreamer = Dreamer("motif", run=RunSettings(**settings))
    with monkeypatch.context() as patch:
        patch.setattr(plan, "LARGEST", 2_000_000)
        with dream_huge(dreamer, store, tmp_path, recipe) as run:
            next(run)
    run = dream_huge(dreamer, store, tmp_path, recipe)
    tiles = [e.tiles for e in run if isinstance(e, TileDone)]
    run.close()
    assert max(tiles) > 1
    record = run.result.record
    assert record.run["gradient"].startswith("1: cells ")
    # And what the record says makes the same pixels in memory.
    again = Dreamer(
        "motif", run=RunSettings(**settings, gradient=record.run["gradient"])
    )
    dream = again.dream(values, run.result.recipe)
    assert np.array_equal(run.result.image.rows(0, 96), dream.image)
    assert dream.record == record


def test_too_little_memory_is_refused_before_the_dream(tmp_path):
    store = stored(tmp_path, photo())
    run = RunSettings(backend="torch", device="cpu", memory="100MB")
    with pytest.raises(
        SettingError, match=r"smallest tiles.*received 100 MB.*try --mem"
    ):
        dream_huge(Dreamer("motif", run=run), store, tmp_path, Recipe(**PLAIN))
    assert [path.name for path in tmp_path.iterdir()] == ["photo.npy"]


@pytest.fixture
def disk(tmp_path):
    """A small disk."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=800k", "tmpfs", str(folder)]
    if not sys.platform.startswith("linux") or os.geteuid():
        pytest.skip("only root of Linux may mount a small disk")
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_becomes_full_stops_the_dream_which_goes_on(
    dreamer, tmp_path, disk
):
    values, recipe = photo(), Recipe(**PLAIN, filters="chroma(sigma=4)")
    _, whole = huge(dreamer, tmp_path / "whole", values, recipe)
    store = stored(disk, values)
    for moment in (2, 5, 9):
        with dream_huge(dreamer, store, disk, recipe) as run:
            for _ in range(moment):
                next(run)
            filler = disk / "filler"
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            with pytest.raises(SaveError, match=r"disk|room"):
                list(run)
        filler.unlink()
    with dream_huge(dreamer, store, disk, recipe) as run:
        list(run)
    assert np.array_equal(run.result.image.rows(0, 61), whole.image.rows(0, 61))
