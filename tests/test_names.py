"""Names that somebody else wrote lead to a file inside their folder, or are refused."""

import ntpath
import os
import posixpath
import unicodedata
from collections.abc import Callable
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import example, given, strategies as st

from keras_dream.errors import InputError, PictureError
from keras_dream.names import inside, name_fault, plain_name

posix = pytest.mark.skipif(os.name != "posix", reason="links need no rights on POSIX")

HOSTILE = (
    "", ".", "..", "...", "a.", "a ", "../a", "a/../../b", "/etc/passwd", "a//b", "a/",
    "//host/share", "./a", "~/../..", "..\\a", "\\\\host\\share", "\\\\?\\C:\\a",
    "C:\\a", "C:a", "a:b", "a\0b", "a\nb", "a\x1b[31m", "a\x7f", "a\x9b", "a\u2028b",
    "a\u202egpj.exe", "a\u200f", "\ud800", "a\udcff", "CON", "con.png", "NUL .txt",
    "com1.tar.gz", "COM\u00b2", "lpt9", "Conin$", "AUX/a.png", "x" * 256, "日" * 86,
)  # fmt: skip
HONEST = (
    "sky.png", "sky-dream.png", "ünï 日本.png", ".hidden", "what?.jpg", "a'b.png",
    "photo (1).jpg", "Bild \u202f3.png", "console.png", "COM10", "nul_.png", "a..b",
    "\u0645\u0631\u062d\u0628\u0627.png", "👩\u200d🚀.png", "x" * 255, "日" * 85,
    "$HOME", "-rf",
)  # fmt: skip
pieces = st.one_of(
    st.text(max_size=8),
    st.sampled_from([*HOSTILE, *HONEST, "/", "\\", "..", "C:", "~", "%2e%2e", "\0"]),
    st.sampled_from("\u2024\u2025\uff0e\uff0f\u2215\u29f8"),  # look like . and /
)
texts = st.lists(pieces, max_size=6).map("".join) | st.lists(pieces).map("/".join)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused_in_one_sentence(name: str):
    with pytest.raises(PictureError, match=r"A source must be a name .*; do this") as e:
        plain_name(name, "A source", error=PictureError, hint="do this")
    assert e.value.exit_code == 2
    assert len(str(e.value)) < 300


@pytest.mark.parametrize("name", HONEST)
def test_honest_names_are_taken(name: str, tmp_path: Path):
    assert plain_name(name, "A source") == name
    assert inside(tmp_path, name, "A source") == tmp_path / name
    assert inside(tmp_path, f"deep/{name}", "A source") == tmp_path / "deep" / name


@pytest.mark.parametrize("name", [None, 3, b"a", ["a"], {"a": 1}, Path("a"), True])
def test_a_name_is_text(name: object, tmp_path: Path):
    with pytest.raises(InputError, match="which is no text"):
        plain_name(name, "A source")
    with pytest.raises(InputError, match="which is no text"):
        inside(tmp_path, name, "A source")


@given(text=texts)
@example(text="a/b/c")
def test_whatever_text_is_refused_or_one_name_on_every_system(text: str):
    try:
        name = plain_name(text, "A name")
    except InputError:
        return
    assert name == text
    assert len(name.encode()) <= 255
    for system, folder in ((posixpath, "/in/here"), (ntpath, "C:\\in\\here")):
        whole = system.normpath(system.join(folder, name))
        assert system.dirname(whole) == folder
        assert system.basename(whole) == name
    # What Windows itself makes of a name: blanks and dots at its end are left out.
    assert PureWindowsPath(name).name == name == name.rstrip(". ")
    assert not PureWindowsPath(name).is_reserved()
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in name)


@given(text=texts)
@example(text="a/b/c")
def test_whatever_text_is_refused_or_stays_in_the_folder(
    text: str, tmp_path_factory: pytest.TempPathFactory
):
    folder = tmp_path_factory.getbasetemp() / "names"
    try:
        path = inside(folder, text, "A path")
    except InputError:
        return
    assert folder in path.resolve().parents
    assert len(path.relative_to(folder).parts) == text.count("/") + 1
    windows = ntpath.normpath(ntpath.join("C:\\in", *text.split("/")))
    assert windows.startswith("C:\\in\\")
    assert not any(PureWindowsPath(part).is_reserved() for part in text.split("/"))


def _no_link(folder: Path) -> str:
    (folder / "a").mkdir()
    return "a/b.png"


def _to_file(folder: Path) -> str:
    (folder / "a").symlink_to("../secret")
    return "a"


def _to_folder(folder: Path) -> str:
    (folder / "a").symlink_to(folder.parent)
    return "a/secret"


def _to_nothing(folder: Path) -> str:
    (folder / "a").symlink_to("../not-yet")
    return "a"


def _in_steps(folder: Path) -> str:
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to(folder.parent / "secret")
    return "a"


def _in_a_circle(folder: Path) -> str:
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    return "a"


def _to_a_neighbour_of_like_name(folder: Path) -> str:
    (folder / "a").symlink_to(f"../{folder.name}-2/secret")
    return "a"


def _to_inside(folder: Path) -> str:
    (folder / "b").write_text("x")
    (folder / "a").symlink_to("b")
    return "a"


@posix
@pytest.mark.parametrize(
    ("make", "stays"),
    [
        (_no_link, True),
        (_to_inside, True),
        (_to_file, False),
        (_to_folder, False),
        (_to_nothing, False),
        (_in_steps, False),
        (_in_a_circle, False),
        (_to_a_neighbour_of_like_name, False),
    ],
)
def test_no_link_leads_out(make: Callable[[Path], str], stays: bool, tmp_path: Path):
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "secret").write_text("private")
    name = make(folder)
    if stays:
        assert inside(folder, name, "A file") == folder / name
        return
    with pytest.raises(InputError, match="a link leads out of it"):
        inside(folder, name, "A file")


@posix
def test_a_trusted_folder_may_itself_be_a_link(tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert inside(tmp_path / "link", "a.png", "A file") == tmp_path / "link" / "a.png"


def test_a_path_has_a_length(tmp_path: Path):
    with pytest.raises(InputError, match="more than 4095 bytes"):
        inside(tmp_path, "/".join(["x" * 200] * 30), "A file")
    assert name_fault("x" * 50_000_000)  # at once
