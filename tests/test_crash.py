"""A bug of ours: one sentence, exit code 1, and a report with nothing private in it."""

import getpass
import json
import os
import platform
import re
from pathlib import Path

import pytest

from keras_dream import crash
from keras_dream.crash import Redaction, of_bug, reports
from keras_dream.pictures.picture import read_picture
from keras_dream.recipe.files import Files
from keras_dream.recipe.recipe import Recipe

QUICK = ("--octaves", 2, "--steps", 2)
PRIVATE = "granny at the lake"


class Bug(Exception):
    """Which nothing in the library knows."""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_DREAM_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def private(photo):
    """The photo under a name, and in a folder, that nobody else should know."""
    folder = photo.absolute().parent / "my secret folder"
    folder.mkdir()
    return photo.rename(folder / f"{PRIVATE}.png")


def broken(private):
    """Returns a function that fails, and says a lot about its user."""

    def fail(*_, **__):
        try:
            raise KeyError(f"{Path.home()}/letters/love.txt")
        except KeyError:
            more = f"{getpass.getuser()}@{platform.node()}, {os.environ['SECRET']}"
            raise Bug(f"cannot do {private}, {private.name}: {more}") from None

    return fail


PHASES = {
    "reading the command line": "keras_dream.cli.app.read",
    "the sentence of an error": "keras_dream.cli.errors.flag_advice",
    "a setting": "keras_dream.recipe.presets.preset",
    "opening the picture": "keras_dream.pictures.picture.read_picture",
    "loading the network": "keras_dream.zoo.load.file.load",
    "planning": "keras_dream.dreamer.dreamer.octaves_that_fit",
    "the first step": "keras_dream.engine.loop.Ascent",
    "saving": "keras_dream.pictures.encoding.encode_picture",
}


@pytest.mark.parametrize("target", PHASES.values(), ids=PHASES)
def test_every_phase(target, dream, private, monkeypatch):
    monkeypatch.setenv("SECRET", "sesame")
    monkeypatch.setattr(target, broken(private))
    wrong = ("--stepz", "3") if "advice" in target else ()
    before = sorted(private.parent.iterdir())
    code, out, err = dream(private, *QUICK, *wrong, "--quiet")
    assert (code, out) == (1, "")
    (sentence,) = err.splitlines()
    assert sentence.startswith("dream: Keras-dream must not fail in this way; ")
    assert "Bug, a bug" in sentence
    assert "--log-level debug" in sentence
    assert sorted(private.parent.iterdir()) == before
    (report,) = reports()
    assert repr(str(report)) in sentence
    text = report.read_text("utf-8")
    assert "test_crash.Bug: cannot do (hidden)" in text
    assert "(a program of the user's)" in text
    assert "keras_dream/cli/run.py" in text
    assert f"python: {platform.python_version()}" in text
    assert re.search(
        r"^command: dream \(hidden\) --octaves 2 --steps 2", text, re.MULTILINE
    )
    for word in (PRIVATE, "granny", "secret folder", "love", str(Path.home())):
        assert word not in text
    for name in (getpass.getuser(), platform.node()):
        assert not re.search(rf"\b{re.escape(name)}\b", text)
    assert str(Path(crash.__file__).parents[1]) not in text  # where it is installed
    if os.name != "nt":
        assert report.stat().st_mode & 0o777 == 0o600
        assert report.parent.stat().st_mode & 0o777 == 0o700


def test_the_report_of_a_dream(dream, private, monkeypatch):
    """What was dreamed, and on what, is found in the frames."""
    guide = Path("the lover.png")
    guide.write_bytes(private.read_bytes())
    step = "keras_dream.engine.ascent.Ascent.moves"
    monkeypatch.setattr(step, lambda *_: (_ for _ in ()).throw(Bug("no")))
    code, *_ = dream(
        private, "--objective", "guide('the lover.png', far)", *QUICK, "--seed", 7
    )
    assert code == 1
    text = reports()[0].read_text("utf-8")
    rows = dict(line.split(": ", 1) for line in text.splitlines() if ": {" in line)
    recipe = json.loads(rows["recipe"])
    assert (recipe["seed"], recipe["octaves"], recipe["network"]) == (7, 2, "motif")
    assert recipe["objective"] == "guide('(hidden)', far)"
    assert "lover" not in text
    assert json.loads(rows["run settings"])["precision"] == "auto"
    assert re.search(r"^backend: \w+ on \w+, float32, ", text, re.MULTILINE)


def test_a_guide_with_blanks_in_its_name(dream, private, monkeypatch):
    """Named in an objective or in a recipe file, it is in a library's message."""
    Path("aunt emma.png").write_bytes(private.read_bytes())
    objective = "guide('aunt emma.png', far)"
    files = Files(named=["aunt emma.png"])
    recipe = files.complete(Recipe.of({"objective": objective}))
    Path("r.json").write_text(recipe.json_text())
    message = "no aunt emma.png here, 'aunt emma' is gone"
    step = "keras_dream.engine.ascent.Ascent.moves"
    monkeypatch.setattr(step, lambda *_: (_ for _ in ()).throw(Bug(message)))
    for line in (("--objective", objective), ("--recipe", "r.json")):
        code, _, err = dream(private, *line, *QUICK)
        assert code == 1, err
        assert "emma" not in reports()[0].read_text("utf-8")


def test_the_traceback_is_seen_at_once(dream, private, monkeypatch):
    monkeypatch.setattr(PHASES["planning"], broken(private))
    monkeypatch.setenv("SECRET", "sesame")
    code, _, err = dream(private, "--log-level", "debug")
    assert code == 1
    assert "Bug: cannot do" in err
    assert err.splitlines()[-1].startswith("dream: Keras-dream must not fail")


def test_the_dream_so_far_is_saved(dream, photo, monkeypatch):
    from keras_dream.engine.ascent import Ascent

    moves, count = Ascent.moves, 0

    def failing(*arguments):
        nonlocal count
        for move in moves(*arguments):
            count += 1
            if count == 4:  # the second step of the second octave
                raise Bug("in the middle")
            yield move

    with monkeypatch.context() as patched:
        patched.setattr(Ascent, "moves", failing)
        code, out, err = dream(photo, *QUICK)
    assert (code, out) == (1, "photo-dream.png\n")
    assert "he dream so far was saved as 'photo-dream.png'" in err
    assert err.splitlines()[-1].startswith("dream: Keras-dream must not")
    assert read_picture("photo-dream.png").pixels.shape == (40, 60, 3)
    assert '"complete":false' in dream("show", "photo-dream.png", "--json")[1]


def test_a_report_that_cannot_be_written(monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("KERAS_DREAM_HOME", str(blocked))
    monkeypatch.setattr("tempfile.tempdir", str(blocked))
    error = of_bug(Bug("x"), [])
    assert error.exit_code == 1
    assert "attach" not in str(error)
    assert "--log-level debug" in str(error)


def test_a_report_that_fails_itself(monkeypatch):
    monkeypatch.setattr(crash, "facts", lambda: 1 / 0)
    assert "Bug, a bug" in str(of_bug(Bug("x"), []))


def test_old_reports_are_removed(monkeypatch):
    monkeypatch.setattr(crash, "facts", lambda: ())
    for _ in range(crash.KEPT + 3):
        of_bug(Bug("x"), [])
    assert len(reports()) == crash.KEPT


def test_a_long_recursion_is_short():
    def deeper():
        deeper()

    with pytest.raises(RecursionError) as caught:
        deeper()
    assert len(crash.report(caught.value, [])) < 20_000


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("shape (3, 40, 60) is not 2.5", "shape (3, 40, 60) is not 2.5"),
        ("no /home/eve/a b.png", "no (hidden) (hidden)"),
        (r"no C:\Users\Eve\a.png", "no (hidden)"),
        ("no 'C:\\My Documents\\a.png' here", "no '(hidden)' here"),
        ("'my cat.jpg' and dog.JPEG", "'(hidden)' and (hidden)"),
        ("my.mp4, a.webm and b.wav", "(hidden), (hidden) and (hidden)"),
        ("see https://there.example/eve?a=b", "see (hidden)"),
        ("mixed4 of motif: float32", "mixed4 of motif: float32"),
    ],
)
def test_messages(text, kept):
    assert Redaction([]).text(text) == kept


def test_names_on_the_command_line(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "old friend.png").write_text("")
    hide = Redaction(["my photo.png", f"--out={tmp_path}/x.png", str(tmp_path / "in")])
    assert hide.text("no my photo here") == "no (hidden) here"
    assert hide.text("no old friend here") == "no (hidden) here"


def test_the_command_line_in_a_report():
    tokens = "batch in -o out --steps=3 --objective mixed4 --network a.keras --blend"
    words = "dream batch (hidden) -o (hidden) --steps 3 --objective (hidden) --network"
    text = crash.report(Bug(), [*tokens.split(), "0.5", "--Eve=1"])
    assert f"command: {words} (hidden) --blend 0.5 (hidden)\n" in text


def test_doctor_knows_the_reports_and_hides_its_user(dream, monkeypatch, cache):
    monkeypatch.setattr("keras_dream.cli.commands.doctor._backends", list)
    monkeypatch.setattr("keras_dream.cli.commands.doctor._networks", list)
    of_bug(Bug("x"), [])
    (report,) = reports()
    assert str(report) in dream("doctor")[1]
    monkeypatch.setattr(Path, "home", lambda: cache.parent)
    code, out, _ = dream("doctor", "--json")
    rows = {row["what"]: row["more"] for row in json.loads(out)}
    assert code == 0
    assert rows["crash reports"] == f"1, the newest ~/cache/crashes/{report.name}"
    assert rows["python"].startswith(platform.python_version())
    assert str(cache) not in out
