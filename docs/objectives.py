"""Makes the pictures of docs/directing.md on objectives: `python docs/objectives.py`.

The photographs are those of scikit-image: the cat `chelsea`, `brick` and `gravel`
(CC0), and the Hubble deep field of NASA (public domain). The variations are dreamed
with SqueezeNet, whose weights are downloaded.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from pictures import SKY, joined

HERE = Path(__file__).parent
SIZE = (300, 200)
WIDTH, MOST_BYTES = 800, 80_000
GUIDES = (
    ("hubble_deep_field", "guide({}, mixed3, gram)"),
    ("brick", "guide({}, mixed3, gram)"),
    ("gravel", "guide({}, mixed2)"),
)
CARICATURES = ("caricature(mixed1)", "caricature(mixed3)", "caricature(mixed5)")
SETTINGS: dict[str, Any] = {"octaves": 3, "steps": 20, "step_size": 0.005}


def photograph(name: str, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Returns a photograph of scikit-image, cut to a size, uint8 (h, w, 3)."""
    from PIL import Image, ImageOps
    from skimage import data

    picture = Image.fromarray(getattr(data, name)()).convert("RGB")
    return np.asarray(ImageOps.fit(picture, size, centering=(0.5, 0.2)))


def guides(dreamer: Any) -> np.ndarray:
    """Returns the guides, and below each the cat that was guided by it."""
    from keras_dream.pictures.encoding import save_picture
    from keras_dream.pictures.picture import as_picture

    columns: list[np.ndarray] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, objective in GUIDES:
            guide = as_picture(photograph(name, (480, 320))).pixels
            path = Path(folder) / f"{name}.png"
            save_picture(path, guide)
            dream = dreamer.dream(photograph("chelsea"), recipe(objective.format(path)))
            small = as_picture(photograph(name)).pixels
            columns.append(joined([small, dream.image], 0))
    return joined(columns, 1)


def caricatures(dreamer: Any) -> np.ndarray:
    """Returns the cat as three layers exaggerate it."""
    cat = photograph("chelsea")
    dreams = [dreamer.dream(cat, recipe(text)).image for text in CARICATURES]
    return joined(dreams, 1)


def variations(dreamer: Any) -> np.ndarray:
    """Returns three variations by their seeds, and below them three diverse ones."""
    rows: list[np.ndarray] = []
    for diversity in (0, 3):
        dreams = dreamer.variations(
            photograph("chelsea"), recipe("fire6"), count=3, diversity=diversity
        )
        rows.append(joined([dream.image for dream in dreams], 1))
    return joined(rows, 0)


def seeds(dreamer: Any) -> np.ndarray:
    """Returns three dreams of which the seed chooses channels and places."""
    drawn = recipe(
        "mixed4:strongest(3, of=24)",
        regions=[
            "random: mixed3:strongest(4, of=30)",
            "random(1): mixed5:strongest(2, of=24)",
        ],
        loss="even",
    )
    cat = photograph("chelsea", (360, 240))
    return joined([dreamer.dream(cat, drawn.but(seed=n)).image for n in range(3)], 1)


def even(dreamer: Any) -> np.ndarray:
    """Returns the sky as it is, by the default loss, and by `even`."""
    from PIL import Image, ImageOps

    from keras_dream.pictures.picture import as_picture

    sky = ImageOps.fit(Image.open(SKY), SIZE)
    dreams = [
        dreamer.dream(sky, recipe("mixed3 + 0.3*mixed5", loss=loss)).image
        for loss in ("l2_mean", "even(power=0.3)")
    ]
    return joined([as_picture(sky).pixels, *dreams], 1)


def save(name: str, image: np.ndarray) -> None:
    """Writes a picture of at most `WIDTH` pixels and about `MOST_BYTES` bytes."""
    from PIL import Image

    from keras_dream.pictures.picture import to_uint8

    picture = Image.fromarray(to_uint8(image))
    picture.thumbnail((WIDTH, WIDTH), Image.Resampling.LANCZOS)
    path = HERE / "directing" / f"{name}.jpg"
    for quality in range(90, 40, -5):
        picture.save(path, quality=quality, optimize=True, progressive=True)
        if path.stat().st_size <= MOST_BYTES:
            return


def recipe(objective: str, **settings: Any) -> Any:
    """Returns the recipe of a picture."""
    import keras_dream as kd

    return kd.Recipe(objective=objective, **SETTINGS, **settings)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent / "src"))
    import keras_dream as kd

    (HERE / "directing").mkdir(exist_ok=True)
    motif = kd.Dreamer("motif")
    for made in (guides, caricatures, seeds, even):
        save(made.__name__, made(motif))
    save("variations", variations(kd.Dreamer("squeezenet")))
