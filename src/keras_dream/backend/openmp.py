"""GNU OpenMP's waiting threads, which spin or sleep.

Its threads spin for 300,000 rounds before they sleep, unless the environment said
otherwise when it was loaded. Where it has more threads than there are processors it
takes only 100 rounds (`gomp_throttled_spin_count_var` in GCC's libgomp/env.c and
config/linux/wait.h). That is a state, not a setting of the start: idle threads bring it
about at any time.
"""

import ctypes
import threading

# Each takes a stack and counts against the limits of processes.
_MOST_IDLE = 64
_idle: list[int] = []  # threads held by each call


def sleep_early(library: str, threads: int) -> None:
    """Lets the waiting threads of GNU OpenMP sleep nearly at once, until the end.

    Nothing that is computed changes. Without effect where the library uses another
    OpenMP.

    Args:
        library: Path of a loaded library that uses it.
        threads: Threads of one operation; those of one never wait.
    """
    try:
        openmp = ctypes.CDLL(library)
        parallel, function = openmp.GOMP_parallel, openmp.omp_get_thread_num
        missing = openmp.omp_get_num_procs() + 1 - threads - sum(_idle)
    except (AttributeError, OSError):
        return
    # Intel's and LLVM's have GOMP_parallel, too.
    is_gnu = not hasattr(openmp, "kmp_set_blocktime")
    if not is_gnu or threads < 2 or missing < 1 or missing > _MOST_IDLE:
        return
    has_begun = threading.Event()

    def hold() -> None:
        # void GOMP_parallel(void (*)(void *), void *, unsigned threads, unsigned flags)
        parallel(function, None, missing + 1, 0)
        has_begun.set()
        threading.Event().wait()  # the idle threads end with this one

    threading.Thread(target=hold, name="dream-openmp", daemon=True).start()
    has_begun.wait()
    _idle.append(missing)
