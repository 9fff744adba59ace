"""Logging: quiet by default, and in the command line as much as is asked for."""

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from keras_dream import logs
from keras_dream.errors import OutputError, SettingError

QUICK = ("--octaves", 2, "--steps", 1)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    for name in (logs.LEVEL_VARIABLE, logs.FILE_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def test_the_library_configures_nothing():
    """Quiet, without the handler of last resort; a program of the user's may listen."""
    code = """
import logging, keras_dream, keras_dream.logs
log = logging.getLogger("keras_dream")
assert [type(h) for h in log.handlers] == [logging.NullHandler], log.handlers
assert log.level == logging.NOTSET and log.propagate
assert not logging.getLogger().handlers
logging.getLogger("keras_dream.weights.download").warning("not to be seen")
with keras_dream.logs.session(): pass
assert not logging.getLogger().handlers
"""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_modules_speak_by_their_own_logger():
    """Configuring is for `logs`; a message that nobody hears is not even formatted."""
    root = Path(logs.__file__).parent
    # What libvips says is told by its errors.
    configures = {"logs.py", "__init__.py", "cli/streams.py", "pictures/vips.py"}
    for path in root.rglob("*.py"):
        text, name = path.read_text("utf-8"), path.relative_to(root).as_posix()
        assert not re.search(
            r"\blogging\.(debug|info|warning|error|\w*[cC]onfig)\(", text
        )
        assert not re.search(r"_log\.\w+\(\s*f[\"']", text), name
        if name not in configures:
            loggers = re.findall(r"getLogger\((.*?)\)", text)
            assert set(loggers) <= {"__name__"}, name
            assert "addHandler" not in text, name


def test_what_is_loaded_and_cached_is_told(caplog, tmp_path, monkeypatch):
    from keras_dream.weights import cache
    from keras_dream.zoo import lowered_cache

    monkeypatch.setenv("KERAS_DREAM_HOME", str(tmp_path))
    caplog.set_level("DEBUG", "keras_dream")
    file = tmp_path / "weights.h5"
    file.write_bytes(b"x")
    cache.hashes_of(file)
    assert f"Reading {file} for its sha256" in caplog.messages
    cache.hashes_of(file)
    assert "its stamp is unchanged" in caplog.messages[-1]
    assert lowered_cache.read(tmp_path / "vgg16-1.safetensors") is None
    assert caplog.messages[-1].startswith("No lowered copy vgg16-1.safetensors")


def test_a_dream_is_quiet_unless_asked(dream, photo):
    _, out, err = dream(photo, *QUICK)
    assert "keras_dream" not in err
    code, out, err = dream(photo, *QUICK, "--log-level", "info")
    assert (code, out) == (0, "photo-dream-2.png\n")
    assert "info keras_dream.backend.load: Backend " in err
    assert "info keras_dream.zoo.load: Network motif from " in err
    assert "Octave 1 of 2: 42 × 28 pixels\n" in err
    assert " debug " not in err
    # Afterwards the process is as it was.
    assert "keras_dream" not in dream(photo, *QUICK)[2]
    assert logs.LEVEL_VARIABLE not in os.environ


@pytest.mark.parametrize("name", ["presets", "weights"])
def test_every_command_has_the_options(name, dream):
    _, out, _ = dream(name, "--help")
    assert "--log-level" in out
    assert "--log-file" in out


def test_the_option_may_stand_anywhere(dream, photo):
    before = dream("--log-level", "debug", "show", photo)
    behind = dream("show", photo, "--log-level=debug")
    for code, _, err in (before, behind):
        assert code == 2
        assert "Traceback" in err  # where the refusal comes from
        assert err.splitlines()[-1].startswith("dream: ")
    # Behind `--` it is a name.
    assert "'--log-level'" in dream("show", photo, "--", "--log-level")[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--log-level", "loud"), ("--log-level", '"loud"', "debug")),
        (("--log-level",), ("--log-level requires an argument",)),
        (("--log-file", "nowhere/log"), ("log", "'nowhere/log'")),
        (("--log-file", "."), ("log", "'.'", "directory")),
        (("--log-file", "photo.png"), ("log", "'photo.png'", "neither")),
    ],
)
def test_wrong_options(dream, photo, arguments, words):
    before = photo.read_bytes()
    code, out, err = dream(photo, *arguments)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert all(word in err for word in words), err
    assert photo.read_bytes() == before


def test_json_lines(dream, photo):
    for _ in range(2):
        code, _, err = dream(photo, *QUICK, "--log-file", "log")
        assert code == 0
        assert "keras_dream" not in err
    lines = [json.loads(line) for line in Path("log").read_text("ascii").splitlines()]
    assert {"time", "level", "logger", "process", "message"} == set(lines[0])
    backends = [e for e in lines if e["logger"] == "keras_dream.backend.load"]
    assert len(backends) == 2  # the second run was added
    assert {line["level"] for line in lines} == {"info"}
    code, *_ = dream("show", photo, "--log-file", "log", "--log-level", "debug")
    (last,) = (line for line in Path("log").read_text().splitlines()[-1:])
    assert "PictureError" in json.loads(last)["traceback"]


def test_a_full_log_ends_nothing(dream, photo):
    if not Path("/dev/full").exists():
        pytest.skip("there is no device that is always full")
    code, out, err = dream(photo, *QUICK, "--log-file", "/dev/full")
    assert (code, out) == (0, "photo-dream.png\n")
    assert "Traceback" not in err


def test_processes_inherit(monkeypatch, tmp_path):
    """Workers call `session()`; what is set for them is as the user set it."""
    path = tmp_path / "log"
    with logs.session(level="warning", file=str(path)):
        code = (
            "import logging, keras_dream.logs as logs\n"
            "with logs.session():\n"
            "    log = logging.getLogger('keras_dream.batches.worker')\n"
            "    log.warning('a %s', 'warning'); log.info('too much')"
        )
        subprocess.run([sys.executable, "-c", code], check=True)
    (line,) = path.read_text("ascii").splitlines()
    assert json.loads(line)["message"] == "a warning"
    monkeypatch.setenv(logs.LEVEL_VARIABLE, "")
    monkeypatch.setenv(logs.FILE_VARIABLE, "")
    with logs.session():
        assert logging.getLogger("keras_dream").level == logging.NOTSET
    monkeypatch.setenv(logs.LEVEL_VARIABLE, "debg")
    with pytest.raises(SettingError, match="'debug'"), logs.session():
        pass


def test_messages_cannot_steer_a_terminal(capsys):
    with logs.session(level="info"):
        logging.getLogger("keras_dream.x").info("a\x1b[2Jb %s", "\udcff")
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert err.endswith("\n")


def test_a_name_that_no_path_has():
    with pytest.raises(OutputError, match="null"), logs.session(file="a\0b"):
        pass


def test_lines_of_workers_are_passed_on(capsys, tmp_path):
    message = "13:20:08.350 info keras_dream.zoo.load: Network motif\n"
    logs.pass_on(message)
    with logs.session(level="info"):
        logs.pass_on(message)
        logs.pass_on("libfoo: warning\n")
    with logs.session(level="debug"):
        logs.pass_on("libfoo: debugging\x1b\n")
    with logs.session(file=str(tmp_path / "log")):  # the worker has written it itself
        logs.pass_on(message)
    assert capsys.readouterr().err == f"{message}libfoo: debugging\ufffd\n"
