"""What a batch does with what is there already, and with what goes wrong."""

import sys
from pathlib import Path

import numpy as np
import pytest
import standin_worker as standin

from keras_dream.batches import run as run_module, worker
from keras_dream.batches.call import batch
from keras_dream.batches.inputs import Task
from keras_dream.batches.messages import Order
from keras_dream.batches.run import BatchRun, told_apart
from keras_dream.batches.unfinished import kept_path
from keras_dream.engine import cost
from keras_dream.errors import (
    InputError,
    JobsError,
    NetworkError,
    ObjectiveError,
    PictureError,
    RunError,
    SaveError,
    SettingError,
    WeightsError,
)
from keras_dream.events import (
    Download,
    Fetching,
    ItemDone,
    ItemFailed,
    ItemProgress,
    ItemSkipped,
    ItemStarted,
    Notice,
)
from keras_dream.jobs.database import create_or_open
from keras_dream.jobs.journal import State, read_journal
from keras_dream.pictures.encoding import save_picture
from keras_dream.pictures.limits import Limits
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.workers.messages import Began, Failed
from keras_dream.workers.pool import Here, Pool, threads_of
from keras_dream.zoo.network import Network

RECIPE = Recipe(steps=3)


class Folder:
    """Photos and results of a batch."""

    def __init__(self, path, names="abcde"):
        self.photos, self.out = path / "photos", path / "out"
        self.photos.mkdir()
        for name in names:
            self.add(name)

    def add(self, name, text=""):
        (self.photos / f"{name}.jpg").write_text(f"photo {name} {text}")

    def tasks(self, recipe=RECIPE):
        return [
            Task(str(photo), recipe, self.out / f"{photo.stem}.png")
            for photo in sorted(self.photos.iterdir())
        ]

    def run(self, *, make=standin.StandIn, recipe=RECIPE, **options):
        options.setdefault("team", lambda setup, _: Here(setup, make))
        return BatchRun(self.tasks(recipe), self.out, **options)

    def pool(self, count, **options):
        def team(setup, _):
            return Pool(setup, count, command=standin.COMMAND)

        return self.run(team=team, **options)

    def results(self):
        return {path.name: path.read_bytes() for path in self.out.glob("*.png")}

    def wanted(self, recipe=RECIPE):
        return {
            task.path.name: standin.result_of(Path(task.photo).read_bytes(), recipe)
            for task in self.tasks(recipe)
        }

    def items(self):
        ((_, items),) = read_journal(self.out)
        return {Path(item.output).stem: item for item in items}

    def leftovers(self):
        return sorted(self.out.rglob(".dream-*.tmp"))


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def only(kind, events):
    return [event for event in events if isinstance(event, kind)]


def test_a_batch_and_its_events(folder):
    run = folder.run()
    assert (run.planned.items, run.planned.waiting) == (5, 5)
    events = list(run)
    assert folder.results() == folder.wanted()
    assert [event.number for event in only(ItemDone, events)] == [1, 2, 3, 4, 5]
    assert [event.number for event in only(ItemStarted, events)] == [1, 2, 3, 4, 5]
    for number in range(1, 6):
        own = [e for e in events if getattr(e, "number", 0) == number]
        kinds = [type(event) for event in own]
        assert kinds[0] is ItemStarted
        assert kinds[-1] is ItemDone
    summary = events[-1]
    assert summary == run.summary or summary.done == run.summary.done == 5
    assert (summary.failed, summary.skipped, summary.waiting) == ((), (), 0)
    assert not folder.leftovers()


def test_the_next_run_has_only_what_is_new(folder):
    folder.run().finish()
    folder.add("a2")
    run = folder.run()
    summary = run.finish()
    assert (summary.done, summary.reused, summary.items) == (1, 5, 6)
    assert folder.results() == folder.wanted()
    assert len(read_journal(folder.out)) == 1  # more photos are no other job


def test_what_tells_batches_apart(tmp_path):
    (tmp_path / "in").mkdir()
    out = tmp_path / "out"

    def key(*names):
        return told_apart([str(tmp_path / name) for name in names], out, name="{stem}")

    assert key("in/a.jpg") == key("in/a.jpg", "in/b.jpg") != key("in2")
    assert key("in")["inputs"] == ["../in"]


def test_a_result_that_is_gone_is_made_again(folder):
    folder.run().finish()
    (folder.out / "b.png").unlink()
    summary = folder.run().finish()
    assert (summary.done, summary.reused) == (1, 4)
    assert folder.results() == folder.wanted()


def test_a_changed_photo_is_dreamed_again(folder):
    folder.run().finish()
    folder.add("c", "other")
    events = list(folder.run())
    assert ["has changed" in e.text for e in only(Notice, events)] == [True]
    assert events[-1].done == 1
    assert folder.results() == folder.wanted()
    assert folder.run().finish().reused == 5


@pytest.mark.parametrize("changed", ["", "other"])
def test_an_edited_result_is_kept_and_told(folder, changed):
    folder.run().finish()
    (folder.out / "c.png").write_text("painted over")
    folder.add("c", changed)
    folder.add("f")
    summary = folder.run().finish()
    assert [skipped.number for skipped in summary.skipped] == [3]
    assert "c.png" in summary.skipped[0].reason
    assert (summary.done, summary.reused) == (1, 4)
    assert folder.results()["c.png"] == b"painted over"
    events = list(folder.run(replace=True))
    assert events[-1].done == 1
    (notice,) = only(Notice, events)
    assert "A file is replaced" in notice.text
    assert "c.png" in notice.text
    assert folder.results() == folder.wanted()


def test_a_file_of_somebody_else_is_kept(folder):
    folder.out.mkdir()
    (folder.out / "b.png").write_text("mine")
    assert [s.number for s in folder.run().finish().skipped] == [2]
    assert folder.results()["b.png"] == b"mine"
    summary = folder.run(skip_existing=True).finish()
    assert [(s.number, s.reason) for s in summary.skipped] == [
        (number, "Its result exists already.") for number in range(1, 6)
    ]
    assert folder.run(replace=True).finish().done == 1
    assert folder.results() == folder.wanted()


def test_the_folder_above_a_link_is_that_of_its_target(folder, tmp_path):
    (tmp_path / "far" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to("far/deep")
    folder.out = tmp_path / "link" / ".." / "out"
    assert folder.run().finish().done == 5
    assert folder.run().finish().reused == 5
    assert len(list((tmp_path / "far" / "out").glob("*.png"))) == 5
    assert not (tmp_path / "out").exists()


def test_a_folder_in_the_place_of_a_result_is_kept_and_ends_nothing(folder):
    (folder.out / "b.png").mkdir(parents=True)
    summary = folder.run(replace=True).finish()
    assert [skipped.number for skipped in summary.skipped] == [2]
    assert summary.done == 4
    assert (folder.out / "b.png").is_dir()


def test_what_is_there_is_noted_in_a_few_transactions(folder, monkeypatch):
    """Each is synchronized, which takes milliseconds."""
    for number in range(40):
        folder.add(f"photo {number}")
    folder.run().finish()
    commits = []

    def traced(path):
        db = create_or_open(path)
        db.set_trace_callback(lambda text: commits.append(text.startswith("COMMIT")))
        return db

    monkeypatch.setattr("keras_dream.jobs.journal.create_or_open", traced)
    with folder.run(resume=False) as run:
        assert run.planned.waiting == 45
        assert sum(commits) < 10


def test_a_dream_that_was_kept_is_gone_when_its_result_is_there(folder):
    folder.run().finish()
    item = folder.items()["b"]
    kept = kept_path(folder.out / "b.png", item.key)
    kept.write_text("A signal came between the result and the removal.")
    folder.run().finish()
    assert not kept.exists()


def test_a_photo_that_is_too_large_is_not_read_whole(tmp_path, monkeypatch):
    photo = tmp_path / "sparse.png"
    photo.write_bytes(bytes(2_000))
    monkeypatch.setattr(worker, "sha256_file", None)
    order = Order("key", str(photo), RECIPE, str(tmp_path / "result.png"))
    with pytest.raises(PictureError, match="at most 1,000 bytes"):
        worker._read(order, Limits(max_file_bytes=1_000))


def test_a_file_that_comes_while_its_picture_dreams_is_kept(folder):
    run = folder.run()
    for event in run:
        if isinstance(event, ItemProgress) and event.number == 4:
            (folder.out / "d.png").write_text("mine")
    assert [s.number for s in run.summary.skipped] == [4]
    assert folder.results()["d.png"] == b"mine"
    assert not folder.leftovers()


def test_another_recipe_replaces_nothing(folder):
    folder.run().finish()
    other = Recipe(steps=4)
    summary = folder.run(recipe=other).finish()
    assert len(summary.skipped) == 5
    assert "other settings" in summary.skipped[0].reason
    assert folder.results() == folder.wanted()
    assert folder.run().finish().reused == 5


def test_a_failed_photo_that_has_changed_is_tried_again(folder):
    folder.add("bad")
    folder.run().finish()
    (folder.photos / "bad.jpg").write_bytes(b"copied again")
    events = list(folder.run())
    assert ["since it failed" in e.text for e in only(Notice, events)] == [True]
    assert [f.attempts for f in events[-1].failed] == [2]
    assert [f.attempts for f in folder.run().finish().failed] == [2]


def test_not_resumed(folder):
    folder.run().finish()
    assert folder.run(resume=False).finish().done == 5


def test_one_bad_picture_does_not_end_the_others(folder):
    folder.add("bad")
    run = folder.run()
    events = list(run)
    (failed,) = only(ItemFailed, events)
    assert failed == run.summary.failed[0]
    assert failed.sentence == "A picture must be good."
    assert failed.exit_code == 2
    assert run.summary.done == 5
    again = folder.run()
    assert again.planned.failed == 1
    assert [f.sentence for f in again.finish().failed] == [failed.sentence]
    assert again.summary.done == 0
    tried = folder.run(retry_failed=True).finish()
    assert [f.attempts for f in tried.failed] == [2]
    (folder.photos / "bad.jpg").rename(folder.photos / "good.jpg")


class Failing(standin.StandIn):
    """Fails for some pictures, of which it was told."""

    names, error = "", SaveError("no room")

    def dream(self, order):
        if Path(order.photo).stem in self.names:
            yield Began(order.key)
            yield from self.finish()
            yield Failed.of(order.key, self.error)
        else:
            yield from super().dream(order)


def failing(names, error):
    return type("_", (Failing,), {"names": names, "error": error})


def test_a_full_disk_ends_the_batch(folder):
    error = SaveError("no room")
    run = folder.run(make=failing("c", error))
    with pytest.raises(SaveError, match=str(error)):
        run.finish()
    assert sorted(folder.results()) == ["a.png", "b.png"]
    assert (run.summary.done, run.summary.waiting) == (2, 3)
    assert {i.state for i in folder.items().values()} == {State.DONE, State.WAITING}
    assert folder.run().finish().done == 3
    assert folder.results() == folder.wanted()


@pytest.mark.parametrize(
    "error",
    [NetworkError("none"), ObjectiveError("no layer"), SettingError("no device")],
)
def test_what_the_first_pictures_meet_alike_ends_the_batch(folder, error):
    run = folder.run(make=failing("abcde", error))
    with pytest.raises(type(error), match=str(error)):
        run.finish()
    assert (run.summary.failed, run.summary.waiting) == ((), 5)
    assert {i.state for i in folder.items().values()} == {State.WAITING}
    assert folder.run().finish().done == 5


@pytest.mark.parametrize("names", ["ab", "bcde", "abde"])
def test_a_setting_that_is_wrong_for_some_pictures_fails_those(folder, names):
    summary = folder.run(make=failing(names, SettingError("too many octaves"))).finish()
    assert [Path(f.photo).stem for f in summary.failed] == list(names)
    assert summary.done == 5 - len(names)


def test_one_picture_alone_and_a_wrong_setting(tmp_path):
    folder = Folder(tmp_path, "a")
    with pytest.raises(SettingError):
        folder.run(make=failing("a", SettingError("no device"))).finish()


def test_a_photo_that_is_deleted_fails_and_a_drive_that_is_gone_ends(folder):
    run = folder.run()
    for event in run:
        if isinstance(event, ItemStarted) and event.number == 2:
            (folder.photos / "c.jpg").unlink()
        if isinstance(event, ItemStarted) and event.number == 4:
            break
    assert [f.number for f in run.summary.failed] == [3]
    folder.photos.rename(folder.photos.with_name("unplugged"))
    with pytest.raises(RunError, match="which is gone"):
        run.finish()
    assert [f.number for f in run.summary.failed] == [3]
    folder.photos.with_name("unplugged").rename(folder.photos)
    folder.add("c")
    assert folder.run(retry_failed=True).finish().waiting == 0
    assert folder.results() == folder.wanted()


@pytest.mark.parametrize("mounted", [False, True])
def test_a_drive_of_results_that_is_gone(folder, mounted):
    run = folder.run()
    for event in run:
        if isinstance(event, ItemDone) and event.number == 2:
            break
    elsewhere = folder.out.rename(folder.out.with_name("unplugged"))
    if mounted:  # what lies under the mount is seen
        folder.out.mkdir()
    with pytest.raises(SaveError):
        run.finish()
    assert mounted == folder.out.exists()
    if mounted:
        folder.out.rmdir()
    elsewhere.rename(folder.out)
    summary = folder.run().finish()
    assert (summary.done, summary.reused) == (3, 2)
    assert folder.results() == folder.wanted()
    assert not folder.leftovers()


def test_a_batch_that_is_stopped(folder):
    with folder.run() as run:
        for event in run:
            # The second is dreamed, but its file comes with the third.
            if (
                isinstance(event, ItemProgress)
                and event.number == 2
                and event.step == 3
            ):
                break
    items = folder.items()
    assert items["a"].state is State.DONE
    assert (items["b"].state, items["b"].step) == (State.WAITING, 3)
    assert (items["c"].state, items["c"].attempts) == (State.WAITING, 0)
    assert not folder.leftovers()
    assert folder.run().finish().done == 4
    assert folder.results() == folder.wanted()


def test_what_is_dreamed_when_it_is_stopped_is_saved(folder):
    class Asked(standin.StandIn):
        def dream(self, order):
            yield from super().dream(order)
            if order.photo.endswith("b.jpg"):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        folder.run(make=Asked).finish()
    assert sorted(folder.results()) == ["a.png", "b.png"]


def test_weights_are_downloaded_once_and_seen(folder, monkeypatch):
    asked = []

    def locate(name, sources, *, classifier, offline, progress):
        asked.append((name, classifier, offline))
        progress(10, 20)
        if offline:
            raise WeightsError("no weights")

    monkeypatch.setattr("keras_dream.workers.fetch.find", lambda *_, **__: None)
    monkeypatch.setattr("keras_dream.workers.fetch.locate", locate)
    recipe = Recipe(network="vgg16", objective="block1_conv1; 0.5*motif")
    with pytest.raises(WeightsError):
        folder.run(recipe=recipe, run=RunSettings(offline=True)).finish()
    assert not folder.results()
    events = list(folder.run(recipe=recipe))
    assert only(Fetching, events) == [Fetching("vgg16")]
    assert only(Download, events) == [Download(10, 20)]
    assert len(folder.results()) == 5
    assert asked == [("vgg16", False, True), ("vgg16", False, False)]


def test_two_batches_into_one_folder(folder):
    with folder.run(), pytest.raises(JobsError, match="this program has open"):
        folder.run()
    assert folder.run().finish().done == 5


def test_two_results_of_one_name(folder):
    tasks = [Task(t.photo, RECIPE, folder.out / "same.png") for t in folder.tasks()]
    with pytest.raises(InputError, match="name of its own"):
        BatchRun(tasks, folder.out)
    assert not folder.out.exists()


@pytest.mark.parametrize("done_before", [False, True])
def test_more_tasks_than_at_first(folder, done_before):
    if done_before:
        folder.run().finish()
    names = ["y", "taken", "z"]

    def more():
        if not names:
            return []
        name = names.pop()
        folder.add(name)
        if name == "taken":
            (folder.out / "taken.png").write_text("mine")
        return [task for task in folder.tasks() if task.path.stem == name]

    run = folder.run(more=more)
    events = list(run)
    assert (run.summary.items, run.summary.waiting) == (8, 0)
    assert [e.number for e in only(ItemDone, events)] == [1, 2, 3, 4, 5, 6, 8]
    assert [e.number for e in only(ItemSkipped, events)] == [7]


def test_threads_are_those_of_the_first_run(folder, monkeypatch):
    setups = []

    def team(setup, count):
        setups.append((setup.run.threads, count))
        return Here(setup, standin.StandIn)

    monkeypatch.setattr("keras_dream.backend.host.cores", lambda: 8)
    monkeypatch.setattr("keras_dream.backend.host.has_accelerator", lambda: False)
    monkeypatch.setattr("keras_dream.backend.host.memory", lambda: {"free": 64 << 30})
    run = RunSettings()
    monkeypatch.setattr("keras_dream.workers.pool.SHORT_SECONDS", 0)
    BatchRun(folder.tasks()[:1], folder.out, run=run, team=team).close()
    assert setups == [(8, 1)]
    for workers in (None, 1, 2):
        folder.run(team=team, workers=workers).close()
    assert setups[1:] == [(8, 1), (8, 1), (8, 2)]
    folder.run(team=team, run=RunSettings(threads=2)).close()
    assert setups[-1] == (2, 4)


@pytest.mark.parametrize("workers", [0, -1, 1000])
def test_a_number_of_workers_that_is_none(folder, workers):
    with pytest.raises(SettingError, match="1 to 256"):
        folder.run(workers=workers)
    assert not folder.out.exists()


def test_a_model_in_memory_is_dreamed_here(folder):
    networks = [Network(object())]
    with pytest.raises(SettingError, match="use workers=1"):
        folder.run(networks=networks, workers=2)
    seen = []

    def team(setup, count):
        seen.append(count)
        return Here(setup, standin.StandIn)

    folder.run(networks=networks, team=team).close()
    assert seen == [1]


def test_threads_by_pictures_and_memory(monkeypatch):
    monkeypatch.setattr("keras_dream.backend.host.cores", lambda: 8)
    monkeypatch.setattr("keras_dream.backend.host.memory", lambda: {"free": 64 << 30})
    long = 1e6  # seconds
    assert threads_of([1] * 1, 250_000, long) == 8
    assert threads_of([1] * 2, 250_000, long) == 4
    assert threads_of([1] * 64, 250_000, long) == 1
    assert threads_of([1] * 64, 250_000, 60) == 8  # done before a process has started
    monkeypatch.setattr("keras_dream.backend.host.memory", lambda: {"free": 5 << 30})
    assert threads_of([1] * 64, 250_000, long) == 4  # two workers
    assert threads_of([1] * 64, 10**9, long) == 8


def test_the_time_of_a_batch_is_that_of_its_largest_picture(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(run_module, "is_parallel", lambda _: True)
    monkeypatch.setattr(run_module, "threads_of", lambda *told: seen.append(told) or 1)
    recipe = Recipe(octaves=1, steps=5)
    save_picture(tmp_path / "a.png", np.zeros((10, 30, 3), np.float32))
    photos = (str(tmp_path / "a.png"), "noise:40x20")
    out = tmp_path / "out"
    tasks = [Task(p, recipe, out / f"{n}.png") for n, p in enumerate(photos)]
    BatchRun(tasks, out, team=lambda s, _: Here(s, standin.StandIn)).close()
    assert seen == [([1, 1], 800, 2 * cost.seconds((20, 40), recipe))]


def test_processes_make_the_same_and_print_nothing(folder, capfd):
    folder.add("noisy")
    for count in (2, 3):
        summary = folder.pool(count, resume=False).finish()
        assert (summary.done, summary.failed) == (6, ())
        assert folder.results() == folder.wanted()
    assert capfd.readouterr() == ("", "")


def test_a_process_that_dies_costs_its_picture_an_attempt(folder):
    folder.add("b-crash")
    run = folder.pool(2)
    events = list(run)
    failures = only(ItemFailed, events)
    assert [(f.final, f.attempts) for f in failures] == [
        (False, 1), (False, 2), (True, 3),
    ]  # fmt: skip
    assert "SIGKILL" in failures[-1].sentence
    assert run.summary.failed == (failures[-1],)
    assert run.summary.done == 5
    items = folder.items()
    assert (items["b-crash"].state, items["b-crash"].attempts) == (State.FAILED, 3)
    (folder.photos / "b-crash.jpg").unlink()
    assert folder.results() == folder.wanted()


@pytest.mark.parametrize("names", ["a", "abc"])
def test_a_picture_that_crashes_its_decoder_is_the_only_one_that_fails(tmp_path, names):
    """It is decoded while another one dreams, which is not to blame."""
    folder = Folder(tmp_path, names)
    folder.add("z-bomb")
    run = folder.pool(1)
    run.finish()
    assert [Path(f.photo).stem for f in run.summary.failed] == ["z-bomb"]
    assert run.summary.done == len(names)


def test_processes_that_cannot_start(folder):
    command = (sys.executable, "-c", "raise SystemExit('no library')")
    run = folder.run(team=lambda setup, _: Pool(setup, 2, command=command))
    with pytest.raises(RunError, match="no library"):
        run.finish()
    assert run.summary.waiting == 5


def test_processes_are_stopped_with_what_they_have(folder, monkeypatch):
    monkeypatch.setenv("STANDIN_PAUSE", "0.05")
    with folder.pool(2) as run:
        for event in run:
            if isinstance(event, ItemProgress) and event.number > 2:
                break
    assert folder.results()
    states = {name: item.state for name, item in folder.items().items()}
    assert {f"{n}.png" for n, state in states.items() if state is State.DONE} == set(
        folder.results()
    )
    assert State.RUNNING not in states.values()
    assert not folder.leftovers()
    assert folder.pool(2).finish().waiting == 0
    assert folder.results() == folder.wanted()


@pytest.mark.parametrize("photos", ["nothere", ["nothere", "nor this.jpg"]])
def test_photos_that_do_not_exist_are_an_error_of_the_call(tmp_path, photos):
    with pytest.raises(InputError, match="nothere"):
        batch(photos, tmp_path / "out")
    assert not (tmp_path / "out").exists()
