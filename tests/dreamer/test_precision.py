"""`precision=auto`: where it is bfloat16, and what stays float32 there."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from reference import picture

import keras_dream as kd
from keras_dream.backend.load import load
from keras_dream.backend.torch import TorchBackend
from keras_dream.dreamer.precision import fitting
from keras_dream.pictures.picture import Picture, read_picture
from keras_dream.replay import recorded_run
from keras_dream.zoo.bfloat16 import BFLOAT16
from keras_dream.zoo.catalogue import ZOO
from keras_dream.zoo.load import load_entry

DOCS = Path(__file__).parents[2] / "docs"
SHORT = kd.Recipe(octaves=1, steps=2)


@pytest.fixture
def native(monkeypatch):
    """A device that computes bfloat16 itself; elsewhere the library emulates it."""
    monkeypatch.setattr(TorchBackend, "fast_bfloat16", lambda _: True)


def dreamer(network="motif", precision="auto", **options):
    run = kd.RunSettings(backend="torch", device="cpu", precision=precision)
    return kd.Dreamer(network, run=run, **options)


def test_auto_is_bfloat16_where_device_and_network_allow_it(native, motif):
    photo = picture(40, 37)
    own = dreamer().dream(photo, SHORT)
    assert own.record.run["precision"] == "bfloat16"
    chosen = dreamer(precision="bfloat16").dream(photo, SHORT)
    assert np.array_equal(own.image, chosen.image)
    exact = dreamer(precision="float32").dream(photo, SHORT)
    assert not np.array_equal(own.image, exact.image)


def test_auto_is_float32_elsewhere(motif):
    assert kd.RunSettings().precision == "auto"
    dream = dreamer().dream(picture(40, 37), SHORT)
    assert dream.record.run["precision"] == "float32"


def test_what_is_not_known_keeps_all_at_float32(native, motif):
    own = dreamer(weights=motif)
    assert own.record(Picture(picture(40, 37))).run["precision"] == "float32"
    known = load_entry(ZOO["motif"], backend="torch")
    other = load_entry(ZOO["motif"], backend="torch", weights=motif)
    assert fitting(load("torch"), [known]) == "bfloat16"
    assert fitting(load("torch"), [known, other]) == "float32"


def test_a_replay_uses_the_recorded_precision(native, motif, monkeypatch):
    record = dreamer().dream(picture(40, 37), SHORT).record
    monkeypatch.setattr(TorchBackend, "fast_bfloat16", lambda _: False)
    settings, _ = recorded_run(record.run)
    again = kd.Dreamer("motif", run=settings).dream(picture(40, 37), SHORT)
    assert again.record.run == record.run


def test_what_is_measured_is_float32(native, motif):
    image = picture(64, 64)
    auto, exact = dreamer(), dreamer(precision="float32")
    layers = ["near", "far"]
    assert np.array_equal(
        auto.features(image, layers)["far"], exact.features(image, layers)["far"]
    )
    measured = [
        next(one.responses().measure(image, ["far"])).scores for one in (auto, exact)
    ]
    assert np.array_equal(*measured)


def test_the_shipped_network_is_as_alike_as_the_catalogue_says(native):
    image = read_picture(DOCS / "photos" / "hopper.jpg").pixels[100:356, 60:316]
    a, b = (
        dreamer(precision=precision).gradient(image, kd.Recipe())[1]
        for precision in ("float32", "bfloat16")
    )
    cosine = (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())
    assert cosine > BFLOAT16["motif"].cosine


def test_the_table_is_that_of_the_documentation():
    lines = (DOCS / "bfloat16.jsonl").read_text("utf-8").splitlines()
    facts = [json.loads(line) for line in lines]
    assert set(BFLOAT16) == set(ZOO) == {fact["network"] for fact in facts}
    for name, known in BFLOAT16.items():
        cosines, times = [], []
        for fact in facts:
            own = fact["network"] == name
            kinds = ("real",) if "real" in fact else ("initial", "random")
            for measured in (fact[kind] for kind in kinds if own):
                cosines.append(measured["bfloat16"])
                if "seconds" in measured:
                    seconds = measured["seconds"]
                    times.append(seconds["bfloat16"] / seconds["float32"])
        assert known.cosine == math.floor(min(cosines) * 1000) / 1000, name
        assert known.time == round(max(times), 2), name


def test_published_algorithms_are_computed_as_published():
    """In float32: they are compared with their originals number by number."""
    for name in ("book1", "kerasio", "book2", "tftut", "google2015"):
        assert not ZOO[kd.presets[name].network].is_better_in_bfloat16
