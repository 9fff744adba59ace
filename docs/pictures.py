"""Makes the pictures of the documentation: `python docs/pictures.py`.

They are dreamed by this project; the cat is `chelsea` of scikit-image (CC0). Gradient
ascent is chaotic: another machine makes them alike, not equal.
"""

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SKY = HERE.parent / "examples" / "sky.jpg"
GAP = 12  # pixels between pictures
LOOKS = (("owl", "butterfly", "beetle"), ("honeycomb", "fur", "mushroom"))


def joined(pictures: list[np.ndarray], axis: int) -> np.ndarray:
    """Returns pictures side by side (axis 1) or one below the other (axis 0)."""
    shape = list(pictures[0].shape)
    shape[axis] = GAP
    gap = np.ones(shape, np.float32)
    parts = [part for picture in pictures for part in (gap, picture)][1:]
    return np.concatenate(parts, axis=axis)


def before_after() -> np.ndarray:
    """Returns the sky beside its dream, float32 (height, width, 3)."""
    import keras_dream as kd
    from keras_dream.images import read_picture

    return joined([read_picture(SKY).pixels, kd.dream(SKY).image], 1)


def looks() -> np.ndarray:
    """Returns the cat as six classes of `motif` see it, float32 (height, width, 3)."""
    from skimage import data

    import keras_dream as kd

    dreamer, cat = kd.Dreamer("motif"), data.chelsea()
    rows = [
        [dreamer.dream(cat, kd.Recipe(objective=f"class:{c}")).image for c in classes]
        for classes in LOOKS
    ]
    return joined([joined(row, 1) for row in rows], 0)


def several() -> np.ndarray:
    """Returns the sky as `motif`, SqueezeNet and both dream it, side by side."""
    from PIL import Image

    import keras_dream as kd

    dreamer = kd.Dreamer(["motif", "squeezenet"])
    sky = Image.open(SKY).resize((480, 320))
    one, other, both = (
        kd.dream(sky).image,
        kd.dream(sky, network="squeezenet").image,
        dreamer.dream(sky).image,
    )
    return joined([one, other, both], 1)


def digits() -> np.ndarray:
    """Returns the cat as the network of own-model.md sees it: as 3, as 8, as 0."""
    import os
    import re
    import tempfile

    from skimage import data

    import keras_dream as kd

    page = (HERE / "own-model.md").read_text("utf-8")
    block = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    here, names = Path.cwd(), {}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            exec(compile(block, "own-model.md", "exec"), names)  # noqa: S102
        finally:
            os.chdir(here)
    dreamer = kd.Dreamer(names["model"], preprocessing="0-1")
    cat = data.chelsea()[:280, 80:360]
    row = [
        dreamer.dream(
            cat, kd.Recipe(objective=f"class:{c}", octaves=3, octave_scale=1.6)
        )
        for c in (3, 8, 0)
    ]
    return joined([dream.image for dream in row], 1)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent / "src"))
    from keras_dream.images import save_picture

    save_picture(HERE / "before-after.jpg", before_after())
    save_picture(HERE / "looks.jpg", looks())
    save_picture(HERE / "several-networks.jpg", several())
    save_picture(HERE / "digits.jpg", digits())
