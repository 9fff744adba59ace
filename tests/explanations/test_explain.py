"""Explanations: what is measured, what is drawn, and what is refused."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from planted_patterns import planted, template_network

import keras_dream as kd
from keras_dream.errors import ObjectiveError, PictureError, SettingError
from keras_dream.explanations import explain as explaining
from keras_dream.explanations.explain import ClassScore, _doubts
from keras_dream.graph import file
from keras_dream.pictures.picture import read_picture
from keras_dream.recipe.objectives import parse
from keras_dream.zoo import load
from keras_dream.zoo.network import Network


@pytest.fixture
def templates(tmp_path, monkeypatch):
    """Puts the network that looks for patterns in the place of the shipped one."""
    (tmp_path / "templates").mkdir()
    file.save(template_network(), tmp_path / "templates" / "motif.safetensors")
    monkeypatch.setattr(load, "BUILTIN", tmp_path / "templates")


def test_the_planted_pattern_leads(templates):
    found = kd.explain(planted(2, (36, 53)), top=3)
    assert [layer.facts.layer for layer in found.layers] == ["look", "dull"]
    look = found.layers[0]
    assert (look.map_size, look.heat.shape) == ((60, 70), (60, 70, 3))
    assert look.objective == "look:strongest(3)"
    first = look.channels[0]
    assert (first.layer, first.channel, first.objective) == ("look", 4, "look:4")
    assert first.peak == pytest.approx((36, 53), abs=1)
    assert found.strongest(1) == (first,)
    scores = [channel.score for channel in found.strongest(6)]
    assert scores == sorted(scores, reverse=True)


def test_the_strongest_of_an_explanation_are_those_of_a_dream(templates):
    photo = planted(1, (36, 53))
    found = kd.explain(photo, layers=["pool"], top=2).layers[0]
    dreamer = kd.Dreamer()
    recipe = kd.Recipe(objective=found.objective, steps=1, octaves=1)
    (meant,) = dreamer.dream(photo, recipe).record.strongest["motif"].values()
    assert meant == tuple(channel.channel for channel in found.channels)
    again = kd.explain(photo, dreamer, layers=["pool"], top=2)
    assert again.data() == kd.explain(photo, layers=["pool"], top=2).data()


def test_heat_lies_where_the_pattern_is(templates):
    found = kd.explain(planted(0, (36, 53)), layers=["pool"])
    heat = found.layers[0].heat_over(0, (120, 140))  # twice the photo's size
    assert (heat.shape, heat.dtype) == ((120, 140), np.float32)
    peak = np.unravel_index(heat.argmax(), heat.shape)
    assert peak == pytest.approx((73, 107), abs=3)
    highest = found.layers[0].heat[..., 0].max()
    assert 0.8 * highest < heat.max() <= highest


def test_peaks_are_told_in_pixels_of_a_huge_photo(templates, monkeypatch):
    monkeypatch.setattr("keras_dream.dreamer.responses.MAX_PIXELS", 60 * 70)
    photo = np.kron(planted(0, (36, 53)), np.ones((4, 4, 1), np.float32))
    found = kd.explain(photo, layers=["pool"])
    assert (found.measured.shape, found.picture.pixels.shape) == (
        (60, 70, 3),
        (240, 280, 3),
    )
    assert found.layers[0].channels[0].peak == pytest.approx((146, 214), abs=8)


def test_json_has_one_form(templates, tmp_path):
    Image.fromarray((planted(0, (36, 53)) * 255).astype(np.uint8)).save("planted.png")
    found = kd.explain("planted.png", top=2).data()
    assert json.loads(json.dumps(found)) == found
    assert list(found) == [
        "explanation", "photo", "photo_sha256", "size", "measured_size", "network",
        "weights_sha256", "baseline", "classes", "strongest", "layers", "notices",
    ]  # fmt: skip
    assert (found["explanation"], found["photo"]) == (1, "planted.png")
    size = {"width": 70, "height": 60}
    assert (found["size"], found["measured_size"]) == (size, size)
    assert found["photo_sha256"] == read_picture("planted.png").sha256
    assert re.fullmatch("[0-9a-f]{64}", found["weights_sha256"])
    layer = found["layers"][0]
    assert list(layer) == [
        "layer", "kind", "channels", "map_size", "objective", "strongest",
    ]  # fmt: skip
    for channel in (*layer["strongest"], *found["strongest"]):
        assert list(channel) == [
            "layer",
            "channel",
            "score",
            "peak",
            "area",
            "objective",
        ]
        parse(channel["objective"])
        peak = channel["peak"]
        assert 0 <= peak["x"] < 70
        assert 0 <= peak["y"] < 60
        assert 0 <= channel["area"] <= 1


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_classes_have_scores(shipped):
    assert [score.name for score in shipped.classes] == [
        shipped.data()["classes"][n]["class"] for n in range(5)
    ]
    scores = [score.logit for score in shipped.classes]
    assert scores == sorted(scores, reverse=True)
    chances = [score.probability for score in shipped.classes]
    assert 0 < sum(chances) <= 1.0001
    first = parse(shipped.data()["classes"][0]["objective"]).terms[0].target
    assert first.name in Network("motif").outline().classes


@pytest.fixture(scope="module")
def shipped():
    sky = Image.open(Path(__file__).parents[2] / "examples" / "sky.jpg")
    return kd.explain(np.asarray(sky.resize((240, 160))))


def test_chief_layers_are_shown_without_pools(shipped):
    listed = [layer.facts.layer for layer in shipped.layers]
    assert "mixed4" in listed
    assert not any("pool" in name or name in ("average", "classes") for name in listed)
    assert len(listed) <= explaining.MAX_LAYERS


def test_many_layers_are_thinned_out(templates, monkeypatch):
    monkeypatch.setattr(explaining, "MAX_LAYERS", 1)
    found = kd.explain(planted(0, (36, 53)))
    assert len(found.layers) == 1
    assert found.notices == ("1 layers of 2 are shown; name others to see them.",)
    assert len(kd.explain(planted(0, (36, 53)), layers=["*"]).layers) == 3


def test_the_page_shows_every_heat_map(shipped):
    page = shipped.image()
    assert (page.dtype, page.ndim, page.shape[2]) == (np.float32, 3, 3)
    assert (page.min() >= 0, page.max() <= 1) == (True, True)
    # Six cells of 210 pixels beside each other, a row for each layer.
    assert 6 * 210 < page.shape[1] < 6 * 210 + 160
    assert page.shape[0] > 140 * len(shipped.layers)
    shipped.save("seen.png")
    assert read_picture("seen.png").pixels.shape == page.shape


@pytest.mark.parametrize("size", [(40, 400), (400, 40), (16, 16)])
def test_pages_of_odd_pictures(motif, size):
    photo = np.random.default_rng(0).random((*size, 3))
    found = kd.explain(photo)
    page = found.image()
    assert max(page.shape) < 4000
    assert page.shape[1] > 900


def test_layers_for_which_a_picture_is_too_small_are_told(motif):
    found = kd.explain(np.zeros((5, 9, 3), np.float32))
    assert [layer.facts.layer for layer in found.layers] == ["near"]
    assert found.notices == ("The picture is too small for far.",)
    with pytest.raises(PictureError, match="at least 6 pixels"):
        kd.explain(np.zeros((5, 9, 3), np.float32), layers=["far"])


def test_a_model_of_ones_own_is_explained():
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(7, activation="softmax"),
        ]
    )
    photo = np.random.default_rng(0).random((40, 60, 3)).astype(np.float32)
    found = kd.explain(photo, model)
    assert found.layers[0].channels[0].objective.startswith("conv2d@0:")
    assert len(found.classes) == 5
    chances = [chance.item() for chance in model(photo[None] * 255)[0]]
    for score in found.classes:
        assert score.name == str(score.index)
        assert score.probability == pytest.approx(chances[score.index], abs=1e-4)


@pytest.mark.parametrize("top", [0, -1, 65])
def test_top_has_bounds(motif, top):
    with pytest.raises(SettingError, match="`top` must be a whole number from 1 to 64"):
        kd.explain(np.zeros((40, 60, 3)), top=top)


def test_options_belong_to_the_dreamer(motif):
    with pytest.raises(SettingError, match="received classifier, run"):
        kd.explain(np.zeros((40, 60, 3)), kd.Dreamer(), classifier=True, run=None)


def test_unknown_layers(motif):
    with pytest.raises(ObjectiveError, match="try 'near', the nearest name"):
        kd.explain(np.zeros((40, 60, 3)), layers=["nera"])


def test_the_page_of_the_docs_names_every_key(shipped):
    page = (Path(__file__).parents[2] / "docs" / "seeing-inside.md").read_text("utf-8")
    data = shipped.data()
    parts = (data, data["classes"][0], data["layers"][0])
    for key in (key for part in parts for key in part):
        assert f"`{key}`" in page, key
    example = json.loads(re.search("```json\n(.*?)```", page, re.DOTALL)[1])
    assert list(example) == list(data["strongest"][0])


# -- on the command line --------------------------------------------------------------


def test_a_page_beside_the_photo(dream, photo):
    code, out, err = dream("explain", photo, "--top", 2)
    assert (code, out) == (0, "photo-seen.png\n")
    assert re.search(r"near:\d +[+-]\d", err)
    assert read_picture("photo-seen.png").pixels.shape[1] > 900
    assert dream("explain", photo, "--quiet")[1:] == ("photo-seen-2.png\n", "")


def test_json_on_standard_output_draws_nothing(dream, photo):
    code, out, err = dream("explain", photo, "--json", "--layers", "near")
    assert (code, err) == (0, "")
    assert json.loads(out)["layers"][0]["layer"] == "near"
    assert [path.name for path in Path().iterdir()] == ["photo.png"]
    code, out, err = dream("explain", photo, "--json", "-o", "page.jpg")
    assert (code, err) == (0, "page.jpg\n")
    assert json.loads(out)["photo"] == "photo.png"
    assert Path("page.jpg").is_file()


def test_json_in_a_file(dream, photo):
    code, out, _ = dream("explain", photo, "--json", "a.json", "--layers", "near,far")
    assert (code, out) == (0, "photo-seen.png\na.json\n")
    told = json.loads(Path("a.json").read_text())
    assert [layer["layer"] for layer in told["layers"]] == ["near", "far"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("PHOTO requires an argument",)),
        (("nowhere.png",), ("'nowhere.png', which does not exist",)),
        (("photo.png", "more"), ("received 'more' as well",)),
        (("photo.png", "--network", "motiv"), ("'motiv'", "try 'motif'")),
        (("photo.png", "--layers", "nera"), ("'nera'", "try 'near'")),
        (("photo.png", "--layers"), ("--layers requires an argument",)),
        (("photo.png", "--layer", "x"), ("Did you mean --layers?",)),
        (("photo.png", "--top", "many"), ("--top", "many")),
        (("photo.png", "--top", "0"), ("from 1 to 64",)),
        (("photo.png", "-o", "photo.png"), ("must not replace its own photo",)),
        (("photo.png", "-o", "a.txt"), (".png, .jpg",)),
        (("photo.png", "--json", "a.png"), (".json",)),
        (("photo.png", "--weights", "none.h5"), ("'none.h5'",)),
        (("photo.png", "--device", "gpu9"), ("gpu9",)),
    ],
)
def test_mistakes(dream, photo, arguments, words):
    code, out, err = dream("explain", *arguments)
    assert (code, "error" in out) == (2, "--json" in arguments), err
    lines = [line for line in err.splitlines() if not line.startswith("Loading")]
    assert len(lines) == 1
    assert all(word in lines[0] for word in words), err
    assert [path.name for path in Path().iterdir()] == ["photo.png"]


def test_channels_of_a_layer_of_classes_bear_their_names():
    image = np.random.default_rng(5).random((96, 96, 3), dtype=np.float32)
    found = kd.explain(image, layers=["motifs", "mixed2"])
    classes = kd.Dreamer().graph.classes
    for layer in found.layers:
        for channel in layer.channels:
            wanted = classes[channel.channel] if layer.facts.layer == "motifs" else None
            assert channel.class_name == wanted
            assert channel.data().get("class") == wanted


def test_a_network_that_recognises_nothing_says_so():
    def score(name, share):
        return ClassScore(name=name, index=0, logit=0.0, probability=share)

    (notice,) = _doubts("mine", [score("background", 0.92), score("cat", 0.03)])
    assert "none of its classes: 92 % background" in notice
    assert "drawings" in next(iter(_doubts("motif", [score("background", 1.0)])))
    assert not list(_doubts("mine", [score("cat", 0.6), score("background", 0.4)]))
    assert not list(_doubts("mine", []))
