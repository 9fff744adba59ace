"""A lit sheet to draw on: masks in, shaded colour out.

Every part of a motif is a mask with a colour. The sheet puffs the mask up into a
height field, lights it, darkens its rim, and drops its shadow on what lies beneath:
a network trained on flat cartoons dreams flat cartoons.
"""

from __future__ import annotations

import colorsys
from functools import lru_cache

import cv2
import numpy as np

SUPERSAMPLE = 2  # the sheet is drawn at twice its size and averaged down
SHIFT = 4  # fractional bits of OpenCV's polygon coordinates
BANK = 48  # noise fields shared by all drawings; fixed, so that drawing stays pure
FIELD = 256  # pixels across one of them; it tiles


@lru_cache(maxsize=1)
def _bank() -> np.ndarray:
    """Return power-law noise fields, `(BANK, FIELD, FIELD)`, each in [-1, 1].

    Natural pictures have amplitude spectra near 1/f (Field 1987); exponents from 0.7
    to 2 cover gravel to clouds, in rising order.
    """
    rng = np.random.default_rng(20150617)
    f = np.fft.fftfreq(FIELD)
    radius = np.hypot(f[:, None], f[None, :])
    radius[0, 0] = 1.0
    fields = []
    for power in np.linspace(0.7, 2.0, BANK):
        white = np.fft.fft2(rng.standard_normal((FIELD, FIELD)))
        white[0, 0] = 0.0
        field = np.fft.ifft2(white / radius**power).real
        fields.append(np.clip(field / (2.5 * field.std()), -1.0, 1.0))
    return np.asarray(fields, np.float32)


def noise(
    rng: np.random.Generator, n: int, smooth: float = 0.5, zoom: float = 1.0
) -> np.ndarray:
    """Return an `(n, n)` noise field in [-1, 1].

    Args:
        rng: The source of chance.
        n: Pixels across.
        smooth: 0 for gravel, 1 for clouds.
        zoom: How much the field is magnified.
    """
    index = int(np.clip(smooth * BANK + rng.normal(0, 3), 0, BANK - 1))
    field = _bank()[index]
    field = np.roll(field, tuple(rng.integers(0, FIELD, 2)), (0, 1))
    side = int(np.clip(n / zoom, 8, FIELD))
    field = field[:side, :side]
    if rng.random() < 0.5:
        field = field[:, ::-1]
    field = np.ascontiguousarray(field)
    return cv2.resize(field, (n, n), interpolation=cv2.INTER_CUBIC)


def colour(
    rng: np.random.Generator,
    hue: float,
    saturation: float = 0.6,
    value: float = 0.7,
    spread: float = 0.06,
) -> np.ndarray:
    """Return an RGB colour near the given one (all of hue, saturation, value in 0-1).

    A fifth of them take any hue at all, so that shape and not hue names the class.
    """
    wild = rng.random() < 0.2
    h = rng.random() if wild else hue + rng.normal(0, spread)
    s = np.clip(saturation + rng.normal(0, 0.13), 0.0, 1.0)
    v = np.clip(value + rng.normal(0, 0.13), 0.05, 1.0)
    return np.asarray(colorsys.hsv_to_rgb(h % 1.0, s, v), np.float32)


def blend(a, b, t) -> np.ndarray:
    """Return `a` to `b` by `t`, where `t` may be a field and `a`, `b` colours."""
    t = np.asarray(t, np.float32)
    if t.ndim == 2:
        t = t[..., None]
    return np.asarray(a, np.float32) * (1 - t) + np.asarray(b, np.float32) * t


def smoothstep(low: float, high: float, x) -> np.ndarray:
    """Return the usual cubic ramp from 0 at `low` to 1 at `high`."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3 - 2 * t)


class Sheet:
    """A square RGBA picture in the making, with x and y in [-1, 1], y downwards."""

    def __init__(self, rng: np.random.Generator, size: int):
        self.rng = rng
        self.size = size
        self.n = max(48, SUPERSAMPLE * size)
        axis = (np.arange(self.n, dtype=np.float32) + 0.5) * (2 / self.n) - 1
        self.x, self.y = np.meshgrid(axis, axis)
        self.rgb = np.zeros((self.n, self.n, 3), np.float32)
        self.alpha = np.zeros((self.n, self.n), np.float32)
        around = rng.uniform(-2.6, -0.5)  # light mostly from above
        slant = rng.uniform(0.5, 0.9)
        self.light = np.array(
            [np.cos(around) * slant, np.sin(around) * slant, np.sqrt(1 - slant**2)],
            np.float32,
        )
        self.ambient = rng.uniform(0.3, 0.5)

    # Masks -------------------------------------------------------------------

    def polygon(self, points) -> np.ndarray:
        """Return the mask of a closed polygon, `(k, 2)` points of x and y."""
        mask = np.zeros((self.n, self.n), np.uint8)
        pixels = self._pixels(points)
        cv2.fillPoly(mask, [pixels], 255, cv2.LINE_AA, SHIFT)
        return mask.astype(np.float32) / 255

    def ellipse(self, cx, cy, rx, ry, angle: float = 0.0) -> np.ndarray:
        """Return the mask of an ellipse; `angle` in radians."""
        t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        c, s = np.cos(angle), np.sin(angle)
        px, py = rx * np.cos(t), ry * np.sin(t)
        return self.polygon(np.stack([cx + c * px - s * py, cy + s * px + c * py], 1))

    def stroke(self, points, widths) -> np.ndarray:
        """Return the mask of a line whose half-width varies along it."""
        points = np.asarray(points, np.float32)
        widths = np.broadcast_to(np.asarray(widths, np.float32), len(points))
        tangent = np.gradient(points, axis=0)
        normal = np.stack([-tangent[:, 1], tangent[:, 0]], 1)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-6
        left = points + normal * widths[:, None]
        right = points - normal * widths[:, None]
        mask = np.zeros((self.n, self.n), np.uint8)
        for i in range(len(points) - 1):
            quad = np.stack([left[i], left[i + 1], right[i + 1], right[i]])
            cv2.fillConvexPoly(mask, self._pixels(quad), 255, cv2.LINE_AA, SHIFT)
        for point, width in zip(points, widths, strict=True):
            centre = self._pixels(point[None])[0]
            radius = int(width * self.n / 2 * (1 << SHIFT))
            cv2.circle(
                mask, tuple(map(int, centre)), radius, 255, -1, cv2.LINE_AA, SHIFT
            )
        return mask.astype(np.float32) / 255

    def _pixels(self, points) -> np.ndarray:
        scaled = (np.asarray(points, np.float32) + 1) * (self.n / 2) - 0.5
        return np.round(scaled * (1 << SHIFT)).astype(np.int32)

    def polar(self, cx: float = 0.0, cy: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Return the radius and the angle of every pixel about a centre."""
        dx, dy = self.x - cx, self.y - cy
        return np.hypot(dx, dy), np.arctan2(dy, dx)

    def noise(self, smooth: float = 0.5, zoom: float = 1.0) -> np.ndarray:
        """Return a noise field the size of the sheet."""
        return noise(self.rng, self.n, smooth, zoom)

    # Paint -------------------------------------------------------------------

    def lay(
        self,
        mask: np.ndarray,
        paint: np.ndarray,
        puff: float = 0.15,
        bump: np.ndarray | None = None,
        gloss: float = 0.25,
        rim: float = 0.45,
        shadow: float = 0.35,
    ) -> None:
        """Lay a lit part on the sheet.

        Args:
            mask: Coverage, `(n, n)`.
            paint: A colour, or a colour for every pixel, `(n, n, 3)`.
            puff: How far from its rim the part goes on rising, in sheet units; 0 is
                flat.
            bump: Extra height, in sheet units.
            gloss: Strength of the highlight.
            rim: How dark the contour is.
            shadow: How dark its shadow on the sheet is.
        """
        box = self._box(mask, 0.08 if shadow else 0.02)
        if box is None:
            return
        m = mask[box].astype(np.float32)
        paint = np.asarray(paint, np.float32)
        paint = paint[box] if paint.ndim == 3 else paint
        distance = cv2.distanceTransform(
            np.pad((m > 0.5).astype(np.uint8), 1), cv2.DIST_L2, 3
        )[1:-1, 1:-1] * (2 / self.n)
        lit = self._lit(distance, puff, None if bump is None else bump[box], gloss)
        diffuse, highlight = lit
        edge = 1 - rim * np.exp(-((distance / 0.028) ** 2))
        shaded = paint * (diffuse * edge)[..., None] + highlight[..., None]
        shaded = np.clip(shaded, 0, 1)
        if shadow:
            self._drop_shadow(box, m, shadow)
        a = m[..., None]
        self.rgb[box] = self.rgb[box] * (1 - a) + shaded * a
        self.alpha[box] = self.alpha[box] * (1 - m) + m

    def tint(self, mask: np.ndarray, paint) -> None:
        """Colour what is there already, without light or shadow."""
        a = (mask * self.alpha)[..., None]
        paint = np.asarray(paint, np.float32)
        self.rgb = (self.rgb * (1 - a) + paint * a).astype(np.float32)

    def finish(self) -> np.ndarray:
        """Return the drawing, `(size, size, 4)` RGBA in [0, 1], not premultiplied."""
        whole = np.dstack([self.rgb * self.alpha[..., None], self.alpha])
        whole = whole.astype(np.float32)
        side = (self.size, self.size)
        small = cv2.resize(whole, side, interpolation=cv2.INTER_AREA)
        a = small[..., 3:]
        rgb = np.where(a > 1e-4, small[..., :3] / np.maximum(a, 1e-4), 0.0)
        return np.clip(np.dstack([rgb, a]), 0, 1).astype(np.float32)

    def _box(self, mask: np.ndarray, margin: float):
        rows = np.flatnonzero(mask.max(1) > 0)
        if not rows.size:
            return None
        columns = np.flatnonzero(mask.max(0) > 0)
        m = int(margin * self.n / 2) + 2
        return (
            slice(max(0, rows[0] - m), rows[-1] + m + 1),
            slice(max(0, columns[0] - m), columns[-1] + m + 1),
        )

    def _lit(self, distance, puff, bump, gloss):
        height = np.zeros_like(distance)
        if puff:
            t = np.clip(distance / puff, 0, 1)
            height = puff * np.sqrt(np.maximum(0, 1 - (1 - t) ** 2)) * 0.8
            height = cv2.GaussianBlur(height, (0, 0), max(0.8, 0.012 * self.n))
        if bump is not None:
            height = (height + bump).astype(np.float32)
        scale = self.n / 2 / 8  # Sobel sums to eight times the slope a pixel
        dx = cv2.Sobel(height, cv2.CV_32F, 1, 0) * scale
        dy = cv2.Sobel(height, cv2.CV_32F, 0, 1) * scale
        norm = 1 / np.sqrt(dx * dx + dy * dy + 1)
        lx, ly, lz = self.light
        dot = np.maximum(0, (-dx * lx - dy * ly + lz) * norm)
        # Blinn's half vector, with the eye straight above.
        half = self.light + np.array([0, 0, 1], np.float32)
        hx, hy, hz = half / np.linalg.norm(half)
        facing = np.maximum(0, (-dx * hx - dy * hy + hz) * norm)
        return self.ambient + 0.85 * dot, gloss * facing**24

    def _drop_shadow(self, box, m, strength: float) -> None:
        away = -self.light[:2] * 0.03 * self.n
        move = np.float32([[1, 0, away[0]], [0, 1, away[1]]])
        cast = cv2.warpAffine(m, move, (m.shape[1], m.shape[0]))
        cast = cv2.GaussianBlur(cast, (0, 0), max(1.0, 0.02 * self.n))
        self.rgb[box] *= (1 - strength * cast)[..., None]


def turned(points, angle: float, cx: float = 0.0, cy: float = 0.0) -> np.ndarray:
    """Return points turned by `angle` about the origin, then moved to (cx, cy)."""
    c, s = np.cos(angle), np.sin(angle)
    points = np.asarray(points, np.float32)
    x = points[:, 0] * c - points[:, 1] * s + cx
    y = points[:, 0] * s + points[:, 1] * c + cy
    return np.stack([x, y], 1)


def curve(controls, count: int = 40) -> np.ndarray:
    """Return a Catmull-Rom curve through the control points, `(count, 2)`."""
    p = np.asarray(controls, np.float32)
    p = np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    t = np.linspace(0, len(p) - 3 - 1e-4, count)
    i = t.astype(int)
    f = (t - i)[:, None]
    a, b, c, d = p[i], p[i + 1], p[i + 2], p[i + 3]
    return 0.5 * (
        2 * b
        + (c - a) * f
        + (2 * a - 5 * b + 4 * c - d) * f**2
        + (3 * b - a - 3 * c + d) * f**3
    )
