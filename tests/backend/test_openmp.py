"""Threads that wait on a busy machine: they sleep, although torch was loaded first."""

import os
import subprocess
import sys

import pytest

from keras_dream.backend import host

# The processor time of all other threads, while operations of two threads are short and
# far apart: what they spin for.
CHILD = """
import sys, time, torch

def spun():
    x, total = torch.ones(1 << 17), 0.0
    for _ in range(10):
        began = time.process_time() - time.thread_time()
        x.add_(1)
        time.sleep(0.02)
        total += time.process_time() - time.thread_time() - began
    return total

if torch.get_num_threads() != 2 or "libgomp" not in open("/proc/self/maps").read():
    sys.exit(9)
spun()
before = spun()
from keras_dream.backend import torch as backend
one = backend.make(threads=1)
two = backend.make(threads=2)
assert (one.threads, two.threads) == (1, 2)
print(before, spun(), torch.ones(1 << 20).sum().item())
"""


def spun(**changes):
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        env={**environment, **changes, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode == 9:
        pytest.skip("torch has no GNU OpenMP of two threads here")
    assert done.returncode == 0, done.stderr[-2000:]
    before, after, total = map(float, done.stdout.split())
    assert total == 1 << 20
    return before, after


@pytest.mark.skipif(host.cores() < 2, reason="one processor: GNU OpenMP never spins")
def test_waiting_threads_sleep_where_torch_was_loaded_before_us():
    before, after = spun()
    assert after < before / 5


@pytest.mark.skipif(host.cores() < 2, reason="one processor: GNU OpenMP never spins")
def test_the_waiting_that_a_person_chose_is_left():
    before, after = spun(GOMP_SPINCOUNT="300000")
    assert after > before / 5
