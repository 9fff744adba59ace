"""Files that recipes name: plain names and hashes, found where the user put them."""

import hashlib
import json
from dataclasses import dataclass

import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel

from keras_dream.errors import DreamError, InputError, SettingError
from keras_dream.recipe.files import FileRef, Files, files_of, with_files
from keras_dream.recipe.objectives import parse
from keras_dream.recipe.recipe import Recipe

DATA = b"a guide"
SHA256 = hashlib.sha256(DATA).hexdigest()
GUIDE = FileRef("guide.jpg", SHA256)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "guide.jpg").write_bytes(DATA)
    return tmp_path


@pytest.mark.parametrize(
    "text", ["a.jpg", f"a.jpg#{SHA256}", "a b#1.jpg", "../a/b.npy"]
)
def test_text_is_read_back(text):
    assert FileRef.read(text).text == text


@given(st.text(max_size=12), st.sampled_from(["", SHA256]))
def test_any_name_is_refused_or_read_back(name, sha256):
    try:
        file = FileRef(name, sha256)
    except SettingError as error:
        assert str(error).endswith(".")  # noqa: PT017
    else:
        assert FileRef.read(file.text) == file


def test_a_hash_is_read_in_capitals_too():
    assert FileRef.read(f"a.jpg#{SHA256.upper()}") == FileRef("a.jpg", SHA256)


@pytest.mark.parametrize(
    "name", ["", " a", "a\0", "a" * 5000, "https://x.org/a.jpg", f"a#{SHA256}"]
)
def test_what_is_no_name(name):
    with pytest.raises(SettingError):
        FileRef(name)


@pytest.mark.parametrize("name", ["a/b", "a\\b", "c:b", "..", "/etc/passwd"])
def test_names_with_folders_are_not_plain(name):
    assert not FileRef(name).is_plain


def test_what_the_user_types_becomes_a_plain_name_with_its_hash(folder):
    files = Files()
    objective = parse(f"guide({folder}/in/../guide.jpg, mixed4) - 0.1*a")
    completed = files.complete(objective)
    assert completed.text == f"guide(guide.jpg#{SHA256}, mixed4) - 0.1*a"
    assert files.find(GUIDE).read_bytes() == DATA
    assert files.complete(completed) is completed
    with pytest.raises(InputError, match="which does not exist"):
        files.complete(parse(f"guide({folder}/none.jpg, mixed4)"))


def test_a_typed_hash_must_be_right(folder):
    path = folder / "guide.jpg"
    Files().complete(FileRef(str(path), SHA256))
    with pytest.raises(InputError, match="the stated sha256, aaaaaaaaaaaa…"):
        Files().complete(FileRef(str(path), "a" * 64))


def test_a_recipe_s_file_is_looked_for_where_the_user_said(folder, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(InputError, match="add --file PATH"):
        Files().find(GUIDE)  # not in the folder where one happens to be
    assert Files(folders=[folder]).find(GUIDE) == folder / "guide.jpg"
    renamed = folder / "in" / "other.jpg"
    renamed.write_bytes(DATA)
    assert Files(named=[renamed]).find(GUIDE) == renamed


def test_a_named_file_must_exist(folder):
    with pytest.raises(InputError, match=r"try 'guide\.jpg', the nearest name"):
        Files(named=[folder / "guid.jpg"])


def test_a_file_with_other_bytes_is_not_taken(folder):
    other = folder / "in" / "guide.jpg"
    other.write_bytes(b"another")
    with pytest.raises(InputError, match="which has another sha256"):
        Files(folders=[folder / "in"]).find(GUIDE)
    both = Files(folders=[folder / "in", folder])
    assert both.find(GUIDE) == folder / "guide.jpg"


def test_no_link_leads_out_of_the_folder(folder):
    link = folder / "in" / "guide.jpg"
    link.symlink_to(folder / "guide.jpg")
    with pytest.raises(InputError, match="received none"):
        Files(folders=[folder / "in"]).find(GUIDE)
    assert Files(named=[link]).find(GUIDE) == link  # the user's own


def test_a_file_is_read_up_to_a_limit(folder):
    files = Files(folders=[folder])
    assert files.read(GUIDE) == DATA
    with pytest.raises(InputError, match="at most 3 bytes"):
        files.read(GUIDE, limit=3)


@pytest.mark.parametrize(
    "file",
    ["guide.jpg", f"../guide.jpg#{SHA256}", f"/a/guide.jpg#{SHA256}", f"c:x#{SHA256}"],
)
def test_a_recipe_that_was_read_has_plain_names_and_hashes(file):
    recipe = Recipe(objective=f"guide({file}, mixed4)")
    assert recipe.files == (FileRef.read(file),)
    with pytest.raises(SettingError, match="A file in a recipe must be"):
        Recipe.read(recipe.json_text())


def test_a_complete_recipe_can_be_read():
    recipe = Recipe(objective=f"guide(guide.jpg#{SHA256}, mixed4) + a")
    assert Recipe.read(recipe.json_text()) == recipe
    assert recipe.files == (GUIDE,)


@dataclass(frozen=True)
class Mask:
    file: FileRef
    feather: int = 0


class Palette(BaseModel):
    file: FileRef
    strength: float = 1


def test_files_are_found_in_settings_of_any_depth():
    value = (Mask(FileRef("a.png")), (Palette(file="b.png"), "c.png"), 3)
    assert [file.name for file in files_of(value)] == ["a.png", "b.png"]
    changed = with_files(value, lambda file: FileRef(f"new-{file.name}"))
    assert changed == (
        Mask(FileRef("new-a.png")),
        (Palette(file="new-b.png"), "c.png"),
        3,
    )
    assert with_files(value, lambda file: file) is value


def test_names_that_no_picture_can_carry_are_refused(tmp_path):
    path = tmp_path / "a:b.jpg"
    path.write_bytes(DATA)
    with pytest.raises(DreamError, match="rename the file"):
        Files().complete(FileRef(str(path)))


@pytest.mark.parametrize(
    ("setting", "value"),
    {
        "mask": "{}",
        "regions": ["{}: mixed4"],
        "per_octave": ["1: objective=guide({}, mixed4)"],
        "colors": "palette({})",
    }.items(),
)
def test_every_setting_with_a_file_is_held_to_the_same(setting, value, folder):
    def recipe(file):
        text = json.dumps({setting: value}).replace("{}", file)
        return Recipe(**json.loads(text))

    path = folder / "guide.jpg"
    for wrong in (str(path), "guide.jpg"):
        assert recipe(wrong).files == (FileRef(wrong),)
        with pytest.raises(SettingError, match="A file in a recipe must be"):
            Recipe.read(recipe(wrong).json_text())
    completed = Files().complete(recipe(str(path)))
    assert completed.files == (GUIDE,)
    assert Recipe.read(completed.json_text()) == completed
