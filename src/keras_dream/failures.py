"""One sentence for failures of the machine, which libraries report as they like."""

import errno

from keras_dream.errors import DreamError, RunError, short_repr

# What the array libraries say when memory is out; none has a class of its own for it
# that can be named without importing the library.
_MEMORY_CLASSES = ("OutOfMemoryError", "ResourceExhaustedError")
_MEMORY_WORDS = (
    "can't allocate memory",  # torch on Linux and macOS, alloc_cpu.cpp
    "not enough memory",  # torch on Windows, alloc_cpu.cpp
    "enforce fail at alloc_cpu.cpp",
    "could not create a primitive",  # oneDNN, whose status torch leaves out
    "could not execute a primitive",
    "could not create a memory",
    "out of memory",  # CUDA, XLA
    "resource_exhausted",  # XLA
    "status_alloc_failed",  # cuBLAS and cuDNN
    "bad_alloc",  # C++
    "bad allocation",  # C++ on Windows
    "failed to map segment",  # the loader of Linux, of a library
)
_LIBRARIES = ("jax", "jaxlib", "tensorflow", "torch")


def of_machine(failure: Exception) -> DreamError | None:
    """Returns our sentence for a failure of the machine; None for a bug of ours."""
    if is_out_of_memory(failure):
        return RunError(
            "There must be enough memory for the largest octave",
            received=f"none left ({short_repr(_memory_words(failure), limit=60)})",
            hint="try a smaller picture, an earlier layer, or --memory with less than "
            "is free",
        )
    if isinstance(failure, OSError):
        where = f" for {short_repr(str(failure.filename))}" if failure.filename else ""
        return RunError(
            "The operating system must do what a dream needs",
            received=f"{(failure.strerror or _first_line(failure)).lower()!r}{where}",
            hint="see `dream doctor`",
        )
    if isinstance(failure, ImportError):
        return RunError(
            "The installation must be complete",
            received=short_repr(_first_line(failure)),
            hint="install keras-dream again, then see `dream doctor`",
        )
    if isinstance(failure, RuntimeError) and "start new thread" in str(failure):
        return RunError(
            "The operating system must give a dream its threads",
            received=short_repr(_first_line(failure)),
            hint="end other programs, or try --threads 1",
        )
    return None


def is_out_of_memory(failure: BaseException) -> bool:
    """Tells whether memory is out, on the host or on a device."""
    if isinstance(failure, MemoryError) or type(failure).__name__ in _MEMORY_CLASSES:
        return True
    if isinstance(failure, OSError):
        return failure.errno == errno.ENOMEM
    library = type(failure).__module__.partition(".")[0]
    kinds = (RuntimeError, ImportError)
    if not isinstance(failure, kinds) and library not in _LIBRARIES:
        return False
    is_ours = isinstance(failure, DreamError)  # which may quote anything
    return not is_ours and _says_so(str(failure))


def _says_so(text: str) -> bool:
    text = text.lower()
    return any(words in text for words in _MEMORY_WORDS)


def _memory_words(failure: BaseException) -> str:
    """Returns the line that speaks of memory; XLA and tensorflow write many."""
    lines = str(failure).splitlines()
    return next(
        (line.strip() for line in lines if _says_so(line)), _first_line(failure)
    )


def _first_line(failure: BaseException) -> str:
    return (str(failure).strip().splitlines() or [type(failure).__name__])[0]
