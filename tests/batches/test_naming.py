"""The names of results: templates, and no two alike on any file system."""

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings, strategies as st

from keras_dream.batches.naming import Name, Template, assign, result_path, template
from keras_dream.errors import DreamError, OutputError, SettingError
from keras_dream.names import name_fault
from keras_dream.recipe.recipe import Recipe

RECIPE = Recipe(seed=7, steps=5, strength=0.5, objective="class:eye + 2*mixed4:1")


def name(photo: str, *, below: str = "", index: int = 1) -> Name:
    return Name(photo, below, RECIPE, "reef", index)


def path(text: str, photo: str = "in/sky.jpg", *, below: str = "") -> str:
    return str(Template(text).path(name(photo, below=below)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{stem}-{preset}-{seed}", "sky-reef-7.png"),
        ("{stem}.webp", "sky.webp"),
        ("{index:04d}", "0001.png"),
        ("{number}-{network}-{octaves}", "1-motif-auto.png"),
        ("{strength:.2f} {strength} {suffix}", "0.50 0.5 jpg.png"),
        ("v1.5-{stem}", "v1.5-sky.png"),
        ("{stem}-0.5", "sky-0.5.png"),
        ("{objective}", "class_eye_+_2.0_mixed4_1.png"),
        ("{{{stem}}}", "{sky}.png"),
        ("{filters}-{size}", "none-none.png"),
    ],
)
def test_templates(text: str, expected: str) -> None:
    assert path(text) == expected
    assert path(text, below="a/b") == f"a/b/{expected}"


def test_sources_have_stems() -> None:
    assert path("{stem}-dream", "noise:64x48") == "noise-64x48-dream.png"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{sead}", "'seed', the nearest name"),
        ("{stem", "in braces"),
        ("{stem.__class__}", "must be one that exists"),
        ("{stem!r}", "in braces"),
        ("{}", "must be one that exists"),
        ("{foo}", "try one of stem, suffix, preset, index, number"),
        ("{index:99999d}", "in braces"),
        ("../{stem}", "without folders"),
        ("a\\{stem}", "without folders"),
        ("C:{stem}", "without folders"),
    ],
)
def test_templates_that_cannot_be(text: str, part: str) -> None:
    with pytest.raises((SettingError, OutputError), match=part.replace("(", r"\(")):
        Template(text)


def test_a_path_that_leaves_the_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"'\.\./a\.png', which leaves the folder"):
        result_path(tmp_path, "../a.png", Template())


def test_a_format_must_fit_its_value() -> None:
    with pytest.raises(OutputError, match="which is 'sky'"):
        path("{stem:04d}")
    with pytest.raises(OutputError, match=r"strength, which is '0.5'"):
        path("{strength:04d}")


def test_the_suffix_is_that_of_the_format_or_of_the_template() -> None:
    assert template(None, "JPG").suffix == ".jpg"
    assert template("{stem}.tif", None).path(name("a.png")) == PurePosixPath("a.tif")
    with pytest.raises(OutputError, match=r"suffix of --format, \.jpg"):
        template("{stem}.tif", "jpg")
    with pytest.raises(OutputError, match=r"\.png"):
        template(None, "gif")


def test_photos_of_one_stem_do_not_collide() -> None:
    names = [name("a.jpg", index=1), name("a.png", index=2), name("b.png", index=3)]
    paths, notices = assign(names, Template())
    assert list(map(str, paths)) == [
        "a-jpg-dream.png",
        "a-png-dream.png",
        "b-dream.png",
    ]
    assert "'a-jpg-dream.png' (2)" in notices[0]
    twice = [name("a.jpg", index=n) for n in (1, 2)]
    paths, _ = assign(twice, Template())
    assert list(map(str, paths)) == ["a-1-dream.png", "a-2-dream.png"]
    later, _ = assign([name("a.gif")], Template(), taken=[PurePosixPath("A-dream.PNG")])
    assert list(map(str, later)) == ["a-gif-dream.png"]


@pytest.mark.parametrize(
    "photos",
    [("a.jpg", "a.png"), ("STRASSE.jpg", "straße.jpg"), ("e\u0301.jpg", "\u00e9.jpg")],
)
def test_names_that_are_one_on_some_system_are_refused(photos: tuple[str, str]) -> None:
    with pytest.raises(OutputError, match="a name of its own"):
        assign([name(photo) for photo in photos], Template("{stem}"))


def test_what_has_no_name_does_not_end_the_others() -> None:
    paths, _ = assign([name("con.jpg"), name("b.jpg")], Template("{stem}"))
    assert "device of Windows" in str(paths[0])
    assert str(paths[1]) == "b.png"


@settings(max_examples=60)
@given(st.text(min_size=1, max_size=300).filter(lambda t: "/" not in t and t != "."))
def test_any_stem_gives_a_plain_name_or_an_error(stem: str) -> None:
    try:
        result = Template("{stem}-dream").path(name(str(Path("in") / f"{stem}.jpg")))
    except DreamError:
        return
    assert result.parent == PurePosixPath()
    assert name_fault(result.name) == ""
