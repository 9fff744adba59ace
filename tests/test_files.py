"""Files are looked at before they are opened, and written whole or not at all."""

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from keras_dream import files
from keras_dream.errors import InputError, OutputError, PictureError, SaveError

SUFFIXES = (".png", ".jpg")
posix = pytest.mark.skipif(os.name != "posix", reason="pipes and limits of POSIX")


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def run(code: str, *args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(files.__file__).parents[1])},
    )


# --- write_atomically ---------------------------------------------------------------


def test_write_creates_and_replaces(tmp_path: Path):
    path = tmp_path / "ünï日本.png"
    files.write_atomically(path, b"old")
    files.write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == [path.name]


@posix
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_write_leaves_permissions_to_the_umask(tmp_path: Path, mask: int, mode: int):
    before = os.umask(mask)
    try:
        files.write_atomically(tmp_path / "a", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode


@posix
def test_write_replaces_a_link_and_not_what_it_points_to(tmp_path: Path):
    (tmp_path / "precious").write_bytes(b"kept")
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    files.write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "precious").read_bytes() == b"kept"
    assert not (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
@pytest.mark.parametrize("code", sorted(files.FULL))
def test_full_disk_is_one_sentence_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: int
):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, step, refuse)
    with pytest.raises(SaveError, match="must have room for 3 bytes") as caught:
        files.write_atomically(path, b"new")
    assert caught.value.exit_code == 1
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.png"]


@pytest.mark.parametrize("place", ["write", "fsync", "replace"])
@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(errno.EIO, "I/O")])
def test_whatever_interrupts_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, failure: BaseException
):
    def interrupt(*_: object) -> None:
        raise failure

    monkeypatch.setattr(os, place, interrupt)
    expected = SaveError if isinstance(failure, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        files.write_atomically(tmp_path / "a.png", b"new")
    assert names(tmp_path) == []


@posix
def test_real_limit_on_the_file_size(tmp_path: Path):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    done = run(
        "import resource, sys\n"
        "from keras_dream.files import write_atomically\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "write_atomically(sys.argv[1], bytes(1_000_000))\n",
        path,
    )
    assert "SaveError: The disk must have room for 1,000,000 bytes" in done.stderr
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.png"]


FAIL_POINTS = """
import os, sys
from keras_dream.files import write_atomically

def fail(name, where, count):
    inner, calls = getattr(os, name), []
    def crash(*arguments):
        calls.append(1)
        if where == "before" and len(calls) == count:
            os._exit(7)
        value = inner(*arguments)
        if where == "after" and len(calls) == count:
            os._exit(7)
        return value
    setattr(os, name, crash)

for case in sys.argv[2:]:
    path, point = os.path.join(sys.argv[1], case, "a.png"), case.split("-")
    os.mkdir(os.path.dirname(path))
    with open(path, "wb") as file:
        file.write(b"old")
    if child := os.fork():
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7, case
        continue
    if point[0] == "write":  # in two parts, as on a disk that is nearly full
        write = os.write
        os.write = lambda file, data: write(file, data[:500_000])
    fail(point[0], point[1], int(point[2]))
    write_atomically(path, b"new" * 300_000)
    os._exit(0)
"""
POINTS = [
    f"{call}-{where}-{count}"
    for call, counts in [("write", 2), ("fsync", 2), ("replace", 1)]
    for count in range(1, counts + 1)
    for where in ("before", "after")
]
"""Each write, the synchronization of the file and then of its folder, the rename."""


@posix
def test_a_crash_anywhere_leaves_the_old_file_or_the_new_one(tmp_path: Path):
    done = run(FAIL_POINTS, tmp_path, *POINTS)
    assert done.returncode == 0, done.stderr
    for point in POINTS:
        folder = tmp_path / point
        renamed = point in ("fsync-before-2", "fsync-after-2", "replace-after-1")
        new = b"new" * 300_000
        assert (folder / "a.png").read_bytes() == (new if renamed else b"old"), point
        left = [name for name in names(folder) if name != "a.png"]
        assert len(left) == (not renamed)
        # What is left is nobody's, and goes when the next result is begun.
        files.remove_leftovers(folder)
        assert names(folder) == ["a.png"]


def test_leftovers_of_living_processes_stay(tmp_path: Path):
    staged = files.stage(tmp_path / "a.png", b"new")
    foreign = [".dream-xyz.tmp", ".dream-0123456789abcdef.tmp.txt", "a.tmp"]
    for name in foreign:
        (tmp_path / name).touch()
    (tmp_path / ".dream-0123456789abcdef.tmp").mkdir()
    files.remove_leftovers(tmp_path)
    assert staged.temporary.read_bytes() == b"new"
    staged.commit()
    assert set(names(tmp_path)) == {"a.png", ".dream-0123456789abcdef.tmp", *foreign}


@posix
def test_a_temporary_file_that_is_taken_before_it_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Another process cleans up between the file's creation and its lock."""
    opened = os.open

    def open_and_lose(path: Path, *arguments: int) -> int:
        descriptor = opened(path, *arguments)
        monkeypatch.setattr(os, "open", opened)
        files.remove_leftovers(tmp_path)
        return descriptor

    monkeypatch.setattr(os, "open", open_and_lose)
    files.write_atomically(tmp_path / "a.png", b"new")
    assert (tmp_path / "a.png").read_bytes() == b"new"
    assert names(tmp_path) == ["a.png"]


@posix
def test_permissions_of_a_replaced_file_stay(tmp_path: Path):
    path = tmp_path / "a.png"
    for mode in (0o600, 0o666, 0o640):
        path.write_bytes(b"old")
        path.chmod(mode)
        staged = files.stage(path, b"new")
        assert staged.temporary.stat().st_mode & 0o777 == mode
        staged.commit()
        assert path.stat().st_mode & 0o777 == mode


@posix
def test_a_read_only_file_is_not_replaced(tmp_path: Path):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    path.chmod(0o444)
    with pytest.raises(OutputError, match=r"read-only.*a\.png', whose .* 0444; try"):
        files.check_output(path, SUFFIXES)
    with pytest.raises(OutputError, match="read-only"):
        files.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.png"]


TMPFS = """
set -e
mount -t tmpfs -o size=1m none "$1"
exec "$2" -c '
import os, sys
from pathlib import Path
from keras_dream import files
from keras_dream.errors import SaveError
path = Path(sys.argv[1], "a.png")
files.check_room(path, 1_000_000)
files.write_atomically(path, b"old")
sentences = []
for work in (files.check_room, lambda p, n: files.write_atomically(p, bytes(n))):
    try:
        work(path, 1_100_000)
    except SaveError as error:
        sentences.append(str(error))
print(len(sentences), os.listdir(path.parent), path.read_bytes(), sentences)
' "$1"
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
def test_a_full_disk(tmp_path: Path):
    """What is there stays whole, and it is said before the work where it is known."""
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", TMPFS, "sh"]
    done = subprocess.run(
        [*command, str(tmp_path), sys.executable],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(files.__file__).parents[1])},
    )
    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip("no tmpfs can be mounted here")
    assert done.stdout.startswith("2 ['a.png'] b'old'"), done.stderr
    assert "room for a result of about 1,100,000 bytes" in done.stdout
    assert "must have room for 1,100,000 bytes" in done.stdout


def test_missing_folder_while_writing(tmp_path: Path):
    with pytest.raises(SaveError, match="no such file or directory"):
        files.write_atomically(tmp_path / "no" / "a.png", b"x")


# --- check_output -------------------------------------------------------------------


def test_check_output_leaves_no_trace(tmp_path: Path):
    assert files.check_output(tmp_path / "A.PNG", SUFFIXES) == tmp_path / "A.PNG"
    assert names(tmp_path) == []
    (tmp_path / "A.PNG").write_bytes(b"old")
    files.check_output(tmp_path / "A.PNG", SUFFIXES)
    assert (tmp_path / "A.PNG").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.pngg", "nearest"),
        ("a.gif", "one of .png, .jpg"),
        ("a", "add .png"),
        ("", "add .png"),
        ("a\0.png", "NUL"),
        ("no/a.png", "must exist"),
        ("file/a.png", "is a file"),
        ("file/a/b.png", "not a directory"),
        ("folder.png", "a folder"),
        ("x" * 300 + ".png", "too long"),
    ],
)
def test_check_output_refuses(tmp_path: Path, name: str, words: str):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(OutputError) as caught:
        files.check_output(f"{tmp_path}/{name}", SUFFIXES)
    message = str(caught.value)
    assert words in message
    assert message.endswith(".")
    assert "\n" not in message
    assert names(tmp_path) == ["file", "folder.png"]


@posix
def test_check_output_refuses_pipes_devices_and_sockets(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    with pytest.raises(OutputError, match="a named pipe"):
        files.check_output(tmp_path / "pipe.png", SUFFIXES)
    with pytest.raises(OutputError, match="a device"):
        files.check_output(tmp_path / "zero.png", SUFFIXES)


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_check_output_really_tries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
):
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(OutputError, match=os.strerror(code).lower()):
        files.check_output(tmp_path / "a.png", SUFFIXES)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_check_output_in_a_folder_that_takes_no_files():
    with pytest.raises(OutputError, match="must take files") as error:
        files.check_output("/proc/a.png", SUFFIXES)
    assert "create" not in str(error.value)


# --- default_output -----------------------------------------------------------------


def test_default_output_never_overwrites(tmp_path: Path):
    photo = tmp_path / "sky.jpg"
    for name in ["sky-dream.png", "sky-dream-2.png", "sky-dream-3.png"]:
        assert files.default_output(photo).name == name
        (tmp_path / name).write_text("x")
    assert files.default_output(photo, suffix=".jpg") == tmp_path / "sky-dream.jpg"


def test_default_output_of_the_current_folder_is_beside_it(tmp_path: Path, monkeypatch):
    (tmp_path / "shots").mkdir()
    monkeypatch.chdir(tmp_path / "shots")
    for name in (".", "../shots", "../shots/../shots/"):
        path = files.default_output(name, suffix=".mp4").resolve()
        assert path == (tmp_path / "shots-dream.mp4").resolve()
    assert files.default_output("..").name == f"{tmp_path.name}-dream.png"
    assert files.default_output("/").name.endswith("-dream.png")


@posix
def test_default_output_counts_a_broken_link_as_taken(tmp_path: Path):
    (tmp_path / "a-dream.png").symlink_to(tmp_path / "gone")
    assert files.default_output(tmp_path / "a.png").name == "a-dream-2.png"


@pytest.mark.parametrize("letter", ["x", "é", "日"])
def test_default_output_of_the_longest_name_can_be_written(tmp_path: Path, letter: str):
    stem = letter * (251 // len(letter.encode()))
    path = files.default_output(tmp_path / f"{stem}.png", suffix=".tiff")
    files.check_output(path, [".tiff"])
    files.write_atomically(path, b"x")


# --- check_file, read_bounded, sha256_file -------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sky.jpg", "does not exist; try 'sky.jpeg', the nearest name"),
        ("qqqq", "does not exist; check its name"),
        ("no/sky.jpg", "check the folder"),
        ("sky.jpeg/a", "not a directory"),
        ("folder", "a folder"),
        ("empty", "an empty file"),
        ("a\0b", "NUL"),
        ("x" * 300, "too long"),
    ],
)
def test_check_file_refuses(tmp_path: Path, name: str, words: str):
    (tmp_path / "sky.jpeg").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    with pytest.raises(PictureError) as caught:
        files.check_file(f"{tmp_path}/{name}", "a picture", error=PictureError)
    message = str(caught.value)
    assert words in message
    assert message.endswith(".")
    assert "\n" not in message


@posix
@pytest.mark.parametrize("kind", ["pipe", "device", "loop"])
def test_check_file_never_opens_what_is_no_file(tmp_path: Path, kind: str):
    path = tmp_path / "a.json"
    if kind == "pipe":
        os.mkfifo(path)  # opening it would wait for ever
    else:
        path.symlink_to("/dev/zero" if kind == "device" else path)
    words = {"pipe": "a named pipe", "device": "a device", "loop": "symbolic links"}
    with pytest.raises(InputError, match=words[kind]):
        files.check_file(path, "a recipe")


def test_check_file_that_may_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "a").write_text("x")

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match="permission denied"):
        files.check_file(tmp_path / "a", "a recipe")


def test_read_bounded(tmp_path: Path):
    path = tmp_path / "recipe.json"
    path.write_bytes(b"\xef\xbb\xbf{}\xc3\xa9")
    assert files.read_bounded(path, 7) == "{}é"
    with pytest.raises(InputError, match="at most 6 bytes"):
        files.read_bounded(path, 6, what="a recipe")
    path.write_bytes(b"{}\xff")
    with pytest.raises(InputError, match=r"UTF-8.*from byte 2"):
        files.read_bounded(path, 100, what="a recipe")


def test_sha256_file(tmp_path: Path):
    data = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(data)
    assert files.sha256_file(tmp_path / "a") == hashlib.sha256(data).hexdigest()
