"""Makes docs/colors.jpg, one dream under each treatment: `python docs/colors.py`.

The photograph is `coffee` of scikit-image (by Rachel Michetti, CC0), the palette our
sky. It prints the mean chroma (OKLab) and the share of black and white values of each.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SKY = HERE.parent / "examples" / "sky.jpg"
CELL, LABEL, COLUMNS = (240, 360), 20, 4  # pixels
TREATMENTS = (
    "blend=0.5", "keep_colors", "keep_detail=1", "colors=soft_clip",
    "colors=defringe(2)", "colors=defringe + soft_clip + chroma(2)",
    "colors=chroma_limit(0.08)", "colors=contrast_lock(12)", f"colors=palette({SKY})",
    "colors=decorrelate(1)",
)  # fmt: skip


def images(folder: Path) -> dict[str, np.ndarray]:
    """Returns the photo, its dream and each treatment of it by their labels."""
    from PIL import Image
    from skimage import data

    import keras_dream as kd
    from keras_dream.pictures.picture import read_picture

    photo = folder / "coffee.png"
    Image.fromarray(data.coffee()).save(photo)
    kd.dream(photo, keep_octaves=True).save(folder / "dream.png")
    mixer = kd.Mixer(folder / "dream.png")
    found = {"the photo": read_picture(photo).pixels, "its dream": mixer.mix().image}
    for text in TREATMENTS:
        name, _, value = text.partition("=")
        image = mixer.mix(**{name: value or True}).image
        found[text.replace(str(SKY), SKY.name)] = image
    return found


def sheet(cells: dict[str, np.ndarray]) -> np.ndarray:
    """Returns labelled cells in rows, uint8 (height, width, 3)."""
    from keras_dream.pictures.drawing import Text, Tile, paint, resize

    items: list[Text | Tile] = []
    for place, (label, image) in enumerate(cells.items()):
        y = place // COLUMNS * (CELL[0] + LABEL)
        x = place % COLUMNS * (CELL[1] + 4)
        items += [
            Text(x, y + 2, label, 14),
            Tile(x, y + LABEL, resize(image, CELL)),
        ]
    rows = -(-len(cells) // COLUMNS)
    size = (rows * (CELL[0] + LABEL), COLUMNS * (CELL[1] + 4) - 4)
    return paint(size, items)


def main() -> None:
    """Prints the figures and writes the sheet."""
    from PIL import Image

    from keras_dream.parts.colorspaces import colorfulness
    from keras_dream.pictures.decoding import to_float
    from keras_dream.pictures.picture import to_uint8

    with tempfile.TemporaryDirectory() as folder:
        cells = images(Path(folder))
    for label, image in cells.items():
        values = to_uint8(image)
        clipped = np.mean((values == 0) | (values == 255))
        chroma = colorfulness(to_float(values)).mean()
        sys.stdout.write(f"{label}: chroma {chroma:.3f}, clipped {clipped:.1%}\n")
    Image.fromarray(sheet(cells)).save(HERE / "colors.jpg", quality=85)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent / "src"))
    main()
