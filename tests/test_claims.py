"""Names of results are claimed before the work, and given back or taken over."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from keras_dream import claims
from keras_dream.claims import claim
from keras_dream.errors import OutputError

posix = pytest.mark.skipif(os.name != "posix", reason="forks")


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(claims.__file__).parents[1])},
    )


TWENTY = """
import os, sys
from pathlib import Path
from keras_dream.claims import claim
from keras_dream.files import default_output, write_atomically

ready, go = os.pipe()
children = []
for number in range(20):
    children.append(os.fork())
    if children[-1] == 0:
        os.close(go)
        os.read(ready, 1)  # until all have begun
        with claim(default_output(Path(sys.argv[1], "sky.png"))) as claimed:
            text = f"{number} {claimed.path.name}"
            os.sched_yield()
            write_atomically(claimed.path, text.encode())
        os._exit(0)
os.close(go)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
assert codes == [0] * 20, codes
"""


@posix
def test_twenty_at_once_have_twenty_names(tmp_path: Path):
    done = run(TWENTY, tmp_path)
    assert done.returncode == 0, done.stderr
    texts = [(tmp_path / name).read_text().split() for name in names(tmp_path)]
    assert sorted(int(number) for number, _ in texts) == list(range(20))
    assert [name for _, name in texts] == names(tmp_path)
    assert len(texts) == 20


def test_a_claimed_name_is_not_free_and_then_is(tmp_path: Path):
    path = tmp_path / "sky-dream.png"
    with claim(path) as first:
        assert first.path == path
        assert claims.is_claimed(path)
        with claim(path) as second:
            assert second.path.name == "sky-dream-2.png"
        with pytest.raises(OutputError, match=f"process {os.getpid()} on .* makes"):
            claim(path, exact=True)
        # Nothing but hidden files is there before the result.
        assert names(tmp_path) == [".sky-dream.png.claim"]
    assert not claims.is_claimed(path)
    assert names(tmp_path) == []


@posix
def test_the_claim_of_a_dead_process_is_taken_over(tmp_path: Path):
    code = (
        "import os, sys, signal; from keras_dream.claims import claim\n"
        "kept = claim(sys.argv[1]); os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = tmp_path / "a.png"
    run(code, path)
    assert names(tmp_path) == [".a.png.claim"]
    assert not claims.is_claimed(path)
    run(code, path)
    with claim(path, exact=True) as taken:
        assert taken.path == path
    assert names(tmp_path) == []


@posix
def test_claims_that_nobody_holds_go_with_the_next_run(tmp_path: Path):
    """But not another's file of such a name, and not a claim that is just made."""
    code = (
        "import os, sys, signal; from keras_dream.claims import claim\n"
        "kept = claim(sys.argv[1]); os.kill(os.getpid(), signal.SIGKILL)"
    )
    run(code, tmp_path / "dead.png")
    (tmp_path / ".note.claim").write_text("insurance")
    (tmp_path / ".new.png.claim").touch()
    os.mkfifo(tmp_path / ".pipe.claim")
    with claim(tmp_path / "a.png"), claim(tmp_path / "b.png"):
        assert names(tmp_path) == [
            ".a.png.claim", ".b.png.claim", ".new.png.claim", ".note.claim",
            ".pipe.claim",
        ]  # fmt: skip


def test_taken_names(tmp_path: Path):
    """A file, a broken link, an unfinished dream: each has its name."""
    (tmp_path / "a.png").touch()
    (tmp_path / "a-2.png.canvas.npz").touch()
    free = claim(tmp_path / "a.png")
    assert free.path.name == "a-3.png"
    free.release()
    with claim(tmp_path / "a.png", exact=True) as exact:
        assert exact.path.name == "a.png"


def test_a_name_that_another_has_just_saved_and_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Between the look at the folder and the claim."""
    inner, path = claims.create, tmp_path / "a.png"

    def saved_first(file: Path):
        path.touch()
        return inner(file)

    monkeypatch.setattr(claims, "create", saved_first)
    with claim(path) as claimed:
        assert claimed.path.name == "a-2.png"


@posix
def test_a_forged_claim_is_not_followed(tmp_path: Path):
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (tmp_path / ".a.png.claim").symlink_to(precious)
    os.mkfifo(tmp_path / ".a-2.png.claim")
    with claim(tmp_path / "a.png") as claimed:
        assert claimed.path.name == "a-3.png"
    with pytest.raises(OutputError, match="no other run is about to save"):
        claim(tmp_path / "a.png", exact=True)
    assert precious.read_text() == "kept"


def test_the_longest_name_can_be_claimed(tmp_path: Path):
    path = tmp_path / ("x" * 251 + ".png")
    with claim(path, exact=True):
        assert claims.is_claimed(path)
    assert names(tmp_path) == []
