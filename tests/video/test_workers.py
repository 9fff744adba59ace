"""Workers of a film: whatever they are, they make the same film."""

import os
import threading
from pathlib import Path

import pytest
import standin_film
from clips import hard_cut, write_clip

from keras_dream.errors import RunError, SettingError
from keras_dream.events import FilmPlanned, FrameDone, Notice
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.recipe.video import VideoSettings
from keras_dream.video import run as run_module
from keras_dream.video.blocks import Block
from keras_dream.video.messages import BlockOrder, FilmSetup
from keras_dream.video.run import VideoRun
from keras_dream.video.setup import Film, Setup
from keras_dream.video.source import open_source
from keras_dream.workers.messages import Died
from keras_dream.zoo.network import Network

FRAMES = 8
RECIPE = Recipe(steps=3, video=VideoSettings(block=2, overlap=1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("film")
    write_clip(folder / "clip.mp4", hard_cut(FRAMES, at=5))
    return folder


@pytest.fixture
def begin(folder, tmp_path, monkeypatch):
    """Begins the run of a film by stand-in workers, and closes it at the end."""
    monkeypatch.setattr(run_module, "COMMAND", standin_film.COMMAND)
    monkeypatch.setattr("keras_dream.backend.host.has_accelerator", lambda: False)
    paths = (str(Path(standin_film.__file__).parent), os.environ.get("PYTHONPATH", ""))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    runs = []

    def begin(workers, *, recipe=RECIPE, name="film.mp4", **how):
        setup = Setup(str(folder / "clip.mp4"), recipe, **how)
        runs.append(
            VideoRun(
                setup,
                tmp_path / name,
                workers=workers,
                dreamer=lambda _: standin_film.StandIn(),
            )
        )
        return runs[-1]

    yield begin
    for run in runs:
        run.close()


@pytest.fixture
def whole(begin):
    """The bytes of the film of one worker, in this process."""
    run = begin(1, name="whole.mp4")
    run.finish()
    return run.out.read_bytes()


def test_three_workers_make_the_film_of_one(begin, whole):
    run = begin(3)
    events = list(run)
    done = [event for event in events if isinstance(event, FrameDone)]
    (planned,) = [event for event in events if isinstance(event, FilmPlanned)]
    assert (planned.workers, planned.blocks) == (3, 5)
    assert {event.worker for event in done} <= {1, 2, 3}
    assert len(done) == FRAMES + 3  # those of two blocks twice
    assert done[-1].share == 1
    assert run.out.read_bytes() == whole


def test_a_stopped_run_leaves_no_process_and_goes_on(begin, whole):
    with begin(2) as run:
        next(event for event in run if isinstance(event, FrameDone))
        processes = [p._process for p in run._work.team._processes.values()]
    assert len(processes) == 2
    assert all(process.poll() is not None for process in processes)
    assert not any(t.name.startswith("dream-film") for t in threading.enumerate())
    again = begin(1)  # also where there are fewer
    again.finish()
    assert again.summary.reused == run.summary.done > 0
    assert again.out.read_bytes() == whole


def test_a_worker_that_dies_is_tried_again(begin, whole, tmp_path, monkeypatch):
    monkeypatch.setenv("STANDIN_CRASH", str(tmp_path))
    run, notices = begin(2), list[str]()
    for event in run:
        if isinstance(event, FilmPlanned):  # what was before is in this process
            (tmp_path / "crash-1").touch()
        if isinstance(event, Notice):
            notices.append(event.text)
    assert run.out.read_bytes() == whole
    assert len(notices) == 1
    assert "SIGKILL" in notices[0]
    assert "it is tried again" in notices[0]


class DyingTeam:
    """A team whose workers die at whatever they are given."""

    count = 2

    def __init__(self, *_, **__):
        pass

    def run(self, take):
        while (order := take()) is not None:
            yield 0, Died(order.key, "Its worker process was ended by SIGKILL")

    def stop(self):
        return iter(())

    def close(self):
        pass


def test_a_frame_that_ends_every_worker_is_named(begin, monkeypatch):
    monkeypatch.setattr(run_module, "Pool", DyingTeam)
    with pytest.raises(RunError) as caught:
        begin(2).finish()
    text = "within 3 attempts; received its worker process was ended by SIGKILL, in "
    assert f"{text}frame 1 (at 0.00 s)" in str(caught.value)


def test_what_is_sent_comes_back_as_it_was(folder, tmp_path):
    recipe = Recipe(
        objective="mixed0 + 0.5*mixed1", keyframes=["step_size: 0s=0.01, 1s=0.02"]
    )
    clip = open_source(folder / "clip.mp4").survey()
    setup = Setup(str(folder / "clip.mp4"), recipe, run=RunSettings(threads=2))
    sent = FilmSetup(setup, Film(tmp_path, clip, recipe, 8, False))
    read = FilmSetup.read(sent.line())
    assert read.film == sent.film
    assert read.setup.selection == setup.selection
    assert read.setup.run == setup.run
    order = BlockOrder(Block(3, 4, 9, 2), 5)
    assert order.key == "3"


@pytest.mark.parametrize("workers", [0, -1, 257])
def test_a_number_of_workers_that_is_none(begin, workers):
    with pytest.raises(SettingError, match="1 to 256"):
        begin(workers).finish()


def test_a_model_in_memory_is_dreamed_here(begin):
    networks = (Network(object()),)
    with pytest.raises(SettingError, match="use workers=1"):
        begin(2, networks=networks).finish()
    assert begin(1, networks=networks).finish().complete


def test_threads_and_memory_do_not_depend_on_the_number_of_workers(
    begin, folder, monkeypatch
):
    monkeypatch.setattr("keras_dream.backend.host.cores", lambda: 4)
    monkeypatch.setattr("keras_dream.backend.host.memory", lambda: {"free": 64 << 30})
    monkeypatch.setattr("keras_dream.workers.pool.SHORT_SECONDS", 0)
    shared = set()
    for workers in (1, 2, 3):
        with begin(workers, run=RunSettings(memory=4 << 30)) as run:
            next(event for event in run if isinstance(event, FilmPlanned))
            own = run._setup.run
            shared.add((own.threads, own.memory))
    assert shared == {(2, 2 << 30)}
