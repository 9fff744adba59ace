"""Functions that a child runs, for the tests of `keras_dream.isolation`."""

import os
import re
import sys
import time
from pathlib import Path

import numpy as np

from keras_dream.errors import PictureError


def echo(path, **values):
    print("a library may print what it likes", flush=True)
    os.write(2, b"and warn")
    head = {
        "path": os.fsencode(path).hex(),
        "values": values,
        "main": hasattr(sys.modules["__main__"], "MARK"),
        "environment": sorted(os.environ),
        "modules": sorted({name.split(".")[0] for name in sys.modules}),
        "pid": os.getpid(),
    }
    arrays = np.arange(6, dtype=np.float32).reshape(2, 3).T, np.uint8([]), np.int64(7)
    return head, arrays


def refuse(path):
    raise PictureError("a picture must be \x1b[31mred", received=path, hint="paint it")


def spin(path):
    """Holds Python's lock, as a library in C may, so that no other thread runs."""
    (Path(path) / str(os.getpid())).touch()
    re.fullmatch("(?:a|a)*b", "a" * 60)


def spin_twice(path):
    """The same in a process that it starts, too."""
    if hasattr(os, "fork"):
        os.fork()
    spin(path)


def take(path, *, size):
    return {"sum": int(np.ones(size, np.uint8)[-1])}, ()


def crash(path, *, number):
    os.kill(os.getpid(), number)
    time.sleep(60)


def leave(path):
    os._exit(0)


def lie(path, *, head):
    """Answers what no function of ours would, as a file that has taken over would."""
    text = head.encode()
    for descriptor in range(3, 20):
        try:
            os.write(descriptor, len(text).to_bytes(8, "little") + text)
        except OSError:
            continue
    os._exit(0)


def fault(path):
    return {"a": {}["b"]}, ()


def many(path, *, size):
    return {}, [np.zeros(size, np.uint8)]


def write(path):
    Path(path).write_bytes(b"x")
    return {}, ()


def reach(path):
    """Counts the files that it can open."""
    files = []
    try:
        while True:
            files.append(os.open(__file__, os.O_RDONLY))
    except OSError:
        return {"count": len(files)}, ()
