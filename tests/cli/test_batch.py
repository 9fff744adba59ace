"""`dream batch`: what is made, told and counted, watched for, and left alone."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.color import ColorSystem
from rich.console import Console

import keras_dream as kd
from keras_dream import events
from keras_dream.batches import watch
from keras_dream.batches.inputs import Task, Tasks
from keras_dream.batches.plan import Planner, Wanted
from keras_dream.cli import batch_run
from keras_dream.cli.reporters.bar import Bar
from keras_dream.cli.reporters.batch import MOST_LISTED
from keras_dream.cli.reporters.json import JsonLines
from keras_dream.cli.reporters.lines import Lines
from keras_dream.errors import SaveError
from keras_dream.jobs.index import entry_of
from keras_dream.jobs.journal import Journal
from keras_dream.pictures.encoding import save_picture
from keras_dream.pictures.picture import read_picture
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.replay import read_saved
from keras_dream.sheets.sheet import read_about

Dream = Callable[..., tuple[int, str, str]]
FAST = ("--steps", 1, "--octaves", 1, "--workers", 1)


@pytest.fixture
def folder(photo: Path) -> Path:
    """A folder of three photos, one of them below it, and one that is broken."""
    folder = Path("trip")
    (folder / "sub").mkdir(parents=True)
    for name in ("b10.png", "b9.jpg", "sub/a.png"):
        save_picture(folder / name, np.full((24, 30, 3), 0.4, np.float32))
    (folder / "c.png").write_bytes(b"no picture")
    return folder


def about(sheet: str | Path) -> dict[str, Any]:
    """What a contact sheet says of itself."""
    return (read_about(sheet) or {})["batch"]


def json_of(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_a_batch_from_the_shell(dream: Dream, folder: Path) -> None:
    """Results lie as their photos do; the bad one is told at the end, as is a sheet."""
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    name = ("--name", "{stem}-{preset}-{seed}", "--preset", "default", "--seed", 5)
    line = (
        "batch",
        folder,
        "nothing.png",
        "-o",
        "out",
        *name,
        "--format",
        "webp",
        *FAST,
    )
    code, out, err = dream(*line)
    results = ["b9-default-5.webp", "b10-default-5.webp", "sub/a-default-5.webp"]
    assert code == 1
    assert out.split() == [str(Path("out") / name) for name in results]
    assert read_saved(Path("out") / results[0]).recipe.seed == 5
    lines = err.splitlines()
    assert "5 pictures: 1 impossible, 4 to dream." in lines
    assert any(line.split() == ["pictures", "5", "out"] for line in lines)
    assert any(line.split()[:3] == ["dreamed", "3", "in"] for line in lines)
    assert any(line.startswith("failed: trip/c.png: ") for line in lines)
    assert any(line.startswith("failed: nothing.png: ") for line in lines)
    assert lines[-1] == f"contact sheet: {Path('out/contact-sheet.jpg')}"
    assert about("out/contact-sheet.jpg")["results"] == 3
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before

    kept = {path: path.stat().st_mtime_ns for path in Path("out").rglob("*.*")}
    code, out, err = dream(*line, "--json")
    assert code == 1
    *_, summary = events_ = json_of(out)
    assert (summary["done"], summary["reused"], len(summary["failed"])) == (0, 3, 2)
    assert [e["event"] for e in events_].count("item") == 3
    assert "failed: " not in err
    now = {path: path.stat().st_mtime_ns for path in Path("out").rglob("*.webp")}
    assert now.items() <= kept.items()

    save_picture(folder / "c.png", np.full((24, 30, 3), 0.4, np.float32))
    code, out, _ = dream(*line, "--retry-failed", "--quiet")
    assert (code, out.split()) == (1, [str(Path("out/c-default-5.webp"))])


def test_a_manifest_and_flags(dream: Dream, folder: Path) -> None:
    rows = (
        {"photo": "b9.jpg", "seed": 1},
        {"photo": "b9.jpg", "seed": 2, "out": "two.tif"},
        {"photo": "noise:20x30", "steps": 2},
        {"photo": "b9.jpg", "seed": "many"},
        {"photo": "../photo.png"},
    )
    (folder / "list.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    code, out, err = dream(
        "batch", folder / "list.jsonl", "-o", "out", *FAST, "--no-contact-sheet"
    )
    names = ["b9-dream.png", "two.tif", "noise-20x30-dream.png"]
    assert (code, out.split()) == (1, [str(Path("out") / name) for name in names])
    assert read_saved("out/two.tif").recipe.seed == 2
    assert read_saved("out/noise-20x30-dream.png").recipe.steps == 1  # the flag wins
    assert "failed: line 4 of list.jsonl: `seed` must be" in err
    assert "failed: line 5 of list.jsonl: A photo of a manifest must be" in err
    assert not Path("out/contact-sheet.jpg").exists()


def test_nothing_is_left_of_what_cannot_be(dream: Dream, folder: Path) -> None:
    cases = {
        ("none.png", "-o", "out"): "none.png: A picture must be a file",
        ("empty", "-o", "out"): "A folder must have pictures to dream",
        (folder, "-o", "out", "--name", "{sead}"): "try 'seed', the nearest name",
        (folder, "-o", "out", "--name", "x"): "a name of its own",
        (folder, "-o", "out", "--format", "gif"): ".png",
        (folder, "-o", folder, "--name", "{stem}.png"): "must not replace a photo",
        (folder, "-o", "photo.png"): "-o must be a folder",
        (folder, "-o", "new.png"): "-o must be a folder",
        (folder, "-o=-"): "-o must be a folder",
        (folder, "-o", "photo.png/out"): "one that can be created",
        (folder, "-o", "out", "--steps", "-1"): "`steps` must be",
        (folder, "-o", "out", "--network", "motiv"): "'motif', the nearest name",
        ("-o", "out"): "There must be photos",
        (folder,): "-o must name the folder",
    }
    Path("empty").mkdir()
    for line, part in cases.items():
        code, out, err = dream("batch", *line, "--workers", 1)
        assert (code, out) == (2, ""), line
        assert part in err, line
    assert not Path("out").exists()
    # A line that would need weeks is refused, and the others go on.
    rows = '{"photo": "b9.jpg"}\n{"photo": "b9.jpg", "octaves": 64, "steps": 100000}'
    (folder / "list.jsonl").write_text(rows)
    code, out, err = dream("batch", folder / "list.jsonl", "-o", "out", "--dry-run")
    assert code == 1
    assert "line 2 of list.jsonl: A dream" in err
    assert "1 in all" in out


def test_a_download_for_a_manifest_is_agreed_to(dream: Dream, folder: Path) -> None:
    (folder / "list.csv").write_text("photo,network\nb9.jpg,squeezenet\n")
    code, _, err = dream("batch", folder / "list.csv", "-o", "out", *FAST)
    assert code == 2
    assert "must be agreed to with --yes" in err
    assert not Path("out").exists()


def test_what_would_be_made(dream: Dream, folder: Path) -> None:
    dream("batch", folder / "b9.jpg", "-o", "out", *FAST)
    code, out, err = dream("batch", folder, "-o", "out", *FAST, "--dry-run")
    assert "cannot be read: trip/c.png: " in err
    first, second, third, fourth, last = (line.split() for line in out.splitlines()[1:])
    assert first[:5] == ["1", "trip/b9.jpg", "30", "×", "24"]
    assert "(exists)" in first
    assert "(exists)" not in second
    assert third[2] == "?"  # a broken one is found when it is dreamed
    assert fourth[-2:] == ["0", "s"]
    assert last[:3] == ["4", "in", "all"]
    assert " ".join(last[-7:]) == "s, and 1 that cannot be read"
    assert [path.name for path in Path("out").glob("[!.]*")] == ["b9-dream.png"]
    code, out, _ = dream("batch", folder, "-o", "out", "--dry-run", "--json")
    planned = json_of(out)
    assert code == 0
    assert [event["number"] for event in planned] == [1, 2, 3, 4]
    assert planned[0]["size"] == {"width": 30, "height": 24}
    assert planned[2]["seconds"] is None
    assert planned[0]["seconds"] > 0


def test_a_sheet_of_another_is_not_replaced(
    dream: Dream, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("out").mkdir()
    Path("out/contact-sheet.jpg").write_bytes(b"mine")
    code, _, err = dream("batch", folder, "-o", "out", *FAST)
    assert code == 2
    assert "A sheet must have a new name" in err
    assert Path("out/contact-sheet.jpg").read_bytes() == b"mine"
    # Nor is one in the place of a later page.
    Path("out/contact-sheet.jpg").rename("out/contact-sheet-2.jpg")
    monkeypatch.setattr("keras_dream.batches.contact.CELLS_OF_PAGE", 2)
    assert dream("batch", folder, "-o", "out", *FAST)[0] == 2
    assert Path("out/contact-sheet-2.jpg").read_bytes() == b"mine"


@pytest.mark.skipif(sys.platform != "linux", reason="names there are text, or UTF-8")
def test_photos_of_odd_names_and_kinds(dream: Dream, folder: Path) -> None:
    """Any name is dreamed under a plain one; a pipe and a device are no photos."""
    photo = (folder / "b10.png").read_bytes()
    odd = Path("odd")
    odd.mkdir()
    for name in (b"a\xff.png", b"b\x1b[31m.png", b"c\nd.png", b"-v.png", b"12:30.png"):
        Path(os.fsdecode(b"odd/" + name)).write_bytes(photo)
    os.mkfifo("odd/pipe.png")
    (odd / "zero.png").symlink_to("/dev/zero")
    code, out, err = dream("batch", odd, "-o", "out", *FAST)
    assert code == 0, err
    names = ["-v", "12_30", "a_", "b_[31m", "c_d"]
    assert sorted(out.splitlines()) == [f"out/{name}-dream.png" for name in names]
    assert "\x1b" not in err


def test_a_sheet_that_cannot_be_drawn_loses_nothing(
    dream: Dream, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while it is drawn leaves it out; a full disk is told after the summary."""

    def stopped(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    def full(*_: Any, **__: Any) -> None:
        raise SaveError("the disk must have room", received="none")

    (folder / "c.png").unlink()
    line = ("batch", folder, "-o", "out", *FAST)
    monkeypatch.setattr("keras_dream.batches.contact.draw_pages", stopped)
    code, out, err = dream(*line)
    assert (code, len(out.split())) == (0, 3)
    assert "contact sheet" not in err
    monkeypatch.setattr("keras_dream.batches.contact.draw_pages", full)
    code, _, err = dream(*line)
    assert code == 1
    *_, last, sentence = err.splitlines()
    assert last.split()[:3] == ["there", "before", "3"]
    assert sentence.startswith("dream: The disk must have room")


def test_a_watched_folder(
    dream: Dream, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A photo is taken when it does not grow any more; Ctrl-C while idle is the end."""
    monkeypatch.setattr(watch, "SECONDS_BETWEEN_LOOKS", 0.4)
    (folder / "c.png").unlink()
    whole = (folder / "b10.png").read_bytes()

    def copy_slowly() -> None:
        while not Path("out/sub/a-dream.png").exists():
            time.sleep(0.02)
        (folder / "d.txt").rename(folder / "d.png")
        with (folder / "late.png").open("wb") as file:
            for start in range(0, len(whole), 20):
                file.write(whole[start : start + 20])
                file.flush()
                time.sleep(0.03)
        while not Path("out/late-dream.png").exists():
            time.sleep(0.02)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    (folder / "d.txt").write_bytes(b"no picture")
    thread = threading.Thread(target=copy_slowly, daemon=True)
    thread.start()
    code, out, err = dream("batch", folder, "-o", "out", *FAST, "--watch")
    thread.join(timeout=30)  # it waits for ever where the batch fails
    assert (code, len(out.split())) == (1, 4), err
    assert err.count("failed: ") == 1
    assert "failed: trip/d.png: " in err
    assert 1 <= err.count("Waiting for more photos in trip; Ctrl-C ends.") <= 3
    assert about("out/contact-sheet.jpg")["results"] == 4


def test_two_looks_are_never_one_after_the_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A photo that grows has the same size twice where no time has passed."""
    monkeypatch.setattr(watch, "SECONDS_BETWEEN_LOOKS", 0.2)
    planner = Planner(Wanted([str(folder)], Path("out")), watching=True)
    task = Task("a.png", kd.Recipe(), Path("out/a.png"))
    looks: list[float] = []
    wait = watch.Watch(planner, look=lambda _: looks.append(time.monotonic()) or [task])
    assert [wait(), wait()] == [[task], [task]]
    assert looks[1] - looks[0] >= 0.2


def test_a_watched_folder_in_python(
    motif: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SECONDS_BETWEEN_LOOKS", 0.05)
    Path("new").mkdir()

    def put(name: str) -> None:
        (folder / "b10.png").rename(Path("new") / name)

    threading.Timer(0.1, put, ["1.png"]).start()
    fast: dict[str, Any] = {"steps": 1, "octaves": 1, "workers": 1}
    done: list[str] = []
    with kd.batch("new", "out", watch=True, objective="far", **fast) as run:
        for event in run:
            if isinstance(event, events.ItemDone):
                done.append(event.path)
                if len(done) == 2:
                    break
                (folder / "sub" / "a.png").rename("new/2.png")
    assert done == [str(Path("out") / f"{n}-dream.png") for n in (1, 2)]


def test_a_stopped_batch_goes_on(
    dream: Dream, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "c.png").unlink()

    class Impatient(Lines):
        def report(self, event: events.Event) -> None:
            super().report(event)
            if isinstance(event, events.ItemDone):
                os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(batch_run, "reporter_for", lambda **_: Impatient())
    code, out, err = dream("batch", folder, "-o", "out", *FAST)
    assert code == 130
    assert 1 <= len(out.split()) <= 2  # the next one may have been ready
    assert "the same command goes on from there" in err
    assert not Path("out/contact-sheet.jpg").exists()
    monkeypatch.undo()


# How the events of a batch look, without one.


def test_a_sheet_that_a_killed_batch_did_not_draw(dream: Dream, folder: Path) -> None:
    line = ("batch", folder, "-o", "out", *FAST)
    dream(*line)
    save_picture(folder / "d.png", np.full((24, 30, 3), 0.4, np.float32))
    dream(*line, "--no-contact-sheet")  # as one that is killed before its end
    assert about("out/contact-sheet.jpg")["results"] == 3
    dream(*line)
    assert about("out/contact-sheet.jpg")["results"] == 4
    assert "contact sheet" not in dream(*line)[2]


def test_a_command_that_is_refused_is_not_resumed(dream: Dream, folder: Path) -> None:
    dream("batch", folder, "-o", "out", *FAST)
    with Journal.open("out", kind="test", key="another process"):
        code, _, err = dream("batch", folder / "b9.jpg", "-o", "out", *FAST)
    assert (code, "one writer at a time" in err) == (2, True)
    entry = entry_of("out")
    assert entry is not None
    assert entry.command[1] == str(folder)


def item(number: int, **more: Any) -> dict[str, Any]:
    return {
        "number": number,
        "photo": f"in/{number}.jpg",
        "path": f"out/{number}.png",
        **more,
    }


def planned(waiting: int, **more: Any) -> events.BatchPlanned:
    values = {"ready": 0, "failed": 0, "refused": 0, "seconds": None, "workers": 1}
    values |= {"items": waiting, "folder": "out", **more}
    return events.BatchPlanned(waiting=waiting, **values)


def finished(failed: int, **more: Any) -> events.BatchFinished:
    failures = tuple(
        events.ItemFailed(**item(n), sentence="Wrong.", exit_code=2)
        for n in range(1, failed + 1)
    )
    values: dict[str, Any] = {"items": 10_000, "done": 10, "reused": 0, "skipped": ()}
    values |= {"waiting": 0, "seconds": 100.0, "folder": "out", **more}
    return events.BatchFinished(failed=failures, **values)


def test_the_pace_is_that_of_the_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither loading a network nor pictures that fail at once are part of it."""
    now = [0.0]
    lines = Lines(clock=lambda: now[0])
    lines.report(planned(20, ready=3, items=23))
    now[0] = 60.0  # loading
    for number in (1, 2):
        lines.report(events.ItemStarted(**item(number), attempt=1, worker=1))
    lines.report(events.ItemFailed(**item(2), sentence="Broken.", exit_code=2))
    lines.report(events.ItemProgress(1, 0, 10, 0.0))
    for number in range(1, 11):
        lines.report(events.ItemStarted(**item(number), attempt=1, worker=1))
        now[0] += 5
        lines.report(events.ItemProgress(number, 5, 10, 0.5))
        now[0] += 5
        lines.report(events.ItemDone(**item(number), reused=False, seconds=10.0))
    assert (lines.batch.done, lines.batch.waiting) == (11, 20)
    assert lines.batch.left == "about 1:30 left"
    out, err = capsys.readouterr()
    assert out.split() == [f"out/{n}.png" for n in range(1, 11)]
    assert "23 pictures: 3 there already, 20 to dream." in err
    assert "dream: in/2.jpg: Broken." in err
    assert "11 of 20 pictures done; out/10.png took 10 s, about 1:30 left." in err


def test_what_failed_before_is_not_told_as_news(
    capsys: pytest.CaptureFixture[str],
) -> None:
    failed = events.ItemFailed(**item(3), sentence="Old.", exit_code=2)
    for reporter in (Lines(), JsonLines()):
        reporter.report(failed)
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out)["sentence"] == "Old."


def test_a_notice_that_many_have_is_told_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = Lines()
    done = {"reused": False, "seconds": 1.0, "notices": ("Small.",)}
    for number in (1, 2, 3):
        lines.report(events.ItemDone(**item(number), **done))
    assert capsys.readouterr().err.count("Small.") == 1


def test_waiting_is_not_dreaming(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = batch_run.Request(
        Wanted((str(folder),), Path("out")), Recipe(), RunSettings()
    )
    said: list[events.Event] = []
    reporter = Lines()
    monkeypatch.setattr(reporter, "report", said.append)
    source = batch_run._Source(replace(request, watch=True), reporter)
    monkeypatch.setattr(source, "_watch", lambda: time.sleep(0.2) or ())
    source.more()
    source.more()
    assert 0.2 <= source.waited < 0.4  # not what was before the batch
    assert source._look(Tasks(())) == ()
    assert source._look(Tasks(())) == ()
    assert said == [events.Notice(f"Waiting for more photos in {folder}; Ctrl-C ends.")]


def test_a_full_bar_differs_from_an_empty_one_with_16_colours() -> None:
    column: Any = Bar()._bar.columns[1]
    styles = [column.style, column.complete_style, column.finished_style]
    made = {
        Console().get_style(s).render("x", color_system=ColorSystem.STANDARD)
        for s in styles
    }
    assert len(made) == 3


def test_a_summary_shortens_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    long = "A picture must be one; received 'in/1.jpg', which is text; try another."
    failure = events.ItemFailed(**item(1), sentence=long, exit_code=2)
    Lines().report(replace(finished(0), failed=(failure,)))
    assert "failed: in/1.jpg: A picture must be one.\n" in capsys.readouterr().err


@pytest.mark.parametrize("columns", ["60", "120", "0", "1", "-5", "wide", ""])
def test_a_summary_of_thousands_is_a_screen(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its lines are whole, whatever the terminal says of its width."""
    monkeypatch.setenv("COLUMNS", columns)
    skipped = tuple(
        events.ItemSkipped(
            **item(n), reason=f"{f'out/{n}.png'!r} is there\x1b[31m; it is kept."
        )
        for n in range(300)
    ) + tuple(
        events.ItemSkipped(
            **item(n), reason=f"'{n}.png' is a file that this job did not write."
        )
        for n in range(7)
    )
    summary = finished(2_000, skipped=skipped, sheets=("out/a.jpg", "out/a-2.jpg"))
    with Bar() as bar:
        bar.report(planned(5))
        bar.report(summary)
    err = capsys.readouterr().err
    rows = [line.split() for line in err.splitlines()]
    assert ["failed", "2,000"] in rows
    assert ["dreamed", "10", "in", "1:40,", "10", "s", "each"] in rows
    assert "7 × it is a file that this job did not write" in err
    assert "300 × it is there\N{REPLACEMENT CHARACTER}[31m; it is kept" in err
    assert err.count("failed: in/") == MOST_LISTED
    assert bar._description(planned(5)) == "0 of 5 done"
    assert f"failed: {2_000 - MOST_LISTED:,} more; `dream jobs show out`" in err
    assert "contact sheet: out/a.jpg and 1 more" in err
    assert "\x1b[31m" not in err


def test_pages_of_a_contact_sheet(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from keras_dream.batches import contact
    from keras_dream.recipe.recipe import Recipe

    monkeypatch.setattr(contact, "CELLS_OF_PAGE", 4)
    photo = folder / "b10.png"
    results = [contact.Result(photo, f"{n}", Recipe()) for n in range(5)]
    results.append(contact.Result(folder / "c.png", "broken", Recipe()))
    first, second = contact.draw_pages(results, Path("sheet.png"), title="trip")
    assert (first.name, second.name) == ("sheet.png", "sheet-2.png")
    assert [len(about(page)["cells"]) for page in (first, second)] == [4, 1]
    assert [about(page)["page"] for page in (first, second)] == [1, 2]
    # Four cells of 280 × 224 pixels in the photo's grey, and paper around them.
    grey = np.abs(read_picture(first).pixels - 0.4).max(axis=-1) < 0.02
    assert grey.sum() == pytest.approx(4 * 280 * 224, rel=0.02)
