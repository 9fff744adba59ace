"""Several photos on one line, folders of them, standard input and output."""

import io
import json
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from keras_dream import events
from keras_dream.cli.reporters.lines import Lines
from keras_dream.names import natural
from keras_dream.pictures.encoding import save_picture
from keras_dream.replay import read_saved

Dream = Callable[..., tuple[int, str, str]]
FAST = ("--steps", 1, "--octaves", 1)


@pytest.fixture
def folder(photo: Path) -> Path:
    """A folder of three photos, a dream and other files, beside the photo."""
    folder = Path("trip")
    folder.mkdir()
    for name in ("b10.png", "b9.png", "a.jpg", "a-dream-2.png", ".hidden.png"):
        save_picture(folder / name.lstrip("."), np.full((24, 30, 3), 0.4, np.float32))
    Path("trip/hidden.png").rename("trip/.hidden.png")
    Path("trip/notes.txt").write_text("no picture")
    return folder


def test_natural_order() -> None:
    names = ["b10.png", "B9.png", "a.png", "10.png", "9.png"]
    assert sorted(names, key=natural) == [
        "9.png", "10.png", "a.png", "B9.png", "b10.png",
    ]  # fmt: skip


def test_photos_and_folders_are_dreamed_in_order(
    dream: Dream, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from keras_dream.dreamer.dreamer import Dreamer

    loaded = []
    init = Dreamer.__init__
    monkeypatch.setattr(
        Dreamer,
        "__init__",
        lambda self, *a, **k: (loaded.append(1), init(self, *a, **k))[1],
    )
    code, out, err = dream(folder, "photo.png", "trip/b9.png", *FAST)
    assert (code, len(loaded)) == (0, 1)
    assert out.split() == [
        "trip/a-dream.png", "trip/b9-dream.png", "trip/b10-dream.png",
        "photo-dream.png",
    ]  # fmt: skip
    assert "Photo 4 of 4, photo.png." in err
    assert read_saved("trip/b9-dream.png").record.source == "b9.png"
    again = dream(folder, *FAST, "--quiet")[1].split()
    assert again == [
        "trip/a-dream-3.png",
        "trip/b9-dream-2.png",
        "trip/b10-dream-2.png",
    ]


def test_a_dream_is_dreamed_again_if_it_is_named(dream: Dream, folder: Path) -> None:
    code, out, _ = dream(folder / "a-dream-2.png", *FAST)
    assert (code, out) == (0, "trip/a-dream-2-dream.png\n")


def test_results_go_into_a_folder(dream: Dream, folder: Path) -> None:
    code, out, _ = dream(folder, "-o", "dreams", *FAST, "--quiet")
    assert code == 0
    assert out.split() == [
        "dreams/a-dream.png", "dreams/b9-dream.png", "dreams/b10-dream.png",
    ]  # fmt: skip
    assert dream("photo.png", "-o", "dreams", *FAST)[1] == "dreams/photo-dream.png\n"


@pytest.mark.parametrize("out", ["one.png", "", "-", "no/such"])
def test_a_single_file_cannot_hold_several(
    dream: Dream, folder: Path, out: str
) -> None:
    code, _, err = dream(folder, "-o", out, *FAST)
    assert code == 2
    assert "folder" in err
    assert not Path(out or "x").is_file()


def test_a_folder_without_photos(dream: Dream, photo: Path) -> None:
    Path("empty").mkdir()
    assert "which has none" in dream("empty")[2]
    shutil.copy(photo, "empty/a-dream.png")
    assert "1 of our results" in dream("empty")[2]


def test_a_bad_picture_does_not_end_the_others(dream: Dream, folder: Path) -> None:
    Path("trip/b9.png").write_bytes(Path("trip/b9.png").read_bytes()[:60])
    save_picture("trip/a.jpg", np.full((3, 3, 3), 0.5, np.float32))  # too small
    Path("trip/c.png").write_bytes(b"")
    code, out, err = dream(folder, *FAST, "--transforms", "none")
    assert (code, out) == (1, "trip/b10-dream.png\n")
    assert "'b9.png', which cannot be decoded" in err
    assert "'trip/c.png', an empty file" in err
    last = err.splitlines()[-1]
    assert last == (
        "dream: 3 of 4 photos could not be dreamed: 'trip/a.jpg', 'trip/b9.png', "
        "'trip/c.png'."
    )
    code, out, _ = dream(folder, *FAST, "--transforms", "none", "--json")
    kinds = [json.loads(line)["event"] for line in out.splitlines()]
    assert (code, kinds.count("photo"), kinds.count("error")) == (1, 4, 3)


def test_what_no_photo_can_mend_ends_all(dream: Dream, folder: Path) -> None:
    code, out, err = dream(folder, "--objective", "nowhere", *FAST)
    assert (code, out) == (2, "")
    assert err.count("'nowhere'") == 1


def test_a_missing_photo_is_found_before_the_first_dream(
    dream: Dream, folder: Path
) -> None:
    code, out, err = dream("photo.png", "phto.png", *FAST)
    assert (code, out) == (2, "")
    assert "'phto.png'" in err
    assert not Path("photo-dream.png").exists()


def test_ctrl_c_ends_all_and_keeps_what_there_is(
    dream: Dream, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, steps = Lines.report, []

    def report(self: Lines, event: events.Event) -> None:
        inner(self, event)
        if event.kind == "step":
            steps.append(1)
            if len(steps) == 3:  # the first step of the second photo
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Lines, "report", report)
    code, out, err = dream(folder, "--steps", 2, "--octaves", 1)
    assert (code, out) == (130, "trip/a-dream.png\ntrip/b9-dream.png\n")
    assert not read_saved("trip/b9-dream.png").record.complete
    assert "1 of 3 photos were dreamed" in err.splitlines()[-1]


# -- names of results ---------------------------------------------------------------


def test_a_file_is_replaced_only_with_yes(dream: Dream, photo: Path) -> None:
    assert dream(photo, "-o", "out.png", *FAST)[0] == 0
    before = Path("out.png").read_bytes()
    code, _, err = dream(photo, "-o", "out.png", *FAST, "--seed", 1)
    assert (code, "--yes" in err, Path("out.png").read_bytes()) == (2, True, before)
    code, out, _ = dream(photo, "-o", "out.png", *FAST, "--seed", 1, "--yes")
    assert (code, out, Path("out.png").read_bytes() == before) == (
        0,
        "out.png\n",
        False,
    )


def test_a_name_that_is_taken_in_the_meantime_is_kept(
    dream: Dream, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def report(self: Lines, event: events.Event) -> None:
        if isinstance(event, events.Loading):
            Path("out.png").write_text("of another run")
        inner(self, event)

    inner = Lines.report
    monkeypatch.setattr(Lines, "report", report)
    assert dream(photo, "-o", "out.png", *FAST)[1] == "out-2.png\n"
    assert Path("out.png").read_text() == "of another run"


def test_octaves_of_another_dream_are_not_replaced(dream: Dream, photo: Path) -> None:
    Path("photo-dream.octaves.npz").write_text("of a dream that was renamed")
    _, out, _ = dream(photo, *FAST, "--save-octaves")
    assert out == "photo-dream-2.png\n"
    assert Path("photo-dream.octaves.npz").read_text().startswith("of a dream")
    assert Path("photo-dream-2.octaves.npz").exists()


# -- a recipe and a preset ----------------------------------------------------------


def test_a_preset_beside_a_whole_recipe_is_refused(dream: Dream, photo: Path) -> None:
    dream(photo, *FAST)
    code, _, err = dream(photo, "--recipe", "photo-dream.png", "--preset", "tftut")
    assert code == 2
    assert "tftut beside 'photo-dream.png', which sets everything" in err


# -- standard input and output ------------------------------------------------------


class _Stream(io.TextIOWrapper):
    """A text stream over bytes, as `sys.stdin` and `sys.stdout` are."""

    def __init__(self, data: bytes = b""):
        super().__init__(io.BytesIO(data), "utf-8")


def test_a_picture_comes_and_goes_through_pipes(
    dream: Dream, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dream(photo, *FAST, "-o", "same.png")
    out = _Stream()
    monkeypatch.setattr(sys, "stdin", _Stream(photo.read_bytes()))
    monkeypatch.setattr(sys, "stdout", out)
    assert dream("-", *FAST)[0] == 0
    out.seek(0)
    Path("piped.png").write_bytes(out.buffer.read())
    piped, same = read_saved("piped.png"), read_saved("same.png")
    assert piped.recipe == same.recipe
    assert piped.record.source_sha256 == same.record.source_sha256
    assert sorted(path.name for path in Path().iterdir()) == [
        "photo.png", "piped.png", "same.png",
    ]  # fmt: skip


def test_nothing_on_standard_input(
    dream: Dream, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", _Stream())
    assert "received nothing" in dream("-", "-o", "x.png")[2]


def test_standard_input_without_end(
    dream: Dream, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", _Stream(bytes(11)))
    code, _, err = dream("-", "-o", "x.png", "--max-file-bytes", 10)
    assert (code, "must have at most 10 bytes" in err) == (2, True)


def test_a_terminal_takes_no_picture(
    dream: Dream, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    code, _, err = dream(photo, "-o", "-")
    assert (code, "a terminal" in err) == (2, True)
