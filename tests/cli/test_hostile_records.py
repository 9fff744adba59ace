"""Pictures of strangers: their recipes and records in every command that reads them."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from keras_dream import Dreamer, Recipe
from keras_dream.errors import InputError
from keras_dream.pictures.picture import Picture
from keras_dream.replay import saved_of

Dream = Callable[..., tuple[int, str, str]]
NESTED = "[" * 500 + "]" * 500
LONG = "1" + "0" * 400
COMMANDS = (
    ("show", "forged.png"),
    ("show", "forged.png", "--json"),
    ("cite", "forged.png"),
    ("replay", "forged.png"),
    ("mix", "forged.png"),
    ("photo.png", "--recipe", "forged.png"),
    ("--from", "forged.png"),
)


def forge(recipe: str, record: str) -> None:
    """Saves a picture with any text as its recipe and its record."""
    info = PngInfo()
    text = f'{{"keras-dream":{{"recipe":{recipe},"record":{record}}}}}'
    info.add_itxt("keras-dream", text)
    Image.new("RGB", (60, 40)).save("forged.png", pnginfo=info)


def record(**changes: str) -> str:
    """Returns a sound record as JSON, with some of its values as they are given."""
    pixels = np.asarray(Image.open("photo.png"), np.float32) / 255
    sound: dict[str, Any] = {
        "versions": {"keras-dream": "0.1.0"},
        "processor": "x86_64",
        "network": "motif",
        "weights_sha256": "1" * 64,
        "source": "photo.png",
        "source_sha256": Picture(pixels).sha256,
        "size": [40, 60],
        "run": {"backend": "torch", "device": "cpu", "threads": 1},
        "steps": 2,
        "losses": {"1": [0.5, 0.6]},
    }
    texts = {name: json.dumps(value) for name, value in sound.items()} | changes
    return "{" + ",".join(f'"{name}":{text}' for name, text in texts.items()) + "}"


def run_all(
    dream: Dream, commands: Sequence[tuple[str, ...]] = COMMANDS
) -> list[tuple[int, str, str]]:
    """Runs commands: each dreams, or has exit code 2 and one sentence, soon."""
    results = []
    for command in commands:
        began = time.perf_counter()
        code, out, err = dream(*command)
        assert time.perf_counter() - began < 20, command
        assert code in (0, 2), (command, err)
        assert not set(out + err) & set(map(chr, (*range(9), *range(11, 32), 127, 155)))
        assert "Traceback" not in err
        sentences = [line for line in err.splitlines() if line.startswith("dream: ")]
        assert len(sentences) == (code == 2), (command, err)
        assert all(len(sentence) < 800 for sentence in sentences)
        results.append((code, out, err))
    return results


@pytest.mark.parametrize(
    "recipe",
    [
        NESTED,
        f'{{"objective":{NESTED}}}',
        f'{{"layers":{{"near":{LONG}}}}}',
        f'{{"objective":"{LONG}*near"}}',
        f'{{"octave_sides":[{LONG}]}}',
        f'{{"seed":{LONG * 20}}}',
        '{"steps":1,"steps":1}',
        '{"steps":NaN}',
        '{"objective":"near:0-999999"}',
        '{"network":"<script>alert(1)</script>"}',
        '{"network":"\\u001b[2J"}',
        '{"objective":"\'\\u001b[2J\'"}',
        "{\"objective\":\"'a''; rm -rf ~; '''\"}",
        '{"objective":"also' + " " * 9_000 + '"}',
        '{"per_octave":["1-' + " " * 50_000 + '"]}',
    ],
    ids=lambda text: text[:24],
)
def test_hostile_recipes(dream: Dream, photo: Path, recipe: str):
    forge(recipe, record())
    for command, (code, out, err) in zip(COMMANDS, run_all(dream), strict=True):
        if command[0] not in ("show", "cite"):
            assert (code, out) == (2, ""), (command, err)


@pytest.mark.parametrize(
    "changes",
    [
        {"notices": NESTED},
        {"run": NESTED},
        {"run": f'{{"threads":{LONG}}}'},
        {"run": '{"device":"\\u001b[2J"}'},
        {"steps": LONG},
        {"size": f"[{LONG},1]"},
        {"size": "[-40,60]"},
        {"steps": "-1"},
        {"losses": f'{{"1":[{LONG}]}}'},
        {"losses": f'{{"{LONG}":[1]}}'},
        {"losses": '{"1":[1e999]}'},
        {"losses": '{"\\u001b":[1]}'},
        {"source": f'"{"x" * 300}"'},
        {"source": '"\\ud800"'},
        {"source": '"photo.png\\u001b[2J"'},
        {"source": '"noise:' + "9" * 50_000 + 'x1"'},
        {"source": '"../photos/photo.png"'},
        {"source_sha256": '"\\u009b2J"'},
        {"network": f'"{"x" * 50_000}"'},
        {"versions": '{"\\u001b":"\\u0007"}'},
        {"strongest": f'{{"motif":{{"a":[{LONG}]}}}}'},
        {"also": f'{{"x":{NESTED}}}'},
        {"complete": '"\\u001b"'},
        {"notices": '["\\u001b]0;x\\u0007\\nline"]'},
    ],
    ids=lambda changes: str(changes)[:30],
)
def test_hostile_records(dream: Dream, photo: Path, changes: dict[str, str]):
    forge('{"steps":1,"octaves":1,"objective":"near"}', record(**changes))
    run_all(dream, COMMANDS[:5])


@pytest.mark.parametrize("source", ["x" * 300, "x" * 60_000, "\ud800", "a/b", "CON"])
def test_a_recorded_source_that_is_no_name_is_wrong_input(
    dream: Dream, photo: Path, source: str
):
    forge('{"steps":1,"objective":"near"}', record(source=json.dumps(source)))
    code, out, err = dream("replay", "forged.png")
    assert (code, out) == (2, "")
    assert "--source PHOTO" in err
    assert len(err) < 400


@pytest.mark.parametrize(
    "notes",
    [
        {"recipe": NESTED, "record": "{}"},
        {"recipe": "{}", "record": "[" * 100_000},
        {"recipe": "{}", "record": f'{{"losses":{NESTED}}}'},
        {"recipe": "{}", "record": '{"losses":{},"losses":{}}'},
        {"recipe": "", "record": ""},
    ],
    ids=str,
)
def test_notes_of_a_checkpoint_are_those_of_a_stranger(notes: dict[str, str]):
    with pytest.raises(InputError):
        saved_of(Path("a.png"), notes)


def test_work_of_weeks_is_asked_for_and_left_to_python(dream: Dream, photo: Path):
    terms = " + ".join(["near"] * 900)
    recipe = Recipe(
        octaves=64, octaves_above=8, octave_scale=1.01, steps=100_000, objective=terms
    )
    forge(recipe.json_text(), record())
    Path("r.json").write_text(recipe.json_text())
    commands = (
        ("replay", "forged.png"),
        ("--from", "forged.png"),
        ("photo.png", "--recipe", "forged.png"),
        ("photo.png", "--recipe", "r.json"),
        ("noise:20x20", "--recipe", "r.json"),
        ("grid", "photo.png", "--recipe", "r.json", "--x", "seed=1|2"),
    )
    for command in commands:
        code, out, err = dream(*command)
        assert (code, out) == (2, ""), (command, err)
        assert "more than an hour" in err
        assert "--yes" in err
    image = np.full((17, 17, 3), 0.5, np.float32)
    step = next(Dreamer("motif").steps(image, recipe.but(objective="near")))
    assert (step.octave, step.iteration) == (1, 1)


def test_a_hostile_sheet_steers_no_terminal(dream: Dream, photo: Path):
    info = PngInfo()
    evil = "\\u001b[2J\\u009b\\u0007\\ud800"
    about = f'{{"{evil}":["{evil}"],"cells":"{evil}","recipe":{{"{evil}":"{evil}"}}}}'
    info.add_itxt("keras-dream", f'{{"keras-dream":{{"grid":{about}}}}}')
    Image.new("RGB", (60, 40)).save("forged.png", pnginfo=info)
    (shown, *_, from_recipe) = run_all(dream, (*COMMANDS[:2], COMMANDS[5]))
    assert (shown[0], from_recipe[0]) == (0, 2)
