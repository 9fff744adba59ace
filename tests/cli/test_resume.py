"""`dream --resume`: after a kill or a stop, to the bytes of an undisturbed run."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import keras_dream as kd
from keras_dream import events, resume
from keras_dream.claims import claim
from keras_dream.cli.reporters.lines import Lines
from keras_dream.engine.checkpoint import Checkpoint, Context, read_context
from keras_dream.errors import SaveError
from keras_dream.pictures.encoding import save_picture
from keras_dream.replay import read_saved

posix = pytest.mark.skipif(os.name != "posix", reason="forks and kills")
THREADS = ("--threads", 1)  # a process of its own may have another number
SHORT = ("--steps", 3, "--octaves", 2, *THREADS)
UNFINISHED = Path("photo-dream.png.canvas.npz")

CASES = {
    "pixels": [],
    "adam": ["--optimizer", "adam", "--canvas", "fourier"],
    "lbfgs": ["--optimizer", "lbfgs", "--canvas", "decorrelated"],
    "momentum": ["--optimizer", "momentum", "--detail", "after"],
    "maco": ["--canvas", "maco", "--start", "noise"],
    "transparency": ["--transparency", "--jitter", "4"],
    "transforms": ["--transforms", "flip + scale + rotate", "--seed", "5"],
    "octaves": ["--save-octaves"],
    "strengths": ["--octave-strengths", "1, 0.5"],
    "plateau": ["--stop", "plateau(steps=1, tolerance=1)"],
    "regions": ["--mask", "box(0%, 0%, 50%, 100%)", "--blend", "0.5"],
    "file": ["--no-notes", "-o", "own.jpg"],
    "stripped": ["--strip", "--keep-colors"],
    "outside": ["--per-octave", "2: steps=100"],
}
"""The kinds of state that a dream has: of its canvas, its optimizer and its place."""

KILLED = """
import os, signal, sys, time
from pathlib import Path
from keras_dream import resume
from keras_dream.zoo import load
load.BUILTIN = Path(sys.argv[1])
resume.INTERVAL, resume.MOST_SHARE = 0, 1e9  # after every step
from keras_dream.cli import main
from keras_dream.cli.reporters.lines import Lines
import keras_dream.dreamer.dreamer
from keras_dream.backend.load import load as backend
backend("torch", threads=1)

cases = eval(sys.argv[2])
inner, steps = Lines.report, []
def report(self, event):
    inner(self, event)
    if event.kind == "step":
        steps.append(1)
        # Of six; the checkpoint is that of the fifth.
        if len(steps) == 6 and Path.cwd().name != "outside":
            os.kill(os.getpid(), signal.SIGKILL)
Lines.report = report
for name, flags in cases.items():
    os.chdir(name)
    if not (child := os.fork()):
        os._exit(main(["photo.png", *map(str, flags)]))
    if name == "outside":  # at no moment of its own choice
        patience = time.monotonic() + 30
        while not Path("photo-dream.png.canvas.npz").exists():
            assert time.monotonic() < patience
            time.sleep(0.005)
        os.kill(child, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) in (-9, 0), name
    os.chdir("..")
"""


@pytest.fixture(scope="module")
def killed(tiny_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of dreams that were killed in the midst of their steps."""
    folder = tmp_path_factory.mktemp("killed")
    for name in CASES:
        (folder / name).mkdir()
        image = np.random.default_rng(3).random((40, 60, 3), np.float32)
        save_picture(folder / name / "photo.png", image)
    cases = repr({name: [*SHORT, *flags] for name, flags in CASES.items()})
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tiny_network), cases],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(Path(kd.__file__).parents[1])},
    )
    assert done.returncode == 0, done.stderr
    return folder


@posix
@pytest.mark.parametrize("case", CASES)
def test_a_killed_dream_goes_on_to_the_same_bytes(case, killed, dream, monkeypatch):
    monkeypatch.chdir(killed / case)
    result = "own.jpg" if case == "file" else "photo-dream.png"
    names = {path.name for path in Path().iterdir()}
    if case == "plateau":  # it had ended before the kill
        assert names == {"photo.png", result}
        return
    assert names == {"photo.png", f"{result}.canvas.npz", f".{result}.claim"}
    assert (
        str(Checkpoint.read(f"{result}.canvas.npz"))
        == ("<Checkpoint after step 2 of octave 2>")
        or case == "outside"
    )
    code, out, err = dream("--resume", "--quiet")
    assert (code, out, err) == (0, f"{result}\n", "")
    flags = [*SHORT, *CASES[case]]
    undisturbed = Path("whole" + Path(result).suffix)
    if case == "file":
        del flags[-2:]
    assert dream("photo.png", *flags, "-o", undisturbed)[0] == 0
    assert Path(result).read_bytes() == undisturbed.read_bytes()
    names = {path.name for path in Path().iterdir()}
    octaves = {"photo-dream.octaves.npz", "whole.octaves.npz"}
    more = octaves if case == "octaves" else set()
    assert names == {"photo.png", result, undisturbed.name, *more}
    if case == "octaves":
        one, other = map(Path, more)
        assert one.read_bytes() == other.read_bytes()


def stop_at(monkeypatch, count, action=lambda: signal.raise_signal(signal.SIGINT)):
    """Does something, by default Ctrl-C, at a step of the next dream."""
    inner, steps = Lines.report, []

    def report(self, event):
        inner(self, event)
        steps.append(event.kind == "step")
        if event.kind == "step" and sum(steps) == count:
            action()

    monkeypatch.setattr(Lines, "report", report)


@pytest.fixture
def stopped(dream, photo, monkeypatch):
    """A dream that Ctrl-C has stopped after its fourth step; returns what it says."""
    with monkeypatch.context() as patched:
        stop_at(patched, 4)
        code, _, err = dream(photo, *SHORT)
    assert code == 130
    return err


def test_a_stopped_dream_replaces_its_partial_picture(dream, photo, stopped):
    assert "`dream --resume` goes on from there" in stopped
    assert not read_saved("photo-dream.png").record.complete
    dream(photo, *SHORT, "-o", "whole.png")
    code, out, _ = dream("--from", "photo-dream.png", "--quiet")
    assert (code, out) == (0, "photo-dream-2.png\n")
    code, out, _ = dream(photo, "--resume", "--quiet")
    assert (code, out) == (0, "photo-dream.png\n")
    for name in ("photo-dream.png", "photo-dream-2.png"):
        assert Path(name).read_bytes() == Path("whole.png").read_bytes()
    assert not UNFINISHED.exists()


def test_a_picture_that_is_not_its_own_is_not_replaced(dream, stopped):
    Path("photo-dream.png").write_bytes(b"another")
    code, out, _ = dream("--resume", "--quiet")
    assert (code, out) == (0, "photo-dream-2.png\n")
    assert Path("photo-dream.png").read_bytes() == b"another"
    assert read_saved("photo-dream-2.png").record.complete
    assert not list(Path().glob("*.npz"))


def test_a_link_to_nothing_in_its_place_is_kept(dream, stopped):
    Path("photo-dream.png").unlink()
    Path("photo-dream.png").symlink_to("nothing")
    code, out, _ = dream("--resume", "--quiet")
    assert (code, out) == (0, "photo-dream-2.png\n")
    assert Path("photo-dream.png").is_symlink()


def test_it_may_be_stopped_again(dream, photo, stopped, monkeypatch):
    dream(photo, *SHORT, "-o", "whole.png")
    with monkeypatch.context() as patched:
        stop_at(patched, 1)
        assert dream("--resume")[:2] == (130, "photo-dream.png\n")
    assert read_saved("photo-dream.png").record.steps == 5
    assert dream("--resume", "--quiet")[:2] == (0, "photo-dream.png\n")
    assert Path("photo-dream.png").read_bytes() == Path("whole.png").read_bytes()


def test_another_start_goes_on_as_it_began(dream, photo, monkeypatch):
    """Of a dream that went on from a picture, its start is in the checkpoint."""
    dream(photo, *SHORT, "-o", "first.png")
    whole = dream("--from", "first.png", "-o", "whole.png", *THREADS)
    assert whole[0] == 0
    with monkeypatch.context() as patched:
        stop_at(patched, 4)
        assert dream("--from", "first.png", "-o", "again.png", *THREADS)[0] == 130
    assert dream("--resume")[0] == 0
    assert Path("again.png").read_bytes() == Path("whole.png").read_bytes()
    assert read_saved("again.png").record.start_sha256


@pytest.mark.parametrize("case", ["beside it", "in another", "photo in another"])
def test_the_line_that_is_said_goes_on(case, dream, photo, monkeypatch):
    """Also with a dream that is not of the current folder, or not its only one."""
    Path("my trip").mkdir()
    given, result, line = {
        "beside it": (photo.name, "photo-dream.png", "dream --resume"),
        "in another": (
            "my trip/photo.png",
            "my trip/photo-dream.png",
            "dream --resume -o 'my trip/photo-dream.png'",
        ),
        "photo in another": (
            "my trip/photo.png",
            "./-a.png",
            "dream 'my trip/photo.png' --resume -o ./-a.png",
        ),
    }[case]
    if given != photo.name:
        photo.rename(given)
    with monkeypatch.context() as patched:
        stop_at(patched, 4)
        code, _, err = dream(given, *SHORT, "-o", result)
    assert code == 130
    assert f"; `{line}` goes on from there.\n" in err
    if case != "beside it":
        code, _, err = dream("--resume")
        assert code == 2
    if case == "in another":
        assert f"received none in {str(Path.cwd())!r};" in err
    assert dream(*shlex.split(line)[1:], "--quiet")[0] == 0
    assert read_saved(result).record.complete


def test_the_line_among_several(dream, photo, monkeypatch):
    Path("sky.png.canvas.npz").touch()
    stop_at(monkeypatch, 4)
    _, _, err = dream(f"./{photo.rename('-x.png').name}", *SHORT)
    assert "; `dream --resume -o ./-x-dream.png` goes on from there.\n" in err


def test_which_one_is_meant(dream, photo, stopped):
    shutil.copy(UNFINISHED, "sky.png.canvas.npz")
    code, _, err = dream("--resume")
    assert code == 2
    assert "received 2: photo-dream.png, sky.png; try `dream --resume -o photo" in err
    assert dream("--resume", "-o", "sky.png", "--quiet")[1] == "sky.png\n"
    with claim(Path("photo-dream.png"), exact=True):
        code, _, err = dream("--resume")
        assert "must be an unfinished dream to go on with; received none" in err
        assert "which process" in dream("--resume", "-o", "photo-dream.png")[2]
    Path("elsewhere").mkdir()
    other = photo.rename("elsewhere/photo.png")
    code, _, err = dream("--resume")
    assert (code, "source of a dream must be beside it" in err) == (2, True)
    assert dream("other.png", "--resume")[0] == 2
    assert dream(other, "--resume", "--quiet")[1] == "photo-dream.png\n"
    code, _, err = dream("--resume")
    assert (code, "received none" in err) == (2, True)


def test_a_damaged_one_is_named(dream, photo, stopped):
    UNFINISHED.write_bytes(UNFINISHED.read_bytes()[:200])
    code, _, alone = dream("--resume")
    assert (code, str(UNFINISHED) in alone) == (2, True)
    code, _, err = dream(photo, "--resume")
    assert (code, "received none of" in err) == (2, True)
    assert f"but {str(UNFINISHED)!r}, damaged or without" in err
    assert dream(*shlex.split(err.split("`")[1])[1:])[2] == alone


def test_a_dream_that_goes_on_keeps_its_settings(dream, photo, stopped):
    code, _, err = dream("--resume", "--steps", 5, "--preset", "book1", "--strip")
    assert code == 2
    assert "received --preset, --steps, --strip as well; leave that out" in err
    code, _, err = dream(photo, photo, "--resume")
    assert (code, "One dream" in err) == (2, True)
    assert UNFINISHED.exists()


def rewritten(change):
    checkpoint, context = Checkpoint.read(UNFINISHED), read_context(UNFINISHED)
    change(checkpoint.__dict__, context.__dict__)
    checkpoint.save(UNFINISHED, context=context)


def test_what_differs_is_told(dream, stopped):
    def other_version(_, context):
        context["record"] = context["record"].replace('"numpy":"', '"numpy":"0.')

    rewritten(other_version)
    code, _, err = dream("--resume")
    assert code == 0
    assert "goes on alike, not equal to what it would have been, with numpy" in err


FORGED = {
    "another recipe": (lambda c, _: c.update(recipe_sha256="0"), "of the recipe that"),
    "no recipe": (lambda _, c: c.update(recipe=""), "must have its recipe"),
    "a broken recipe": (lambda _, c: c.update(recipe="{"), "recipe"),
    "a broken record": (lambda _, c: c.update(record="[]"), "record"),
    "a path": (
        lambda _, c: c.update(record=c["record"].replace("photo.png", "../photo.png")),
        "must be a name without folders",
    ),
    "another octave": (lambda c, _: c.update(octave=9), "octave 9 for 2 octaves"),
}


@pytest.mark.parametrize("case", FORGED)
def test_forged_checkpoints_are_refused(case, dream, stopped):
    change, words = FORGED[case]
    rewritten(change)
    before = sorted(Path().iterdir())
    code, _, err = dream("--resume")
    assert code == 2, err
    assert words in err
    assert err.count("\n") <= 2
    assert sorted(Path().iterdir()) == before


def test_a_photo_with_other_pixels_is_refused(dream, photo, stopped):
    save_picture(photo, np.zeros((40, 60, 3), np.float32))
    code, _, err = dream("--resume")
    assert code == 2
    assert "must have the recorded pixels" in err
    assert "--recipe photo-dream.png" in err
    Path("photo-dream.png").unlink()  # as where it was killed
    _, _, err = dream("--resume")
    assert "--recipe" not in err
    photo.unlink()
    _, _, err = dream("--resume")
    assert "name the photo: `dream replay` takes it as --source PHOTO" in err


def test_python_saves_and_resumes(motif, photo):
    dreamer = kd.Dreamer("motif")
    run = dreamer.steps(str(photo), steps=3, octaves=2)
    for _ in range(4):
        next(run)
    run.checkpoint.save("sky.npz")
    whole = run.finish()
    start = kd.Checkpoint.read("sky.npz")
    made = dreamer.dream(str(photo), steps=3, octaves=2, start=start)
    assert made.encode() == whole.encode()


def test_what_python_saves_alone_is_not_resumed_from_the_shell(dream, motif, photo):
    run = kd.Dreamer("motif").steps(str(photo), steps=3, octaves=2)
    next(run)
    run.checkpoint.save("sky.png.canvas.npz")
    code, _, err = dream("--resume")
    assert (code, "go on in Python, with `start`" in err) == (2, True)


class Run:
    def __init__(self):
        self.saved = 0

    @property
    def checkpoint(self):
        return self

    def save(self, *_, **__):
        self.saved += 1
        self.inside()

    def inside(self):
        pass


def test_checkpoints_come_every_minute_and_cost_little():
    now, run = [0.0], Run()
    kept = resume.Checkpoints(Path("a.png"), Context(), clock=lambda: now[0])
    for second in range(130):
        now[0] = second
        assert kept.update(run) == ""
    assert run.saved == 2

    def slowly():
        now[0] += 10

    run.inside = slowly
    now[0] = 200
    kept.update(run)
    for second in range(210, 209 + 500):  # ten seconds are 2 % of 500
        now[0] = second
        kept.update(run)
    assert run.saved == 3


def test_a_disk_without_room_for_a_checkpoint_is_told_once(tmp_path):
    def full():
        raise SaveError("the disk must have room")

    run = Run()
    run.inside = full
    kept = resume.Checkpoints(tmp_path / "a.png", Context(), every=0)
    sentences = [kept.update(run) for _ in range(3)]
    assert "could not go on after a crash" in sentences[0]
    assert sentences[1:] == ["", ""]


@pytest.mark.parametrize("failure", [SaveError("full"), MemoryError()])
def test_no_room_for_a_checkpoint_does_not_end_a_dream(
    dream, photo, monkeypatch, failure
):
    def refuse(*_, **__):
        raise failure

    monkeypatch.setattr(resume, "INTERVAL", 0)
    monkeypatch.setattr(Checkpoint, "save", refuse)
    code, _, err = dream(photo, *SHORT)
    assert code == 0
    assert err.count("could not go on after a crash") == 1
    if isinstance(failure, SaveError):
        stop_at(monkeypatch, 4)
        code, out, err = dream(photo, *SHORT)
        assert (code, out) == (130, "photo-dream-2.png\n")
        assert "cannot go on exactly. Full." in err


# --- results that their own place does not take -----------------------------------


def test_a_lost_drive_does_not_lose_the_dream(dream, photo, monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_DREAM_HOME", str(tmp_path / "home"))
    Path("drive").mkdir()
    dream(photo, *SHORT, "-o", "whole.png")
    stop_at(monkeypatch, 5, lambda: shutil.rmtree("drive"))
    code, out, err = dream(photo, *SHORT, "-o", "drive/a.png")
    kept = tmp_path / "home" / "rescued" / "a.png"
    assert (code, out) == (1, "")
    assert f"find it as '{kept}', where it is kept" in err
    assert kept.read_bytes() == Path("whole.png").read_bytes()
    assert kept.parent.stat().st_mode & 0o777 == 0o700


def test_where_no_place_takes_it(dream, photo, monkeypatch, tmp_path):
    """The temporary folder is the last; its dream goes on where a checkpoint is."""
    home = tmp_path / "home"
    home.write_text("no folder")
    monkeypatch.setenv("KERAS_DREAM_HOME", str(home))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("a.png", "b.png"):
        Path("drive").mkdir()
        stop_at(monkeypatch, 5, lambda: shutil.rmtree("drive"))
        code, _, err = dream(photo, *SHORT, "-o", f"drive/{name}")
        assert code == 1
        if name == "a.png":
            assert len(list(tmp_path.glob("dream-*/a.png"))) == 1
            monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
        else:
            assert "folder of a result must exist" in err


def test_room_is_checked_before_the_dream(dream, photo, monkeypatch):
    usage = shutil.disk_usage(".")._replace(free=4_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    code, _, err = dream(photo, *SHORT)
    assert code == 1
    assert "must have room for a result of about 4,800 bytes; received 4,000" in err
    assert "Octave" not in err
    assert [path.name for path in Path().iterdir()] == ["photo.png"]


def test_the_name_that_is_said_is_the_one_that_is_saved(dream, photo, monkeypatch):
    with claim(Path("photo-dream.png")):
        started = []
        inner = Lines.report

        def report(self, event):
            if isinstance(event, events.Started):
                started.append(event.path)
            inner(self, event)

        monkeypatch.setattr(Lines, "report", report)
        assert dream(photo, *SHORT)[:2] == (0, "photo-dream-2.png\n")
        assert started == ["photo-dream-2.png"]
