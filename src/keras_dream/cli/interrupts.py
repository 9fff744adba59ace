"""Stopping: the first Ctrl-C ends a run, later ones are ignored while it is saved.

SIGTERM and SIGHUP (the terminal was closed) stop a run in the same way. This module
loads nothing but what Python itself has loaded, so that a signal is handled from the
first milliseconds on.
"""

import signal
import threading
from types import FrameType
from typing import Any, Self

SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)
)

STOPPED = 130
"""The exit code after Ctrl-C: 128 and the number of SIGINT, as shells have it."""


class Interrupts:
    """Turns the first signal into KeyboardInterrupt and ignores those after it.

    A second Ctrl-C must not end the saving that the first one began. Signals that were
    ignored from the start (`nohup`, a background job of a shell) stay so.

    Args:
        repeated: Raise for every signal until `ignore`: for the whole of a command,
            where a library may have caught the first exception.

    Attributes:
        received: Whether a signal came; a library may have caught the exception.
    """

    def __init__(self, *, repeated: bool = False) -> None:
        self.received = False
        self._repeated = repeated
        self._ignoring = False
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        # Python handles signals in its main thread only.
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                # None: that of a program in C around this one, which Python cannot
                # give back.
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._handlers[number] = signal.signal(number, self._handle)
        if any(_received(handler) for handler in self._handlers.values()):
            self.__exit__()
            raise KeyboardInterrupt  # a library has caught the first
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def ignore(self) -> None:
        """Ignores every signal from here on: what follows is short and must end."""
        self._ignoring = True

    def renew(self) -> None:
        """Takes the next signal for the first: what follows may be stopped again."""
        self.received = self._ignoring = False

    def stay(self) -> None:
        """Ignores every signal until the process ends, which it is about to do."""
        self.ignore()
        self._handlers.clear()

    def check(self) -> None:
        """Raises KeyboardInterrupt if a signal came."""
        if self.received:
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._ignoring:
            return
        self.received = True
        self._ignoring = not self._repeated
        raise KeyboardInterrupt


def _received(handler: Any) -> bool:
    """Tells whether a handler is that of other interrupts, which a signal reached."""
    outer = getattr(handler, "__self__", None)
    return isinstance(outer, Interrupts) and outer.received
