"""Going on from a step: exactly, in memory and through a file that may be forged."""

import io
import itertools
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from reference import picture

import keras_dream as kd
from keras_dream.engine.checkpoint import Checkpoint, Context, read_context
from keras_dream.errors import InputError
from keras_dream.parts.canvases import CANVASES
from keras_dream.parts.optimizers import OPTIMIZERS
from keras_dream.parts.part import name_of
from keras_dream.recipe.recipe import Recipe

QUICK = Recipe(steps=3, octaves=2, jitter=4)
SHORT = Recipe(steps=4, octaves=1)  # one size, for backends that compile each
PHOTO = picture(40, 36)


@pytest.fixture
def dreamer(motif):
    return kd.Dreamer("motif")


def short(part):
    """The text of a canvas; a pyramid of few maps, for backends that compile each."""
    return {"laplacian": "laplacian(levels=2)"}.get(name_of(part), name_of(part))


def check_goes_on(dreamer, recipe, count, tmp_path, photo=PHOTO):
    """Of `count` steps, through a file; compares all that comes with the whole run."""
    whole = dreamer.steps(photo, recipe)
    steps = list(whole)
    checkpoint = steps[count - 1].checkpoint
    context = Context(recipe="{}", picture_sha256="ab", strip=True)
    path = checkpoint.save(tmp_path / "a.canvas.npz", context=context)
    assert read_context(path) == context
    read = Checkpoint.read(path)
    for start in (checkpoint, read):
        run = dreamer.steps(photo, recipe, start=start)
        assert np.array_equal(run.dream.image, steps[count - 1].dream.image)
        assert run.dream.record == steps[count - 1].dream.record
        rest = list(run)
        assert len(rest) == len(steps) - count
        for one, other in zip(rest, steps[count:], strict=True):
            assert (one.octave, one.iteration) == (other.octave, other.iteration)
            assert one.loss == other.loss
            assert np.array_equal(one.image(), other.image())
        assert np.array_equal(run.dream.image, whole.dream.image)
        assert run.dream.record == whole.dream.record
        if whole.dream.alpha is not None:
            assert np.array_equal(run.dream.alpha, whole.dream.alpha)


@pytest.mark.backends
@pytest.mark.parametrize("canvas", [*map(short, CANVASES)])
def test_every_canvas_goes_on_as_the_undisturbed_run(canvas, dreamer, tmp_path):
    check_goes_on(dreamer, SHORT.but(canvas=canvas), 2, tmp_path)


@pytest.mark.backends
@pytest.mark.parametrize("optimizer", [*map(name_of, OPTIMIZERS)])
def test_every_optimizer_goes_on_as_the_undisturbed_run(optimizer, dreamer, tmp_path):
    check_goes_on(dreamer, SHORT.but(optimizer=optimizer), 2, tmp_path)


@pytest.mark.parametrize("count", [1, 3, 4, 6])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"detail": "after", "octaves_above": 1},
        {"detail": "none", "start": "noise"},
        {"transparency": True},
        {"canvas": "maco(magnitude=natural)", "optimizer": "adam"},
        {"max_loss": -1e6, "max_loss_rule": "after"},
        {"stop": "plateau(steps=1, tolerance=1)"},
        {"transforms": "flip + scale"},
        {"canvas": "fourier", "optimizer": "lbfgs"},
        {"canvas": "decorrelated", "detail": "after"},
    ],
    ids=str,
)
def test_at_every_step(change, count, dreamer, tmp_path):
    """Also between two octaves, where one has ended early, and after the last step."""
    recipe = QUICK.but(**change)
    count = min(count, len(list(dreamer.steps(PHOTO, recipe))))
    check_goes_on(dreamer, recipe, count, tmp_path)


def test_a_run_may_be_gone_on_from_twice(dreamer):
    steps = list(dreamer.steps(PHOTO, QUICK))
    first = next(dreamer.steps(PHOTO, QUICK, start=steps[1].checkpoint))
    run = dreamer.steps(PHOTO, QUICK, start=first.checkpoint)
    assert np.array_equal(run.finish().image, steps[-1].dream.image)


def test_another_recipe_goes_on_and_is_recorded_as_such(dreamer):
    steps = list(dreamer.steps(PHOTO, QUICK))
    start = steps[3].checkpoint
    longer = dreamer.steps(PHOTO, QUICK, start=start, steps=5)
    assert [(s.octave, s.iteration) for s in longer] == [(2, 2), (2, 3), (2, 4), (2, 5)]
    assert longer.dream.record.start_sha256 == start.sha256
    assert steps[-1].dream.record.start_sha256 == ""
    other = dreamer.dream(PHOTO[:, ::-1], QUICK, start=start)
    assert other.record.start_sha256 == start.sha256


def test_a_dream_as_the_start(dreamer):
    """Its image takes the photo's place; penalties and blends refer to the photo."""
    made = dreamer.dream(PHOTO, QUICK)
    again = dreamer.dream(PHOTO, QUICK, start=made)
    assert np.array_equal(
        again.image, dreamer.dream(PHOTO, QUICK, start=made.image).image
    )
    assert np.abs(again.image - PHOTO).mean() > np.abs(made.image - PHOTO).mean()
    blended = dreamer.dream(PHOTO, QUICK.but(blend=0.0), start=made)
    np.testing.assert_allclose(blended.image, PHOTO, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "photo"),
    [
        ({"octaves": 1}, PHOTO),
        ({"octave_scale": 1.2}, PHOTO),
        ({"canvas": "fourier"}, PHOTO),
        ({"optimizer": "adam"}, PHOTO),
        ({"octave_strengths": "1, 2"}, PHOTO),
        ({}, picture(44, 36)),
    ],
)
def test_what_does_not_fit_is_refused(change, photo, dreamer):
    start = list(dreamer.steps(PHOTO, QUICK))[1].checkpoint
    with pytest.raises(InputError, match="checkpoint"):
        dreamer.dream(photo, QUICK.but(**change), start=start)


def rewritten(path, **changes):
    """Writes an archive anew, its members changed by functions."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            change = changes.get(name.removesuffix(".npy"), lambda data: data)
            archive.writestr(name, change(data))


def npy(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def head(**values):
    def change(data):
        old = json.loads(np.load(io.BytesIO(data)).tobytes())
        text = json.dumps({**old, **values}).encode()
        return npy(np.frombuffer(text, np.uint8))

    return change


FORGED = {
    "pickled objects": {"0": lambda _: npy(np.array([print], object))},
    "a giant shape": {
        "0": lambda data: data.replace(b"(20, 18, 3)", b"(9999999,3,3)"[:11])
    },
    "other types": {"0": lambda _: npy(np.zeros((20, 18, 3)))},
    "not a number": {"0": lambda _: npy(np.full((20, 18, 3), np.nan, np.float32))},
    "no JSON": {"head": lambda _: npy(np.zeros(4, np.uint8))},
    "another field": {"head": head(command="rm")},
    "a missing array": {"head": head(tree={"parameters": [{"array": 77}]})},
    "an unknown part": {"head": head(tree={"method": 1})},
    "a number for arrays": {"head": head(tree={"parameters": [5]})},
    "no parameters": {"head": head(tree={})},
    "an octave below 1": {"head": head(octave=0)},
    "cut": {"0": lambda data: data[:-7]},
}


@pytest.mark.parametrize("case", FORGED)
def test_forged_files_are_refused_in_a_sentence(case, dreamer, tmp_path):
    recipe = QUICK.but(octaves=1)
    step = next(dreamer.steps(picture(20, 18), recipe))
    path = step.checkpoint.save(tmp_path / "a.npz")
    rewritten(path, **FORGED[case])
    with pytest.raises(InputError, match="must be whole"):
        Checkpoint.read(path)


def test_files_that_are_no_archives_are_refused(tmp_path):
    for number, data in enumerate((b"PK", b"x" * 100, npy(np.zeros(3)))):
        path = tmp_path / f"{number}.npz"
        path.write_bytes(data)
        with pytest.raises(InputError, match="must be whole"):
            Checkpoint.read(path)
    packed = tmp_path / "packed.npz"
    np.savez_compressed(packed, head=np.zeros(10, np.uint8))
    with pytest.raises(InputError, match="must be whole"):
        Checkpoint.read(packed)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_forged_state_is_refused(optimizer, dreamer, tmp_path):
    """Nested otherwise, or with arrays of another shape."""
    recipe = QUICK.but(octaves=1, optimizer=optimizer)
    steps = itertools.islice(dreamer.steps(picture(20, 18), recipe), 2)
    path = list(steps)[-1].checkpoint.save(tmp_path / "a.npz")
    for state in ([1], 5, {"array": 0}, [1, [{"array": 0}], "x"], [2, 3, 4]):
        forged = tmp_path / "forged.npz"
        forged.write_bytes(path.read_bytes())
        with zipfile.ZipFile(path) as archive:
            old = json.loads(np.load(io.BytesIO(archive.read("head.npy"))).tobytes())
        rewritten(forged, head=head(tree={**old["tree"], "state": state}))
        start = Checkpoint.read(forged)
        with pytest.raises(InputError, match="A checkpoint must be of the same"):
            dreamer.dream(picture(20, 18), recipe, start=start)


def test_a_forged_image_is_refused(dreamer):
    """Of another size it would be added to the detail of this one."""
    start = list(dreamer.steps(PHOTO, QUICK))[1].checkpoint
    for shape in ((3, 3, 3), (28, 26, 1)):
        forged = replace(start, parameters=(), image=np.zeros(shape, np.float32))
        with pytest.raises(InputError, match="an image of the shape"):
            dreamer.dream(PHOTO, QUICK, start=forged)


def test_any_damage_is_refused_or_harmless(dreamer, tmp_path):
    """One byte of a file: a sentence, or what can be gone on from."""
    recipe, photo = QUICK.but(octaves=1, optimizer="adam", jitter=0), picture(8, 8)
    step = next(dreamer.steps(photo, recipe))
    data = step.checkpoint.save(tmp_path / "a.npz").read_bytes()
    random, fine = np.random.default_rng(1), 0
    for _ in range(400):
        damaged = bytearray(data)
        damaged[random.integers(len(data))] = random.integers(256)
        (tmp_path / "b.npz").write_bytes(damaged)
        try:
            Checkpoint.read(tmp_path / "b.npz")
            read_context(tmp_path / "b.npz")
        except InputError as error:
            fine += str(error).startswith("A checkpoint must be whole")
        else:
            fine += 1
    assert fine == 400
