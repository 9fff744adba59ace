"""What a result keeps of its photo's metadata, from the shell."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from keras_dream.pictures.picture import read_picture

SHORT = ("--octaves", 1, "--steps", 1, "--jitter", 2)


@pytest.fixture
def taken(photo: Path) -> Path:
    """A photo with a camera, a copyright and a place."""
    exif = Image.Exif()
    exif.update({271: "Nikon", 33432: "Ada"})
    place = exif.get_ifd(0x8825)
    place.update({1: "N", 2: (51.0, 28.0, 38.0)})
    exif[0x8825] = place
    with Image.open(photo) as image:
        image.save("taken.jpg", exif=exif)
    return Path("taken.jpg")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize("strip", [False, True])
def test_metadata_is_kept_or_stripped_and_replays(
    dream: Callable[..., Any], taken: Path, suffix: str, *, strip: bool
) -> None:
    flags = ("--strip",) if strip else ()
    code, _, error = dream(taken, *SHORT, *flags, "-o", f"d{suffix}")
    assert code == 0, error
    with Image.open(f"d{suffix}") as image:
        exif = image.getexif()
    assert (exif.get(271), exif.get(33432)) == (
        (None, None) if strip else ("Nikon", "Ada")
    )
    assert not exif.get_ifd(0x8825)
    code, _, error = dream("replay", f"d{suffix}", "-o", f"r{suffix}")
    assert code == 0, error
    assert Path(f"r{suffix}").read_bytes() == Path(f"d{suffix}").read_bytes()
    assert "equals the saved one" in error


def test_an_animation_dreams_its_first_frame_and_says_so(
    dream: Callable[..., Any], photo: Path
) -> None:
    image = read_picture(photo).pixels
    frames = [Image.fromarray(np.uint8(255 * np.roll(image, n, 0))) for n in range(3)]
    frames[0].save("moving.gif", save_all=True, append_images=frames[1:])
    code, _, error = dream("moving.gif", *SHORT, "-o", "d.png")
    assert code == 0
    assert "Only the first of 3 frames or pages is dreamed." in error
    assert "first of 3" in dream("show", "d.png")[1]
