"""Recipe and record in films: read back under any name, and distrusted."""

import json
import os
import struct
from fractions import Fraction

import pytest
from clips import pan

from keras_dream.cli import main
from keras_dream.errors import InputError, PictureError, SettingError
from keras_dream.pictures import films
from keras_dream.pictures.limits import Limits
from keras_dream.pictures.metadata import MAX_NOTES_BYTES, read_notes
from keras_dream.recipe.recipe import Recipe
from keras_dream.recipe.video import VideoSettings
from keras_dream.replay import film_record, is_dream, read_recipe, read_saved
from keras_dream.video import formats
from keras_dream.video.frames import Clip, Stamp
from keras_dream.video.sink import read_film_notes, write_film

NAMES = ("a.mp4", "a.mov", "a.mkv", "a.webm", "a.gif", "a.webp", "folder")
RECIPE = Recipe(steps=3, video=VideoSettings(carry=0.5))
RECORD = {
    "versions": {"keras-dream": "1"}, "processor": "any", "network": "motif",
    "weights_sha256": "0" * 64, "run": {"threads": 2}, "source": "in.mp4",
    "source_sha256": "1" * 64, "size": [48, 64], "frames": 2, "cuts": [0], "steps": 6,
    "flicker": {"film": 0.1}, "notices": ["It was interlaced.\x1b[2J"],
    "complete": True,
}  # fmt: skip
NOTES = {"recipe": RECIPE.json_text(), "record": json.dumps(RECORD)}


def film(path, notes=NOTES):
    stamps = tuple(Stamp(Fraction(k, 25), Fraction(1, 25)) for k in range(2))
    clip = Clip("in", "0" * 64, (48, 64), stamps, Fraction(1, 25), Fraction(25))
    return write_film(path, clip, pan(2), notes=notes)


def equal(notes):
    return {name: json.loads(text) for name, text in (notes or {}).items()} == {
        name: json.loads(text) for name, text in NOTES.items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_notes_come_back_under_any_name(tmp_path, name):
    path = film(tmp_path / name)
    assert equal(read_film_notes(path))
    if name == "a.mp4":  # a process costs half a second
        assert equal(read_notes(path, limits=Limits(untrusted=True)))
    renamed = path.rename(tmp_path / "holiday.bin")
    assert equal(read_film_notes(renamed))
    if name != "a.webp":
        assert is_dream(renamed)
        assert read_recipe(renamed) == RECIPE
        assert film_record(renamed) == RECORD
    assert read_film_notes(film(tmp_path / name, notes=None)) is None


def test_long_notes(tmp_path):
    long = {"record": json.dumps("x" * (MAX_NOTES_BYTES - 100))}
    for name in NAMES:
        assert read_film_notes(film(tmp_path / name, notes=long)) == long
        with pytest.raises(InputError, match="at most 64,000 bytes"):
            film(tmp_path / name, notes={"record": json.dumps("x" * MAX_NOTES_BYTES)})


def test_show_and_recipe(tmp_path, capsys):
    """`dream show` tells of a film; a recipe is read from one as from a picture."""
    path = film(tmp_path / "a.mp4")
    assert main(["show", str(path)]) == 0
    text = capsys.readouterr().out
    for part in ("steps             3", "frames          2", "in.mp4", "interlaced"):
        assert part in text
    assert "\x1b" not in text
    assert main(["show", str(path), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["record"] == RECORD
    assert Recipe.read(json.dumps(shown["recipe"])) == RECIPE
    assert read_saved(path).record.network == "motif"
    assert main(["replay", str(path)]) == 2
    assert "dream video IN --recipe" in capsys.readouterr().err
    assert main(["cite", str(path)]) == 0


def test_suffixes_of_films_are_known_to_what_reads_recipes():
    assert set(formats.SUFFIXES) - {".webp"} == set(films.SUFFIXES)


def test_other_files(tmp_path):
    (tmp_path / "recipe.json").write_text(RECIPE.json_text())
    assert not is_dream(tmp_path / "recipe.json")
    assert not is_dream(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
    assert not is_dream(tmp_path / "pipe")
    with pytest.raises(SettingError):
        read_recipe(tmp_path)
    with pytest.raises(PictureError, match="a folder"):
        read_notes(tmp_path)
    with pytest.raises(PictureError, match="does not exist"):
        read_film_notes(tmp_path / "missing.mp4")
    plain = film(tmp_path / "a.mp4", notes=None)
    with pytest.raises(PictureError, match="must hold the recipe"):
        read_recipe(plain)


def box(name, data=b"", size=None):
    return struct.pack(">I", 8 + len(data) if size is None else size) + name + data


def element(name, data, size=None):
    return (
        name + (struct.pack(">Q", len(data) | 1 << 56) if size is None else size) + data
    )


HEAD = box(b"ftyp", b"isom")
EBML = element(b"\x1aE\xdf\xa3", b"")
GIF = b"GIF89a\1\0\1\0\0\0\0"
DEEP = b'{"keras-dream":{"record":' + b"[" * 5000 + b"]" * 5000 + b"}}"


def in_mp4(text):
    data = box(b"data", b"\0\0\0\1\0\0\0\0" + text)
    items = box(b"ilst", box(b"\xa9cmt", data))
    return HEAD + box(b"moov", box(b"udta", box(b"meta", b"\0\0\0\0" + items)))


def in_matroska(text):
    pair = element(b"\x45\xa3", b"COMMENT") + element(b"\x44\x87", text)
    tag = element(b"\x73\x73", element(b"\x67\xc8", pair))
    return EBML + element(b"\x18\x53\x80\x67", element(b"\x12\x54\xc3\x67", tag))


def in_gif(text):
    parts = b"".join(bytes([len(p)]) + p for p in (text[k : k + 255] for k in
                     range(0, len(text), 255)))  # fmt: skip
    return GIF + b"\x21\xfe" + parts + b"\0\x3b"


@pytest.mark.parametrize("wrap", [in_mp4, in_matroska, in_gif])
def test_strange_notes_count_as_none(tmp_path, wrap):
    path = tmp_path / "a.bin"
    path.write_bytes(wrap(b'{"keras-dream":{"recipe":1}}'))
    assert read_notes(path) == {"recipe": "1"}
    for text in (
        b"a comment", b"{}", b'{"keras-dream":3}', b'{"keras-dream":{"a":NaN}}',
        b'{"keras-dream":{"a":1,"a":2}}', DEEP, b"\xff{", b"{" * 70_000,
        b'{"keras-dream":{"a":"' + b"x" * 70_000 + b'"}}',
    ):  # fmt: skip
        path.write_bytes(wrap(text))
        assert read_notes(path) is None


@pytest.mark.parametrize(
    "data",
    [
        HEAD,
        HEAD + box(b"moov", size=2),
        HEAD + box(b"moov", size=1) + b"\xff" * 8,
        HEAD + box(b"moov", box(b"udta", size=0)),
        HEAD + box(b"free", size=8) * 3000 + box(b"moov", b"\0" * 7),
        in_mp4(b"{}")[:-3],
        EBML,
        EBML + b"\x18\x53\x80\x67\x01" + b"\xff" * 7,
        EBML + b"\0" * 40,
        in_matroska(b"{}")[:-1],
        GIF[:12],
        GIF + b"\x21\xfe\xff",
        GIF + b"\x21\xfe" + (b"\xff" + b"{" * 255) * 1000,
    ],
)
def test_broken_files_are_read_without_an_error(tmp_path, data):
    (tmp_path / "a.bin").write_bytes(data)
    assert read_notes(tmp_path / "a.bin") is None


def test_a_broken_index(tmp_path):
    folder = film(tmp_path / "folder")
    for text in ("[]", "{", '{"keras-dream": 3}', "[" * 100_000):
        (folder / "film.json").write_text(text)
        assert read_notes(folder) is None


@pytest.mark.parametrize("wrap", [in_mp4, in_matroska])
def test_a_film_of_too_many_parts_is_given_up(tmp_path, wrap):
    """However they are nested; each of them would be looked at."""
    path = tmp_path / "a.bin"
    part = box(b"udta", box(b"free") * 400) if wrap is in_mp4 else element(b"\xec", b"")
    many = box(b"moov", part * 100) * 30 if wrap is in_mp4 else part * 300_000
    text = wrap(b'{"keras-dream":{"recipe":1}}')
    if wrap is in_matroska:
        text, many = EBML, element(b"\x18\x53\x80\x67", many + text[len(EBML) + 12 :])
    path.write_bytes(HEAD + many + text[len(HEAD) :] if wrap is in_mp4 else text + many)
    assert read_notes(path) is None


def test_a_long_film_is_not_read_as_a_whole(tmp_path):
    """The boxes on the way are skipped, whatever they hold."""
    path = tmp_path / "a.mp4"
    data = in_mp4(b'{"keras-dream":{"recipe":1}}')
    with path.open("wb") as file:
        file.write(HEAD + struct.pack(">I4sQ", 1, b"mdat", 5 << 30))
        file.seek(len(HEAD) + (5 << 30))
        file.write(data[len(HEAD) :])
    assert read_notes(path) == {"recipe": "1"}
