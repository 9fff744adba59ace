"""Masks and regions as text."""

import pytest
from hypothesis import given, strategies as st

import keras_dream as kd
from keras_dream.errors import ObjectiveError, SettingError
from keras_dream.recipe.files import FileRef
from keras_dream.recipe.masks import Mask, Region, Side, parse_mask, parse_region

SHA = "a1" * 32


@pytest.mark.parametrize(
    ("text", "mask"),
    [
        ("sky.png", Mask(FileRef("sky.png"))),
        (
            "sky.png(feather=20, invert)",
            Mask(FileRef("sky.png"), feather=20.0, invert=True),
        ),
        (f"sky.png#{SHA}(invert)", Mask(FileRef("sky.png", SHA), invert=True)),
        ("my sky.png ( invert )", Mask(FileRef("my sky.png"), invert=True)),
        ("'it''s (1): a, b#c.png'", Mask(FileRef("it's (1): a, b#c.png"))),
        ("'alpha'", Mask(FileRef("alpha"))),
        ("'box'(invert)", Mask(FileRef("box"), invert=True)),
        ("C:\\photos\\sky.png", Mask(FileRef("C:\\photos\\sky.png"))),
        ("random", Mask(random=0)),
        ("random( 2, invert)", Mask(random=2, invert=True)),
        ("random(feather=3)", Mask(random=0, feather=3.0)),
        ("'random'(invert)", Mask(FileRef("random"), invert=True)),
        ("alpha", Mask()),
        ("alpha(feather=2.5)", Mask(feather=2.5)),
        ("alpha(feather=1234.567891)", Mask(feather=1234.567891)),
        ("alpha(feather=0.000001)", Mask(feather=0.000001)),
        (
            "box(33.333333%, 0, 999999.5, 9%)",
            Mask(
                box=(
                    Side(33.333333, True),
                    Side(0, False),
                    Side(999999.5, False),
                    Side(9, True),
                ),
            ),
        ),
        (
            "box(10%, 20, 60%, 80px, feather=3)",
            Mask(
                box=(Side(10, True), Side(20, False), Side(60, True), Side(80, False)),
                feather=3.0,
            ),
        ),
    ],
)
def test_text_of_masks(text, mask):
    assert parse_mask(text) == mask
    assert parse_mask(mask.text) == mask


NAMES = st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=20)


@given(NAMES.map(str.strip).filter(bool), st.booleans(), st.booleans())
def test_a_file_of_any_name_is_read_back(name, invert, hashed):
    try:
        file = FileRef(name, SHA if hashed else "")
    except SettingError:
        return  # no file's name
    mask = Mask(file, invert=invert)
    assert parse_mask(mask.text) == mask
    region = Region(mask, parse_region("alpha: mixed4:11").objective)
    assert parse_region(region.text) == region


@pytest.mark.parametrize(
    "text",
    [
        "", "()", "sky.png(", "sky.png)", "sky.png(blur=3)", "sky.png(feather=-1)",
        "sky.png(invert, invert)", "sky (1).png", "sky#1.png", "box", "box(1, 2, 3)",
        "box(1, 2, 3, 4, 5)", "box(a, b, c, d)", "alpha: mixed4", f"alpha#{SHA}",
    ],
)  # fmt: skip
def test_what_is_no_mask(text):
    with pytest.raises(SettingError, match="A mask must be a picture file, box"):
        parse_mask(text)


@pytest.mark.parametrize(
    "text", ["box(60%, 0%, 20%, 100%)", "box(0%, 0%, 101%, 9%)", "box(3, 3, 3, 9)"]
)
def test_boxes_that_hold_nothing_or_leave_the_picture(text):
    with pytest.raises(SettingError, match="inside the picture, left before right"):
        parse_mask(text)


def test_regions_in_recipes():
    texts = ("sky.png(invert): mixed4:11 + 0.5*mixed3", "alpha: default; 2.0*a: b")
    recipe = kd.Recipe(regions=texts, mask="box(0%, 0%, 50%, 100%)")
    assert tuple(region.text for region in recipe.regions) == texts
    assert kd.Recipe(regions=texts[0]).regions == recipe.regions[:1]
    assert kd.Recipe(regions=recipe.regions) == kd.Recipe(regions=texts)
    assert kd.Recipe(regions="none", mask="none") == kd.Recipe()
    data = recipe.model_dump(mode="json", exclude_defaults=True)
    assert data == {"regions": list(texts), "mask": "box(0%, 0%, 50%, 100%)"}
    assert kd.Recipe(**data) == recipe
    assert [n.network for n in recipe.every_network] == ["motif"] * 3 + ["a"]
    assert recipe.files == (FileRef("sky.png"),)


def test_what_is_no_region():
    for text in ("sky.png", "sky.png:", ": mixed4"):
        with pytest.raises(SettingError, match="must be"):
            kd.Recipe(regions=text)
    with pytest.raises(ObjectiveError):
        kd.Recipe(regions="sky.png: 3 + 4")
    with pytest.raises(SettingError, match="at most 32 regions; received 33"):
        kd.Recipe(regions=["alpha: a"] * 33)


def test_a_maximum_loss_has_no_regions():
    with pytest.raises(SettingError, match=r"no regions.*received 3 with 2 regions"):
        kd.Recipe(regions="alpha: mixed4", max_loss=3)


def test_windows_have_neither_masks_nor_regions():
    for places in ({"mask": "alpha"}, {"regions": "alpha: mixed4"}):
        with pytest.raises(SettingError, match="seen whole in every step"):
            kd.Recipe(transforms="flip + crop", **places)
    kd.Recipe(transforms="flip + rotate + pad", mask="alpha")


def test_an_untrusted_mask_has_a_plain_name_and_a_hash():
    with pytest.raises(SettingError, match="a name with its sha256"):
        kd.Recipe.read('{"mask": "sky.png"}')
    with pytest.raises(SettingError, match="name without folders"):
        kd.Recipe.read(f'{{"regions": ["../sky.png#{SHA}: mixed4"]}}')
    assert kd.Recipe.read(f'{{"mask": "sky.png#{SHA}"}}').mask is not None
