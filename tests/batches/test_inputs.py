"""The photos of a batch: folders, patterns, sources, and what is left out."""

import os
from pathlib import Path

import pytest

from keras_dream.batches.inputs import find_photos, natural
from keras_dream.errors import SettingError
from keras_dream.files import stage
from keras_dream.jobs.journal import Journal, NewItem


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    names = "f10.png f9.png F2.jpg .hidden.png notes.txt f9-dream.png contact-sheet.png"
    deeper = "sub/a.webp sub/deep/b.tif .git/c.png grid-cells/d.png out/e.png"
    for name in f"{names} {deeper}".split():
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "photos"


def paths(*arguments: str, **options: object) -> list[str]:
    found = find_photos(arguments, **options)  # pyright: ignore[reportArgumentType]
    return [Path(photo.path).as_posix() for photo in found.photos]


def test_a_folder_has_its_pictures_in_natural_order(folder: Path) -> None:
    """Hidden ones, results, cells and the folder of the results are left out."""
    found = find_photos(["photos"], without=folder / "out")
    assert [(Path(p.path).name, p.below) for p in found.photos] == [
        ("F2.jpg", ""),
        ("f9.png", ""),
        ("f10.png", ""),
        ("a.webp", "sub"),
        ("b.tif", "sub/deep"),
    ]
    assert found.own == 2
    assert not found.errors
    assert len(paths("photos", recursive=False)) == 3


def test_results_of_other_names_are_left_out_by_the_journal(folder: Path) -> None:
    with Journal.open(folder.parent, kind="batch", key="k", settings={}) as journal:
        new = [NewItem(n, n, output=f"photos/{n}") for n in ("f9.png", "f10.png")]
        first, _ = journal.add(new)
        (folder / "f9.png").unlink()
        journal.save(journal.start(first), stage(folder / "f9.png", b"dream"))
    assert "photos/f9.png" not in paths(".", "photos/f10.png")
    assert "photos/f10.png" in paths(".")  # it is not done
    assert paths("photos/f*.png") == ["photos/f10.png"]
    assert paths(str(folder.parent / "*" / "f9.png")) == []
    # What is named itself is meant.
    assert "photos/f9.png" in paths("photos/f9.png")


def test_links_that_lead_round_in_a_circle_end(folder: Path) -> None:
    try:
        (folder / "sub" / "up").symlink_to(folder, target_is_directory=True)
        (folder / "self.png").symlink_to(folder / "self.png")
    except OSError:
        pytest.skip("this system makes no links")
    found = find_photos(["photos"])
    assert len(found.photos) == 6  # with out/e.png
    assert found.links == 1


def test_several_folders_keep_their_names(folder: Path) -> None:
    found = find_photos(["photos/sub", "photos/out", "photos/f9.png"])
    below = [(Path(p.path).name, p.below) for p in found.photos]
    assert below == [
        ("a.webp", "sub"),
        ("b.tif", "sub/deep"),
        ("e.png", "out"),
        ("f9.png", ""),
    ]


def test_patterns_that_no_shell_expanded(folder: Path) -> None:
    assert paths("photos/f*.png") == ["photos/f9.png", "photos/f10.png"]
    found = find_photos(["photos/**/*.webp", "photos/*.nope"])
    assert [(Path(p.path).name, p.below) for p in found.photos] == [("a.webp", "sub")]
    assert list(found.errors) == ["photos/*.nope"]
    assert "photos/notes.txt" not in paths("photos/*")
    (folder / "odd[1].png").touch()
    assert paths("photos/odd[1].png") == ["photos/odd[1].png"]  # a file wins


def test_photos_are_there_once(folder: Path) -> None:
    wanted = ["photos/f9.png", "./photos/f9.png", str(folder / "f9.png"), "photos"]
    assert len(paths(*wanted)) == len(paths("photos"))
    if os.name == "posix":
        assert paths("noise:8x8", "noise:8x8", "noise:9x9") == [
            "noise:8x8",
            "noise:9x9",
        ]


def test_what_stands_for_no_picture_is_told(folder: Path) -> None:
    (folder.parent / "nothing").mkdir()
    (folder.parent / "mine").mkdir()
    (folder.parent / "mine" / "a-dream.png").touch()
    found = find_photos(["nothing", "mine"])
    assert "which has none" in str(found.errors["nothing"])
    assert "1 of our results" in str(found.errors["mine"])
    assert not find_photos(["nothing"], empty=True).errors
    with pytest.raises(SettingError):
        find_photos(["noise:0x0"])


def test_numbers_of_many_digits_sort_as_numbers() -> None:
    names = [f"a{10**200}", "a9", "a10", "A1"]
    assert sorted(names, key=natural) == ["A1", "a9", "a10", f"a{10**200}"]
