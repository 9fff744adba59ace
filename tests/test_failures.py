"""What libraries and the system raise becomes one sentence."""

import errno

import pytest

from keras_dream.errors import RunError
from keras_dream.failures import is_out_of_memory, of_machine


class XlaRuntimeError(RuntimeError):
    pass


class InternalError(Exception):
    """Such as tensorflow's, which is no RuntimeError."""


InternalError.__module__ = "tensorflow.python.framework.errors_impl"

# Each as the library wrote it.
OUT_OF_MEMORY = [
    RuntimeError("could not create a primitive"),
    RuntimeError("could not create a memory object"),
    RuntimeError(
        "could not create a primitive descriptor for the convolution forward "
        "propagation primitive. Run workload with environment variable "
        "ONEDNN_VERBOSE=all to get additional diagnostic information."
    ),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:119] err == 0. DefaultCPUAllocator: can't "
        "allocate memory: you tried to allocate 4000000000000 bytes. Error code 12 "
        "(Cannot allocate memory)"
    ),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:80] data. DefaultCPUAllocator: not enough "
        "memory: you tried to allocate 4000000000000 bytes."
    ),
    RuntimeError("std::bad_alloc"),
    RuntimeError("bad allocation"),
    XlaRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 4000000000 bytes."),
    InternalError("{{function_node __wrapped__Conv2D}} could not create a primitive"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"),
    ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    MemoryError(),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
]


@pytest.mark.parametrize("failure", OUT_OF_MEMORY)
def test_memory_is_out(failure):
    assert is_out_of_memory(failure)
    error = of_machine(failure)
    assert error.exit_code == 1
    assert "enough memory" in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    "failure",
    [
        RuntimeError("expected scalar type Float but found Half"),
        ValueError("could not create a primitive"),  # no library raises it so
        RunError("A name must be free", received="'out of memory.png'"),
        OSError(errno.ENOSPC, "No space left on device"),
        ZeroDivisionError("division by zero"),
    ],
)
def test_memory_is_not_out(failure):
    assert not is_out_of_memory(failure)


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "a.png"), ("'a.png'",)),
        (ModuleNotFoundError("No module named 'PIL'"), ("installation", "PIL")),
        (RuntimeError("can't start new thread"), ("threads", "--threads 1")),
    ],
)
def test_other_failures_of_the_machine(failure, words):
    error = of_machine(failure)
    assert error.exit_code == 1
    assert all(word in str(error) for word in words)


def test_a_bug_is_none_of_the_machine():
    assert of_machine(ZeroDivisionError("division by zero")) is None
