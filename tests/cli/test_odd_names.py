"""Layers of odd names: in every command that prints or reads an objective."""

import json
import os
import re
import shlex
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from keras_dream.graph import file
from keras_dream.graph.graph import Graph
from keras_dream.graph.ops import Node
from keras_dream.recipe.objectives import parse
from keras_dream.zoo import load as zoo_load

Dream = Callable[..., tuple[int, str, str]]
FAST = ("--steps", 1, "--octaves", 1)
ODD = ("it's", "a'b'@2", "conv-1.a", "`id`; $HOME", "a|b", "<b>&\"'")


@pytest.fixture(autouse=True)
def _odd_network(dream: Dream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random, before = np.random.default_rng(1), "input"
    conv = {"stride": [1, 1], "padding": "same", "dilation": [1, 1], "groups": 1}
    nodes, weights = [Node("input", "input", (), {"channels": 3})], {}
    for name in ODD:
        nodes.append(Node(name, "conv2d", (before,), {**conv, "relu": True}))
        shape = (1, 1, 3 if before == "input" else 4, 4)
        weights[f"{name}/kernel"] = random.random(shape).astype(np.float32)
        before = name
    layers = {vars(parse(text(name)).terms[0].target)["layer"]: name for name in ODD}
    graph = Graph(
        nodes=tuple(nodes), weights=weights, layers=layers, objective=text(ODD[0])
    )
    (tmp_path / "odd").mkdir()
    file.save(graph, tmp_path / "odd" / "motif.safetensors")
    monkeypatch.setattr(zoo_load, "BUILTIN", tmp_path / "odd")


def text(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"


@pytest.mark.parametrize("name", ODD)
def test_a_dream_of_an_odd_layer(dream: Dream, photo: Path, name: str):
    code, _, err = dream(
        photo, *FAST, "--objective", f"{text(name)}:0-1", "-o", "a.png"
    )
    assert code == 0, err
    _, out, _ = dream("show", "a.png", "--json")
    objective = json.loads(out)["recipe"]["objective"]
    assert parse(objective) == parse(f"{text(name)}:0,1")
    assert re.search(rf"objective +{re.escape(objective)}\n", dream("show", "a.png")[1])
    assert dream("replay", "a.png", "--quiet")[0] == 0
    assert dream("cite", "a.png")[0] == 0
    code, out, err = dream(
        photo, *FAST, "--objective", f"{text(name)}:9", "-o", "b.png"
    )
    assert (code, out) == (2, "")
    assert f"A channel of {name} must be" in err


def test_layers_are_listed_as_objectives_have_them(dream: Dream, photo: Path):
    _, out, _ = dream("layers", "motif")
    listed = [re.split(r"  +", line)[0] for line in out.splitlines()[1 : len(ODD) + 1]]
    for name, shown in zip(ODD, listed, strict=True):
        assert parse(shown) == parse(text(name))
    # What is near is proposed as it must be written.
    _, _, err = dream(photo, *FAST, "--objective", "its", "-o", "c.png")
    assert "try \"'it''s'\"" in err


def test_sheets_of_odd_layers(dream: Dream, photo: Path):
    code, _, err = dream(
        "grid",
        photo,
        *FAST,
        "--x",
        "objective=" + "|".join(map(text, ODD)),
        "-o",
        "g.png",
    )
    assert code == 0, err
    axis = json.loads(dream("show", "g.png", "--json")[1])["grid"]["x"]
    assert [parse(value) for value in axis["values"]] == [parse(text(n)) for n in ODD]
    (folder,) = (path for path in Path().iterdir() if path.name == "g-cells")
    assert len(list(folder.glob("[!.]*.png"))) == len(ODD)
    atlas = ("--steps", 1, "--size", 32, "--channels", "0")
    code, _, err = dream("atlas", "motif", *atlas, "-o", "a.html")
    assert code == 0, err
    reader = _Objectives()
    reader.feed(Path("a.html").read_text("utf-8"))
    wanted = {parse(f"{text(name)}:0").text for name in ODD}
    assert set(reader.objectives) == wanted


def test_explanations_of_odd_layers(dream: Dream, photo: Path):
    code, out, err = dream("explain", photo, "--top", 1, "--json", "-o", "e.png")
    assert code == 0, err
    for objective in re.findall(r'"objective": ?"((?:[^"\\]|\\.)*)"', out):
        assert parse(json.loads(f'"{objective}"'))


def test_what_is_to_be_typed_is_safe_in_a_shell(dream: Dream, photo: Path):
    name = "a'b; rm -rf $HOME `id`.png"
    dream(photo, *FAST, "-o", name)
    photo.unlink()
    np_photo = np.zeros((40, 60, 3), np.uint8)
    from PIL import Image

    Image.fromarray(np_photo).save(photo)
    _, _, err = dream("replay", name)
    assert f"`dream PHOTO --recipe {shlex.quote(name)}`" in err


@pytest.mark.skipif(sys.platform != "linux", reason="names must be UTF-8")
def test_names_that_are_not_utf8(dream: Dream, photo: Path, monkeypatch):
    name = os.fsdecode(b"a\xff.png")
    photo.rename(name)
    monkeypatch.setattr(sys, "argv", ["dream", name])  # the journal notes its writer
    for number, line in enumerate(
        (
            (name, *FAST),
            ("batch", name, *FAST, "-o", "batch", "--workers", 1),
            ("grid", name, *FAST, "--x", "seed=1|2", "-o", "g.png"),
            ("explain", name, "-o", "e.png"),
            ("show", os.fsdecode(b"a\xff-dream.png")),
        )
    ):
        code, _, err = dream(*line)
        assert code == 0, (number, err)


class _Objectives(HTMLParser):
    """Collects the objectives of a page's cells."""

    def __init__(self):
        super().__init__()
        self.objectives = []

    def handle_starttag(self, tag, attrs):
        self.objectives += [value for key, value in attrs if key == "data-objective"]
