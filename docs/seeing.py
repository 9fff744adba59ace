"""Makes the pictures of docs/seeing-inside.md: `python docs/seeing.py`.

The cat is `chelsea` of scikit-image (CC0).
"""

import sys
from pathlib import Path

import numpy as np
from pictures import joined

HERE = Path(__file__).parent
LAYERS = ("mixed1", "mixed3", "mixed5")


def seen() -> np.ndarray:
    """Returns the page of heat maps of the cat, float32 (height, width, 3)."""
    from skimage import data

    import keras_dream as kd
    from keras_dream.pictures.picture import Picture, as_picture

    cat = Picture(as_picture(data.chelsea()).pixels, name="cat.jpg")
    return kd.explain(cat, layers=LAYERS, top=5).image()


def strongest() -> np.ndarray:
    """Returns dreams of the cat: a layer, eight of its channels, and one of them."""
    from skimage import data

    import keras_dream as kd

    dreamer, cat = kd.Dreamer("motif"), data.chelsea()
    objectives = ("mixed4", "mixed4:strongest(8)", "mixed4:strongest(1)")
    pictures = [
        dreamer.dream(cat, kd.Recipe(objective=objective)).image
        for objective in objectives
    ]
    return joined(pictures, 1)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent / "src"))
    from keras_dream.pictures.encoding import save_picture

    save_picture(HERE / "seen.jpg", seen())
    save_picture(HERE / "strongest.jpg", strongest())
