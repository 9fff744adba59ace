import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_dream.backend import load
from keras_dream.backend.host import cores
from keras_dream.errors import PictureError, SettingError
from keras_dream.pictures.encoding import save_picture
from keras_dream.pictures.metadata import read_notes
from keras_dream.pictures.picture import read_picture
from keras_dream.recipe.recipe import RunSettings
from keras_dream.replay import read_saved, recorded_run

Dream = Callable[..., tuple[int, str, str]]
FAST = ("--steps", 3, "--octaves", 2)
EQUAL = "The dream made again equals the saved one.\n"
EXPECTED = "An equal picture can be expected"
UNEXPECTED = "An equal picture cannot be expected"


@pytest.fixture
def forge() -> Callable[..., Path]:
    """Saves a copy of a dream whose recipe and record say something else."""

    def save(path: str = "photo-dream.png", **changes: dict[str, Any]) -> Path:
        notes = read_notes(path)
        assert notes is not None
        for part, values in changes.items():
            notes[part] = json.dumps({**json.loads(notes[part]), **values})
        forged = Path("forged.png")
        save_picture(forged, read_picture(path).pixels, notes=notes)
        return forged

    return save


@pytest.mark.parametrize("flags", [(), ("--threads", 1), ("--jitter", 5, "--seed", 8)])
def test_a_png_is_made_again_byte_for_byte(
    dream: Dream, photo: Path, flags: tuple[object, ...]
) -> None:
    dream(photo, *FAST, *flags)
    code, out, err = dream("replay", "photo-dream.png", "-o", "again.png")
    assert (code, out) == (0, "again.png\n")
    assert EXPECTED in err
    assert err.endswith(EQUAL)
    assert Path("again.png").read_bytes() == Path("photo-dream.png").read_bytes()


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tif"])
def test_other_formats_are_compared_by_their_pixels(
    dream: Dream, photo: Path, suffix: str
) -> None:
    dream(photo, *FAST, "-o", f"first{suffix}")
    # Another program may have written the file anew, with the same pixels.
    code, out, err = dream("replay", f"first{suffix}", "-o", "again.png")
    assert (code, out) == (0, "again.png\n")
    assert err.endswith(EQUAL)


def test_transparency_is_kept_and_hashed(dream: Dream, photo: Path) -> None:
    image = read_picture(photo).pixels
    alpha = np.linspace(0, 1, image[..., 0].size, dtype=np.float32)
    save_picture("ghost.png", image, alpha=alpha.reshape(image.shape[:2]))
    dream("ghost.png", *FAST)
    assert dream("replay", "ghost-dream.png")[2].endswith(EQUAL)


def test_the_default_name_replaces_nothing(dream: Dream, photo: Path) -> None:
    dream(photo, *FAST)
    assert dream("replay", "photo-dream.png")[1] == "photo-dream-dream.png\n"


def test_the_saved_dream_is_not_replaced_before_it_is_compared(
    dream: Dream, photo: Path
) -> None:
    dream(photo, *FAST)
    saved = Path("photo-dream.png").read_bytes()
    code, out, err = dream("replay", "photo-dream.png", "-o", "./photo-dream.png")
    assert (code, out) == (2, "")
    assert "must not replace the saved one" in err
    assert Path("photo-dream.png").read_bytes() == saved


def test_a_stopped_dream_is_made_again_as_far_as_it_came(
    dream: Dream, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import signal

    from keras_dream.cli.reporters.lines import Lines

    inner = Lines.report

    def stopping(self: Lines, event: Any) -> None:
        inner(self, event)
        if event.kind == "step" and (event.octave, event.iteration) == (2, 1):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Lines, "report", stopping)
    assert dream(photo, *FAST)[0] == 130
    monkeypatch.setattr(Lines, "report", inner)
    code, _, err = dream("replay", "photo-dream.png", "-o", "again.png")
    assert code == 0
    assert err.endswith(EQUAL)


def test_json_tells_the_comparison(dream: Dream, photo: Path) -> None:
    dream(photo, *FAST)
    out = dream("replay", "photo-dream.png", "--json")[1]
    last = json.loads(out.splitlines()[-1])
    assert last == {"event": "compared", "equal": True, "expected": True}


def test_other_weights_are_told(dream: Dream, photo: Path, tmp_path: Path) -> None:
    from keras_dream.graph import file
    from keras_dream.zoo.network import Network

    dream(photo, *FAST)
    graph = Network("motif").load().graph
    other = {name: -array for name, array in graph.weights.items()}
    file.save(dataclasses.replace(graph, weights=other), tmp_path / "o.safetensors")
    code, _, err = dream(
        "replay", "photo-dream.png", "--weights", tmp_path / "o.safetensors"
    )
    assert code == 0
    assert f"{UNEXPECTED}: weights " in err
    assert "does not equal the saved one, as expected.\n" in err


def test_other_threads_are_told(dream: Dream, photo: Path) -> None:
    dream(photo, *FAST, "--threads", 1)
    _, _, err = dream("replay", "photo-dream.png", "--threads", 2)
    assert f"{UNEXPECTED}: threads 2 instead of 1." in err


def test_other_versions_and_processors_are_told(
    dream: Dream, photo: Path, forge: Callable[..., Path]
) -> None:
    dream(photo, *FAST)
    forge(record={"versions": {"torch": "1.0"}, "processor": "abacus"})
    _, _, err = dream("replay", "forged.png")
    assert "instead of 1.0" in err
    assert "instead of abacus" in err


def test_what_should_be_equal_and_is_not_is_told(
    dream: Dream, photo: Path, forge: Callable[..., Path]
) -> None:
    dream(photo, *FAST)
    forge(recipe={"seed": 99})
    code, _, err = dream("replay", "forged.png")
    assert code == 0
    assert EXPECTED in err
    assert err.endswith("does not equal the saved one, although it should.\n")


# -- the source ---------------------------------------------------------------------


def test_the_source_is_found_beside_the_picture_only(
    dream: Dream, photo: Path, tmp_path: Path
) -> None:
    away = tmp_path / "away"
    away.mkdir()
    dream(photo, *FAST, "-o", away / "a.png")
    code, out, err = dream("replay", away / "a.png")
    assert (code, out) == (2, "")
    assert "'photo.png'" in err
    assert "--source" in err
    code, _, err = dream("replay", away / "a.png", "--source", photo)
    assert code == 0
    assert err.endswith(EQUAL)


def test_a_source_with_other_pixels_is_refused(dream: Dream, photo: Path) -> None:
    dream(photo, *FAST)
    save_picture("other.png", np.zeros((40, 60, 3), np.float32))
    told = dream("replay", "photo-dream.png", "--source", "other.png")
    assert told[:2] == (2, "")
    assert "'other.png', which has other pixels" in told[2]
    Path("other.png").replace(photo)
    assert "which has other pixels" in dream("replay", "photo-dream.png")[2]


def test_a_source_in_another_file_with_the_same_pixels_serves(
    dream: Dream, photo: Path
) -> None:
    dream(photo, *FAST)
    save_picture("copy.tif", read_picture(photo).pixels)
    photo.unlink()
    told = dream("replay", "photo-dream.png", "--source", "copy.tif")
    # The record keeps the name, so the file is another one; the pixels are not.
    assert told[0] == 0
    assert f"{UNEXPECTED}: a source called copy.tif instead of photo.png" in told[2]
    assert (
        read_picture(told[1].strip()).sha256 == read_picture("photo-dream.png").sha256
    )


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../secret.png", "a/b.png", "..", ".", "C:\\x.png", "a\0b", "a:b"],
)
def test_a_source_that_leads_elsewhere_is_refused(
    dream: Dream, photo: Path, forge: Callable[..., Path], name: str
) -> None:
    dream(photo, *FAST)
    forge(record={"source": name})
    code, out, err = dream("replay", "forged.png")
    assert (code, out) == (2, "")
    assert "name without folders" in err


def test_a_dream_of_an_array_asks_for_its_source(
    dream: Dream, photo: Path, forge: Callable[..., Path]
) -> None:
    dream(photo, *FAST)
    forge(record={"source": ""})
    code, _, err = dream("replay", "forged.png")
    assert (code, "--source" in err) == (2, True)


# -- forged recipes and records -----------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"recipe": {"trust_model": True}}, "trust_model"),
        ({"recipe": {"weights": "/etc/passwd"}}, "weights"),
        ({"recipe": {"steps": 10**9}}, "`steps`"),
        ({"recipe": {"steps": 100_000, "octaves_above": 6}}, "--yes"),
        ({"recipe": {"octaves_above": 10**6}}, "`octaves_above`"),
        ({"recipe": {"octaves_above": 8, "octave_scale": 16}}, "--yes"),
        ({"recipe": {"network": "/etc/passwd"}}, "'/etc/passwd'"),
        ({"recipe": {"objective": "nowhere"}}, "'nowhere'"),
        ({"record": {"run": {"backend": "torch", "trust": True}}}, "'trust'"),
        ({"record": {"run": {"threads": -1}}}, "`threads`"),
        ({"record": {"run": "fast"}}, "record"),
        ({"record": {"size": [1, 2, 3]}}, "record"),
        ({"record": {"losses": [1]}}, "record"),
        ({"record": {"losses": {"1": ["much"]}}}, "record"),
        ({"record": {"losses": {"1": 3}}}, "record"),
    ],
)
def test_what_is_forged_is_refused_in_one_sentence(
    dream: Dream,
    photo: Path,
    forge: Callable[..., Path],
    changes: dict[str, Any],
    words: str,
) -> None:
    dream(photo, *FAST)
    forge(**changes)
    code, out, err = dream("replay", "forged.png", "--quiet")
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert words in err


@pytest.mark.parametrize("threads", [cores() + 1, "4096", 4096.0, "300", 257])
def test_a_record_starts_no_more_threads_than_there_are_processors(threads: object):
    found, notices = recorded_run({"threads": threads, "offline": False})
    assert found.threads is None
    assert "offline" not in found.model_fields_set
    assert len(notices) == 1
    assert recorded_run({"threads": cores()}) == (RunSettings(threads=cores()), ())


@pytest.mark.parametrize(
    "run",
    [
        {"threads": 4097},
        {"threads": 2.5},
        {"threads": True, "device": 3},
        {"threads": [1]},
        {"threads": 10**400},
        {"gradient": "none"},
        {"gradient": ["whole"]},
        {"precision": "float64"},
        {"backend": "os"},
        {"device": "x" * 10_001},
        {"device": {"cpu": 0}},
        {"unknown": 1},
    ],
)
def test_recorded_run_settings_are_settings(run: dict[str, object]):
    with pytest.raises(SettingError) as caught:
        recorded_run(run)
    assert caught.value.exit_code == 2
    assert len(str(caught.value)) < 400


def test_a_hostile_record_starts_one_thread_for_a_processor(
    dream: Dream, photo: Path, forge: Callable[..., Path], monkeypatch: Any
) -> None:
    dream(photo, *FAST)
    started = list[int | None]()
    inner = load.load

    def loading(*args: Any, **settings: Any) -> Any:
        started.append(settings.get("threads"))
        return inner(*args, **settings)

    monkeypatch.setattr(load, "load", loading)
    for threads in ("4096", 4096.0):
        forge(record={"run": {"backend": "torch", "threads": threads}})
        code, _, err = dream("replay", "forged.png")
        assert code == 0
        assert "The recorded 4096 threads are not started" in err
    assert started
    assert set(started) == {None}


@pytest.mark.parametrize(
    "device", ["nosuch", "hpu", "privateuseone:0", "\ud800", "x" * 9999]
)
def test_an_unknown_device_is_wrong_input(
    dream: Dream, photo: Path, device: str
) -> None:
    code, out, err = dream(photo, *FAST, "--device", device, "--backend", "torch")
    assert (code, out) == (2, "")
    assert re.search("dream: (The device|`device`) must be", err)
    assert len(err) < 300


def test_run_settings_that_are_not_here_are_told(
    dream: Dream, photo: Path, forge: Callable[..., Path]
) -> None:
    dream(photo, *FAST)
    run = read_saved("photo-dream.png").record.run
    forge(record={"run": {**run, "device": "cuda:99"}})
    code, _, err = dream("replay", "forged.png")
    assert code == 0
    assert "The recorded run settings cannot be used here" in err
    assert f"{UNEXPECTED}: device " in err
    # Asked for by name it is an error.
    assert dream("replay", "forged.png", "--device", "cuda:99")[0] == 2


def test_a_record_steers_no_terminal(
    dream: Dream, photo: Path, forge: Callable[..., Path]
) -> None:
    dream(photo, *FAST)
    forge(
        record={
            "processor": "\x1b[2J",
            "notices": ["\x1b]0;x\x07"],
            "versions": {"\x1b": "1"},
        }
    )
    for arguments in (("show", "forged.png"), ("replay", "forged.png")):
        _, out, err = dream(*arguments)
        assert "\x1b" not in out + err


def test_a_record_with_a_lost_loss_is_read(
    dream: Dream, photo: Path, forge: Callable[..., Path]
) -> None:
    dream(photo, *FAST)
    forge(record={"losses": {"1": [None, 2.0]}})
    assert dream("show", "forged.png")[0] == 0
    with pytest.raises(PictureError):
        read_saved("photo.png")
