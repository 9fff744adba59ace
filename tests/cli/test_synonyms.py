"""Names of other programs lead to the setting that is meant."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import keras_dream as kd
from keras_dream.cli.app import COMMANDS, app
from keras_dream.cli.errors import _COMMANDS
from keras_dream.recipe.synonyms import SYNONYMS, flag_advice, setting_advice

Dream = Callable[..., tuple[int, str, str]]
FLAGS = {
    name
    for argument in app.assemble_argument_collection(default_parameter=None)
    for name in argument.names
}


def test_a_synonym_is_no_flag() -> None:
    assert "--steps" in FLAGS
    assert not {f"--{name}" for name in SYNONYMS} & FLAGS
    assert not set(_COMMANDS) & set(COMMANDS)


@pytest.mark.parametrize("advice", sorted(set(SYNONYMS.values())))
def test_what_is_advised_is_understood(advice: str, photo: Path) -> None:
    """The flag exists, and the example's value is one that it takes."""
    example = advice.partition(" | ")[0]
    if not example.startswith("--"):
        words = [*(f"dream {name}" for name in COMMANDS), "no ", "dream photo"]
        assert any(word in example for word in words)
        return
    flag, *values = shlex.split(example)
    assert flag in FLAGS
    name = flag.removeprefix("--").replace("-", "_")
    if name in kd.Recipe.model_fields and values:
        kd.Recipe.of({name: values[0]})


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--iterations", "--steps 30"),
        ("--num_iterations", "--steps 30"),
        ("--iters=5", "--steps 30"),
        ("--iteratons", "--steps 30"),  # spelling comes second
        ("--gpu", "--device cuda"),
        ("--lr", "--step-size 0.005"),
        ("--model", "--network inception_v3"),
        ("--style", "--preset reef"),
        ("-n", "--steps 30"),
        ("--output", "--out dream.png"),
        ("--guide", "--objective 'guide(photo2.jpg, mixed4)'"),
    ],
)
def test_the_command_line_names_what_is_meant(
    dream: Dream, photo: Path, typed: str, meant: str
) -> None:
    code, out, err = dream(photo, typed, "5")
    assert (code, out) == (2, "")
    assert f"try {meant}" in err


def test_a_real_flag_nearby_wins() -> None:
    assert flag_advice("--step", ["--steps"]) == ""
    assert flag_advice("--jiter", ["--jitter"]) == ""
    assert flag_advice("--layer", ["--layers", "--objective"]) == ""
    assert flag_advice("--layer", ["--objective"]) == "try --objective " + (
        "'mixed4 + 0.5*mixed3'"
    )


def test_a_setting_that_a_command_does_not_take(photo: Path, dream: Dream) -> None:
    code, _, err = dream("mix", photo, "--objective", "mixed3")
    assert (code, "an option of `dream PHOTO`" in err) == (2, True)


def test_a_flag_of_another_command_is_not_advised() -> None:
    assert flag_advice("--iterations", ["--json"]) == ""


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("iterations", "steps=30"),
        ("lr", "step_size=0.005"),
        ("layer", "objective='mixed4 + 0.5*mixed3'"),
        ("no_clip", "clamp=False"),
        ("gpu", "device='cuda'"),
        ("output", ".save('dream.png')"),
    ],
)
def test_python_names_what_is_meant(photo: Path, name: str, meant: str) -> None:
    settings: dict[str, Any] = {name: 5}
    with pytest.raises(kd.DreamError, match=r"one that exists") as raised:
        kd.dream(photo, **settings)
    assert meant in str(raised.value)


def test_names_without_a_meaning_have_no_advice() -> None:
    assert setting_advice("tile_size", kd.Recipe.model_fields) == ""
    assert setting_advice("nothing", kd.Recipe.model_fields) == ""
