"""The gallery: its page, and the recipes that its pictures carry."""

import sys
from pathlib import Path

import pytest

from keras_dream.pictures.metadata import read_notes
from keras_dream.recipe.recipe import Recipe

DOCS = Path(__file__).resolve().parents[2] / "docs"
PICTURES = sorted((DOCS / "gallery").glob("*.jpg"))


def test_the_page_shows_the_lines_of_the_list():
    sys.path.insert(0, str(DOCS))
    import gallery

    assert (DOCS / "gallery.md").read_text("utf-8") == gallery.page()
    assert {p.stem for p in PICTURES} <= {entry.name for entry in gallery.entries()}


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.stem)
def test_pictures_are_small_and_carry_their_recipes(picture):
    assert picture.stat().st_size <= 100_000
    notes = read_notes(picture)
    assert notes is not None
    if "recipe" not in notes:  # a sheet, which has its plan
        assert "variations" in notes
        return
    assert Recipe.read(notes["recipe"]).octaves != "auto"
