"""Files of recipes from the shell: their names and hashes, and where they are found."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import keras_dream as kd
from keras_dream.pictures.encoding import save_picture
from keras_dream.pictures.metadata import read_notes
from keras_dream.replay import read_saved

FAST = ("--steps", 2, "--octaves", 1, "--jitter", 0)
EQUAL = "The dream made again equals the saved one."


@pytest.fixture
def guide(photo):
    """A guide in another folder."""
    folder = Path("guides")
    folder.mkdir()
    image = np.random.default_rng(8).random((24, 24, 3), np.float32)
    save_picture(folder / "guide.png", image)
    return folder / "guide.png"


@pytest.fixture
def dreamed(dream, photo, guide):
    """A dream with the guide; returns its file."""

    code, out, _ = dream(photo, *FAST, "--objective", f"guide({guide}, near)")
    assert code == 0
    return Path(out.strip())


def test_the_dream_has_the_plain_name_and_the_hash(dreamed, guide):
    sha256 = hashlib.sha256(guide.read_bytes()).hexdigest()
    assert (
        str(read_saved(dreamed).recipe.objective) == f"guide(guide.png#{sha256}, near)"
    )
    assert "guides/" not in json.dumps(read_notes(dreamed))


def test_a_replay_finds_it_beside_the_picture_or_by_file(dream, dreamed, guide):
    code, _, err = dream("replay", dreamed)
    assert (code, "add --file PATH" in err) == (2, True)
    code, _, err = dream("replay", dreamed, "--file", guide, "--out", "again.png")
    assert (code, EQUAL in err) == (0, True)
    Path("guide.png").write_bytes(guide.read_bytes())
    code, _, err = dream("replay", dreamed, "--out", "third.png")
    assert (code, EQUAL in err) == (0, True)
    Path("guide.png").write_bytes(guide.read_bytes() + b"\0")
    code, _, err = dream("replay", dreamed)
    assert (code, "which has another sha256" in err) == (2, True)


def test_its_recipe_is_used_for_another_photo(dream, dreamed, guide):
    other = np.random.default_rng(1).random((30, 30, 3), np.float32)
    save_picture(Path("other.png"), other)
    arguments = ("other.png", "--recipe", dreamed)
    assert dream(*arguments)[0] == 2
    assert dream(*arguments, "--file", guide)[0] == 0
    assert dream("grid", *arguments, "--x", "steps=1|2", "--file", guide)[0] == 0
    assert dream("grid", *arguments, "--x", "steps=1|2")[0] == 2


def test_a_recipe_file_cannot_name_a_file_elsewhere(dream, photo, guide):
    for name in (guide, guide.resolve(), "guide.png"):
        recipe = {"objective": f"guide({name}, near)"}
        Path("recipe.json").write_text(json.dumps(recipe), "utf-8")
        code, _, err = dream(photo, "--recipe", "recipe.json")
        assert (code, "A file in a recipe must be" in err) == (2, True)
    assert not Path("photo-dream.png").exists()


def test_python_finds_it_among_files_and_beside_the_photo(motif, photo, guide):
    dreamer = kd.Dreamer()
    recipe = kd.Recipe(objective=kd.guide(guide, "near"), steps=1, octaves=1)
    done = dreamer.dream(photo, recipe)
    assert np.array_equal(dreamer.dream(photo, done.recipe).image, done.image)
    with pytest.raises(kd.DreamError, match="in Python files="):
        kd.dream(photo, done.recipe)
    again = kd.dream(photo, done.recipe, files=[guide])
    assert np.array_equal(again.image, done.image)
    Path("guide.png").write_bytes(guide.read_bytes())
    assert np.array_equal(kd.dream(photo, done.recipe).image, done.image)


def test_an_own_function_is_not_replayed_from_the_picture(dream, motif, photo):
    from keras import ops

    @kd.objective("near")
    def mine(near):
        return ops.mean(ops.square(near))

    done = kd.dream(photo, objective=mine - 0.1 * kd.tv, steps=1, octaves=1)
    done.save("mine.png")
    code, _, err = dream("replay", "mine.png")
    assert (code, "must be passed from Python" in err) == (2, True)
    again = kd.dream(photo, done.recipe.but(objective=mine - 0.1 * kd.tv))
    assert np.array_equal(again.image, done.image)


def test_a_forged_direction_is_refused(dream, photo):
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999999,), }"
    length = len(header).to_bytes(2, "little")
    Path("d.npy").write_bytes(b"\x93NUMPY\x01\x00" + length + header.encode())
    code, _, err = dream(photo, "--objective", "direction(near, d.npy)")
    assert (code, "must be a .npy file of finite numbers" in err) == (2, True)
    np.save("p.npy", np.array([{}], object), allow_pickle=True)
    code, _, err = dream(photo, "--objective", "direction(near, p.npy)")
    assert (code, "must be a .npy file of finite numbers" in err) == (2, True)


def test_variations_find_it_too(dream, dreamed, photo, guide):
    arguments = (photo, "--recipe", dreamed, "--variations", 2)
    assert dream(*arguments)[0] == 2
    assert dream(*arguments, "--file", guide)[0] == 0
