"""Makes the film of docs/video.md: a camera over three pictures, and its dream.

    python docs/video.py

It takes some minutes on two cores. The frames are kept in build/video, so that a second
run goes on where one was stopped. The pictures are our own sky and two photographs that
scikit-image has: a cup of coffee (Rachel Michetti, CC0) and Chelsea the cat (Stéfan van
der Walt, CC0).
"""

import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).parent
SKY = HERE.parent / "examples" / "sky.jpg"
KEPT = HERE.parent / "build" / "video"
FILM = KEPT / "video.webp"

SIZE = (400, 225)  # (width, height)
RATE = 12.5  # frames a second
QUALITY = 60  # of the WebP: the film has less than 2 MB

Look = tuple[float, float, float, float]
"""Where the camera looks: the middle (across, down) and the width as shares of the
picture's width and height, and how far it is turned, in degrees."""

SCENES: tuple[tuple[str, float, Look, Look], ...] = (
    ("sky", 3.6, (0.30, 0.46, 0.52, 0.0), (0.70, 0.52, 0.52, 0.0)),
    ("coffee", 3.2, (0.52, 0.52, 0.84, -6.0), (0.44, 0.40, 0.42, 8.0)),
    ("cat", 3.2, (0.38, 0.36, 0.52, 0.0), (0.50, 0.48, 0.90, 0.0)),
)
"""Pictures, seconds, and where the camera begins and ends."""


def main() -> None:
    """Writes the frames of the source, dreams them, and copies the film."""
    import keras_dream as kd

    write_frames(KEPT / "clip")
    encoding = kd.Encoding(quality=QUALITY)
    kd.dream_video(
        KEPT / "clip",
        FILM,
        "peacock",
        later_steps=6,
        rate=RATE,
        encoding=encoding,
        workers=1,
    ).finish()
    shutil.copy(FILM, HERE / FILM.name)


def write_frames(folder: Path) -> None:
    """Writes the source as numbered pictures, if they are not there."""
    frames = [
        (name, look)
        for name, seconds, first, last in SCENES
        for look in path(round(seconds * RATE), first, last)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {name: picture(name) for name, *_ in SCENES}
    for number, (name, look) in enumerate(frames):
        file = folder / f"{number:04}.png"
        if not file.exists():
            shown(pictures[name], look).save(file)


def picture(name: str) -> Image.Image:
    """Returns one of the pictures."""
    if name == "sky":
        return Image.open(SKY).convert("RGB")
    import skimage.data

    pixels = skimage.data.chelsea() if name == "cat" else skimage.data.coffee()
    return Image.fromarray(pixels)


def path(count: int, first: Look, last: Look) -> list[Look]:
    """Returns where the camera looks in each frame: it starts and ends softly."""
    times = np.linspace(0, 1, count)
    shares = (times + times * times * (3 - 2 * times)) / 2
    width = np.geomspace(first[2], last[2], count)  # a zoom of an even speed
    rest = [a + (b - a) * shares for a, b in zip(first, last, strict=True)]
    return list(zip(rest[0], rest[1], width, rest[3], strict=True))


def shown(image: Image.Image, look: Look) -> Image.Image:
    """Returns what the camera shows of a picture, sampled four times a pixel."""
    across, down, share, degrees = look
    width, height = 2 * SIZE[0], 2 * SIZE[1]
    scale = share * image.width / width
    angle = np.deg2rad(degrees)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    x = across * image.width - cos * width / 2 + sin * height / 2
    y = down * image.height - sin * width / 2 - cos * height / 2
    large = image.transform(
        (width, height),
        Image.Transform.AFFINE,
        (cos, -sin, x, sin, cos, y),
        Image.Resampling.BICUBIC,
    )
    return large.reduce(2)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent / "src"))
    main()
