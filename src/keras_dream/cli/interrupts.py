"""Stopping: Ctrl-C, heard once and then held off while a dream is saved.

SIGTERM and SIGHUP, a terminal that closes, stop a dream in the same way.
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
    """Turns the first signal into KeyboardInterrupt and swallows those after it.

    A second Ctrl-C must not end the saving that the first one began. Signals that were
    ignored from the start (`nohup`, a shell's background) stay so.

    Attributes:
        asked: Whether a signal came; a library may have swallowed the exception.
    """

    def __init__(self) -> None:
        self.asked = False
        self._held = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        # Python takes signals in its first thread only.
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def hold(self) -> None:
        """Swallows every signal from here on: what follows is short and must end."""
        self._held = True

    def check(self) -> None:
        """Raises KeyboardInterrupt if a signal came that nobody heeded."""
        if self.asked:
            raise KeyboardInterrupt

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._held:
            return
        self.asked = self._held = True
        raise KeyboardInterrupt
