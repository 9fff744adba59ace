"""What does a film cost beside its gradient steps, and how much does it flicker?

    python benchmarks/video.py [--quick] [--parts cost,flicker,drift,memory]
        [--height 180] [--rounds 3] [--threads 2]

- cost: a frame at 640 × 360 with the default recipe: what each part of a run takes of
  a processor, and whole films beside their gradient steps alone, in turn. Goal:
  everything beside the steps takes at most 15 %.
- flicker: a textured pan, dreamed as a film, frame by frame, and with plain frame
  blending. Goals at equal strength of the dreams: at most a third of the flicker of
  frame by frame, and at most that of blending.
- drift: of mean and contrast over a still. Goal: under 1 %.
- memory: of a run without steps, so that only what is around them is left. Goal: none.
"""

import argparse
import contextlib
import functools
import importlib
import itertools
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SOURCE = str(Path(__file__).parents[1] / "src")
MOTION = (0.7, 1.9)  # (down, across) pixels a frame
BLEND = 0.5  # of the frame before: graphific/DeepDreamVideo's default


def texture(size, seed=0):
    """A picture with details of many sizes, float32 in [0, 1]."""
    import cv2

    rng = np.random.default_rng(seed)
    image = np.zeros((*size, 3), np.float32)
    for cell, share in ((2, 0.2), (6, 0.3), (20, 0.3), (70, 0.3)):
        small = rng.standard_normal((size[0] // cell + 2, size[1] // cell + 2, 3))
        small = small.astype(np.float32)
        image += share * cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC)
    return np.clip(0.5 + 0.25 * image, 0, 1)


def pan(count, size, motion=MOTION):
    """A camera that moves over a texture; uint8 (frames, height, width, 3)."""
    import cv2

    down, across = motion
    more = (int(down * count) + 4, int(across * count) + 4)
    whole = texture((size[0] + more[0], size[1] + more[1]))
    frames = []
    for k in range(count):
        shift = np.float32([[1, 0, -across * k - 1], [0, 1, -down * k - 1]])
        frame = cv2.warpAffine(whole, shift, size[::-1], flags=cv2.INTER_CUBIC)
        frames.append(np.rint(255 * np.clip(frame, 0, 1)).astype(np.uint8))
    return np.stack(frames)


def written(folder, frames):
    """Saves frames as numbered pictures, of which nothing is lost."""
    from PIL import Image

    folder.mkdir()
    for number, frame in enumerate(frames, start=1):
        Image.fromarray(frame).save(folder / f"{number:06}.png", compress_level=1)
    return folder


def read(folder):
    from PIL import Image

    names = sorted(path for path in folder.iterdir() if path.suffix == ".png")
    return [np.asarray(Image.open(n), np.float32) / np.float32(255) for n in names]


def floats(frames):
    return [frame.astype(np.float32) / np.float32(255) for frame in frames]


def film(source, out, recipe, dreamer):
    """Returns the run of a film in this process, by a dreamer that is loaded."""
    from keras_dream.video.run import VideoRun
    from keras_dream.video.setup import Setup

    return VideoRun(Setup(str(source), recipe), out, workers=1, dreamer=dreamer)


def row(*cells):
    """Prints a row of a table; floats are warping errors."""
    texts = (f"{c:.2e}" if isinstance(c, float) else str(c) for c in cells)
    print(f"| {' | '.join(texts)} |")


PARTS_OF_A_FRAME = {
    "flow": ("dreaming", "motion"),
    "warp": ("dreaming", "begin"),
    "lock": ("dreaming", "settle"),
    "rounding": ("dreaming", "to_depth"),
    "flicker": ("dreaming", "sample"),
    "PNG and state": ("dreaming", "stage_frame"),
    "encoding": ("base_run", "write_film"),
    "survey": ("source.Source", "survey"),
}


MORE_PARTS = ("before the steps", "decoding")


@contextlib.contextmanager
def timed(seconds):
    """Adds up the processor's seconds of each part, in whichever thread it runs."""
    with contextlib.ExitStack() as stack:

        def patch(holder, name, value):
            stack.callback(setattr, holder, name, getattr(holder, name))
            setattr(holder, name, value)

        def counted(part, function):
            @functools.wraps(function)
            def call(*args, **options):
                began = time.thread_time()
                try:
                    return function(*args, **options)
                finally:
                    seconds[part] += time.thread_time() - began

            return call

        for part, (home, name) in PARTS_OF_A_FRAME.items():
            module, _, kind = home.partition(".")
            holder = importlib.import_module(f"keras_dream.video.{module}")
            holder = getattr(holder, kind) if kind else holder
            patch(holder, name, counted(part, getattr(holder, name)))
        from keras_dream.dreamer.dreamer import Dreamer
        from keras_dream.video.source import Source

        patch(Dreamer, "steps", counted("before the steps", Dreamer.steps))
        frames = Source.frames

        def decoded(*args, **options):
            several = frames(*args, **options)
            advance = counted("decoding", lambda: next(several, None))
            yield from iter(advance, None)

        patch(Source, "frames", decoded)
        yield


def steps_alone(dreamer, recipe, frames, made):
    """Makes as many steps as a film has made; returns the seconds of these alone."""
    from keras_dream.video.setup import with_steps

    seconds = 0.0
    for frame, steps in zip(frames, made, strict=True):
        own = with_steps(recipe, round(recipe.steps * steps / made[0]))
        seconds += sum(step.seconds for step in dreamer.steps(frame, own))
    return seconds


def steps_made(run):
    """Runs a film to its end; returns how many steps each frame had."""
    from keras_dream.events import FrameDone

    return [event.steps for event in run if isinstance(event, FrameDone)]


def measured(work):
    """Returns the clock's seconds, the processors' seconds, and the result of work."""
    began, spent = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - began, time.process_time() - spent, result


def cost(folder, dreamer, arguments):
    from keras_dream.recipe.presets import preset
    from keras_dream.recipe.video import VideoSettings
    from keras_dream.video.sink import write_film
    from keras_dream.video.source import open_source

    count = 3 if arguments.quick else 12
    source = pan(count, (360, 640))
    clip = open_source(written(folder / "in", source)).survey(cuts=False)
    write_film(folder / "in.mp4", clip, source)
    recipe, frames = dreamer.complete(preset("default")), floats(source)
    filmed = recipe.but(video=VideoSettings(warm_up=0))  # more steps, and nothing else
    steps_alone(dreamer, recipe.but(steps=1), frames[:1], [1])  # warm
    alone, films, parts = [], [], []
    for number in range(arguments.rounds):
        seconds = dict.fromkeys((*PARTS_OF_A_FRAME, *MORE_PARTS), 0.0)
        run = film(folder / "in.mp4", folder / f"{number}.mp4", filmed, dreamer)
        with timed(seconds):
            films.append(measured(functools.partial(steps_made, run)))
        work = functools.partial(steps_alone, dreamer, recipe, frames, films[-1][2])
        alone.append(measured(work))
        parts.append(seconds)
    medians = {p: statistics.median(r[p] for r in parts) / count for p in parts[0]}
    steps = statistics.median(spent for _, spent, _ in alone) / count
    print(f"Of {count} frames at 640 × 360 with the default recipe, a frame takes:\n")
    print("| part | seconds of a processor | of the steps |\n|---|---|---|")
    row("steps, with their octaves", f"{steps:.4f}", "")
    for part, spent in sorted(medians.items(), key=lambda pair: -pair[1]):
        row(part, f"{spent:.4f}", f"{spent / steps:.1%}")
    everything = sum(medians.values())
    row("all but the steps", f"{everything:.4f}", f"{everything / steps:.1%}")
    pairs = list(zip(films, alone, strict=True))
    kinds = {"processors": (1, 1), "clock": (0, 0), "clock, without octaves": (0, 2)}
    print("\n| film / steps alone | median | beside the steps |\n|---|---|---|")
    for kind, (own, other) in kinds.items():
        ratio = statistics.median(f[own] / s[other] for f, s in pairs)
        row(kind, f"{ratio:.3f}", f"{1 - 1 / ratio:.1%}")
    print("\n(goal: at most 15 %)\n")


def blended(dreamer, recipe, frames, steps):
    """Plain frame blending: each frame begins with a half of the last dream."""
    last, images = None, []
    for frame in frames:
        start = None if last is None else (1 - BLEND) * frame + BLEND * last
        own = recipe if last is None else recipe.but(steps=steps)
        last = np.clip(dreamer.dream(frame, own, start=start).image, 0, 1)
        images.append(last)
    return images


def strength(images, frames):
    """Returns the root mean square of what was dreamed into frames."""
    squares = [np.square(i - f).mean() for i, f in zip(images, frames, strict=True)]
    return float(np.sqrt(np.mean(squares[1:])))


def flicker_of(images, frames, moves, factor):
    """Returns the flicker of dreams whose strength is multiplied by a factor."""
    from keras_dream.video.flicker import Flicker, sample

    samples, before = [], None
    for image, frame, moved in zip(images, frames, moves, strict=True):
        scaled = np.clip(frame + np.float32(factor) * (image - frame), 0, 1)
        samples.append(sample(scaled, frame, before=before, moved=moved))
        before = scaled, frame
    return Flicker(tuple(samples))


def loss_of(dreamer, recipe, images):
    """Returns the mean loss of finished frames: how much a network sees in them."""
    some = images[1 :: max(1, len(images) // 8)]
    return statistics.mean(dreamer.gradient(image, recipe)[0] for image in some)


FILMS = {
    "film": {},
    "film, 2 later steps": {"later_steps": 2},
    "film, 1 later step": {"later_steps": 1},
    "frame by frame": {"carry": 0.0},
}


def flicker(folder, dreamer, arguments):
    from keras_dream.recipe.presets import preset
    from keras_dream.recipe.video import VideoSettings
    from keras_dream.video.carry import motion

    count = 12 if arguments.quick else 60
    size = (arguments.height, arguments.height * 16 // 9)
    source = pan(count, size)
    frames = floats(source)
    written(folder / "pan", source)
    recipe = dreamer.complete(preset("default"))
    pairs = itertools.pairwise(frames)
    moves = [None, *(motion(a, b, VideoSettings()) for a, b in pairs)]
    films, seconds = {}, {}

    for name, settings in FILMS.items():
        began = time.perf_counter()
        out = folder / name.replace(" ", "-")
        own = recipe.but(video=VideoSettings(**settings))
        film(folder / "pan", out, own, dreamer).finish()
        seconds[name] = (time.perf_counter() - began) / count
        films[name] = read(out)
    later = max(1, round(recipe.steps / 4))
    for steps in (later, recipe.steps):
        name = f"blended, {steps} steps"
        began = time.perf_counter()
        films[name] = blended(dreamer, recipe, frames, steps)
        seconds[name] = (time.perf_counter() - began) / count
    own = strength(films["film"], frames)
    print(f"A textured pan of {count} frames at {size[1]} × {size[0]}:\n")
    print("| | s a frame | strength | loss | flicker | at equal strength |")
    print("|---|---|---|---|---|---|")
    equal = {}
    for name, images in films.items():
        rms = strength(images, frames)
        plain = flicker_of(images, frames, moves, 1.0)
        equal[name] = flicker_of(images, frames, moves, own / rms).film
        loss, whole = loss_of(dreamer, recipe, images), f"{seconds[name]:.3f}"
        row(name, whole, f"{rms:.4f}", f"{loss:.3f}", plain.film, equal[name])
    source_own = flicker_of(frames, frames, moves, 1.0).film
    loss = loss_of(dreamer, recipe, frames)
    row("the source", "", "", f"{loss:.3f}", source_own, "")
    single = "frame by frame"
    print(f"\nseconds: {seconds['film'] / seconds[single]:.2f} of {single}")
    share = equal["film"] / equal[single]
    print(f"flicker: {share:.2f} of {single} (goal: at most 0.33)")
    for name in list(films)[len(FILMS) :]:
        print(f"flicker: {equal['film'] / equal[name]:.2f} of {name} (goal: at most 1)")
    print()


def drift(folder, dreamer, arguments):
    import keras_dream as kd
    from keras_dream.recipe.presets import preset

    count = 40 if arguments.quick else 500
    size = (64, 96)
    written(folder / "still", [np.rint(255 * texture(size)).astype(np.uint8)] * count)
    print(f"Drift over {count} frames of a still at {size[1]} × {size[0]}:\n")
    print("| recipe | mean | contrast | flicker |\n|---|---|---|---|")
    recipes = {
        "default": preset("default"),
        "twice the steps": preset("default").but(steps=2 * preset("default").steps),
        "large steps": preset("default").but(step_size=3 * preset("default").step_size),
    }
    for name, recipe in recipes.items():
        out = folder / f"drift-{name}".replace(" ", "-")
        film(folder / "still", out, recipe, dreamer).finish()
        found = kd.flicker(out, source=folder / "still")
        drifts = (found.mean_drift, found.contrast_drift)
        row(name, *(f"{drift:.2%}" for drift in drifts), found.film)
    print("\n(goal: under 1 %)\n")


def memory(folder, dreamer, arguments):
    from keras_dream.backend.host import resident_bytes
    from keras_dream.events import FrameDone
    from keras_dream.recipe.presets import preset

    count = 60 if arguments.quick else 500
    size = (180, 320)
    folder_in = written(folder / "long", pan(count, size, motion=(0.1, 0.3)))
    recipe = preset("default").but(steps=0)
    held = []
    with film(folder_in, folder / "long.mp4", recipe, dreamer) as run:
        for event in run:
            if isinstance(event, FrameDone):
                held.append(resident_bytes() / 1e6)
    marks = [n for n in (10, 50, 100, 250, 499) if n < len(held)]
    print(
        f"Resident memory over {count} frames at {size[1]} × {size[0]} without steps:\n"
    )
    print("| after frame | MB |\n|---|---|")
    for n in marks:
        print(f"| {n + 1} | {held[n]:.0f} |")
    half = len(held) // 2
    growth = statistics.mean(held[-10:]) - statistics.mean(held[half : half + 10])
    print(f"\ngrowth over the second half: {growth:+.1f} MB (goal: none)\n")


PARTS = {
    "cost": cost,
    "flicker": flicker,
    "drift": drift,
    "memory": memory,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--height", type=int, default=180, help="of the pan")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.height = 1, 90
    import keras_dream as kd

    run = kd.RunSettings(backend="torch", device="cpu", threads=arguments.threads)
    dreamer = kd.Dreamer("motif", run=run)
    for part in arguments.parts.split(","):
        with tempfile.TemporaryDirectory() as name:
            PARTS[part](Path(name), dreamer, arguments)


if __name__ == "__main__":
    sys.path.insert(0, SOURCE)
    main()
