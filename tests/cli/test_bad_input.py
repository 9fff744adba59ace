"""Wrong input: exit code 2, one sentence, no trace, no file."""

import errno
import json
import os
import shlex
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_dream.pictures.encoding import encode_picture, save_picture

Dream = Callable[..., tuple[int, str, str]]


def _here() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def _refused(result: tuple[int, str, str], *words: str, code: int = 2) -> None:
    """Asserts that a run ended in one sentence that holds these words."""
    exit_code, out, err = result
    assert (exit_code, out) == (code, "")
    sentences = [line for line in err.splitlines() if line.startswith("dream: ")]
    assert len(sentences) == 1, err
    assert err.endswith(f"{sentences[0]}\n")
    assert sentences[0].endswith((".", "?"))
    assert "Traceback" not in err
    assert "pydantic" not in err
    for word in words:
        assert word in sentences[0]


@pytest.fixture
def refuse(dream: Dream, photo: Path) -> Callable[..., None]:
    """Runs `dream` and asserts that it is refused and leaves no file."""

    def run(arguments: tuple[object, ...], *words: str, code: int = 2) -> None:
        before = _here()
        _refused(dream(*arguments), *words, code=code)
        assert _here() == before

    return run


# -- the command line ---------------------------------------------------------------

BATCH = ("batch", "photos")
NO_FOLDER = ("-o must name the folder", "none; try `dream batch photos -o dreams`.")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        # These sentences are cyclopts' own.
        (
            ("photo.png", "--stepz", "3"),
            ("Unknown option: --stepz. Did you mean --steps?",),
        ),
        (("photo.png", "--stepz=3"), ("Did you mean --steps?",)),
        (("photo.png", "--steps"), ("--steps requires an argument",)),
        (("photo.png", "-o"), ("-o requires an argument",)),
        (
            ("photo.png", "--steps", "1", "--steps", "2"),
            ("--steps specified multiple times",),
        ),
        (("photo.png", "--clamp=maybe"), ("--clamp", '"maybe"')),
        (("photo.png", "--quiet=maybe"), ("--quiet", '"maybe"')),
        (("layers",), ("NETWORK requires an argument",)),
        (("replay", "photo.png", "--sauce", "x"), ("Did you mean --source?",)),
        (("weights", "pul"), ('Did you mean "pull"?',)),
        (("atlas", "motif", "--size", "x"), ("--size", '"x"', "int")),
        # These are ours.
        ((), ("photo or a command", "`dream --help`")),
        (("photo.png", "-x"), ("'-x'", "`dream --help`")),
        (("photo.png", "other.png"), ("'other.png'", "does not exist")),
        (("photo.png", "show"), ("'show'", "does not exist")),
        (("show", "photo.png", "other.png"), ("'other.png'", "quotes")),
        (("https://there.example/cat.jpg",), ("an address", "download it first")),
        (("photo.png", "-"), ("only photo",)),
        (("run", "photo.png"), ("'run'", "`dream PHOTO`")),
        (("video", "photo.png"), ("'photo.png', a picture", "`dream`")),
        (("flicker", "photo.png"), ("--source VIDEO",)),
        (
            ("photo.png", "--objective", "-1*far", "--steps", "1"),
            ("'--objective=-1*far'",),
        ),
        (("netwroks",), ("'netwroks'", "`dream networks`")),
        (("laysers", "motif"), ("'laysers'", "`dream layers`")),
        (("laysers", "--all"), ("--all", "`dream layers`")),
        (("layers", "motiv"), ("'motiv'", "'motif'")),
        (("presets", "book"), ("'book'", "nearest")),
        (("networks", "all"), ("'all'",)),
        (("show", "nowhere.png"), ("'nowhere.png'", "does not exist")),
        *(((*line,), NO_FOLDER) for line in (BATCH[:1], BATCH, (*BATCH, "-o"))),
        ((*BATCH, "-o", "dreams", "--name"), ("--name requires an argument",)),
        (("jobs", "foo"), ("'foo'", "one of its commands", "show, resume, prune.")),
        (("jobs", "show", "a", "b"), ("'b'", "quotes")),
    ],
)
def test_command_lines(
    refuse: Callable[..., None], arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    refuse(arguments, *words)


@pytest.mark.parametrize("name", ["-x.jpg", "--a b.png"])
def test_a_file_whose_name_begins_like_an_option(
    refuse: Callable[..., None], name: str
) -> None:
    Path(name).touch()
    refuse((name,), repr(name), f"for a file write {shlex.quote(f'./{name}')}.")
    refuse(("looks", name), "for a file write ")


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("--steps", "x", ("`steps`", "whole number", "'x'")),
        ("--steps", "-5", ("`steps`", "from 0", "'-5'")),
        ("--steps", "1000000000", ("`steps`", "100000")),
        ("--steps", "none", ("`steps`", "'none'")),
        ("--steps", "1" * 5000, ("`steps`",)),
        ("--octaves", "1000000000", ("`octaves`", "64")),
        ("--octaves", "0", ("`octaves`", "from 1")),
        ("--octaves", "2.5", ("`octaves`", "'2.5'")),
        ("--octave-scale", "1", ("`octave_scale`", "above 1")),
        ("--step-size", "nan", ("`step_size`", "finite", "'nan'")),
        ("--step-size", "inf", ("`step_size`", "finite")),
        ("--step-size", "1e309", ("`step_size`", "finite")),
        ("--step-size", "-1", ("`step_size`", "above 0")),
        ("--max-loss", "-inf", ("`max_loss`", "finite")),
        ("--loss", "l3", ("`loss`", "'l3'", "l2")),
        ("--seed", "-1", ("`seed`", "from 0 below 9223372036854775808")),
        ("--threads", "0", ("`threads`", "from 1")),
        ("--backend", "touch", ("`backend`", "'touch'", "'torch'")),
        ("--device", "abacus", ("device", "'abacus'", "cpu")),
        ("--preset", "boo1", ("'boo1'", "'book1'")),
        ("--network", "motiv", ("'motiv'", "'motif'")),
        ("--network", "../motif", ("'../motif'",)),
        ("--objective", "fra", ("'fra'", "'far'")),
        ("--objective", "far:99", ("99", "from 0 to 4")),
        ("--objective", "3*", ("character 3",)),
        ("--objective", "far + + near", ("character 7", "'+ near'")),
        ("--objective", "0*far", ("character 3",)),
        ("--objective", "", ("character 1",)),
        ("--objective", "class:eye", ("class:eye",)),
        ("--objective", "x" * 20_000, ("objective must have", "10000")),
        ("-o", "out.gif", ("'out.gif'", ".png")),
        ("-o", "out", ("'out'", ".png")),
        ("-o", "", ("''", ".png")),
        ("-o", "nowhere/out.png", ("'nowhere/out.png'", "'nowhere'")),
        ("-o", "photo.png/out.png", ("'photo.png'", "a file")),
        ("-o", "photo.png", ("'photo.png'", "own photo")),
        ("-o", "./../photos/photo.png", ("own photo",)),
        ("-o", "x" * 300 + ".png", ("too long",)),
        ("--weights", "nowhere.h5", ("'nowhere.h5'", "does not exist")),
        ("--weights", "photo.png", ("photo.png", "cannot be read")),
        ("--weights", ".", ("a folder",)),
    ],
)
def test_flags(
    refuse: Callable[..., None], flag: str, value: str, words: tuple[str, ...]
) -> None:
    refuse(("photo.png", flag, value), *words)


# -- photos -------------------------------------------------------------------------


def _png(width: int, height: int) -> bytes:
    """A PNG that declares a size and holds nearly nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + crc

    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    head = chunk(b"IHDR", size + b"\x08\x02\0\0\0")
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + head + pixels + chunk(b"IEND", b"")


_WHOLE = encode_picture(np.full((30, 30, 3), 0.5, np.float32), ".png")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", ("empty",)),
        (_WHOLE[: len(_WHOLE) // 2], ("whole",)),
        (_png(30_000, 30_000), ("pixels", "has more")),
        (_png(65_535, 65_535), ("pixels",)),
        (b"not a picture", ("PNG, JPEG",)),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", ("PostScript",)),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", ("SVG",)),
        (b"8BPS\0\1", ("Photoshop",)),
        (b"%PDF-1.7", ("PDF",)),
        (b"PK\3\4", ("ZIP",)),
        (b"<!doctype html><script>", ("HTML",)),
        (b"GIF89a=1;alert(1)", ("'odd.png'",)),
        (bytes(1000), ("none of these",)),
    ],
)
def test_photos_that_are_none(
    refuse: Callable[..., None], data: bytes, words: tuple[str, ...]
) -> None:
    Path("odd.png").write_bytes(data)
    refuse(("odd.png",), "'odd.png'", *words)


@pytest.mark.parametrize("size", [(1, 1), (5, 400), (400, 5)])
def test_photos_too_small_for_the_layers(
    refuse: Callable[..., None], size: tuple[int, int]
) -> None:
    save_picture("small.png", np.full((*size, 3), 0.5, np.float32))
    # A margin would make them large enough.
    line = ("small.png", "--transforms", "none")
    refuse(line, "at least 6 pixels", f"{size[1]} × {size[0]}")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere.png", ("'nowhere.png'", "does not exist")),
        ("phto.png", ("'phto.png'", "'photo.png'")),
        ("", ("a folder",)),
        ("/dev/zero", ("a device",)),
        ("a\0b.png", ("NUL",)),
        ("line\nbreak.png", ("'line\\nbreak.png'",)),
        ("..\\x.png", ("does not exist",)),
        ("C:\\x.png", ("does not exist",)),
        ("\\\\server\\x.png", ("does not exist",)),
        ("x" * 300 + ".png", ("too long",)),
        ("CON", ("does not exist",)),
        ("\u202egnp.exe", ("does not exist",)),
        (os.fsdecode(b"caf\xe9.png"), ("does not exist",)),
        ("broken", ("'broken'", "does not exist")),
        ("pipe", ("a named pipe",)),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="names and pipes of POSIX")
def test_names(refuse: Callable[..., None], name: str, words: tuple[str, ...]) -> None:
    Path("broken").symlink_to("away")
    os.mkfifo("pipe")
    refuse((name,), *words)


ODD = (
    "line\nbreak.png",
    "\x1b[31mred.png",
    "..\\x.png",
    "C:\\x.png",
    "\\\\server\\x.png",
    "CON.png",
    "\u202egnp.exe.png",
    os.fsdecode(b"caf\xe9.png"),
    "x" * 251 + ".png",
)
"""Names that mean nothing else on POSIX."""


@pytest.mark.skipif(os.name == "nt", reason="names of POSIX")
def test_odd_names_of_files_that_exist(dream: Dream, photo: Path) -> None:
    """They are the photo and the result."""
    data = photo.read_bytes()
    line = ("--size", 16, "--steps", 1, "--octaves", 1, "-o")
    for name in ODD:
        source, result = Path("in", name), Path("out", name)
        for folder in (source.parent, result.parent):
            folder.mkdir(exist_ok=True)
        source.write_bytes(data)
        code, _, stderr = dream(source, *line, result)
        assert code == 0, stderr
        assert dream("show", result)[0] == 0
        assert source.read_bytes() == data
        assert list(result.parent.iterdir()) == [result]
        for path in (source, result):
            path.unlink()


@pytest.mark.skipif(os.name == "nt", reason="links of POSIX")
def test_links_are_followed_to_read_and_not_to_write(dream: Dream, photo: Path) -> None:
    away = photo.absolute().parent.parent / "away.png"
    away.write_bytes(photo.read_bytes())
    Path("link.png").symlink_to(away)
    Path("out.png").symlink_to(away)
    line = ("--steps", 1, "--octaves", 1)
    assert dream("link.png", *line, "-o", "new.png")[0] == 0
    code, _, error = dream(photo, *line, "-o", "out.png", "--yes")
    assert code == 0, error
    assert not Path("out.png").is_symlink()
    assert away.read_bytes() == photo.read_bytes()


# -- recipes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ("empty",)),
        ("steps: 3", ("JSON object",)),
        ("!!python/object/apply:os.system ['x']", ("JSON object",)),
        ("[1, 2]", ("JSON object",)),
        ("null", ("JSON object",)),
        ('{"steps": 3', ("JSON object",)),
        ("[" * 60_000, ("JSON object",)),
        ('{"stepz": 3}', ("'stepz'", "'steps'")),
        ('{"trust_model": true}', ("'trust_model'",)),
        ('{"backend": "jax"}', ("'backend'",)),
        ('{"schema_number": 2}', ("`schema_number`", "1", "2")),
        ('{"steps": NaN}', ("`steps`",)),
        ('{"step_size": NaN}', ("`step_size`", "finite")),
        ('{"step_size": Infinity}', ("`step_size`", "finite")),
        ('{"step_size": 1e309}', ("`step_size`", "finite")),
        ('{"steps": -1}', ("`steps`", "-1")),
        ('{"steps": 1000000000}', ("`steps`", "100000")),
        ('{"steps": 9' + "9" * 5000 + "}", ("JSON object",)),
        ('{"octaves": 1000000}', ("`octaves`", "64")),
        ('{"octaves_above": 1000}', ("`octaves_above`", "8")),
        ('{"octaves_above": 8, "octave_scale": 16}', ("--yes",)),
        ('{"steps": 100000, "octaves_above": 6}', ("--yes",)),
        ('{"steps": {"a": 1}}', ("`steps`",)),
        ('{"steps": 3, "steps": 4}', ("'steps'", "once")),
        ('{"steps": ' + "[" * 500 + "1" + "]" * 500 + "}", ("JSON object",)),
        ('{"steps": ' + "[" * 20 + "1" + "]" * 20 + "}", ("`steps`",)),
        ('{"objective": "nowhere"}', ("'nowhere'",)),
        ('{"objective": "<script>alert(1)</script>"}', ("character 1",)),
        ('{"network": "model:mine"}', ("'model:mine'",)),
        ('{"network": "/etc/passwd"}', ("'/etc/passwd'",)),
        ('{"layers": {"far": 1}, "objective": "far"}', ("`layers`",)),
        ('{"layers": {"far": "much"}}', ("`layers`",)),
        (" " * 1_000_000 + "{}", ("64,000 bytes",)),
        ("\udcff", ("UTF-8",)),
    ],
)
def test_recipe_files(
    refuse: Callable[..., None], text: str, words: tuple[str, ...]
) -> None:
    Path("r.json").write_text(text, "utf-8", "surrogateescape")
    refuse(("photo.png", "--recipe", "r.json"), *words)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("nowhere.json", ("does not exist",)),
        (".", ("a folder",)),
        ("photo.png", ("'photo.png'", "recipe", "none")),
    ],
)
def test_recipes_that_are_none(
    refuse: Callable[..., None], recipe: str, words: tuple[str, ...]
) -> None:
    refuse(("photo.png", "--recipe", recipe), *words)


@pytest.mark.parametrize(
    "notes",
    [
        {"recipe": '{"steps": 3, "trust_model": true}'},
        {"recipe": '"steps"'},
        {"recipe": "[]"},
        {"recipe": '{"steps": 1000000000}'},
        {"record": "{}"},
    ],
)
def test_pictures_with_forged_recipes(
    refuse: Callable[..., None], notes: dict[str, str]
) -> None:
    save_picture("forged.png", np.full((30, 30, 3), 0.5, np.float32), notes=notes)
    refuse(("photo.png", "--recipe", "forged.png"))
    refuse(("show", "forged.png"))
    refuse(("replay", "forged.png"))


def test_metadata_of_another_program(refuse: Callable[..., None]) -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_itxt("parameters", json.dumps({"steps": 3, "sampler": "Euler"}))
    Image.new("RGB", (30, 30)).save("theirs.png", pnginfo=info)
    for command in (("photo.png", "--recipe"), ("show",), ("replay",)):
        refuse((*command, "theirs.png"), "'theirs.png'", "none")


# -- the run itself -----------------------------------------------------------------


def test_a_damaged_network_file(
    refuse: Callable[..., None], motif: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(motif.read_bytes()[:-100])
    refuse(("photo.png", "--weights", broken), "broken.safetensors", "cannot be read")


def test_a_folder_that_takes_no_files(
    refuse: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(self: Path, *arguments: Any, **options: Any) -> Any:
        if self.name.startswith(".dream-"):
            raise OSError(errno.EROFS, "Read-only file system", str(self))
        return inner(self, *arguments, **options)

    inner = Path.open
    monkeypatch.setattr(Path, "open", refusing)
    refuse(("photo.png",), "'photo-dream.png'", "read-only file system")


def test_a_full_disk(
    refuse: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    flags = ("--steps", 1, "--octaves", 1)
    refuse(("photo.png", *flags), "room", "no space left on device", code=1)


def test_a_gradient_that_is_not_finite(
    refuse: Callable[..., None], tmp_path: Path
) -> None:
    from keras_dream.graph import file
    from keras_dream.graph.graph import Graph
    from keras_dream.graph.ops import Node

    conv = {"stride": [1, 1], "padding": "same", "dilation": [1, 1], "groups": 1}
    graph = Graph(
        nodes=(
            Node("input", "input", (), {"channels": 3}),
            Node("far", "conv2d", ("input",), conv),
        ),
        weights={"far/kernel": np.full((3, 3, 3, 4), 1e38, np.float32)},
        layers={"far": "far"},
        objective="far",
    )
    file.save(graph, tmp_path / "huge.safetensors")
    refuse(
        ("photo.png", "--weights", tmp_path / "huge.safetensors"),
        "must be finite",
        code=1,
    )


def test_a_photo_of_too_many_pixels_is_not_decoded(
    dream: Dream, photo: Path, monkeypatch
):
    from PIL import Image

    from keras_dream.pictures import picture

    Image.new("1", (9_000, 9_000)).save("large.png")
    monkeypatch.setattr(picture, "decode", lambda _: pytest.fail("it is decoded"))
    _refused(dream("large.png"), "hours", "--yes")
