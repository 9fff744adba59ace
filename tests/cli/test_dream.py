import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_dream import events
from keras_dream.cli import main, output
from keras_dream.cli.app import COMMANDS
from keras_dream.cli.interrupts import SIGNALS
from keras_dream.cli.reporters.eta import Eta
from keras_dream.cli.reporters.lines import Lines
from keras_dream.pictures.metadata import read_notes
from keras_dream.pictures.picture import read_picture
from keras_dream.recipe.presets import presets
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.recipe.settings import is_nested
from keras_dream.replay import read_recipe, read_saved

Dream = Callable[..., tuple[int, str, str]]
FAST = ("--steps", 2, "--octaves", 2)
UNFINISHED = "photo-dream.png.canvas.npz"

# The tiny network instead of the shipped one, for a process of its own.
START = """
import sys
from pathlib import Path
from keras_dream.zoo import load
load.BUILTIN = Path(sys.argv[1])
from keras_dream.cli import main
sys.exit(main(sys.argv[2:]))
"""


def _here() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def test_help_and_version_load_nothing_heavy() -> None:
    pages = [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)]
    code = f"""
import sys
from keras_dream.cli import main
codes = [main(page) for page in {pages!r}]
heavy = ("numpy", "keras", "torch", "jax", "tensorflow", "PIL", "h5py")
sys.exit(str((codes, [name for name in heavy if name in sys.modules])))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr.strip() == str(([0] * len(pages), []))


@pytest.mark.parametrize("model", [Recipe, RunSettings])
def test_every_setting_is_a_flag_with_its_help(
    model: type[Recipe],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")  # where nothing is wrapped
    assert main(["--help"]) == 0
    page = capsys.readouterr().out
    text = " ".join(word for word in page.split() if word != "│")
    for name, field in model.model_fields.items():
        # A flag that only old files need, and the settings of films.
        if name == "schema_number" or is_nested(field):
            continue
        assert f"--{name.replace('_', '-')} " in text
        assert str(field.description) in text


def test_a_photo_becomes_a_dream_beside_it(dream: Dream, photo: Path) -> None:
    code, out, err = dream(photo, *FAST)
    assert code == 0
    assert out == "photo-dream.png\n"
    assert "Octave 2 of 2, 60 × 40 pixels: step 1 of 2, loss" in err
    assert set(_here()) == {"photo.png", "photo-dream.png"}
    assert read_picture("photo-dream.png").pixels.shape == (40, 60, 3)
    assert read_saved("photo-dream.png").record.complete
    assert dream(photo, *FAST)[1] == "photo-dream-2.png\n"


def test_a_name_that_was_free_at_the_start_replaces_nothing(
    dream: Dream, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def report(self: Lines, event: events.Event) -> None:
        if isinstance(event, events.Loading):
            Path("photo-dream.png").write_text("of a run at the same time")
        inner(self, event)

    inner = Lines.report
    monkeypatch.setattr(Lines, "report", report)
    code, out, _ = dream(photo, *FAST)
    assert (code, out) == (0, "photo-dream-2.png\n")
    assert Path("photo-dream.png").read_text() == "of a run at the same time"


def test_a_file_of_progress_holds_no_escape_sequences(
    dream: Dream, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    _, out, err = dream(photo, *FAST)
    assert "\x1b" not in out + err


def test_quiet_prints_the_path_alone(dream: Dream, photo: Path) -> None:
    assert dream(photo, *FAST, "--quiet", "-o", "a.jpg") == (0, "a.jpg\n", "")


def test_json_prints_events(dream: Dream, photo: Path) -> None:
    flags = ("--steps", 1, "--octaves", 9, "--transforms", "none")
    code, out, err = dream(photo, *flags, "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    kinds = [line["event"] for line in lines]
    assert kinds == ["loading", "notice", "started", "plan", *["step"] * 6, "saved"]
    size = {"width": 60, "height": 40}
    assert lines[2]["octaves"][-1] == {"octave": 9, "size": size, "steps": 1}
    assert lines[-2]["size"] == size
    assert set(lines[-2]) == {
        "event", "octave", "octaves", "iteration", "iterations", "size", "loss",
        "seconds",
    }  # fmt: skip
    assert lines[-1] == {
        "event": "saved",
        "path": "photo-dream.png",
        "complete": True,
    }


def test_json_prints_errors(dream: Dream) -> None:
    code, out, err = dream("nowhere.png", "--json")
    event = json.loads(out)
    assert (code, event["event"], event["exit_code"]) == (2, "error", 2)
    assert err == f"dream: {event['sentence']}\n"


def test_skipped_octaves_are_noticed(dream: Dream, photo: Path) -> None:
    flags = ("--steps", 1, "--octaves", 9, "--transforms", "none")
    _, _, err = dream(photo, *flags)
    assert "Notice: Octaves 1-3 of 9 are skipped: at" in err


def test_flags_go_over_the_file_and_the_file_over_the_preset(
    dream: Dream, photo: Path
) -> None:
    Path("r.json").write_text('{"steps": 2, "jitter": 3, "network": "motif"}')
    code, _, err = dream(
        photo, "--preset", "tftut", "--recipe", "r.json", "--jitter", 4,
        "--objective", "near", "--no-clamp", "--epsilon", "none", "--octaves-above=0",
    )  # fmt: skip
    assert code == 0, err
    made = read_recipe("photo-dream.png")
    tutorial = presets["tftut"]
    assert (made.normalizer, made.octaves) == (tutorial.normalizer, tutorial.octaves)
    assert (made.steps, made.jitter, str(made.objective)) == (2, 4, "near")
    assert (made.clamp, made.epsilon, made.octaves_above) == (False, None, 0)


def test_a_flag_that_says_the_default_is_given_too(dream: Dream, photo: Path) -> None:
    Path("r.json").write_text('{"steps": 2, "clamp": false, "octaves": 2}')
    dream(photo, "--recipe", "r.json", "--clamp", "--steps", 1)
    made = read_recipe("photo-dream.png")
    assert (made.clamp, made.steps, made.octaves) == (True, 1, 2)


def test_a_recipe_comes_out_of_a_picture(dream: Dream, photo: Path) -> None:
    dream(photo, *FAST, "--seed", 5, "-o", "first.jpg")
    dream(photo, "--recipe", "first.jpg", "-o", "second.webp")
    assert read_recipe("second.webp") == read_recipe("first.jpg")


def test_notes_can_be_left_out(dream: Dream, photo: Path) -> None:
    dream(photo, *FAST, "--no-notes")
    assert read_notes("photo-dream.png") is None


def test_masks_and_regions_from_the_shell(dream: Dream, photo: Path) -> None:
    left = "box(0%, 0%, 50%, 100%)"
    regions = (f"{left}: near:1", "alpha(invert): far")
    flags = (*FAST, "--mask", f"{photo}(invert)", "--region", regions[0])
    code, _, err = dream(photo, *flags)
    assert code == 0, err
    recipe = read_recipe("photo-dream.png")
    assert recipe.mask is not None
    assert recipe.mask.file is not None
    assert (recipe.mask.file.name, len(recipe.mask.file.sha256)) == ("photo.png", 64)
    assert [region.text for region in recipe.regions] == list(regions[:1])
    assert dream("replay", "photo-dream.png")[0] == 0
    code, _, err = dream(photo, *flags, "--region", regions[1])
    assert code == 2
    assert "must have transparency for the mask alpha" in err
    code, _, err = dream(photo, "--region", left)
    assert code == 2
    assert "must be written as MASK: OBJECTIVE" in err


def test_no_steps_give_the_photo_back(dream: Dream, photo: Path) -> None:
    assert dream(photo, "--steps", 0)[0] == 0
    before, after = read_picture(photo), read_picture("photo-dream.png")
    np.testing.assert_allclose(after.pixels, before.pixels, atol=1e-6)


@pytest.mark.parametrize(
    "flags",
    [
        ("--steps", 100_000, "--octaves-above", 4),
        ("--octaves-above", 5, "--octave-scale", 16),
    ],
    ids=["long", "large"],
)
def test_much_work_asks_for_yes(
    dream: Dream, photo: Path, flags: tuple[object, ...]
) -> None:
    code, out, err = dream(photo, *flags)
    assert (code, out) == (2, "")
    assert "--yes" in err
    # Both the limit and what it would be are named.
    assert re.search(r"an hour .* about [\d,.]+ hours", err)
    assert _here() == ["photo.png"]


def test_where_little_memory_is_free_a_dream_is_in_tiles(
    dream: Dream, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "keras_dream.backend.torch.TorchBackend.memory", lambda _: {"free": 1}
    )
    assert dream(photo, *FAST)[0] == 0
    record = read_saved("photo-dream.png").record
    assert "cells" in str(record.run["gradient"])


# -- stopping -----------------------------------------------------------------------


def _signal_at(
    monkeypatch: pytest.MonkeyPatch, kind: str, *numbers: signal.Signals
) -> None:
    """Sends signals at the first event of a kind, or at the third step."""
    inner = Lines.report
    calls = []

    def report(self: Lines, event: events.Event) -> None:
        inner(self, event)
        if event.kind == kind:
            calls.append(1)
            if kind != "step" or len(calls) == 3:
                for number in numbers:
                    signal.raise_signal(number)

    monkeypatch.setattr(Lines, "report", report)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_saves_what_there_is(
    dream: Dream, photo: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    before = signal.getsignal(number)
    if before == signal.SIG_IGN:
        pytest.skip("whoever started the tests has it ignored, as nohup does")
    _signal_at(monkeypatch, "step", number)
    code, out, err = dream(photo, *FAST)
    assert (code, out) == (130, "photo-dream.png\n")
    assert err.endswith(
        "dream: Stopped; the dream so far was saved as 'photo-dream.png'; "
        "`dream --resume` goes on from there.\n"
    )
    record = read_saved("photo-dream.png").record
    assert not record.complete
    assert [len(losses) for losses in record.losses.values()] == [2, 1]
    assert signal.getsignal(number) == before


def test_a_signal_before_the_first_step_saves_nothing(
    dream: Dream, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _signal_at(monkeypatch, "loading", signal.SIGINT)
    code, out, err = dream(photo, *FAST)
    assert (code, out) == (130, "")
    assert err.endswith("dream: Stopped before the first step; nothing is saved.\n")
    assert _here() == ["photo.png"]


def test_a_signal_before_signals_are_handled_is_reported_too(
    dream: Dream, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(name: str) -> Recipe:
        raise KeyboardInterrupt

    monkeypatch.setattr("keras_dream.recipe.presets.preset", stopped)
    stopped = (130, "", "dream: Stopped; nothing is saved.\n")
    assert dream(photo, *FAST) == stopped
    assert dream("presets", "book1") == stopped
    assert _here() == ["photo.png"]


def test_a_second_signal_does_not_spoil_the_saving(
    dream: Dream, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from keras_dream.engine.result import Dream as Result

    _signal_at(monkeypatch, "step", signal.SIGINT)
    save = Result.save

    def slow(self: Result, *arguments: Any, **options: Any) -> Path:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        return save(self, *arguments, **options)

    monkeypatch.setattr(Result, "save", slow)
    code, out, _ = dream(photo, *FAST)
    assert (code, out) == (130, "photo-dream.png\n")
    assert read_saved("photo-dream.png").record.losses
    assert set(_here()) == {"photo.png", "photo-dream.png", UNFINISHED}


def test_a_real_ctrl_c_ends_a_real_process(photo: Path, tiny_network: Path) -> None:
    arguments = (photo, "--steps", "20000", "--octaves", "1", "--json")
    process = subprocess.Popen(
        [sys.executable, "-c", START, tiny_network, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if '"step"' in line:
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    stopped, last = map(json.loads, out.splitlines()[-2:])
    assert stopped == {"event": "stopped"}
    assert last == {"event": "saved", "path": "photo-dream.png", "complete": False}
    assert set(_here()) == {"photo.png", "photo-dream.png", UNFINISHED}


# -- the commands -------------------------------------------------------------------


def test_networks(dream: Dream) -> None:
    code, out, _ = dream("networks")
    lines = out.splitlines()
    assert code == 0
    head = ["network", "weights", "MB", "source", "licence", "about"]
    assert lines[0].split() == head
    assert lines[1].split()[:2] == ["motif", "shipped"]


def test_layers(dream: Dream) -> None:
    code, out, _ = dream("layers", "motif")
    listed, _, own = out.partition("\n\n")
    assert own.startswith("its own objective: far\n\nwhat its layers dream")
    rows = [re.split("  +", line) for line in listed.splitlines()]
    head = ["layer", "kind", "channels", "stride", "receptive field", "smallest"]
    assert code == 0
    assert rows == [
        [*head, "depth", "work"],
        ["near", "conv2d", "4", "1", "3", "1", "50 %", "71 %"],
        ["pool", "max_pool", "4", "2", "4", "2", "50 %", "71 %"],
        ["far", "conv2d", "5", "2", "8", "6", "100 %", "100 %"],
    ]


def test_layers_names_the_classes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["layers", "motif"]) == 0
    *_, gap, title, names = capsys.readouterr().out.splitlines()
    assert (gap, "class:NAME" in title) == ("", True)
    assert names.split(", ")[0] == "0 eye"


def test_presets(dream: Dream, photo: Path) -> None:
    table = dream("presets")[1]
    assert [line.split()[0] for line in table.splitlines()] == ["preset", *presets]
    states = {line.split()[0]: line.split()[2] for line in table.splitlines()}
    assert states["eyes"] == "shipped"
    assert states["book1"] in ("here", "partly", "download")
    schema = json.loads(dream("presets", "--schema")[1])
    assert set(schema["properties"]) == set(Recipe.model_fields)
    Path("book.json").write_text(dream("presets", "book1")[1])
    assert read_recipe("book.json") == presets["book1"]


def test_show(dream: Dream, photo: Path) -> None:
    dream(photo, *FAST)
    code, out, _ = dream("show", "photo-dream.png")
    assert code == 0
    assert re.search(r"^objective +far$", out, re.MULTILINE)
    assert "complete        yes\n" in out
    both = json.loads(dream("show", "photo-dream.png", "--json")[1])
    assert both["recipe"]["steps"] == 2
    assert both["record"]["source"] == "photo.png"


def test_doctor(
    dream: Dream, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from keras_dream.backend.torch import TorchBackend

    # The other backends take seconds to load.
    monkeypatch.setattr("keras_dream.backend.load.NAMES", ("torch",))
    monkeypatch.setenv("KERAS_DREAM_HOME", str(tmp_path / "cache"))
    code, out, _ = dream("doctor")
    assert code == 0
    for what in ("backend torch", "network motif", "weights cache", "this folder"):
        assert any(line.startswith(what) for line in out.splitlines())
    assert not (tmp_path / "cache").exists()
    assert "precision auto is float32" in out
    monkeypatch.setattr(TorchBackend, "fast_bfloat16", lambda _: True)
    findings = json.loads(dream("doctor", "--json")[1])
    assert "precision auto is bfloat16 with motif and " in str(findings)
    assert {"what": "backend torch", "state": "ok"}.items() <= next(
        finding.items() for finding in findings if finding["what"] == "backend torch"
    )
    if os.name == "posix":
        (tmp_path / "cache").mkdir()
        (tmp_path / "cache").chmod(0o777)
        code, out, _ = dream("doctor")
        assert code == 1
        assert f"everyone can write to {tmp_path / 'cache'}, too" in out


def test_doctor_finds_what_is_wrong(
    dream: Dream, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keras_dream.backend.load.NAMES", ("torch",))
    monkeypatch.setenv("KERAS_DREAM_HOME", str(photo.absolute() / "cache"))
    monkeypatch.setattr("keras_dream.zoo.load.BUILTIN", tmp_path)
    monkeypatch.setenv("KERAS_DREAM_WEIGHTS", str(tmp_path / "none"))
    code, out, _ = dream("doctor")
    assert f"{tmp_path / 'none'} is not a folder" in out
    states = {line[:14].strip(): line.split()[2] for line in out.splitlines()}
    assert code == 1
    assert (states["weights cache"], states["network motif"]) == ("wrong", "wrong")


# -- streams and reporters ----------------------------------------------------------


def test_a_reader_who_goes_away_hinders_nothing(
    photo: Path, tiny_network: Path
) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", START, tiny_network, photo, "--steps", "1"]
    done = subprocess.run(
        command, stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stderr
    assert Path("photo-dream.png").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_behind_standard_output_is_reported() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "keras_dream", "presets"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("dream: Standard output must take the result;")
    assert len(done.stderr.splitlines()) == 1


def test_what_a_stream_cannot_encode_is_written_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(file, "ascii"))
    output.write_stdout("60 × 40")
    assert file.getvalue() == rb"60 \xd7 40" + b"\n"
    file = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(file, "utf-8"))
    output.write_stdout(os.fsdecode(b"caf\xe9.png"))
    assert file.getvalue() == b"caf\xe9.png\n"


def test_control_characters_steer_no_terminal() -> None:
    assert "\x1b" not in output.plain("\x1b[31mred\x07\n")


def test_a_dreams_time_left_follows_the_pace_after_the_first_step() -> None:
    from keras_dream.engine.loop import Step

    now = [0.0]
    lines = Lines(clock=lambda: now[0])
    octaves = (events.OctaveSize(1, (10, 10), 2), events.OctaveSize(2, (10, 30), 2))
    lines.measure(events.Started("a", "b", "n", (10, 30), octaves))
    left = []
    for octave, iteration, at in ((1, 1, 100), (1, 2, 102), (2, 1, 108), (2, 2, 114)):
        now[0] = at
        size = octaves[octave - 1].size
        none: Any = object
        step = Step(octave, 2, iteration, 2, size, 1.0, 2.0, none, none, none)
        lines.measure(step)
        left.append(lines.left)
    assert left == ["", "about 12 s left", "about 6 s left", ""]
    assert (
        lines.sentence(events.Saved("b", complete=True)) == "Dreamed 4 steps in 1:54."
    )


def test_a_sheets_time_left_begins_with_the_prediction_and_follows_the_pace() -> None:
    now = [0.0]
    eta = Eta(predicted=100.0, clock=lambda: now[0])
    assert eta.left(0.0, 1.0) == "about 1:40 left"
    now[0] = 100.0  # it takes twice as long as predicted
    assert eta.left(0.5, 1.0) == "about 1:32 left"  # 50 s as predicted, 100 s as seen
    assert eta.left(1.0, 1.0) == ""


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_a_terminal_gets_a_bar_that_fits(photo: Path, tiny_network: Path) -> None:
    import fcntl
    import pty
    import struct
    import termios

    own, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", START, tiny_network, photo, "--steps", "30"],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            written += os.read(own, 65536)
        except OSError:  # the end of a terminal on Linux
            break
    os.close(own)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out == b"photo-dream.png\n"
    assert b"\x1b[" in written
    assert b"Octave 1/1  step 30/30" in written
    assert written.endswith(b" s.\r\n")


# -- what the machine does ----------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (MemoryError(), "enough memory"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: x"),
            "enough memory",
        ),
        (OSError(24, "Too many open files"), "too many open files"),
        (ImportError("libgomp.so.1: cannot open"), "installation must be complete"),
    ],
)
def test_failures_of_the_machine_are_one_sentence(
    dream: Dream,
    photo: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
    words: str,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise failure

    monkeypatch.setattr("keras_dream.dreamer.dreamer.Dreamer.octaves", fail)
    code, out, err = dream(photo, "--quiet")
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert words in err
    assert _here() == ["photo.png"]


@pytest.mark.parametrize(
    "path",
    sorted((Path(__file__).parents[1] / "recipes").iterdir()),
    ids=lambda p: p.stem,
)
def test_old_recipe_files_are_read_for_ever(path: Path) -> None:
    written = json.loads(path.read_text())
    assert written.items() <= read_recipe(path).model_dump(mode="json").items()


def test_a_source_without_a_photo_is_dreamed_and_replayed(dream, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = dream("noise:48x40", "--steps", 1, "--seed", 7, "--quiet")
    assert (code, out.strip()) == (0, "noise-48x40-dream.png")
    code, out, err = dream("replay", "noise-48x40-dream.png", "--quiet")
    assert code == 0, err
    code, _, err = dream("noise:48*40")
    assert code == 2
    assert "KIND:WIDTHxHEIGHT" in err


def test_a_preset_of_another_network_is_named(dream, photo):
    code, _, err = dream(photo, "--preset", "reef", "--network", "squeezenet")
    assert code == 2
    assert "The preset reef must be dreamed with motif" in err
