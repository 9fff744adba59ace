"""What the host tells about itself: memory, and the names of devices."""

import ctypes
import os
import sys
from collections.abc import Mapping
from pathlib import Path


def split_device(name: str) -> tuple[str, int]:
    """Splits a device's name, such as "cuda:1", into its kind and its number.

    Args:
        name: A kind, alone or with a colon and a number; "gpu" means "cuda".

    Returns:
        The kind in lower case, and the number, 0 where none was given.

    Raises:
        ValueError: If there is no kind, or if what follows the colon is not a whole
            number from 0.
    """
    kind, _, number = name.lower().partition(":")
    if not kind or (number and not number.isdecimal()):
        raise ValueError(name)
    return {"gpu": "cuda"}.get(kind, kind), int(number or 0)


def memory() -> Mapping[str, int]:
    """Returns the host's memory and this process's peak, in bytes.

    Returns:
        `total`, `free` (what can still be taken without swapping) and `peak` (the
        most this process ever held); what the system does not tell is absent.
    """
    found = _windows() if sys.platform == "win32" else _unix()
    limit, used = _container()
    if limit is not None:
        total = found.get("total", limit)
        found["total"] = min(total, limit)
        if used is not None:
            found["free"] = min(found.get("free", limit), max(limit - used, 0))
    return found


def _unix() -> dict[str, int]:
    import resource  # not on Windows

    # Linux counts in KiB, macOS in bytes (their getrusage manual pages).
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    found = {"peak": peak}
    try:
        found["total"] = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        entries = dict(line.split(":", 1) for line in lines)
        found["free"] = int(entries["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError):
        pass  # macOS has no /proc
    return found


def _container() -> tuple[int | None, int | None]:
    """Reads the limit and the use of a Linux container (control groups, version 2)."""
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text("ascii"))
        used = int((group / "memory.current").read_text("ascii"))
        lines = (group / "memory.stat").read_text("ascii").splitlines()
        # Cached files are counted as used, but are given up on demand.
        cached = int(dict(line.split() for line in lines).get("inactive_file", 0))
    except (OSError, ValueError):
        return None, None  # no container, or "max": no limit
    return limit, used - cached


def _windows() -> dict[str, int]:
    class Status(ctypes.Structure):  # MEMORYSTATUSEX, sysinfoapi.h
        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            *((name, ctypes.c_ulonglong) for name in ("total", "free", "page_total")),
            *((name, ctypes.c_ulonglong) for name in ("page", "all", "virtual", "ext")),
        )

    status = Status(length=ctypes.sizeof(Status))
    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009 - only on Windows
    if not kernel.GlobalMemoryStatusEx(ctypes.byref(status)):
        return {}
    return {"total": status.total, "free": status.free}
