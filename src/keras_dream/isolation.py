"""Runs one function of ours on a file in a process of its own, within limits.

Libraries in C that read a stranger's file may crash, spin for ever or take all memory,
deaf to Ctrl-C. In a child none of this reaches the program: it is killed, and what
happened becomes one sentence.

To have a file read so, write a function at the top level of a module of ours and name
it:

    def read_layers(path: str, *, depth: int) -> Result:
        ...
        return {"names": names}, arrays

    head, arrays = isolation.call(
        "keras_dream.weights.readers.h5:read_layers", path, {"depth": 2},
        limits=isolation.Limits(seconds=60, memory=4 << 30, answer=2 << 30),
        what="a weights file", error=WeightsError,
    )

Its module is imported in the child each time, so that it should import little. What it
raises of `DreamError` is raised again by `call`. Nothing is pickled: the answer is JSON
and the bytes of arrays, of which sizes are checked before memory is taken for them.

The child holds back what a file does to the process that reads it: a crash, an endless
loop, memory. It is no wall against code: a file that takes over the decoder runs with
the user's rights, can read what the user can, and can open connections. It can write no
files where the system has `RLIMIT_FSIZE`.
"""

import contextlib
import faulthandler
import importlib
import json
import logging
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn, Self, cast

from keras_dream import errors
from keras_dream.errors import DreamError, InputError, RunError, short_repr

_log = logging.getLogger(__name__)

Result = tuple[Mapping[str, Any], Sequence[Any]]
"""What a function returns: a head of JSON values, and numpy arrays of numbers."""

MAX_HEAD_BYTES = 1 << 24
"""Of the head as JSON: the names of 100,000 arrays, and more."""

_BOOTSTRAP = (
    "import json,sys;r=json.loads(sys.stdin.buffer.readline());"
    "sys.path[:]=r['sys_path'];from keras_dream.isolation import serve;serve(r)"
)
# `-m` would find only an installed package, for -I leaves PYTHONPATH out.
_OPTIONS = ("-I", "-S", "-B", "-X", "utf8", "-c", _BOOTSTRAP)

# Where the loader finds libraries, and what Windows needs to start any program.
_KEPT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
_ENVIRONMENT = {
    # Pools of threads and arenas take address space, which is limited, and time.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
    # No filter plug-ins for HDF5: they are code ("Dynamically Loaded Filters").
    "HDF5_PLUGIN_PRELOAD": "::",
}
_POLL_SECONDS = 0.2  # between looks at resident memory, where it cannot be limited
_GRACE_SECONDS = 2.0  # in which a child ends that has closed its pipe
_MAX_OPEN_FILES = 64
_TOO_LARGE = ValueError("an answer of too many bytes")
_DTYPE = re.compile(r"[<>|][iuf][1248]")


@dataclass(frozen=True)
class Limits:
    """What a child may take.

    Attributes:
        seconds: Of the clock, from its start, and of the processor.
        memory: Bytes of address space, with some 200 million of Python and numpy; where
            the system does not limit that (macOS, Windows), of resident memory.
        answer: Bytes of all arrays of the answer.
    """

    seconds: float
    memory: int
    answer: int


def call(
    function: str,
    path: str | os.PathLike[str],
    arguments: Mapping[str, Any],
    *,
    limits: Limits,
    what: str,
    error: type[InputError] = InputError,
    hint: str = "check where it comes from, or copy it again",
) -> tuple[dict[str, Any], list[Any]]:
    """Calls a function of ours on a file in a child process.

    Args:
        function: "keras_dream.MODULE:NAME"; it takes the path as text and `arguments`
            by name, and returns a `Result`.
        path: The file.
        arguments: JSON values.
        limits: What the child may take.
        what: What the file should be, for messages, such as "a picture".
        error: The class for a file that breaks or outgrows its limits.
        hint: What to try with such a file.

    Returns:
        The head, and the arrays. Both are as untrusted as the file.

    Raises:
        DreamError: What the function raised; `error` where the file took too long or
            too much memory or crashed its reader; `RunError` where the system has no
            memory, or there is no child.
    """
    request = {
        "sys_path": _import_path(),
        "parent": os.getpid(),
        "function": function,
        "path": _in_utf8(path),
        "arguments": dict(arguments),
        "seconds": limits.seconds,
        "memory": limits.memory,
    }
    _log.debug("%s of %s in a child", function, path)
    head, arrays = _answer_to(request, limits)
    if "result" in head:
        return head["result"], arrays
    if "error" in head:
        raise _error_of(head["error"])
    name = short_repr(Path(path).name)
    raise _failure(str(head.get("failed")), limits, what, name, error, hint) from (
        RuntimeError(head["traceback"]) if "traceback" in head else None
    )


def _in_utf8(path: str | os.PathLike[str]) -> str:
    """Returns a path for the child, whose encoding of names is UTF-8."""
    if os.name != "posix":
        return os.fspath(path)
    return os.fsencode(path).decode("utf-8", "surrogateescape")


def _answer_to(
    request: Mapping[str, Any], limits: Limits
) -> tuple[dict[str, Any], list[Any]]:
    """Returns what a child answers: "result", "error", or why it has "failed"."""
    with _child() as child, _Watchdog(child, limits) as watchdog:
        with contextlib.suppress(BrokenPipeError):
            cast("IO[bytes]", child.stdin).write(json.dumps(request).encode() + b"\n")
            cast("IO[bytes]", child.stdin).flush()
        try:
            return _read_answer(cast("IO[bytes]", child.stdout), limits.answer)
        except EOFError:
            watchdog.stop()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_GRACE_SECONDS)
            return {"failed": watchdog.reason or _reason_of(child.returncode)}, []
        except (ValueError, TypeError, LookupError, AttributeError) as wrong:
            return {"failed": "size" if wrong is _TOO_LARGE else "crash"}, []


def _import_path() -> list[str]:
    """Returns where the child imports from: as here, without the current folder."""
    package = str(Path(__file__).resolve().parents[1])
    return [package, *(entry for entry in sys.path if os.path.isabs(entry))]  # noqa: PTH117


@contextlib.contextmanager
def _child() -> Iterator[subprocess.Popen[bytes]]:
    """Starts a child, and ends it with all its group whatever happens."""
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    try:
        child = subprocess.Popen(
            [_python(), *_OPTIONS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**environment, **_ENVIRONMENT},
            start_new_session=os.name == "posix",
            creationflags=flags,
        )
    except OSError as failure:
        raise RunError(
            "Untrusted files must be read in a process of their own",
            received=f"none ({(failure.strerror or 'refused').lower()})",
            hint="end other programs, or read only files that you trust",
        ) from failure
    try:
        yield child
    finally:
        _kill(child)
        child.wait()
        for pipe in (child.stdin, child.stdout):
            with contextlib.suppress(OSError):
                cast("IO[bytes]", pipe).close()


def _python() -> str:
    """Returns this Python; on Windows not the launcher that virtual environments have.

    Its memory is not that of the process that it starts.
    """
    base = getattr(sys, "_base_executable", "") if sys.platform == "win32" else ""
    return base or sys.executable or "python"


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Kills a child, of which the number is its own until `wait` has returned."""
    if child.returncode is not None:
        return
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            child.kill()
        else:
            os.killpg(child.pid, signal.SIGKILL)


class _Watchdog:
    """Kills a child that takes too long, or too much where nothing else limits it."""

    def __init__(self, child: subprocess.Popen[bytes], limits: Limits):
        self.reason = ""
        self._child, self._limits = child, limits
        self._end = time.monotonic() + limits.seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the watch; the child is not killed by it any more."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        polls = sys.platform != "linux"
        while (left := self._end - time.monotonic()) > 0:
            if self._stopped.wait(min(left, _POLL_SECONDS) if polls else left):
                return
            if polls and resident_bytes(self._child.pid) > self._limits.memory:
                self.reason = "memory"
                break
        self.reason = self.reason or "time"
        _kill(self._child)


def resident_bytes(pid: int) -> int:
    """Returns the resident memory of a process in bytes; 0 where it is unknown."""
    if sys.platform == "win32":
        return _resident_on_windows(pid)
    command = ["ps", "-o", "rss=", "-p", str(pid)]  # POSIX: in units of 1024 bytes
    try:
        done = subprocess.run(command, capture_output=True, timeout=5, check=False)
        return int(done.stdout) * 1024
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return 0


def _resident_on_windows(pid: int) -> int:
    """Returns the working set: `GetProcessMemoryInfo`, PROCESS_MEMORY_COUNTERS."""
    import ctypes

    kernel: Any = ctypes.WinDLL("kernel32")  # pyright: ignore[reportAttributeAccessIssue]
    kernel.OpenProcess.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(kernel.OpenProcess(0x1000, False, pid))  # limited query
    counters = (ctypes.c_size_t * 10)()  # two numbers of 32 bits, then eight sizes
    size = ctypes.sizeof(counters) - (ctypes.sizeof(ctypes.c_size_t) - 8)
    known = kernel.K32GetProcessMemoryInfo(handle, counters, size)
    kernel.CloseHandle(handle)
    return int(counters[2]) if known else 0


def _read_answer(pipe: IO[bytes], most_bytes: int) -> tuple[dict[str, Any], list[Any]]:
    """Reads head and arrays; a wrong answer is an error before memory is taken."""
    import numpy as np

    length = int.from_bytes(_read(pipe, 8), "little")
    if length > MAX_HEAD_BYTES:
        raise ValueError(length)
    try:
        head = json.loads(_read(pipe, length))
    except RecursionError:
        raise ValueError(length) from None
    if any(
        type(head[part]) is not dict for part in ("result", "error") if part in head
    ):
        raise ValueError(length)
    kinds: list[tuple[Any, tuple[int, ...]]] = []
    for kind, shape in head.pop("arrays"):
        if not _DTYPE.fullmatch(kind) or any(
            type(n) is not int or n < 0 for n in shape
        ):
            raise ValueError(kind)
        kinds.append((np.dtype(kind), tuple(shape)))
    if sum(kind.itemsize * math.prod(shape) for kind, shape in kinds) > most_bytes:
        raise _TOO_LARGE
    arrays = [np.empty(shape, kind) for kind, shape in kinds]
    for array in arrays:
        _read_into(pipe, memoryview(cast("Any", array.reshape(-1).view(np.uint8))))
    return head, arrays


def _read(pipe: IO[bytes], size: int) -> bytes:
    data = bytearray(size)
    _read_into(pipe, memoryview(data))
    return bytes(data)


def _read_into(pipe: Any, view: memoryview) -> None:
    while view:
        count = pipe.readinto(view)
        if not count:
            raise EOFError
        view = view[count:]


def _reason_of(code: int | None) -> str:
    """Returns why a child ended without an answer, by its exit code."""
    if code is None or code >= 0:  # Windows has codes for crashes
        return "crash"
    if -code == getattr(signal, "SIGXCPU", None):
        return "time"
    if -code == getattr(signal, "SIGKILL", None):
        return "killed"
    return f"crash, signal {-code}"


def _error_of(parts: Mapping[str, Any]) -> DreamError:
    """Returns an error of the child again, without what could steer a terminal."""
    kind = getattr(errors, str(parts.get("class")), None)
    if not (isinstance(kind, type) and issubclass(kind, DreamError)):
        kind = RunError
    texts = [
        "".join(c for c in str(parts.get(part, ""))[:1000] if c.isprintable())
        for part in ("must", "received", "hint")
    ]
    return kind(texts[0], received=texts[1], hint=texts[2])


def _failure(
    reason: str,
    limits: Limits,
    what: str,
    name: str,
    error: type[InputError],
    hint: str,
) -> DreamError:
    """Returns the sentence for a child that gave no result."""
    memory, size = (number / 1e6 for number in (limits.memory, limits.answer))
    of_file = {
        "time": (f"read within {limits.seconds:g} seconds", "takes longer"),
        "memory": (f"read within {memory:,.0f} MB of memory", "takes more"),
        "size": (f"of at most {size:,.0f} MB when it is read", "has more"),
        "crash": ("one that does not crash its reader", "does"),
    }
    kind, _, signal_number = reason.partition(", ")
    if kind in of_file:
        must, does = of_file[kind]
        more = f" ({signal_number})" if signal_number else ""
        return error(
            f"{what} must be {must}", received=f"{name}, which {does}{more}", hint=hint
        )
    if reason == "killed":
        return RunError(
            f"{what} must be read before its process is killed",
            received=f"{name}, whose process the system has killed, perhaps for memory",
            hint="close other programs and try again",
        )
    return RunError(
        f"{what} must be read by a program without faults",
        received=f"{short_repr(reason)} for {name}",
        hint="report it with the file, if you can",
    )


def serve(request: Mapping[str, Any]) -> NoReturn:
    """Runs the function of a request, in the child, and writes its answer.

    Args:
        request: As `call` writes it.
    """
    answer = os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)  # what a library prints is no part of the answer
    _die_with_parent(request["parent"])
    # A thread in C, which Python's lock does not hold back, ends what is left alone;
    # late, because the parent is to say what has happened.
    nothing, late = os.fdopen(null, "w"), 2 * request["seconds"] + 60
    faulthandler.dump_traceback_later(late, exit=True, file=nothing)
    arrays: list[Any] = []
    try:
        module, _, name = str(request["function"]).partition(":")
        function = getattr(importlib.import_module(module), name)
        _set_limits(request)
        result, values = function(request["path"], **request["arguments"])
        text, arrays = _encoded({"result": result}, values)
    except DreamError as error:
        parts = {part: getattr(error, part) for part in ("must", "received", "hint")}
        text, _ = _encoded({"error": {"class": type(error).__name__, **parts}}, ())
    except MemoryError:
        text, _ = _encoded({"failed": "memory"}, ())
    # A fault of ours is told by the parent.
    except Exception as failure:  # noqa: BLE001
        fault = f"{type(failure).__name__}: {failure}"[:200]
        lines = traceback.format_exc()[-4000:]
        text, _ = _encoded({"failed": f"fault: {fault}", "traceback": lines}, ())
    with contextlib.suppress(OSError), os.fdopen(answer, "wb") as pipe:
        pipe.write(len(text).to_bytes(8, "little") + text)
        for array in arrays:
            pipe.write(array)
    os._exit(0)


def _encoded(head: Mapping[str, Any], arrays: Sequence[Any]) -> tuple[bytes, list[Any]]:
    """Returns the head as JSON, with the kinds and shapes of arrays, and these."""
    import numpy as np

    whole = [np.asarray(array, order="C") for array in arrays]
    kinds = [[array.dtype.str, array.shape] for array in whole]
    return json.dumps({**head, "arrays": kinds}).encode(), whole


def _die_with_parent(parent: int) -> None:
    """Ends this process when its parent has ended."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
    if sys.platform == "linux":
        import ctypes

        library = ctypes.CDLL(None)
        # PR_SET_PDEATHSIG and PR_SET_NO_NEW_PRIVS, of Linux' prctl(2).
        library.prctl(1, int(signal.SIGKILL), 0, 0, 0)
        library.prctl(38, 1, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


def _set_limits(request: Mapping[str, Any]) -> None:
    """Limits this process, as far as the system can."""
    if sys.platform == "win32":
        return
    import resource

    wanted = {
        resource.RLIMIT_CPU: math.ceil(request["seconds"]) + 1,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: _MAX_OPEN_FILES,
        resource.RLIMIT_AS: request["memory"],
    }
    for kind, limit in wanted.items():
        _, hard = resource.getrlimit(kind)
        least = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        # macOS refuses to limit address space; the parent looks at memory there.
        with contextlib.suppress(OSError, ValueError):
            # At the hard limit of time the signal would be SIGKILL.
            upper = hard if kind == resource.RLIMIT_CPU else least
            resource.setrlimit(kind, (least, upper))
