"""Work that is done ahead, in a thread, and no further ahead than is asked for."""

import contextlib
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Generic, Self, TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.1  # between looks at whether the rest is still wanted


class _End:
    """The end of what is made, or why there is no more."""

    def __init__(self, failure: BaseException | None):
        self.failure = failure


class Ahead(Iterator[T], Generic[T]):
    """An iterator whose values are made in a thread; a context manager, which ends it.

    What the thread raises is raised where its value would have come.

    Args:
        make: Returns the iterator that makes them; called and closed in the thread.
        most: How many may wait, 1 or more.
    """

    def __init__(self, make: Callable[[], Iterator[T]], *, most: int):
        self._values = queue.Queue[T | _End](maxsize=most)
        self._stopping = threading.Event()
        self._make = make
        self._is_over = False
        self._thread = threading.Thread(
            target=self._run, name="dream-film-ahead", daemon=True
        )
        self._thread.start()

    def __next__(self) -> T:
        if self._is_over:
            raise StopIteration
        value = None
        while value is None:
            with contextlib.suppress(queue.Empty):
                value = self._values.get(timeout=1)  # Windows is deaf meanwhile
        if isinstance(value, _End):
            self._is_over = True
            if value.failure is not None:
                raise value.failure
            raise StopIteration
        return value

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the thread, at the value that it is at, and waits for it."""
        self._is_over = True
        self._stopping.set()
        self._thread.join()
        while not self._values.empty():  # what is as large as frames
            self._values.get_nowait()

    def _run(self) -> None:
        try:
            values = self._make()
            try:
                for value in values:
                    if not self._put(value):
                        return
            finally:
                getattr(values, "close", lambda: None)()
        except BaseException as failure:  # noqa: BLE001 - raised where it is waited for
            self._put(_End(failure))
        else:
            self._put(_End(None))

    def _put(self, value: T | _End) -> bool:
        """Waits for room; tells whether anybody still wants the value."""
        while not self._stopping.is_set():
            try:
                self._values.put(value, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False


class _Unwanted(BaseException):
    """Nobody waits for the work any more."""


def reported(
    work: Callable[[Callable[[float], None]], T],
) -> Generator[float, None, T]:
    """Does work in a thread; yields the shares that it reports, and returns its result.

    Where the generator is closed, or Ctrl-C comes, the work ends at its next report.

    Args:
        work: Is given what it calls with the share that is done, from 0 to 1.
    """
    stopping, shares = threading.Event(), queue.SimpleQueue[float | None]()
    results: list[T] = []
    failures: list[BaseException] = []

    def note(share: float) -> None:
        if stopping.is_set():
            raise _Unwanted
        shares.put(share)

    def run() -> None:
        try:
            results.append(work(note))
        except BaseException as failure:  # noqa: BLE001 - raised below
            failures.append(failure)
        shares.put(None)

    thread = threading.Thread(target=run, name="dream-film", daemon=True)
    thread.start()
    try:
        while True:
            with contextlib.suppress(queue.Empty):
                share = shares.get(timeout=1)  # on Windows, deaf to Ctrl-C meanwhile
                if share is None:
                    break
                yield share
    finally:
        stopping.set()
        thread.join()
    if failures:
        raise failures[0]
    return results[0]
