"""Every part of a recipe has a citation or is marked as ours."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

import keras_dream as kd
from keras_dream.citations.cite import (
    NOT_WORKS,
    SOURCES,
    cite,
    names_of,
    network_works,
)
from keras_dream.citations.works import WORKS
from keras_dream.errors import DreamError
from keras_dream.recipe import settings
from keras_dream.recipe.objective_text import PENALTIES
from keras_dream.recipe.presets import presets
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.recipe.targets import TARGETS
from keras_dream.recipe.video import VideoSettings
from keras_dream.zoo.catalogue import ZOO

Dream = Callable[..., tuple[int, str, str]]


def _keys(recipe: object) -> set[str]:
    return {work.key for work, _ in cite(recipe).works}


def _choices(name: str) -> set[str]:
    return set(settings._choices(Recipe.model_fields[name])) - {"1", "auto"}


@pytest.mark.parametrize("name", Recipe.model_fields)
def test_every_part_has_a_source_or_is_ours(name: str) -> None:
    choices = _choices(name)
    if choices and name not in NOT_WORKS:
        assert choices <= set(SOURCES[name])


def test_every_objective_network_backend_and_preset_has_a_source() -> None:
    kinds = {"layer", "strongest", "class", "gram", *TARGETS, *PENALTIES}
    assert kinds == set(SOURCES["objective"])
    for name, entry in ZOO.items():
        assert bool(network_works(name)) == bool(entry.paper), name
    backends = get_args(get_args(RunSettings.model_fields["backend"].annotation)[0])
    assert set(SOURCES["backend"]) == set(backends)
    published = {n for n, recipe in presets.items() if recipe.network != "motif"}
    assert published == set(SOURCES["preset"])


def test_every_source_is_a_work_and_every_work_is_used() -> None:
    used = {
        key for kinds in SOURCES.values() for keys in kinds.values() for key in keys
    }
    used |= {key for name in ZOO for key in network_works(name)}
    assert used <= set(WORKS)
    assert set(WORKS) - used <= {"kerasdream", "keras2015", "crowson2016"}


@pytest.mark.parametrize("work", WORKS.values(), ids=WORKS)
def test_works_can_be_found_and_typeset(work: object) -> None:
    assert work.link.startswith("https://") or work.key in (
        "kerasdream",
        "gonzalez2018",
    )
    entry = work.bibtex
    assert entry.count("{") == entry.count("}")
    assert re.match(rf"@\w+{{{work.key},\n  author = {{", entry)
    assert "{{" not in work.text
    assert f"({work.year})" in work.text


def test_a_recipe_cites_what_it_uses_and_nothing_else() -> None:
    plain = _keys(Recipe(objective="mixed4", resampling="linear"))
    assert {"mordvintsev2015", "kerasdream"} <= plain
    assert not plain & {"olah2017", "fel2023", "kingma2014", "szegedy2015", "rudin1992"}
    rich = _keys(
        Recipe(
            network="inception_v3",
            objective="mixed4 - 0.1*tv; 0.5*squeezenet: class:goldfish",
            canvas="maco",
            optimizer="adam",
        )
    )
    assert {
        "fel2023", "kingma2014", "szegedy2015", "rudin1992", "iandola2016",
        "simonyan2013", "russakovsky2014", "keras2015",
    } <= rich  # fmt: skip
    placed = _keys(
        Recipe(
            objective="mixed4",
            regions=["alpha: neuron(mixed4, 1)"],
            per_octave=["1: objective=guide(a.png, mixed4, gram)"],
        )
    )
    assert {"olah2017", "gatys2015"} <= placed


def test_a_film_cites_what_makes_it_one() -> None:
    works = {"kroeger2016", "ruder2016", "lai2018"}
    assert not works & _keys(Recipe())
    assert works <= _keys(Recipe(video=VideoSettings()))


@pytest.mark.parametrize("name", SOURCES["preset"])
def test_a_published_recipe_is_recognised(name: str) -> None:
    (key,) = SOURCES["preset"][name]
    recipe = presets[name].but(seed=3)
    uses = {work.key: uses for work, uses in cite(recipe).works}
    assert f"the preset {name}" in uses[key]
    other = cite(recipe.but(steps=3)).works
    assert not any("the preset" in use for _, uses in other for use in uses)


def test_names_of_values() -> None:
    recipe = Recipe(canvas="fourier(decay=0.4)", colors="chroma + soft_clip")
    assert names_of("canvas", recipe.canvas) == ("fourier",)
    assert names_of("colors", recipe.colors) == ("chroma", "soft_clip")
    assert names_of("steps", recipe.steps) == ()


def test_the_command(dream: Dream, photo: Path) -> None:
    dream(photo, "--steps", 1, "--octaves", 1, "--optimizer", "adam")
    code, out, err = dream("cite", "photo-dream.png")
    assert (code, err) == (0, "")
    assert "D. P. Kingma, J. Ba (2014). Adam" in out
    assert "for the backend " in out
    assert "keras-dream's own: the network motif" in out
    code, out, _ = dream("cite", "photo-dream.png", "--bibtex")
    assert "@inproceedings{kingma2014," in out
    assert "eprint = {1412.6980}" in out
    Path("r.json").write_text(json.dumps({"canvas": "maco"}))
    assert "Unlocking Feature" in dream("cite", "r.json")[1]
    assert dream("cite", photo)[0] == 2


def test_python(motif: Path, photo: Path) -> None:
    dreamed = kd.dream(photo, steps=1, octaves=1)
    citations = kd.cite(dreamed)
    assert citations.text == str(citations)
    assert "octaves" not in str(citations)
    with pytest.raises(DreamError):
        kd.cite(photo)
