"""Mixing a saved dream: exact, replayable, and safe with files of others."""

import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

import keras_dream as kd
from keras_dream.engine.octaves import read_octaves
from keras_dream.errors import InputError, PictureError, SettingError
from keras_dream.files import octaves_path
from keras_dream.pictures.encoding import save_picture
from keras_dream.pictures.metadata import read_notes
from keras_dream.pictures.picture import read_picture

SHORT = ("--octaves", 2, "--steps", 2, "--jitter", 2, "--step-size", 0.02)


@pytest.fixture
def saved(dream, photo) -> Path:
    """A dream that was saved with its octaves, beside its photo."""
    code, _, error = dream(photo, *SHORT, "--save-octaves", "-o", "d.png")
    assert code == 0, error
    assert sorted(p.name for p in Path().iterdir()) == [
        "d.octaves.npz", "d.png", "photo.png",
    ]  # fmt: skip
    return Path("d.png")


def test_a_mix_of_nothing_is_the_dream_to_the_byte(saved):
    kd.mix(saved, octave_strengths="1, 1").save("mix.png")
    assert np.array_equal(read_picture("mix.png").pixels, read_picture("d.png").pixels)
    kd.mix(saved).save("same.png")
    assert Path("same.png").read_bytes() == saved.read_bytes()


def test_strengths_of_nothing_are_the_photo(saved):
    mixed = kd.mix(saved, octave_strengths="0, 0")
    photo = read_picture("photo.png").pixels
    np.testing.assert_allclose(mixed.image, photo, atol=5e-4)


@pytest.mark.parametrize(
    "flags",
    [
        ("--octave-strengths", "0.5,-1"),
        ("--octave-strengths", "0,2", "--keep-colors"),
        ("--mask", "box(0%, 0%, 50%, 100%, feather=5)"),
        ("--keep-detail", "0.6", "--colors", "soft_clip + palette(guides/guide.png)"),
    ],
)
def test_a_mix_replays_to_the_same_file(saved, dream, flags):
    Path("guides").mkdir()
    guide = np.random.default_rng(8).random((9, 7, 3)).astype(np.float32)
    save_picture("guides/guide.png", guide)
    code, out, error = dream("mix", saved, *flags, "-o", "m.png")
    assert code == 0, error
    assert out.strip() == "m.png"
    assert not np.array_equal(read_picture("m.png").pixels, read_picture(saved).pixels)
    code, _, error = dream(
        "replay", "m.png", "-o", "r.png", "--file", "guides/guide.png"
    )
    assert code == 0, error
    assert Path("r.png").read_bytes() == Path("m.png").read_bytes()
    # And a recipe that was mixed dreams the same at once.
    recipe = kd.Recipe.read(read_notes("m.png")["recipe"])
    run = kd.RunSettings.of(json.loads(read_notes("m.png")["record"])["run"])
    again = kd.Dreamer("motif", run=run, files=["guides/guide.png"])
    assert np.array_equal(
        again.dream("photo.png", recipe).image,
        kd.mix(saved, files=["guides/guide.png"], **mixed_settings(recipe)).image,
    )


def mixed_settings(recipe):
    names = ("octave_strengths", "keep_detail", "colors", "keep_colors", "blend_mask")
    return {name: getattr(recipe, name) for name in names}


def test_a_dream_that_was_stopped_is_mixed_and_replays(motif, photo, dream):
    recipe = kd.Recipe(octaves=2, steps=3, jitter=2, step_size=0.02)
    run = kd.Dreamer("motif").steps(photo, recipe, keep_octaves=True)
    for _ in range(4):
        step = next(run)
    step.dream.save("d.png")
    assert not step.dream.record.complete
    kd.mix("d.png", octave_strengths="0.5, 2").save("m.png")
    code, _, error = dream("replay", "m.png", "-o", "r.png")
    assert code == 0, error
    assert Path("r.png").read_bytes() == Path("m.png").read_bytes()


@pytest.mark.parametrize("source", ["photo.png", "noise:40x32"])
def test_what_wraps_or_starts_without_a_photo_is_mixed(dream, photo, source):
    code, _, error = dream(
        source, *SHORT, "--wrap", "both", "--save-octaves", "-o", "d.png"
    )
    assert code == 0, error
    kd.mix("d.png").save("same.png")
    assert Path("same.png").read_bytes() == Path("d.png").read_bytes()
    kd.mix("d.png", octave_strengths="0.5, 2", blend=0.8).save("m.png")
    code, _, error = dream("replay", "m.png", "-o", "r.png")
    assert Path("r.png").read_bytes() == Path("m.png").read_bytes(), error


def test_transparency_stays(dream, photo):
    code, _, error = dream(
        photo, *SHORT, "--transparency", "--save-octaves", "-o", "d.png"
    )
    assert code == 0, error
    kd.mix("d.png").save("same.png")
    assert Path("same.png").read_bytes() == Path("d.png").read_bytes()
    assert read_picture("same.png").alpha.std() > 0


def test_a_small_dream_on_a_large_photo_is_mixed(dream, photo):
    size = ("--size", 40, "--full-size", "--save-octaves", "-o", "d.png")
    code, _, error = dream(photo, *SHORT, *size)
    assert code == 0, error
    kd.mix("d.png", octave_strengths="0, 1").save("m.png")
    assert read_picture("m.png").pixels.shape == (40, 60, 3)
    code, _, error = dream("replay", "m.png", "-o", "r.png")
    assert Path("r.png").read_bytes() == Path("m.png").read_bytes(), error


def test_what_cannot_be_mixed(saved, dream, tmp_path):
    with pytest.raises(SettingError, match="dream the photo again"):
        kd.mix(saved, steps=3)
    with pytest.raises(SettingError, match="each octave; received 3 for 2"):
        kd.mix(saved, octave_strengths="1, 1, 1")
    with pytest.raises(SettingError, match="blend_mask"):
        kd.mix(saved, mask="alpha")
    with pytest.raises(SettingError, match="'blend', the nearest"):
        kd.mix(saved, blent=3)
    with pytest.raises(SettingError, match="from 0 to 1"):
        kd.mix(saved, blend=3)
    shutil.copy(saved, "alone.png")
    with pytest.raises(PictureError, match="--save-octaves"):
        kd.mix("alone.png")
    code, _, error = dream("photo.png", "--save-octaves", "-o", "-")
    assert code == 2
    assert "leave out --save-octaves" in error
    code, _, error = dream("mix", saved, "-o", "photo.png")
    assert code == 2
    assert "new name" in error
    code, _, error = dream("mix", saved, "-o", "d.png", "--yes")
    assert code == 2, error


def test_octaves_of_another_picture_are_refused(saved, dream):
    dream("photo.png", *SHORT, "--seed", 5, "--save-octaves", "-o", "other.png")
    with pytest.raises(InputError, match="must belong to its picture"):
        kd.mix(saved, octaves="other.octaves.npz")
    shutil.copy("other.octaves.npz", octaves_path(saved))
    with pytest.raises(InputError, match="must belong to its picture"):
        kd.mix(saved)


def rewritten(path, change):
    """Writes an archive again with its entries, bytes by name, changed."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


def array(values, **options):
    file = io.BytesIO()
    np.lib.format.write_array(file, values, **options)
    return file.getvalue()


FORGED = {
    "another size": array(np.zeros((2, 2, 3), np.float32)),
    "another type": array(np.zeros((40, 60, 3), np.float64)),
    "objects": array(np.array([{}], object), allow_pickle=True),
    "not finite": array(np.full((40, 60, 3), np.nan, np.float32)),
    "Fortran": array(np.asfortranarray(np.zeros((40, 60, 3), np.float32))),
    "short": array(np.zeros((40, 60, 3), np.float32))[:-4],
    "long": array(np.zeros((40, 60, 3), np.float32)) + b"x",
    "no array": b"hello",
    "open header": b"\x93NUMPY\x01\x00\x06\x00{'a':(",
    "other keys": b"\x93NUMPY\x01\x00\x0c\x00{1:2, 'a':3}",
    "nothing": b"",
}


@pytest.mark.parametrize("data", FORGED.values(), ids=FORGED)
def test_forged_octaves_are_refused_in_one_sentence(saved, data):
    path = octaves_path(saved)
    rewritten(path, lambda entries: entries.update({"image.npy": data}))
    with pytest.raises(InputError, match="must be whole"):
        read_octaves(path, saved, (40, 60))


def test_damaged_octaves_are_refused_in_one_sentence(saved):
    path = octaves_path(saved)
    whole = path.read_bytes()
    for cut in (1, 30, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:cut])
        with pytest.raises(InputError, match="must be whole"):
            kd.mix(saved)
    rewritten_entries = bytearray(whole)
    rewritten_entries[200:260] = bytes(60)
    path.write_bytes(rewritten_entries)
    with pytest.raises(InputError, match="must be whole"):
        kd.mix(saved)


def test_a_bomb_is_not_unpacked(saved):
    """A header may claim any size: no more is read than the picture's own."""
    path = octaves_path(saved)
    huge = array(np.zeros((40, 60, 3), np.float32)) + bytes(50_000_000)
    rewritten(path, lambda entries: entries.update({"image.npy": huge}))
    with pytest.raises(InputError, match="must be whole"):
        kd.mix(saved)


def test_a_mix_does_not_replace_its_photo(saved, dream):
    before = Path("photo.png").read_bytes()
    code, _, error = dream("mix", saved, "-o", "photo.png", "--yes")
    assert (code, "must not replace its own photo" in error) == (2, True)
    assert Path("photo.png").read_bytes() == before


def with_record(path, **changes):
    """Writes a dream again with another record, as a forger would."""
    notes = read_notes(path)
    record = json.loads(notes["record"]) | changes
    notes["record"] = json.dumps(record)
    save_picture(path, read_picture(path).pixels, notes=notes)


@pytest.mark.parametrize(
    ("size", "must"),
    [
        ((41, 60), "must have the size of its source"),
        ((-1, 60), "record is missing or broken"),
        ((0, 0), "record is missing or broken"),
    ],
)
def test_a_record_of_another_size_is_refused(saved, size, must):
    with_record(saved, size=size)
    with pytest.raises(PictureError, match=must):
        kd.mix(saved)


@pytest.mark.parametrize("source", ["photo.png", "noise:9000x9000"])
def test_what_is_larger_than_the_memory_is_not_begun(saved, source, monkeypatch):
    total = {"total": 8_000_000_000}
    monkeypatch.setattr("keras_dream.backend.host.memory", lambda: total)
    with_record(saved, size=(9000, 9000), source=source)
    with pytest.raises(InputError, match=r"into the 8\.0 GB"):
        kd.mix(saved)


def test_a_source_without_a_photo_has_the_recorded_size(saved):
    with_record(saved, source="noise:9000x9000")
    with pytest.raises(PictureError, match="must have the size of its source"):
        kd.mix(saved)


def test_octaves_of_another_format_are_not_replaced(saved, dream):
    before = octaves_path(saved).read_bytes()
    line = ("photo.png", *SHORT, "--seed", 4, "--save-octaves", "-o", "d.jpg")
    code, _, error = dream(*line)
    assert (code, "received 'd.octaves.npz'" in error) == (2, True)
    assert octaves_path(saved).read_bytes() == before
    assert dream(*line, "--yes")[0] == 0
    assert octaves_path(saved).read_bytes() != before


def test_octaves_are_the_same_file_each_time(saved, dream):
    before = octaves_path(saved).read_bytes()
    dream("photo.png", *SHORT, "--save-octaves", "-o", "d.png", "--yes")
    assert octaves_path(saved).read_bytes() == before
