"""Renders `sky.jpg`, the sky that the README dreams.

Run `python examples/sky.py`, or name another file; it takes a few minutes.

A field of cumulus is marched through ray by ray, as in Schneider and Vos, "The
real-time volumetric cloudscapes of Horizon Zero Dawn" (SIGGRAPH 2015): billows are
cellular noise, the flat bases lie at one height, and the light that reaches a point is
what the cloud between it and the sun lets through. Nothing but numpy is drawn with, so
the picture belongs to nobody but this repository, and the same seed gives the same sky.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 768, 512
SEED = 3
STEPS = 160  # along each ray through the clouds
SUN_STEPS = 6  # from each point of a cloud towards the sun
BASE, DEPTH = 1.0, 0.75  # height of the bases and thickness of the layer, in 1.5 km
LOWEST, HIGHEST = 3.2, 32.0  # elevation at the lower and upper edge, in degrees
DENSITY = 60.0  # extinction inside a cloud, per unit of height
SUN = np.array([-0.80, -0.20, 0.565], np.float32)  # left of the camera and behind it


def periodic_cells(size: int, cells: int, rng: np.random.Generator) -> np.ndarray:
    """Returns inverted cellular noise: 1 at scattered points, 0 far from them.

    Args:
        size: Points along each side of the cube.
        cells: Scattered points along each side.
        rng: The source of the points.

    Returns:
        float32 (size, size, size), periodic, in [0, 1].
    """
    points = rng.random((cells, cells, cells, 3), dtype=np.float32)
    at = np.stack(
        np.meshgrid(
            *[np.arange(size, dtype=np.float32) * cells / size] * 3, indexing="ij"
        ),
        -1,
    )
    cell = at.astype(int)
    nearest = np.full((size,) * 3, 9, np.float32)
    for shift in np.ndindex(3, 3, 3):
        neighbour = cell + shift - 1
        point = points[tuple(np.moveaxis(neighbour % cells, -1, 0))] + neighbour
        nearest = np.minimum(nearest, ((point - at) ** 2).sum(-1, dtype=np.float32))
    return np.clip(1 - np.sqrt(nearest), 0, 1)


def smooth_noise(
    size: int, cells: int, dims: int, rng: np.random.Generator
) -> np.ndarray:
    """Returns periodic noise, random values blurred together, of deviation 1."""
    noise = rng.standard_normal((cells,) * dims).astype(np.float32)
    spectrum = np.fft.fftn(noise)
    repeat = size // cells
    upsampled = np.zeros((size,) * dims, np.float32)
    upsampled[(slice(None, None, repeat),) * dims] = np.fft.ifftn(spectrum).real
    frequency = np.meshgrid(*[np.fft.fftfreq(size)] * dims, indexing="ij")
    low = np.exp(-0.5 * sum(f**2 for f in frequency) * (repeat * 2.2) ** 2)
    result = np.fft.ifftn(np.fft.fftn(upsampled) * low).real
    return (result / result.std()).astype(np.float32)


def look_up(texture: np.ndarray, *at: np.ndarray) -> np.ndarray:
    """Returns a periodic texture at points in units of its period, linearly."""
    size, dims = texture.shape[0], texture.ndim
    flat = texture.ravel()
    low, part = [], []
    for coordinate in at:
        scaled = coordinate * np.float32(size)
        floor = np.floor(scaled)
        part.append(scaled - floor)
        low.append(floor.astype(np.int32))
    total = np.zeros_like(at[0])
    for corner in np.ndindex((2,) * dims):
        index = np.zeros_like(low[0])
        weight = np.ones_like(at[0])
        for axis, side in enumerate(corner):
            index = index * size + (low[axis] + side) % size
            weight *= part[axis] if side else 1 - part[axis]
        total += weight * flat[index]
    return total


class Clouds:
    """A field of cumulus that repeats every 15 km, which the haze hides."""

    def __init__(self, seed: int):
        rng = np.random.default_rng(seed)
        self.cover = sum(
            smooth_noise(512, cells, 2, rng) * weight
            for cells, weight in [(8, 0.55), (16, 0.7), (32, 0.4), (64, 0.16)]
        )
        self.cover /= self.cover.std()
        self.billows = sum(
            periodic_cells(96, cells, rng) * weight
            for cells, weight in [(4, 0.5), (8, 0.3), (16, 0.2)]
        )
        self.wisps = sum(
            periodic_cells(96, cells, rng) * weight
            for cells, weight in [(6, 0.5), (12, 0.3), (24, 0.2)]
        )

    def density(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Returns the density in [0, 1] at points, z being 0 at the bases, 1 on top."""
        cover = look_up(self.cover, x / 10, y / 10)
        # A column of air rises as high as there is cloud below it.
        body = 0.44 * cover - 0.35 - 1.0 * z
        result = np.zeros_like(x)
        near = np.flatnonzero((body > -0.75) & (z > 0) & (z < 1))
        x, y, z, body = x[near], y[near], z[near], body[near]
        far = x * x + y * y  # where a detail is smaller than a pixel, it is left out
        billows = look_up(self.billows, x / 1.9, y / 1.9, z * DEPTH / 1.9)
        wisps = look_up(self.wisps, x / 0.53, y / 0.53, z * DEPTH / 0.53)
        body = (
            body
            + 1.25 * (billows - 0.42)
            + 0.5 * (wisps - 0.45) * (0.3 + z) / (1 + far / 150)
        )
        edge = np.flatnonzero(np.abs(body) < 0.2)
        fine = look_up(
            self.wisps, x[edge] / 0.17, z[edge] * DEPTH / 0.17, y[edge] / 0.17
        )
        body[edge] += 0.27 * (fine - 0.45) / (1 + far[edge] / 12)
        base = np.clip(z / 0.07, 0, 1)
        result[near] = np.clip(body * 8, 0, 1) * base * base * (3 - 2 * base)
        return result


def light(clouds: Clouds, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Returns the light that reaches points inside clouds, linear RGB (points, 3)."""
    depth = np.zeros_like(x)
    step = 0.02
    travelled = 0.0
    for _ in range(SUN_STEPS):
        at = travelled + step / 2
        depth += step * clouds.density(
            x + SUN[0] * at, y + SUN[1] * at, z + SUN[2] * at / DEPTH
        )
        travelled += step
        step *= 1.65
    depth *= DENSITY
    # Light that is scattered again and again goes deeper: a sum of ever weaker and ever
    # longer reaches (Wrenninge, Kulla and Lundqvist, "Oz: the great and volumetric",
    # SIGGRAPH 2013).
    sun = sum(0.5**n * np.exp(-depth * 0.38**n) for n in range(4))
    up = np.clip(z, 0, 1)
    colour = sun[:, None] * np.array([1.0, 0.955, 0.89], np.float32) * 0.80
    sky = np.array([0.30, 0.39, 0.53], np.float32) * (0.24 + 0.66 * up[:, None])
    ground = np.array([0.10, 0.095, 0.085], np.float32) * (1 - up[:, None])
    return colour + sky + ground


def blue(elevation: np.ndarray) -> np.ndarray:
    """Returns the clear sky at sines of elevations, linear RGB (..., 3)."""
    zenith = np.array([0.035, 0.125, 0.38], np.float32)
    middle = np.array([0.115, 0.29, 0.62], np.float32)
    horizon = np.array([0.60, 0.74, 0.87], np.float32)
    low = np.exp(-elevation / 0.11)[..., None]
    high = np.clip(elevation / 0.72, 0, 1)[..., None] ** 0.9
    return (middle * (1 - high) + zenith * high) * (1 - low) + horizon * low


def march(clouds: Clouds, rays: np.ndarray, jitter: np.ndarray) -> np.ndarray:
    """Returns the colours of rays (count, 3), linear RGB."""
    count = len(rays)
    start, end = BASE / rays[:, 2], (BASE + DEPTH) / rays[:, 2]
    colour = np.zeros((count, 3), np.float32)
    clear = np.ones(count, np.float32)
    length = (end - start) / STEPS
    background = blue(rays[:, 2])
    haze = blue(np.full(1, 0.02, np.float32))
    for n in range(STEPS):
        t = start + (n + jitter) * length
        x, y = rays[:, 0] * t, rays[:, 1] * t
        z = (rays[:, 2] * t - BASE) / DEPTH
        density = np.zeros(count, np.float32)
        alive = np.flatnonzero(clear > 0.01)
        density[alive] = clouds.density(x[alive], y[alive], z[alive])
        hit = np.flatnonzero(density > 0)
        if not len(hit):
            continue
        lit = light(clouds, x[hit], y[hit], z[hit])
        far = np.exp(-t[hit] / 17)[:, None]
        lit = lit * far + haze * (1 - far)
        # Steps grow with the distance, so that far clouds are made softer: a step that
        # is opaque by itself would show the jitter.
        thickness = density[hit] * length[hit] * DENSITY / (1 + t[hit] / 7)
        through = np.exp(-thickness)
        colour[hit] += lit * (clear[hit] * (1 - through))[:, None]
        clear[hit] *= through
    return colour + background * clear[:, None]


def render(width: int = WIDTH, height: int = HEIGHT, seed: int = SEED) -> np.ndarray:
    """Returns the sky as uint8 (height, width, 3), from four rays a pixel."""
    width, height = 2 * width, 2 * height
    clouds = Clouds(seed)
    jitter = np.random.default_rng(seed).random((height, width), dtype=np.float32)
    middle = np.radians((LOWEST + HIGHEST) / 2)
    half = np.tan(np.radians((HIGHEST - LOWEST) / 2))
    up = np.linspace(half, -half, height, dtype=np.float32)
    side = np.linspace(-half, half, width, dtype=np.float32) * (width / height)
    rays = np.empty((height, width, 3), np.float32)
    rays[..., 0] = side
    rays[..., 1] = (np.cos(middle) - up * np.sin(middle))[:, None]
    rays[..., 2] = (np.sin(middle) + up * np.cos(middle))[:, None]
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    parts = zip(  # few enough rays at a time for the cache
        np.array_split(rays.reshape(-1, 3), 256),
        np.array_split(jitter.ravel(), 256),
        strict=True,
    )
    linear = np.concatenate([march(clouds, *part) for part in parts])
    linear = linear.reshape(height // 2, 2, width // 2, 2, 3).mean((1, 3))
    mapped = 1 - np.exp(-1.55 * linear)  # a film's shoulder
    encoded = np.where(
        mapped <= 0.0031308, 12.92 * mapped, 1.055 * mapped ** (1 / 2.4) - 0.055
    )
    return np.rint(np.clip(encoded, 0, 1) * 255).astype(np.uint8)


if __name__ == "__main__":
    target = (
        Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_suffix(".jpg")
    )
    Image.fromarray(render()).save(target, quality=92)
    print(f"{target}: {target.stat().st_size:,} bytes")
