"""Contact sheets of the shipped network, to judge it by: `python training/sheets.py`.

Needs `keras_dream` installed, scikit-image and scikit-learn for their photographs and,
for `pairs`, SqueezeNet's weights (`KERAS_DREAM_WEIGHTS=<folder>`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

import keras_dream as kd
from keras_dream.pictures.picture import read_picture
from motifs import MOTIFS, single

HERE = Path(__file__).resolve().parent
SHEETS = HERE / "sheets"
SKY = HERE.parent / "examples" / "sky.jpg"
GAP = 6  # pixels between pictures
LAYERS = ("mixed0", "mixed1", "mixed2", "mixed3", "mixed4", "mixed5", "motifs:0-27")
QUALITY = 84  # of the sheets' JPEG
BOLD = 0.005  # a step that suits SqueezeNet, whose default ones are faint


def photographs() -> dict[str, np.ndarray]:
    """Return ten pictures to dream on, float32 (h, w, 3) in [0, 1]."""
    from skimage import data
    from sklearn.datasets import load_sample_images

    china, flower = load_sample_images().images
    found = {
        name: getattr(data, name)()
        for name in ("chelsea", "astronaut", "coffee", "rocket", "hubble_deep_field")
    }
    found["motorcycle"] = data.stereo_motorcycle()[0]
    found["camera"] = np.dstack([data.camera()] * 3)
    found |= {"china": china, "flower": flower}
    pictures = {name: np.float32(p) / 255 for name, p in found.items()}
    pictures["sky"] = read_picture(SKY).pixels
    return pictures


def fitted(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return the middle of a picture, cut and resized to (height, width)."""
    h, w = picture.shape[:2]
    scale = max(width / w, height / h)
    size = (max(width, round(w * scale)), max(height, round(h * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    large = np.clip(cv2.resize(picture, size, interpolation=how), 0, 1)
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    return np.ascontiguousarray(large[top : top + height, left : left + width])


def labelled(picture: np.ndarray, text: str) -> np.ndarray:
    """Return a copy with white, black-rimmed words in its upper left corner."""
    cell = np.ascontiguousarray(picture * 255).astype(np.uint8)
    for tone, width in ((0, 3), (255, 1)):
        paint = (tone, tone, tone)
        cv2.putText(cell, text, (6, 16), 0, 0.45, paint, width, cv2.LINE_AA)
    return np.float32(cell) / 255


def grid(cells: list[list[np.ndarray]]) -> np.ndarray:
    """Return rows of pictures of one size as one picture, on white."""
    height, width = cells[0][0].shape[:2]
    across, down = len(cells[0]), len(cells)
    shape = (down * (height + GAP) - GAP, across * (width + GAP) - GAP, 3)
    sheet = np.ones(shape, np.float32)
    for i, row in enumerate(cells):
        for j, cell in enumerate(row):
            top, left = i * (height + GAP), j * (width + GAP)
            sheet[top : top + height, left : left + width] = cell
    return sheet


def drawings() -> np.ndarray:
    """Return a sheet of what training draws: eight of each class."""
    halves = []
    names = list(MOTIFS)
    for part in (names[: len(names) // 2], names[len(names) // 2 :]):
        rows = []
        for name in part:
            each = [single(np.random.default_rng([5, k]), name, 96) for k in range(8)]
            rows.append([labelled(each[0], name), *each[1:]])
        halves.append(rows)
    return grid([a + b for a, b in zip(*halves, strict=True)])


def layers() -> np.ndarray:
    """Return a sheet of layers by photographs."""
    dreamer, every = kd.Dreamer("motif"), photographs()
    rows = []
    for name in ("sky", "astronaut", "china"):
        picture = fitted(every[name], 480, 320)
        recipes = [kd.Recipe(objective=layer, step_size=BOLD) for layer in LAYERS]
        rows.append(
            [
                labelled(dreamer.dream(picture, recipe).image, str(recipe.objective))
                for recipe in recipes
            ]
        )
    return grid([list(column) for column in zip(*rows, strict=True)])


def classes() -> np.ndarray:
    """Return a sheet of class dreams of the sky, unnamed, in a shuffled order."""
    names = list(MOTIFS)
    np.random.default_rng(9).shuffle(names)
    dreamer = kd.Dreamer("motif")
    sky = fitted(photographs()["sky"], 360, 240)
    cells = []
    for number, name in enumerate(names, 1):
        recipe = kd.Recipe(objective=f"class:{name}", step_size=BOLD)
        cells.append(labelled(dreamer.dream(sky, recipe).image, str(number)))
    key = dict(enumerate(names, 1))
    (SHEETS / "classes.json").write_text(json.dumps(key, indent=1) + "\n")
    return grid([cells[i : i + 4] for i in range(0, len(cells), 4)])


def steps() -> np.ndarray:
    """Return a sheet of octaves by step sizes."""
    dreamer = kd.Dreamer("motif")
    picture = fitted(photographs()["astronaut"], 480, 320)
    return grid(
        [
            [
                labelled(
                    dreamer.dream(
                        picture,
                        kd.presets["default"].but(octaves=octaves, step_size=size),
                    ).image,
                    f"{octaves} octaves, step {size}",
                )
                for size in (0.0015, 0.0025, 0.005, 0.01)
            ]
            for octaves in (2, 4, 6)
        ]
    )


def pairs() -> np.ndarray:
    """Return a sheet of `motif` beside SqueezeNet, sides drawn by lot."""
    ours, theirs = kd.Dreamer("motif"), kd.Dreamer("squeezenet")
    rng = np.random.default_rng(12)
    rows, key = [], {}
    for number, (name, photo) in enumerate(photographs().items(), 1):
        picture = fitted(photo, 600, 400)
        dreams = [
            ours.dream(picture, "default").image,
            theirs.dream(picture, kd.Recipe(step_size=BOLD)).image,
        ]
        swap = bool(rng.integers(2))
        left, right = dreams[::-1] if swap else dreams
        key[number] = {"picture": name, "motif": "right" if swap else "left"}
        rows.append(
            [labelled(left, f"{number} left"), labelled(right, f"{number} right")]
        )
    (SHEETS / "pairs.json").write_text(json.dumps(key, indent=1) + "\n")
    return grid(rows)


KINDS: dict[str, Callable[[], np.ndarray]] = {
    kind.__name__: kind for kind in (drawings, layers, classes, steps, pairs)
}


def main() -> None:
    """Make the sheets that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], default=list(KINDS))
    args = parser.parse_args()
    SHEETS.mkdir(exist_ok=True)
    for kind in args.kinds:
        sheet = np.round(np.clip(KINDS[kind](), 0, 1) * 255).astype(np.uint8)
        path = SHEETS / f"{kind}.jpg"
        cv2.imwrite(str(path), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        print(path, sheet.shape[1], "×", sheet.shape[0], flush=True)


if __name__ == "__main__":
    main()
