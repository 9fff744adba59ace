"""Worker processes: they change no pixel, and do not outlive their batch."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from keras_dream.batches import worker
from keras_dream.batches.call import batch
from keras_dream.batches.run import COMMAND
from keras_dream.batches.worker import Worker
from keras_dream.engine.result import Dream
from keras_dream.jobs.journal import State, read_journal
from keras_dream.pictures import picture as pictures
from keras_dream.pictures.encoding import save_picture
from keras_dream.recipe.recipe import Recipe
from keras_dream.replay import read_saved
from keras_dream.workers.messages import Loading, Progress

TESTS = Path(__file__).parents[1]

PROGRAM = """
import sys
from pathlib import Path

import standin_worker
from keras_dream.batches.inputs import Task
from keras_dream.workers.pool import Pool
from keras_dream.batches.run import BatchRun
from keras_dream.events import ItemProgress
from keras_dream.recipe.recipe import Recipe

photos, out = Path(sys.argv[1]), Path(sys.argv[2])
tasks = [Task(str(p), Recipe(), out / f"{p.stem}.png") for p in photos.iterdir()]
pools = []

def team(setup, count):
    pools.append(Pool(setup, 2, command=standin_worker.COMMAND))
    return pools[0]

done = 0
with BatchRun(tasks, out, team=team) as run:
    for event in run:
        done += isinstance(event, ItemProgress)
        if done == 12:
            print(*(p._process.pid for p in pools[0]._processes.values()), flush=True)
"""


def test_the_number_of_workers_changes_no_byte(tmp_path, monkeypatch):
    """And the workers log to where the environment says."""
    monkeypatch.setenv("KERAS_DREAM_LOG_FILE", str(tmp_path / "log"))
    photos = tmp_path / "photos"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for number in range(4):
        image = rng.random((40, 40, 3), dtype=np.float32)
        save_picture(photos / f"{number}.png", image)
    results = []
    for count in (1, 2, 3):
        out = tmp_path / f"out{count}"
        recipe = Recipe(octaves=1, steps=2)
        run = batch(photos, out, recipe, workers=count, backend="torch", device="cpu")
        summary = run.finish()
        assert (summary.done, summary.failed) == (4, ())
        results.append({p.name: p.read_bytes() for p in out.glob("*.png")})
        ((job, _),) = read_journal(out)
        saved = read_saved(out / "0-dream.png")
        assert saved.record.run["threads"] == job.settings["threads"]
        assert saved.record.source == "0.png"
    assert results[0] == results[1] == results[2]
    assert len(results[0]) == 4
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    loaded = [e["process"] for e in lines if e["message"].startswith("Network motif")]
    assert len(set(loaded)) == 2 + 3  # the batch of one worker needs no other process


def is_alive(process):
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("kill", ["SIGKILL", "SIGINT"])
def test_processes_end_with_their_batch(tmp_path, kill):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for number in range(30):
        (photos / f"{number}.jpg").write_text(f"photo {number}")
    paths = os.pathsep.join([*sys.path, str(TESTS)])
    started = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(photos), str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, "STANDIN_PAUSE": "0.1"},
        start_new_session=True,
    )
    with started:
        line = started.stdout.readline()
        workers = [int(number) for number in line.split()]
        assert len(workers) == 2, started.stderr.read()
        if kill == "SIGKILL":
            started.kill()
        else:  # as a terminal does: to all of the group
            os.killpg(started.pid, signal.SIGINT)
        started.wait(30)
        end = time.monotonic() + 20
        while any(map(is_alive, workers)) and time.monotonic() < end:
            time.sleep(0.05)
    assert not any(map(is_alive, workers))
    ((_, items),) = read_journal(out)
    done = {item.output for item in items if item.state is State.DONE}
    assert done
    if kill == "SIGINT":
        assert done == {path.name for path in out.glob("*.png")}
        assert State.RUNNING not in {item.state for item in items}
        assert not list(out.glob(".dream-*.tmp"))


def test_workers_import_nothing_from_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    # The setup is none: what is said is that it was read.
    command = [*COMMAND]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        command,
        input="{}\n",
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert "imported" not in done.stderr
    assert "KeyError" in done.stderr


def test_a_photo_that_changes_while_it_is_read_fails(tmp_path, monkeypatch):
    """Its hash must be that of the pixels."""
    photo, read = tmp_path / "photo.png", pictures.read_picture
    save_picture(photo, np.zeros((40, 40, 3), np.float32))

    def read_later(path, **options):
        with photo.open("ab") as file:
            file.write(b"more")
        return read(path, **options)

    monkeypatch.setattr(pictures, "read_picture", read_later)
    settings = {"octaves": 1, "steps": 1, "backend": "torch", "device": "cpu"}
    summary = batch(photo, tmp_path / "out", workers=1, **settings).finish()
    assert "was changed" in summary.failed[0].sentence
    assert not list((tmp_path / "out").glob("*.png"))


def test_networks_are_loaded_once_and_pictures_read_and_written_meanwhile(
    tmp_path, monkeypatch
):
    """The second is read while the first dreams, which is encoded while that dreams."""
    began = {kind: threading.Event() for kind in ("read", "encode")}
    went_on = {kind: threading.Event() for kind in began}
    loads, in_time = [], []
    read, encode, heard = worker._read, Dream.encode, Worker.dream

    def wait(kind):
        began[kind].set()
        in_time.append(went_on[kind].wait(30))

    def slow_read(order, limits):
        if order.photo.endswith("2.png"):
            wait("read")
        return read(order, limits)

    def slow_encode(self, **options):
        if self.record.source == "1.png":
            wait("encode")
        return encode(self, **options)

    def dream(self, order):
        for report in heard(self, order):
            loads.append(isinstance(report, Loading))
            if isinstance(report, Progress):
                kind = "read" if order.photo.endswith("1.png") else "encode"
                in_time.append(began[kind].wait(10))
                went_on[kind].set()
            yield report

    monkeypatch.setattr(worker, "_read", slow_read)
    monkeypatch.setattr(Dream, "encode", slow_encode)
    monkeypatch.setattr(Worker, "dream", dream)
    for seed in (1, 2):
        image = np.random.default_rng(seed).random((40, 40, 3), dtype=np.float32)
        save_picture(tmp_path / f"{seed}.png", image)
    settings = {"octaves": 1, "steps": 2, "backend": "torch", "device": "cpu"}
    assert batch(tmp_path, tmp_path / "out", workers=1, **settings).finish().done == 2
    assert in_time == [True] * 6
    assert sum(loads) == 1
