"""Makes the pictures of the documentation: `python docs/pictures.py`.

They are dreamed by this project on the photographs in `photos`, of which its README
has the sources, on `examples/sky.jpg`, and, for classes and layers, on scikit-image's
`chelsea` (CC0) and `astronaut` (NASA, public domain). Gradient ascent is chaotic:
another machine makes them alike, not equal.
"""

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SKY = HERE.parent / "examples" / "sky.jpg"
GAP = 12  # pixels between pictures
LOOKS = {  # which photograph shows a look best
    "default": "pavilion",
    "keep": "cat",
    "eyes": "hopper",
    "birds": "dahlia",
    "peacock": "dahlia",
    "reef": "pavilion",
    "scales": "hopper",
    "snakes": "pavilion",
    "arches": "pavilion",
    "beads": "cat",
    "bloom": "dahlia",
    "psychedelic": "hopper",
}
ROW = ("pavilion", "hopper", "dahlia", "galaxies")  # of the sheet of all looks
ROW_SIDE = 320  # pixels of its pictures
SIZE = (480, 320)  # of a look's picture
CELL = (240, 160)  # of a class's or a layer's


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
    from keras_dream.pictures.picture import read_picture

    return joined([read_picture(SKY).pixels, kd.dream(SKY).image], 1)


def photographs(size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Returns the pictures to dream on, cut to one size, uint8 (height, width, 3)."""
    from PIL import Image, ImageOps
    from skimage import data

    every = {
        "sky": Image.open(SKY),
        "cat": Image.fromarray(data.chelsea()),
        "astronaut": Image.fromarray(data.astronaut()),
    }
    return {
        name: np.asarray(ImageOps.fit(picture, size, centering=(0.5, 0.2)))
        for name, picture in every.items()
    }


def looks() -> dict[str, np.ndarray]:
    """Returns a picture of each look, float32 (height, width, 3)."""
    import keras_dream as kd

    dreamer = kd.Dreamer("motif")
    return {
        look: dreamer.dream(HERE / "photos" / f"{name}.jpg", look).image
        for look, name in LOOKS.items()
    }


def sheet() -> np.ndarray:
    """Returns four photographs, a column each, in every look, a row each."""
    from PIL import Image

    import keras_dream as kd

    dreamer, photos = kd.Dreamer("motif"), []
    for name in ROW:
        photo = Image.open(HERE / "photos" / f"{name}.jpg").convert("RGB")
        photo.thumbnail((ROW_SIDE, ROW_SIDE), Image.Resampling.LANCZOS)
        photos.append(np.float32(photo) / 255)
    rows = [joined([fitted(photo, CELL) for photo in photos], 1)]
    for look in LOOKS:
        row = [fitted(dreamer.dream(photo, look).image, CELL) for photo in photos]
        rows.append(joined([labelled(row[0], look), *row[1:]], 1))
    half = (len(rows) + 1) // 2
    blank = np.ones_like(rows[0])
    left, right = rows[:half], [*rows[half:], blank][:half]
    return joined([joined(left, 0), joined(right, 0)], 1)


def fitted(image: np.ndarray, size: tuple[int, int] = (320, 213)) -> np.ndarray:
    """Returns a picture in the middle of a white cell of (width, height)."""
    from PIL import Image, ImageOps

    page = Image.fromarray(np.uint8(np.round(np.clip(image, 0, 1) * 255)))
    return np.float32(ImageOps.pad(page, size, color="white")) / 255


def motif_sheets() -> dict[str, np.ndarray]:
    """Returns what each layer of `motif` makes of a portrait, each class of the sky."""
    import keras_dream as kd

    dreamer, every = kd.Dreamer("motif"), photographs(CELL)
    layers = [f"mixed{n}" for n in range(6)] + ["motifs:0-27"]
    classes = [f"class:{name}" for name in dreamer.graph.classes[:-1]]
    sheets = {}
    for name, objectives, photo in (
        ("layers", layers, every["astronaut"]),
        ("classes", classes, every["sky"]),
    ):
        cells = [
            labelled(
                dreamer.dream(
                    photo, kd.Recipe(objective=objective, octaves=4, step_size=0.005)
                ).image,
                objective.removeprefix("class:"),
            )
            for objective in objectives
        ]
        rows = [joined(cells[i : i + 4], 1) for i in range(0, len(cells), 4)]
        width = rows[0].shape[1]
        filled = [
            np.pad(r, ((0, 0), (0, width - r.shape[1]), (0, 0)), constant_values=1)
            for r in rows
        ]
        sheets[f"motif-{name}"] = joined(filled, 0)
    return sheets


def labelled(picture: np.ndarray, text: str) -> np.ndarray:
    """Returns a picture with white, black-rimmed words in its upper left corner."""
    from PIL import Image, ImageDraw, ImageFont

    page = Image.fromarray(np.uint8(np.round(np.clip(picture, 0, 1) * 255)))
    ImageDraw.Draw(page).text(
        (6, 3),
        text,
        fill="white",
        font=ImageFont.load_default(16),
        stroke_width=2,
        stroke_fill="black",
    )
    return np.float32(page) / 255


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
    from keras_dream.pictures.encoding import save_picture

    save_picture(HERE / "before-after.jpg", before_after())
    (HERE / "looks").mkdir(exist_ok=True)
    shown = looks()
    for look, image in shown.items():
        save_picture(HERE / "looks" / f"{look}.jpg", image)
    chosen = [labelled(fitted(shown[look]), look) for look in LOOKS]
    rows = [joined(chosen[i : i + 4], 1) for i in range(0, len(chosen), 4)]
    save_picture(HERE / "looks.jpg", joined(rows, 0))
    save_picture(HERE / "looks-sheet.jpg", sheet())
    for name, image in motif_sheets().items():
        save_picture(HERE / f"{name}.jpg", image)
    save_picture(HERE / "several-networks.jpg", several())
    save_picture(HERE / "digits.jpg", digits())
