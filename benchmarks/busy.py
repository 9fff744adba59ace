"""Times one gradient step on a machine with other work.

    python benchmarks/busy.py [--rounds 12] [--busy 0,1,2] [--work python]

The step of `step.py`: ours on torch, with Keras imported before us and not, with one
thread, and without any choice of ours (GNU OpenMP's own, as in other programs), beside
the published `tf.function`. Every contender is a process of its own and takes one step
in turn, while 0, 1 and 2 other processes are busy: loops of Python, or matrix products
of two threads. Printed: medians of the seconds, of the processor time, and of the
ratios to the published step of the same round.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

PUBLISHED = "published, tf.function"
CONTENDERS = {  # backend, what is imported first, threads, environment
    PUBLISHED: ("tensorflow", "keras", None, {}),
    "ours": ("torch", "keras_dream.backend.torch", None, {}),
    "ours, Keras first": ("torch", "keras", None, {}),
    "ours, one thread": ("torch", "keras", 1, {}),
    "ours, spinning": ("torch", "keras", None, {"GOMP_SPINCOUNT": "300000"}),
}
WORK = {
    "python": "while True: pass",
    "matmul": "import torch\nx = torch.rand(1024, 1024)\nwhile True: x @ x",
}
GOAL = ("ours, Keras first", 1.5)


def serve(name, size):
    """Times one step for every line read: seconds, and those of the processors."""
    backend, first, threads, _ = CONTENDERS[name]
    os.environ["KERAS_BACKEND"] = backend
    os.environ["STEP_DEVICE"] = ""
    __import__(first)
    import step as steps

    make = steps.published if backend == "tensorflow" else steps.ours
    step = make(size, threads)
    for _ in range(steps.WARM_UP):
        step()
    print("[]", flush=True)
    for _ in sys.stdin:
        wall, own = time.perf_counter(), time.process_time()
        step()
        wall, own = time.perf_counter() - wall, time.process_time() - own
        print(json.dumps([wall, own]), flush=True)


class Worker:
    """A contender in its own process, with the libraries' own numbers of threads."""

    def __init__(self, name, size):
        own = ("GOMP_SPINCOUNT", "OMP_NUM_THREADS", "OMP_WAIT_POLICY")
        kept = {key: value for key, value in os.environ.items() if key not in own}
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--worker", name, "--size", size],
            env={**kept, "TF_CPP_MIN_LOG_LEVEL": "3", **CONTENDERS[name][3]},
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._read()

    def _read(self):
        for line in self._process.stdout:
            if line.startswith("["):
                return json.loads(line)
        raise SystemExit("a contender ended early")

    def time(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._read()


def measure(workers, rounds, busy, work):
    """Returns each contender's (seconds, processor seconds) of every round."""
    others = [subprocess.Popen([sys.executable, "-c", WORK[work]]) for _ in range(busy)]
    try:
        time.sleep(2 if busy else 0)
        taken = [{n: w.time() for n, w in workers.items()} for _ in range(rounds)]
    finally:
        for other in others:
            other.kill()
            other.wait()
    return {name: [one[name] for one in taken] for name in workers}


def report(times, busy):
    print(f"\n{busy} busy: {'':24}{'median s':>10}{'processor s':>13}{'ratio':>8}")
    ratios = {}
    for name, values in times.items():
        seconds, own = (
            statistics.median(column) for column in zip(*values, strict=True)
        )
        pairs = zip(values, times[PUBLISHED], strict=True)
        ratios[name] = statistics.median(ours[0] / theirs[0] for ours, theirs in pairs)
        print(f"{name:32}{seconds:10.3f}{own:13.3f}{ratios[name]:8.2f}")
    name, goal = GOAL
    print(f"{name} / published: {ratios[name]:.2f} (goal: at most {goal:.2f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--busy", default="0,1,2", help="other processes")
    parser.add_argument("--work", choices=WORK, default="python")
    parser.add_argument("--size", default="400x600")
    parser.add_argument("--worker")
    arguments = parser.parse_args()
    if arguments.worker:
        serve(arguments.worker, tuple(map(int, arguments.size.split("x"))))
        return
    workers = {name: Worker(name, arguments.size) for name in CONTENDERS}
    for busy in map(int, arguments.busy.split(",")):
        times = measure(workers, arguments.rounds, busy, arguments.work)
        report(times, busy)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
    main()
