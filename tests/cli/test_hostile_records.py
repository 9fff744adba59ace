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

from keras_dream.pictures.picture import Picture

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
