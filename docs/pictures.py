"""Makes the pictures of the documentation: `python docs/pictures.py`.

They are dreamed by this project from pictures of this project. Gradient ascent is
chaotic: another machine makes them alike, not equal.
"""

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SKY = HERE.parent / "examples" / "sky.jpg"
GAP = 12  # pixels between the two halves


def before_after() -> np.ndarray:
    """Returns the sky beside its dream, float32 (height, width, 3)."""
    import keras_dream as kd
    from keras_dream.images import read_picture

    sky = read_picture(SKY).pixels
    gap = np.ones((sky.shape[0], GAP, 3), np.float32)
    return np.concatenate([sky, gap, kd.dream(SKY).image], axis=1)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent / "src"))
    from keras_dream.images import save_picture

    save_picture(HERE / "before-after.jpg", before_after())
