"""Workers: one in this process, or several processes of their own.

A worker process that dies (a segmentation fault, no memory left) costs the order that
it was at one attempt, and another process takes its place.
"""

import contextlib
import heapq
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import keras_dream
from keras_dream import logs
from keras_dream.backend import host
from keras_dream.errors import RunError, short_repr
from keras_dream.workers.messages import (
    AnyOrder,
    Began,
    Died,
    Progress,
    Ready,
    Report,
    Sendable,
    read_report,
)
from keras_dream.workers.serve import STOP, AnyWorker

_log = logging.getLogger(__name__)

S = TypeVar("S")

Take = Callable[[], AnyOrder | None]
"""Returns the next order, None where there is none for now."""

_STOP_SECONDS = 10  # for encoding and writing what is dreamed
_MOST_DEATHS = 10  # of processes, where nothing has come of any
_KEPT_LINES = 20  # of a worker's standard error


def command_of(module: str) -> tuple[str, ...]:
    """Returns the command line of a worker process.

    Args:
        module: The module that is run.
    """
    # -P: a file called json.py in the current folder must not be imported.
    return sys.executable, "-P", "-m", module


class Team(Protocol):
    """The workers of a batch or a film."""

    count: int
    """How many they are."""

    def run(self, take: Take) -> Iterator[tuple[int, Report]]:
        """Yields the number of a worker, from 0, and its report, to the last order."""
        ...

    def stop(self) -> Iterator[tuple[int, Report]]:
        """Yields what is dreamed but not yet reported; nothing new is begun."""
        ...

    def close(self) -> None:
        """Ends the workers at once."""
        ...


class Here:
    """One worker, in this process.

    Args:
        setup: What its dreams have in common.
        make: Makes the worker.
    """

    count = 1

    def __init__(self, setup: S, make: Callable[[S], AnyWorker[Any]]):
        self._worker = make(setup)
        self._dreaming: Generator[Report, None, None] | None = None

    def run(self, take: Take) -> Iterator[tuple[int, Report]]:
        """Yields the reports of all orders."""
        order = take()
        while order is not None:
            following = take()
            if following is not None:
                self._worker.prepare(following)
            self._dreaming = self._worker.dream(order)
            for report in self._dreaming:
                yield 0, report
            order = following or take()
        yield from self.stop()

    def stop(self) -> Iterator[tuple[int, Report]]:
        """Yields what is dreamed but not yet reported."""
        if self._dreaming is not None:
            self._dreaming.close()
        for report in self._worker.finish():
            yield 0, report

    def close(self) -> None:
        """Leaves the threads to end by themselves."""


class _Process:
    """A worker process, as who orders sees it.

    Attributes:
        number: Of its place in the team, from 0.
        given: Its orders that are not done, by key, in order.
        begun: The key of the one that it is at.
        is_ready: Whether it has started.
    """

    def __init__(
        self,
        number: int,
        command: Sequence[str],
        setup: str,
        reports: "queue.SimpleQueue[tuple[_Process, Report | None]]",
    ):
        self.number = number
        self.given: dict[str, AnyOrder] = {}
        self.begun = ""
        self.is_ready = False
        self._tail = deque[str](maxlen=_KEPT_LINES)
        self._reports = reports
        # The same package as here, from wherever this process has it.
        root = str(Path(keras_dream.__file__).parents[1])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        for target in (self._read, self._read_errors):
            threading.Thread(target=target, daemon=True).start()
        self._write(setup)

    def give(self, order: AnyOrder) -> None:
        """Hands it an order."""
        self.given[order.key] = order
        self._write(order.line())

    def stop(self) -> None:
        """Asks it to stage what is dreamed and to end."""
        self._write(json.dumps(STOP))

    def kill(self) -> None:
        """Ends it at once."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()

    def reason(self) -> str:
        """Returns why it has died, as a part of a sentence."""
        code = self._process.wait()
        last = next((line for line in reversed(self._tail) if line.strip()), "")
        if code >= 0:
            said = f" ({short_repr(last.strip(), limit=160)})" if last else ""
            return f"ended with exit code {code}{said}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        # The kernel's out-of-memory killer sends SIGKILL.
        hint = ", as where memory is out" if name == "SIGKILL" else ""
        return f"was ended by {name}{hint}"

    def _write(self, line: str) -> None:
        pipe = self._process.stdin
        # A process that has died is noticed by the end of its reports.
        with contextlib.suppress(OSError, ValueError):
            if pipe is not None:
                pipe.write(line + "\n")
                pipe.flush()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in self._process.stdout or ():
                with contextlib.suppress(ValueError):
                    self._reports.put((self, read_report(line)))
        self._reports.put((self, None))

    def _read_errors(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in self._process.stderr or ():
                self._tail.append(line)
                logs.pass_on(line)


class Pool:
    """Several workers, each a process of its own.

    Args:
        setup: What their dreams have in common.
        count: How many, 1 or more; they start when there is something to do.
        command: The command line of one.

    Raises:
        SettingError: If a network or an objective is in memory only.
    """

    def __init__(self, setup: Sendable, count: int, *, command: Sequence[str]):
        self.count = count
        self._setup = setup.line()
        self._command = command
        self._reports = queue.SimpleQueue[tuple[_Process, Report | None]]()
        self._processes: dict[int, _Process] = {}
        self._returned = deque[AnyOrder]()
        # Keys of what dead processes had. Each is given alone from then on: the next
        # picture is decoded while another dreams, and may have been the one to blame.
        self._suspects = set[str]()
        self._deaths = 0
        self._has_worked = False

    def run(self, take: Take) -> Iterator[tuple[int, Report]]:
        """Yields the reports of all orders.

        Raises:
            RunError: If workers cannot start, or die one after the other.
        """
        self._feed(take)
        while any(process.given for process in self._processes.values()):
            process, report = self._next()
            if report is None:
                yield from self._buried(process)
            else:
                yield from self._heard(process, report, take)
            self._feed(take)

    def stop(self) -> Iterator[tuple[int, Report]]:
        """Yields what is dreamed but not yet reported, and ends the processes."""
        for process in self._processes.values():
            process.stop()
        end = time.monotonic() + _STOP_SECONDS
        while self._processes and (left := end - time.monotonic()) > 0:
            try:
                process, report = self._reports.get(timeout=left)
            except queue.Empty:
                break
            if report is None:
                self._remove(process)
            elif report.is_result:
                if report.ends:
                    process.given.pop(report.key, None)
                yield process.number, report
        self.close()

    def close(self) -> None:
        """Ends the processes at once."""
        for process in list(self._processes.values()):
            self._remove(process)

    def _remove(self, process: _Process) -> None:
        if self._processes.get(process.number) is process:
            del self._processes[process.number]
        process.kill()

    def _next(self) -> tuple[_Process, Report | None]:
        while True:
            # On Windows a wait without an end is deaf to Ctrl-C.
            with contextlib.suppress(queue.Empty):
                return self._reports.get(timeout=1)

    def _take(self, take: Take) -> AnyOrder | None:
        return self._returned.popleft() if self._returned else take()

    def _feed(self, take: Take) -> None:
        """Gives an order to every worker that has none."""
        for number in range(self.count):
            process = self._processes.get(number)
            if process is not None and process.given:
                continue
            order = self._take(take)
            if order is None:
                return
            if process is None:
                process = _Process(number, self._command, self._setup, self._reports)
                self._processes[number] = process
            process.give(order)

    def _heard(
        self, process: _Process, report: Report, take: Take
    ) -> Iterator[tuple[int, Report]]:
        match report:
            case Ready():
                process.is_ready = True
                return
            case Began():
                process.begun = report.key
            case _ if report.ends:
                process.given.pop(report.key, None)
                self._has_worked = True
            case Progress() if 2 * report.step >= report.steps:
                # Early enough for it to be decoded, and late enough for the last
                # pictures to be shared evenly.
                self._give_another(process, take)
            case _:
                pass
        yield process.number, report

    def _give_another(self, process: _Process, take: Take) -> None:
        """Gives a second order to a worker, unless one of the two is a suspect."""
        if len(process.given) != 1 or not self._suspects.isdisjoint(process.given):
            return
        order = self._take(take)
        if order is None:
            return
        if order.key in self._suspects:
            self._returned.appendleft(order)
        else:
            process.give(order)

    def _buried(self, process: _Process) -> Iterator[tuple[int, Report]]:
        """Takes back the orders of a process that has died."""
        if self._processes.get(process.number) is not process:
            return
        reason = process.reason()
        self._remove(process)
        self._deaths += 1
        is_hopeless = self._deaths >= _MOST_DEATHS and not self._has_worked
        if not process.is_ready or is_hopeless:
            what = "cannot start" if not process.is_ready else "dies again and again"
            raise RunError(
                "A worker process must start and go on",
                received=f"one that {what}: the last {reason}",
                hint="try workers=1, which dreams in this process, or see `dream "
                "doctor`",
            )
        self._suspects.update(process.given)
        at = process.begun if process.begun in process.given else ""
        guilty = process.given.pop(at or next(iter(process.given), ""), None)
        self._returned.extend(process.given.values())
        if guilty is not None:
            yield process.number, Died(guilty.key, f"Its worker process {reason}")


def is_parallel(device: str | None) -> bool:
    """Tells whether several workers do more than one: not where they share a GPU.

    Args:
        device: As for `RunSettings`.
    """
    return device == "cpu" or (device is None and not host.has_accelerator())


def threads_of(items: Sequence[int], pixels: int, seconds: float) -> int:
    """Returns how many threads each worker is given on a processor.

    Workers with few threads do more together than one with many, as long as there is
    work for all of them, and memory, and more to do than to start. The number of
    workers that really run does not count, so that it does not change the pixels.

    Args:
        items: How long each piece of work is: 1 for pictures, or a block's frames.
        pixels: Of the largest picture or frame.
        seconds: Of all, as `engine.cost` predicts them.
    """
    if seconds < SHORT_SECONDS:
        return host.cores()
    cores, free = host.cores(), host.memory().get("free")
    fitting = cores if free is None else free // (_BASE_BYTES + pixels * _PIXEL_BYTES)

    def predicted(threads: int) -> float:
        """Returns the predicted time, in that of one picture with one thread."""
        return _longest(items, cores // threads) / threads**_SPEEDUP

    able = [n for n in range(1, cores + 1) if cores // n <= fitting]
    return min(able or [cores], key=predicted)


def _longest(items: Sequence[int], workers: int) -> int:
    """Returns when the last of workers ends, each of which takes the next item."""
    ends = [0] * workers
    for item in items:
        heapq.heapreplace(ends, ends[0] + item)
    return max(ends)


# To start a process takes some seconds of a core, for which two workers on two cores
# are taken to do 15 % more than one. With `motif` they are four times too many.
SHORT_SECONDS = 120.0
"""What is shorter is done in one process."""

# Two threads are taken to be 2 ** 0.8 = 1.7 times as fast as one, four 3 times; of two
# threads benchmarks/batch.py tells how fast they are.
_SPEEDUP = 0.8
# A process with Keras and its backends, as benchmarks/README.md has it; and VGG19 to
# its last block, whose feature maps are 1,184 bytes a pixel (64 channels twice, 128
# twice at a quarter …) and more than twice that with ReLUs and gradients.
_BASE_BYTES, _PIXEL_BYTES = 1 << 30, 4_000
