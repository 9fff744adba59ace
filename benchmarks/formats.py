"""How large, how good and how quickly written is a film in each format?

    python benchmarks/formats.py [--frames 48] [--steps 10] [--only h264,gif]

A dreamed photo, over which a camera moves by fractions of pixels, with a little noise
in each frame, at 640 × 360. Films are read again, and their PSNR in sRGB is that of all
frames. The default of each codec stands beside other qualities.
"""

import argparse
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
SIZE = (360, 640)
MOTION = (0.7, 1.9)  # (down, across) pixels a frame
EQUAL = 1e-6  # a mean square error of float32 images that are equal
NOISE = 1.5  # levels of 256: what a dream's ascent changes from frame to frame

# Name, suffix, codec and qualities; the default is None.
CASES = (
    ("h264", ".mp4", "h264", (14, None, 23)),
    ("hevc", ".mp4", "hevc", (None, 24)),
    ("av1", ".mp4", "av1", (20, None, 40)),
    ("vp9", ".webm", "vp9", (16, None, 32)),
    ("prores", ".mov", "prores", (None,)),
    ("gif", ".gif", None, (None,)),
    ("webp", ".webp", None, (60, None, 95)),
    ("png", "", None, (None,)),
)


def frames_of(count, steps):
    """Returns a pan over a dreamed photo, uint8 (frames, height, width, 3)."""
    import cv2

    import keras_dream as kd

    photo = cv2.imread(str(ROOT / "docs/photos/cat.jpg"))[..., ::-1]
    photo = cv2.resize(photo, (902, 600), interpolation=cv2.INTER_CUBIC)
    dream = kd.dream(np.float32(photo) / 255, steps=steps).image
    rng, frames = np.random.default_rng(0), []
    for k in range(count):
        shift = np.float32([[1, 0, -MOTION[1] * k - 9], [0, 1, -MOTION[0] * k - 99]])
        frame = cv2.warpAffine(dream, shift, SIZE[::-1], flags=cv2.INTER_LANCZOS4)
        frame = 255 * frame + rng.normal(0, NOISE, frame.shape)
        frames.append(np.rint(np.clip(frame, 0, 255)).astype(np.uint8))
    return np.stack(frames)


def psnr(path, frames):
    """Returns the peak signal-to-noise ratio of a film in decibels."""
    from keras_dream.video.source import open_source

    errors = [
        np.mean((255.0 * frame.image - frames[frame.number]) ** 2)
        for frame in open_source(path).frames()
    ]
    return (
        10 * np.log10(255**2 / np.mean(errors)) if np.mean(errors) > EQUAL else np.inf
    )


def measure(frames, folder, case):
    """Prints a row for each quality of a codec."""
    from keras_dream.video.frames import Clip, Stamp
    from keras_dream.video.sink import Encoding, write_film

    tick = Fraction(1, 25)
    stamps = tuple(Stamp(k * tick, tick) for k in range(len(frames)))
    clip = Clip("pan", "", frames.shape[1:3], stamps, tick, 1 / tick)
    name, suffix, codec, qualities = case
    for quality in qualities:
        path = folder / f"{name}-{quality}{suffix}"
        encoding = Encoding(codec=codec, quality=quality)
        began = time.perf_counter()
        write_film(path, clip, frames, encoding=encoding)
        rate = len(frames) / (time.perf_counter() - began)
        files = list(path.iterdir()) if path.is_dir() else [path]
        bits = 8 * sum(file.stat().st_size for file in files) / float(clip.seconds)
        text = "default" if quality is None else quality
        decibels = psnr(path, frames)
        print(
            f"| {name} | {text} | {bits / 1e6:.1f} | {decibels:.1f} | {rate:.0f} |",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--only", default=",".join(name for name, *_ in CASES))
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT / "src"))
    frames = frames_of(options.frames, options.steps)
    print("| codec | quality | Mbit/s | PSNR, dB | frames a second |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            if case[0] in options.only.split(","):
                measure(frames, Path(folder), case)


if __name__ == "__main__":
    main()
