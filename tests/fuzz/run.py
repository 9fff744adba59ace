"""Runs fuzz targets for some minutes: `python tests/fuzz/run.py recipe --minutes 10`.

With atheris (`pip install 'keras-dream[fuzz]'`) coverage guides the search; without it
the corpus is mutated blindly. What fails is kept in `fuzz-findings/` and told at the
end; put it into the corpus when it is mended. The exit code is 1 if something failed.
"""

import argparse
import importlib.util
import random
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

HERE = Path(__file__).parent
NAMES = ("recipe", "metadata", "names", "manifest")
SECONDS_OF_ONE = 10  # an input that takes longer is a finding


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", nargs="*", choices=[*NAMES, []], default=[])
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--guided", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.findings.mkdir(exist_ok=True)
    sys.path.insert(0, str(HERE.parents[1] / "src"))
    sys.path.insert(0, str(HERE))
    if options.guided:
        guided(options.target[0], options.minutes, options.findings)
    search = by_atheris if importlib.util.find_spec("atheris") else blindly
    failed = [
        name
        for name in options.target or NAMES
        if not search(name, options.minutes, options.findings)
    ]
    print("failed:" if failed else "nothing failed", *failed)
    return bool(failed)


def by_atheris(name: str, minutes: float, findings: Path) -> bool:
    """Runs a target in a process of its own, which libFuzzer ends."""
    command = [sys.executable, __file__, name, "--guided"]
    command += ["--minutes", str(minutes), "--findings", str(findings)]
    return subprocess.run(command, check=False).returncode == 0


def guided(name: str, minutes: float, findings: Path) -> None:
    """Runs a target by libFuzzer; does not return."""
    import atheris

    with atheris.instrument_imports(include=["keras_dream", "targets"]):
        import targets
    with tempfile.TemporaryDirectory() as grown:
        flags = [
            f"-max_total_time={round(60 * minutes)}",
            f"-timeout={SECONDS_OF_ONE}",
            f"-artifact_prefix={findings}/{name}-",
            "-max_len=16384",
            "-print_final_stats=1",
        ]
        corpus = [grown, str(targets.CORPUS / name)]
        atheris.Setup([sys.argv[0], *flags, *corpus], targets.TARGETS[name])
        atheris.Fuzz()


def blindly(name: str, minutes: float, findings: Path) -> bool:
    """Mutates the corpus at random; returns whether nothing failed."""
    import targets

    print(f"{name}: without atheris the corpus is mutated blindly")
    corpus = [path.read_bytes() for path in sorted((targets.CORPUS / name).iterdir())]
    end, count, chance = time.monotonic() + 60 * minutes, 0, random.Random(0)
    while time.monotonic() < end:
        data = mutated(chance.choice(corpus), chance.choice(corpus), chance)
        count, began = count + 1, time.monotonic()
        try:
            targets.TARGETS[name](data)
            if time.monotonic() - began > SECONDS_OF_ONE:
                raise TimeoutError(f"{time.monotonic() - began:.0f} s")
        except Exception:  # noqa: BLE001 - whatever it is, it is a finding
            traceback.print_exc()
            path = findings / f"{name}-{count}"
            path.write_bytes(data)
            print(f"{name}: kept as {path}")
            return False
    print(f"{name}: {count:,} inputs")
    return True


def mutated(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """Returns bytes with some changed, left out, repeated or taken from others."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        first, last = sorted(chance.randint(0, len(changed)) for _ in range(2))
        last = min(last, first + chance.choice((1, 4, 64)))
        start = chance.randint(0, len(other))
        piece = chance.choice(
            (
                b"",
                bytes(chance.randbytes(chance.randint(1, 8))),
                bytes(changed[first:last]) * chance.choice((2, 3, 1000)),
                other[start : start + chance.choice((1, 8, 64))],
                chance.choice((b"'", b"(", b")", b",", b":", b"9" * 400, b" " * 2000)),
            )
        )
        changed[first:last] = piece
    return bytes(changed[:65_536])


if __name__ == "__main__":
    sys.exit(main())
