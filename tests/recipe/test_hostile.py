"""Recipes of strangers are refused in one sentence or read, in time and in memory."""

import json
import subprocess
import sys
import textwrap
import time

import pytest
from hypothesis import given, settings, strategies as st

from keras_dream.errors import DreamError, SettingError
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.recipe.settings import LONGEST_JSON, MOST_NESTING, parse_json

SHA = "0" * 64
WHOLE = {
    "network": "inception_v3",
    "objective": "0.2*mixed2 + 3*'conv-1.a':11,40-47 - class:eye + "
    f"neuron(mixed4, 11, center) + guide(a.jpg#{SHA}, conv2d@7, gram) - 5*tv; "
    "0.5*squeezenet[tf]: fire6:strongest(8, of=24)",
    "canvas": "laplacian(levels=5)",
    "filters": "chroma(sigma=8.0) + smooth(end=0.5)",
    "transforms": "pad(size=24) + rotate(degrees=5.0)",
    "colors": f"soft_clip + palette(file='b c.jpg#{SHA}')",
    "stop": "plateau(tolerance=0.5)",
    "optimizer": "lbfgs(memory=3)",
    "start": "perlin(scale=0.5)",
    "loss": "softmax_mean(temperature=2.0)",
    "octave_sides": [100, 200],
    "octave_strengths": [1, 0.5],
    "per_octave": ["1-2: steps=3", "2-: objective=class:eye"],
    "mask": f"sky.png#{SHA}(feather=20, invert)",
    "regions": ["box(0%, 0%, 50%, 100%): mixed4:11", "random(2): default"],
    "step_size": 0.5,
    "seed": 2**63 - 1,
    "max_loss": None,
    "clamp": False,
}


def refused_or_read(text: str | bytes) -> Recipe | None:
    """Returns what is read of JSON, which comes back from its own; None if refused."""
    began = time.perf_counter()
    try:
        recipe = Recipe.read(text)  # type: ignore[arg-type]
    except DreamError as error:
        recipe, sentence = None, str(error)
        assert sentence.endswith(".")
        assert "\n" not in sentence
        assert len(sentence) < 800
    else:
        again = Recipe.read(recipe.json_text())
        assert again == recipe
        assert (again.sha256, again.json_text()) == (recipe.sha256, recipe.json_text())
    assert time.perf_counter() - began < 5
    return recipe


def test_the_whole_recipe_is_read():
    recipe = refused_or_read(json.dumps(WHOLE))
    assert recipe is not None
    assert recipe.model_fields_set == set(WHOLE)
    assert recipe.for_size((9, 9)).objective == recipe.objective
    assert {file.name for file in recipe.files} == {"a.jpg", "b c.jpg", "sky.png"}


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, -(2**63), 10**400, 10**9])
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([*map(str, WHOLE.values()), "none", "auto", "9" * 400, " " * 99]),
    lambda parts: (
        st.lists(parts, max_size=4)
        | st.dictionaries(st.text(max_size=6) | st.sampled_from(["name"]), parts)
    ),
    max_leaves=8,
)
NAMES = st.sampled_from([*Recipe.model_fields, "layers"]) | st.text(max_size=8)


@settings(max_examples=150)
@given(
    st.dictionaries(NAMES, VALUES, max_size=3), st.sets(st.sampled_from(list(WHOLE)))
)
def test_any_json_in_the_place_of_settings(changes: dict[str, object], left: set[str]):
    whole = {name: WHOLE[name] for name in left}
    refused_or_read(json.dumps({**whole, **changes}))


@settings(max_examples=150)
@given(st.data())
def test_any_change_of_the_text(data: st.DataObject):
    text = json.dumps(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text)))
        gone = data.draw(st.sampled_from([0, 1, 2, 9, 99]))
        piece = data.draw(
            st.text(max_size=3) | st.sampled_from(list("'\"(),:;+-*@#[]{}%=0123456789"))
        )
        text = text[:place] + piece + text[place + gone :]
    refused_or_read(text)


@given(st.dictionaries(st.sampled_from(list(RunSettings.model_fields)), VALUES))
def test_any_json_in_the_place_of_run_settings(values: dict[str, object]):
    try:
        run = RunSettings.read(json.dumps(values))
    except DreamError:
        return
    assert run.threads is None or 1 <= run.threads <= 4096
    assert isinstance(run.device, str | None)


BROKEN = (
    '{"layers": {"a": 1' + "0" * 400 + "}}",
    '{"objective": "1' + "0" * 400 + '*a"}',
    '{"objective": "a; 1' + "0" * 400 + '*b"}',
    '{"octave_sides": [1' + "0" * 400 + "]}",
    '{"octave_strengths": [1' + "0" * 400 + "]}",
    '{"octave_strengths": "1' + "0" * 400 + '"}',
    '{"step_size": 1' + "0" * 400 + "}",
    '{"steps": 1' + "0" * 400 + "}",
    '{"steps": "1' + "0" * 5_000 + '"}',
    '{"seed": 1' + "0" * 5_000 + "}",
    '{"filters": [{"name": "smooth", "sigma": 1' + "0" * 400 + "}]}",
    '{"filters": {"name": ["smooth"]}}',
    '{"filters": [[[["smooth"]]]]}',
    '{"filters": ' + "[" * 31 + "]" * 31 + "}",
    '{"canvas": {"name": {}}}',
    '{"colors": [{"name": "palette", "file": {"a": 1}}]}',
    '{"mask": ' + "[" * 900 + "]" * 900 + "}",
    '{"objective": ' + '{"a":' * 900 + "1" + "}" * 900 + "}",
    '{"per_octave": ' + "[" * 20 + "]" * 20 + "}",
    '{"regions": [null]}',
    '{"objective": "\\ud800"}',
    '{"network": "\\ud800"}',
    '{"mask": "\\ud800.png#' + SHA + '"}',
    '{"network": "' + "a" * 20_000 + '"}',
    "{" + ",".join(f'"a{n}": 1' for n in range(50_000)) + "}",
    "{" + ",".join(f'"a{n}": 1' for n in (*range(30_000), 1)) + "}",
    '{"a": ' * 100_000,
)


@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_texts_that_broke_readers_elsewhere(number: int):
    refused_or_read(BROKEN[number])


def test_megabytes_are_refused_at_once():
    for text in ("[" * 10_000_000, '{"steps": 1}' + " " * 50_000_000):
        assert refused_or_read(text) is None


def test_json_has_bounds():
    deep = "[" * MOST_NESTING + "]" * MOST_NESTING
    assert parse_json(deep)
    with pytest.raises(ValueError, match="nested"):
        parse_json(f"[{deep}]")
    with pytest.raises(SettingError, match="'a' more than once"):
        parse_json('[{"b": {"a": 1, "a": 1}}]')
    with pytest.raises(ValueError, match="more than 1,000,000"):
        parse_json(" " * LONGEST_JSON + "1")


def test_no_text_takes_longer_than_its_length():
    """Texts of 2,000 blanks or 60,000 digits took minutes to weeks in other parsers."""
    code = """
        import itertools, time
        from keras_dream.errors import DreamError
        from keras_dream.recipe.recipe import Recipe

        heads = ("", "a", "1-", "'", "class:", "a; ", "1-2: objective=", "box(",
                 "rotate(degrees=")
        parts = (" ", "1", "a", "''", "(", "a+", "1-", "@1", "a ", "1.")
        slowest = 0
        for head, part, end in itertools.product(heads, parts, ("", "!")):
            text = head + part * (60_000 // len(part)) + end
            for name in ("objective", "mask", "regions", "per_octave", "filters",
                         "canvas", "octave_sides"):
                # Objectives are refused from 10,000 characters on, but read up to them.
                began = time.process_time()
                for each in (text, text[:9_900]):
                    try:
                        Recipe.of({name: each})
                    except DreamError:
                        pass
                slowest = max(slowest, time.process_time() - began)
        assert slowest < 1, slowest
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, check=False, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
