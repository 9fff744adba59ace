"""Every command that chooses a name keeps it from the beginning."""

from pathlib import Path

from keras_dream.claims import claim

SHORT = ("--steps", 1, "--octaves", 2)
COMMANDS = {
    "photo-dream.png": ("photo.png", *SHORT),
    "d-dream.png": ("replay", "d.png"),
    "d-mix.png": ("mix", "d.png"),
    "photo-seen.png": ("explain", "photo.png", "--layers", "near"),
    "photo-grid.png": ("grid", "photo.png", "--x", "seed=1|2", *SHORT),
    "photo-variations.png": ("photo.png", "--variations", 2, *SHORT),
    "motif-atlas.png": ("atlas", "motif", "--layers", "near", "--channels", "0",
                        "--size", 24, "--steps", 1),
}  # fmt: skip


def test_names(dream, photo):
    assert dream(photo, *SHORT, "--save-octaves", "-o", "d.png")[0] == 0
    for name, command in COMMANDS.items():
        other = f"{Path(name).stem}-2.png"
        with claim(Path(name), exact=True):
            # Another run makes it.
            code, _, err = dream(*command, "-o", name)
            assert code == 2, (name, err)
            assert f"{name}', which process" in err
            code, out, err = dream(
                *command, "--quiet" if command[0] != "mix" else "--json"
            )
            assert code == 0, (name, err)
        assert other in out
        assert Path(other).exists()
        assert not Path(name).exists()
    assert not list(Path().glob(".*"))
