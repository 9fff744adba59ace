"""A worker process: reads its setup and then orders, and writes reports.

They come from standard input and go to standard output, a line of JSON each.
"""

import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, Protocol, TypeVar

from keras_dream.workers.messages import Ready, Report

S = TypeVar("S")
T = TypeVar("T")
Order_contra = TypeVar("Order_contra", contravariant=True)

STOP = "stop"
"""The line after which a worker process puts what is dreamed on the disk, and ends."""


class AnyWorker(Protocol[Order_contra]):
    """What dreams orders."""

    def prepare(self, order: Order_contra) -> None:
        """Begins to read what a later order needs."""
        ...

    def dream(self, order: Order_contra) -> Generator[Report, None, None]:
        """Dreams an order and yields what happens; its end may come with the next."""
        ...

    def finish(self) -> Iterator[Report]:
        """Yields what is left of the last order."""
        ...


def serve(
    read_setup: Callable[[str], S],
    read_order: Callable[[Mapping[str, Any]], T],
    make: Callable[[S], AnyWorker[T]],
) -> None:
    """Runs a worker process until its standard input ends or says so.

    Args:
        read_setup: Returns what all orders have in common, from a line.
        read_order: Returns an order, from JSON.
        make: Makes the worker.
    """
    for name in ("SIGINT", "SIGHUP", "SIGTERM"):  # who orders decides
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    # Whatever a library prints goes to standard error: the lines here are ours alone.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(report: Report) -> None:
        out.write(report.line() + "\n")
        out.flush()

    stopping, orders = threading.Event(), queue.SimpleQueue[T | None]()
    worker = make(read_setup(sys.stdin.readline()))
    listener = threading.Thread(
        target=_listen, args=(worker, read_order, orders, stopping), daemon=True
    )
    send(Ready(""))
    listener.start()
    while (order := orders.get()) is not None and not stopping.is_set():
        dreaming = worker.dream(order)
        for report in dreaming:
            send(report)
            if stopping.is_set():
                dreaming.close()
        if orders.empty():
            for report in worker.finish():
                send(report)
    for report in worker.finish():
        send(report)
    # Threads that still read are not waited for.
    os._exit(0)


def _listen(
    worker: AnyWorker[T],
    read_order: Callable[[Mapping[str, Any]], T],
    orders: "queue.SimpleQueue[T | None]",
    stopping: threading.Event,
) -> None:
    """Takes orders; ends the process at once where who orders has ended."""
    for line in sys.stdin:
        message = json.loads(line)
        if message == STOP:
            stopping.set()
            orders.put(None)
            continue
        order = read_order(message)
        worker.prepare(order)
        orders.put(order)
    os._exit(1)
