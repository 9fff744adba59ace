"""A user's own model as a file: from Python, from the shell, and replayed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from own_models import BASE, picture, saved, stack

from keras_dream import Dreamer, Network, Recipe, dream as dream_once
from keras_dream.errors import DreamError, NetworkError
from keras_dream.pictures.metadata import read_notes
from keras_dream.zoo import user_models


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A model file whose pictures went from 0 to 1."""
    keras.utils.set_random_seed(1)
    return saved(stack(), tmp_path_factory.mktemp("own") / "mine.keras")


def test_python_takes_a_file(file, tmp_path):
    asked = {"trust_model": True, "preprocessing": "0-1", "objective": "seen"}
    made = dream_once(picture(), BASE, network=str(file), **asked)
    assert made.recipe.network == made.record.network == "mine.keras"
    assert made.recipe.preprocessing == "0-1"
    assert made.record.weights_sha256 == user_models.sha256_of(file)
    assert str(file.parent) not in json.dumps(
        [made.recipe.model_dump(mode="json"), made.record.data()]
    )
    again = dream_once(picture(), BASE, network=file, **asked)
    np.testing.assert_array_equal(made.image, again.image)
    # A recipe with the name alone is no leave to open a path.
    with pytest.raises(NetworkError, match="model file of a recipe must be given"):
        dream_once(picture(), made.recipe, trust_model=True)
    with_file = Dreamer.of(made.recipe, networks=[Network(file, trust=True)]).dream(
        picture(), made.recipe
    )
    np.testing.assert_array_equal(made.image, with_file.image)


def test_a_recipe_cannot_name_a_path(file):
    with pytest.raises(NetworkError, match="model file of a recipe must be given"):
        dream_once(picture(), Recipe(network=str(file)), trust_model=True)


def test_a_file_that_is_refused_needs_no_keras(tmp_path):
    code = (
        "import sys, keras_dream as kd\n"
        "try: kd.Dreamer('x.pt', trust_model=True)\n"
        "except kd.DreamError as e: print('keras' in sys.modules, e)"
    )
    (tmp_path / "x.pt").write_bytes(b"x")
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True,
        check=False, env={**_environment()},
    )  # fmt: skip
    assert run.stdout.startswith("False A model file must be"), run.stderr


def _environment():
    return {**os.environ, "PYTHONPATH": str(Path(user_models.__file__).parents[2])}


FLAGS = ("--objective", "seen", "--octaves", 1, "--steps", 2, "--preprocessing", "0-1")


@pytest.fixture
def desk(photo, dream, file, monkeypatch, tmp_path):
    """Runs `dream` with a model file beside the photo, and empty caches."""
    for name in ("KERAS_DREAM_HOME", "KERAS_DREAM_WEIGHTS", "KERAS_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    shutil.copy(file, "mine.keras")
    return dream


def test_the_shell_dreams_and_replays(desk, file):
    model = ("--network", "mine.keras")
    code, _, err = desk("photo.png", *model, *FLAGS)
    assert code == 2
    assert "must be trusted with --trust-model" in err
    code, out, err = desk("photo.png", *model, *FLAGS, "--trust-model")
    assert code == 0, err
    made = Path(out.strip())
    assert '"network":"mine.keras"' in read_notes(made)["recipe"]
    code, _, err = desk("replay", made)
    assert code == 2
    assert "must be trusted" in err
    code, _, err = desk("replay", made, "--trust-model", "--quiet")
    assert code == 0, err
    # Somewhere else it must be given, and be the recorded one.
    Path("mine.keras").unlink()
    code, _, err = desk("replay", made, "--trust-model")
    assert code == 2
    assert "none called 'mine.keras'" in err
    code, _, err = desk("replay", made, "--trust-model", "--network", file, "--quiet")
    assert code == 0, err
    other = saved(stack(), Path("mine.keras"))
    code, _, err = desk("replay", made, "--trust-model")
    assert code == 2
    assert "'mine.keras', which is another one" in err
    code, _, err = desk("replay", made, "--trust-model", "--network", other)
    assert code == 2


def test_a_model_is_found_in_the_cache(desk, file, monkeypatch):
    given = ("--trust-model", "-o", "out.png")
    assert desk("photo.png", "--network", file, *FLAGS, *given)[0] == 0
    Path("mine.keras").unlink()
    monkeypatch.setenv("KERAS_DREAM_WEIGHTS", str(file.parent))
    assert desk("replay", "out.png", "--trust-model", "--quiet")[0] == 0


def test_each_of_two_models_is_told_its_preprocessing(desk):
    saved(stack(name="other"), Path("other.keras"))
    models = ("--network", "mine.keras", "--trust-model")
    both = ("--objective", "seen; 0.5*other.keras[tf]: seen")
    code, out, err = desk("photo.png", *models, *FLAGS[2:], *both)
    assert code == 0, err
    recipe = json.loads(read_notes(Path(out.strip()))["recipe"])
    assert recipe["preprocessing"] == "0-1"
    assert recipe["objective"] == "seen; 0.5*other.keras[tf]: seen"
    assert "0.5*other.keras[tf]: seen" in desk("show", out.strip())[1]


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ("mine.keras[tf]: seen", "must have one preprocessing"),
        ("motif[tf]: mixed3", "only for a model of your own"),
    ],
)
def test_what_is_stated_twice_or_for_nothing_is_refused(desk, other, words):
    models = ("--network", "mine.keras", "--trust-model")
    code, _, err = desk(
        "photo.png", *models, *FLAGS[2:], "--objective", f"seen; {other}"
    )
    assert code == 2
    assert words in err


def test_a_preprocessing_may_be_stated_at_any_mention(desk):
    objective = ("--objective", "seen; mine.keras[0-1]: seen")
    asked = (*objective, "--octaves", 1, "--steps", 1, "--trust-model")
    code, _, err = desk("photo.png", "--network", "./mine.keras", *asked)
    assert code == 0, err  # two ways to write one path are one file


def test_the_recipe_of_a_picture_goes_with_its_model(desk, file):
    given = ("--trust-model", "-o", "first.png")
    assert desk("photo.png", "--network", file, *FLAGS, *given)[0] == 0
    recipe = ("photo.png", "--recipe", "first.png")
    code, _, err = desk(*recipe)
    assert code == 2
    assert "must be trusted" in err
    assert desk(*recipe, "--trust-model")[0] == 0
    # A recipe alone tells no sha256: its model must be given.
    Path("recipe.json").write_text(read_notes(Path("first.png"))["recipe"])
    alone = ("photo.png", "--recipe", "recipe.json", "--trust-model")
    code, _, err = desk(*alone)
    assert code == 2
    assert "must be given" in err
    assert desk(*alone, "--network", file)[0] == 0
    # Another network has its own preprocessing.
    assert desk(*recipe, "--network", "motif", "--objective", "far")[0] == 0


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (("--network", "none.keras"), "does not exist"),
        (("--network", "photo.png/x"), "model file"),
        (("--network", "./photo.png"), "a file of another kind"),
        (("--network", "mine.keras", "--trust-model"), "preprocessing must be stated"),
        (("--preprocessing", "tf"), "only for a model of your own"),
        (("--preprocessing", "vgg"), "`preprocessing` must be one of tf | caffe"),
        (
            ("--network", "mine.keras", "--trust-model", "--weights", "photo.png"),
            "weights file must be for a network that is given by name",
        ),
        (("--network", "https://x.org/m.keras"), "a remote place"),
    ],
)
def test_what_the_shell_refuses(flags, reason, desk):
    code, out, err = desk("photo.png", *flags, "--objective", "seen")
    assert code == 2
    assert reason in err
    assert not out
    assert err.count("\n") <= 2


def test_an_objective_is_asked_for_with_the_layers(desk):
    told = ("--trust-model", "--preprocessing", "0-1")
    code, _, err = desk("photo.png", "--network", "mine.keras", *told)
    assert code == 2
    assert "objective must be given for mine.keras" in err


@pytest.mark.parametrize(
    ("recorded", "reason"),
    [("../mine.keras", "without folders"), ("/mine.keras", "without folders")],
)
def test_a_recorded_path_is_not_followed(recorded, reason, tmp_path):
    with pytest.raises(DreamError, match=reason):
        user_models.find(recorded, "0" * 64, [tmp_path])
