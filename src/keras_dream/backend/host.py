"""Facts of the host: its memory, and the names of devices."""

import ctypes
import functools
import math
import os
import platform
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from keras_dream import isolation


def split_device(name: str) -> tuple[str, int]:
    """Splits a device's name, such as "cuda:1", into kind and number.

    Args:
        name: A kind, alone or with a colon and a number; "gpu" means "cuda".

    Returns:
        The kind in lower case, and the number, by default 0.

    Raises:
        ValueError: If there is no kind, or no whole number from 0 after the colon.
    """
    kind, _, number = name.lower().partition(":")
    if not kind or (number and not number.isdecimal()):
        raise ValueError(name)
    return {"gpu": "cuda"}.get(kind, kind), int(number or 0)


def cores() -> int:
    """Returns how many processors this process may use."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        count = os.cpu_count() or 1
    try:  # a Linux container's share of time (control groups, version 2)
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        count = min(count, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        pass  # no container, or "max": no limit
    return max(count, 1)


def has_accelerator() -> bool:
    """Tells whether there seems to be a GPU, without loading an array library."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if sys.platform == "win32":
        return shutil.which("nvidia-smi") is not None
    # The devices of NVIDIA's, AMD's and, in Windows' Linux, Microsoft's drivers.
    devices = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
    return any(Path(path).exists() for path in devices)


CPU_INFO = Path("/proc/cpuinfo")

# What oneDNN may be limited to, without bfloat16 (its guide, "CPU Dispatcher Control").
_NARROW = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE",
           "AVX512_CORE_VNNI")  # fmt: skip


def has_bfloat16() -> bool:
    """Tells whether the processor multiplies bfloat16 itself, and oneDNN may do so.

    Known are x86 processors under Linux. Arm's and Apple's can, too, but whether it is
    faster there has not been measured.
    """
    limits = (os.environ.get(f"{name}_MAX_CPU_ISA", "") for name in ("ONEDNN", "DNNL"))
    if any(limit.upper() in _NARROW for limit in limits):
        return False
    return bool({"avx512_bf16", "amx_bf16"} & processor_flags())


@functools.cache
def processor_flags() -> frozenset[str]:
    """Returns the names that Linux has for the abilities of an x86 processor."""
    try:
        lines = CPU_INFO.read_text("utf-8", errors="replace").splitlines()
    except OSError:  # another system
        return frozenset()
    flags = (line.partition(":")[2] for line in lines if line.startswith("flags"))
    return frozenset(next(flags, "").split())


def give_back_memory() -> None:
    """Gives memory that was freed back to the system, where glibc keeps it."""
    trim = _trim()
    if trim is not None:
        trim(0)


@functools.cache
def _trim() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None  # not glibc


def memory() -> Mapping[str, int]:
    """Returns the host's memory and this process's peak, in bytes.

    Returns:
        `total`, `free` (available without swapping) and `peak` (of this process);
        without those that the system does not report.
    """
    sizes = _windows() if sys.platform == "win32" else _unix()
    limit, used = _container()
    if limit is not None:
        total = sizes.get("total", limit)
        sizes["total"] = min(total, limit)
        if used is not None:
            sizes["free"] = min(sizes.get("free", limit), max(limit - used, 0))
    return sizes


def resident_bytes() -> int:
    """Returns the memory that this process holds, in bytes; 0 where it is unknown."""
    try:  # Linux: pages that are resident, behind those of its address space
        pages = Path("/proc/self/statm").read_text("ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return isolation.resident_bytes(os.getpid())


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc


def keep_freed(total: int, *, block: int) -> None:
    """Says how much memory the process keeps when it is freed, where that can be said.

    What it keeps needs no new pages when it is used again, which is faster; what lies
    between blocks that are still used is kept as well.

    Args:
        total: Bytes at most at the end of what it has.
        block: Bytes of the largest block that is kept; at most 32 MiB (mallopt(3)).
    """
    if _trim() is not None:  # glibc
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, block)
        library.mallopt(_M_TRIM_THRESHOLD, total)


def address_space() -> int | None:
    """Returns how many bytes a limit of the process leaves; None without one."""
    import resource  # not on Windows

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return None
    try:
        pages = Path("/proc/self/statm").read_text("ascii").split()[0]
        return max(limit - int(pages) * os.sysconf("SC_PAGE_SIZE"), 0)
    except (OSError, ValueError, IndexError):
        return None


def _unix() -> dict[str, int]:
    import resource  # not on Windows

    # Linux counts in KiB, macOS in bytes (their getrusage manual pages).
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    sizes = {"peak": peak}
    try:
        sizes["total"] = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        entries = dict(line.split(":", 1) for line in lines)
        sizes["free"] = int(entries["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError):
        pass  # macOS has no /proc
    left = address_space()
    if left is not None:
        sizes["free"] = min(sizes.get("free", left), left)
    return sizes


def _container() -> tuple[int | None, int | None]:
    """Reads the limit and the use of a Linux container (control groups, version 2)."""
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text("ascii"))
        used = int((group / "memory.current").read_text("ascii"))
        lines = (group / "memory.stat").read_text("ascii").splitlines()
        # Cached files are counted as used, but are freed on demand.
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
