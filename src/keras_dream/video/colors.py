"""From the colours of video to sRGB.

The matrix and the range are those that a frame is tagged with. Values of SDR video are
taken as sRGB-encoded, as players and editors do, so that a film which is not dreamed
comes back the same. HDR is tone-mapped, wide gamuts are converted.
"""

import functools
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from keras_dream.geometry import Size
from keras_dream.parts.colorspaces import from_linear, to_linear

if TYPE_CHECKING:
    import av
    from av.video.reformatter import VideoReformatter

# Codes of ITU-T H.273 (also ISO/IEC 23091-2), as FFmpeg has them.
_RGB, _BT709, _UNKNOWN, _FCC, _BT470BG, _SMPTE170M, _SMPTE240M = 0, 1, 2, 4, 5, 6, 7
_BT2020_NCL, _BT2020_CL = 9, 10
_PQ, _HLG = 16, 18
_PRIMARIES_BT2020, _PRIMARIES_DCI_P3, _PRIMARIES_DISPLAY_P3 = 9, 11, 12
_LIMITED, _FULL = 1, 2  # AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG

_MATRICES = {
    _BT709: 1, _FCC: 4, _BT470BG: 5, _SMPTE170M: 5, _SMPTE240M: 7, _BT2020_NCL: 9,
    _BT2020_CL: 9,
}  # fmt: skip
"""libswscale's numbers of the matrices (`SWS_CS_`) by those of H.273."""

_HD_WIDTH, _HD_HEIGHT = 1280, 576
"""A frame as wide or higher is HD, of which an untagged matrix is BT.709; that of SD is
BT.601. So mpv's and most players' guess."""

_SCALING = 0x4 | 0x2000 | 0x4000 | 0x40000 | 0x80000
"""libswscale's bicubic, full chroma interpolation and input, accurate rounding, and the
same pixels on every processor (SWS_BICUBIC, SWS_FULL_CHR_H_INT, SWS_FULL_CHR_H_INP,
SWS_ACCURATE_RND, SWS_BITEXACT)."""

REFERENCE_WHITE = 203.0
"""cd/m² of HDR's diffuse white (ITU-R BT.2408, table 1), which becomes sRGB's white."""

USUAL_PEAK = 1000.0
"""cd/m² of an HDR film that does not tell: the display of BT.2100, note 5e, and what
most films are mastered for."""

_CHROMATICITIES = {
    "bt709": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    "bt2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    "p3": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
"""x and y of red, green and blue: ITU-R BT.709, BT.2020, SMPTE RP 431-2."""

_D65 = (0.3127, 0.3290)


class Colors(NamedTuple):
    """How the numbers of a frame mean colours.

    Attributes:
        matrix: libswscale's number of the matrix; None for RGB and grey.
        is_full: Whether values take the full range.
        transfer: "sdr", "pq" or "hlg".
        gamut: "bt709", "bt2020" or "p3".
        is_odd: Whether the matrix is one that is not known.
    """

    matrix: int | None
    is_full: bool
    transfer: Literal["sdr", "pq", "hlg"] = "sdr"
    gamut: str = "bt709"
    is_odd: bool = False

    @property
    def notice(self) -> str:
        """What a person should know of the conversion, or ""."""
        if self.transfer != "sdr":
            name = self.transfer.upper()
            return f"The film is HDR ({name}), and is tone-mapped to sRGB."
        if self.gamut != "bt709":
            name = {"bt2020": "BT.2020", "p3": "P3"}[self.gamut]
            return f"The film's colours ({name}) are converted to sRGB."
        if self.is_odd:
            return (
                "The film's colour matrix is not known, and is taken for a usual one."
            )
        return ""


def colors_of(frame: "av.VideoFrame") -> Colors:
    """Returns how the numbers of a frame mean colours, by its tags."""
    layout = frame.format
    transfer = {_PQ: "pq", _HLG: "hlg"}.get(int(frame.color_trc), "sdr")
    gamut = {
        _PRIMARIES_BT2020: "bt2020",
        _PRIMARIES_DCI_P3: "p3",
        _PRIMARIES_DISPLAY_P3: "p3",
    }.get(int(frame.color_primaries), "bt709")
    if transfer != "sdr" and int(frame.color_primaries) == _UNKNOWN:
        gamut = "bt2020"  # BT.2100 has no other
    grey = len(layout.components) <= 2
    if layout.is_rgb or layout.has_palette or grey:
        is_full = not grey or int(frame.color_range) != _LIMITED
        return Colors(None, is_full, transfer, gamut)  # pyright: ignore[reportArgumentType]
    tag = int(frame.colorspace)
    matrix = _MATRICES.get(tag)
    is_jpeg = layout.name.startswith("yuvj")
    if matrix is None:
        is_hd = frame.width >= _HD_WIDTH or frame.height > _HD_HEIGHT
        matrix = 9 if gamut == "bt2020" else 1 if is_hd and not is_jpeg else 5
    return Colors(
        matrix,
        int(frame.color_range) == _FULL or is_jpeg,
        transfer,  # pyright: ignore[reportArgumentType]
        gamut,
        is_odd=tag not in (*_MATRICES, _UNKNOWN),
    )


def to_rgb(
    frame: "av.VideoFrame", colors: Colors, size: Size, reformatter: "VideoReformatter"
) -> np.ndarray:
    """Returns a frame's values as RGB, full range, of another size if that differs.

    Args:
        frame: As it was decoded.
        colors: Of it.
        size: (height, width).
        reformatter: To be used again for the next frame.

    Returns:
        uint8 or uint16 (height, width, 3 or 4), the fourth channel being alpha.
    """
    is_deep = bits_of(frame) > 8
    names = ("rgb48le", "rgba64le") if is_deep else ("rgb24", "rgba")
    return reformatter.reformat(
        frame,
        width=size[1],
        height=size[0],
        format=names[has_alpha(frame)],
        src_colorspace=colors.matrix,
        src_color_range=2 if colors.is_full else 1,
        dst_color_range=2,
        interpolation=_SCALING,
        threads=1,
    ).to_ndarray()


def has_alpha(frame: "av.VideoFrame") -> bool:
    """Tells whether a frame has a channel for transparency."""
    layout = frame.format
    return layout.has_palette or any(c.is_alpha for c in layout.components)


def bits_of(frame: "av.VideoFrame") -> int:
    """Returns the bits of a channel, of which 16 are kept at most."""
    return min(16, max(c.bits for c in frame.format.components))


def to_srgb(image: np.ndarray, colors: Colors, *, peak: float) -> np.ndarray:
    """Converts values of HDR, of a wide gamut, or of grey in limited range to sRGB.

    Args:
        image: float32 (height, width, 3) in [0, 1].
        colors: What its values mean.
        peak: The brightest that the film has, in cd/m².

    Returns:
        float32 (height, width, 3) in [0, 1]; SDR of BT.709 as it is.
    """
    if colors.matrix is None and not colors.is_full:
        # libswscale takes all grey as full; BT.709-6, item 4.6.
        image = np.clip((255 * image - 16) / np.float32(219), 0, 1)
    if colors.transfer == "sdr":
        if colors.gamut == "bt709":
            return image
        light = to_linear(image)
    else:
        decode = pq_to_light if colors.transfer == "pq" else hlg_to_light
        light = tone_mapped(decode(image), peak=peak)
    light = light @ _to_bt709(colors.gamut).T
    return _srgb_table()[_indices(light)]


# SMPTE ST 2084, also ITU-R BT.2100, table 4.
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
_PQ_MOST = 10_000.0

# ITU-R BT.2100, table 5.
_A = 0.17883277
_B = 1 - 4 * _A
_C = 0.5 - _A * np.log(4 * _A)
_HLG_PEAK = 1000.0  # cd/m², for which the gamma of the OOTF is 1.2
_HLG_GAMMA = 1.2
_BT2020_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)

_CODES = np.linspace(0, 1, 65_536)


def pq_to_light(image: np.ndarray) -> np.ndarray:
    """Returns the light of a PQ signal (SMPTE ST 2084's EOTF), in cd/m².

    Args:
        image: float32 in [0, 1].
    """
    return _pq_table()[_indices(image)]


def light_to_pq(light: np.ndarray) -> np.ndarray:
    """Returns the PQ signal of light in cd/m² (the inverse of `pq_to_light`)."""
    power = (np.clip(light, 0, _PQ_MOST) / _PQ_MOST) ** _M1
    return ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2


def hlg_to_light(image: np.ndarray) -> np.ndarray:
    """Returns the light of an HLG signal on a display of 1,000 cd/m², in cd/m².

    Args:
        image: float32 (height, width, 3) in [0, 1].
    """
    scene = _hlg_table()[_indices(image)]
    luminance = scene @ _BT2020_LUMINANCE
    return scene * (_HLG_PEAK * luminance ** (_HLG_GAMMA - 1))[..., None]


def tone_mapped(light: np.ndarray, *, peak: float) -> np.ndarray:
    """Fits light to the range of SDR: 1 is white. Hues stay.

    Each pixel is scaled as its brightest channel is by the EETF of ITU-R BT.2390-10,
    section 5.4.1, with black at 0: what is dark stays as it is, what is bright is
    rolled off.

    Args:
        light: float32 (height, width, 3) in cd/m².
        peak: The brightest that the film has, in cd/m².

    Returns:
        float32 of the same shape in [0, 1].
    """
    brightest = np.maximum(np.maximum(light[..., 0], light[..., 1]), light[..., 2])
    gain = _gains(peak)[_indices(np.sqrt(brightest / np.float32(_PQ_MOST)))]
    return np.minimum(light * gain[..., None], 1)


def eetf(light: np.ndarray, *, peak: float) -> np.ndarray:
    """Returns light in cd/m², of at most `peak`, as light of at most reference white.

    Args:
        light: In cd/m².
        peak: In cd/m².
    """
    white = float(light_to_pq(np.array(max(peak, REFERENCE_WHITE))))
    most = float(light_to_pq(np.array(REFERENCE_WHITE))) / white
    values = np.clip(light_to_pq(light) / white, 0, 1)
    knee = 1.5 * most - 0.5
    t = (values - knee) / max(1 - knee, 1e-6)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (-2 * t**3 + 3 * t**2) * most
    )
    mapped = np.where(values < knee, values, spline)
    return _pq(mapped * white)


def _pq(signal: np.ndarray) -> np.ndarray:
    power = signal ** (1 / _M2)
    share = np.maximum(power - _C1, 0) / (_C2 - _C3 * power)
    return _PQ_MOST * share ** (1 / _M1)


@functools.lru_cache(maxsize=8)
def _gains(peak: float) -> np.ndarray:
    """Returns what light is multiplied by, by the root of its share of 10,000 cd/m²."""
    light = np.maximum(_CODES, _CODES[1]) ** 2 * _PQ_MOST
    return (eetf(light, peak=peak) / light / REFERENCE_WHITE).astype(np.float32)


@functools.cache
def _srgb_table() -> np.ndarray:
    return from_linear(_CODES).astype(np.float32)


@functools.cache
def _pq_table() -> np.ndarray:
    return _pq(_CODES).astype(np.float32)


@functools.cache
def _hlg_table() -> np.ndarray:
    bright = (np.exp((_CODES - _C) / _A) + _B) / 12
    return np.where(_CODES <= 0.5, _CODES**2 / 3, bright).astype(np.float32)


def _indices(image: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(image, 0, 1) * 65_535).astype(np.uint16)


@functools.cache
def _to_bt709(gamut: str) -> np.ndarray:
    """Returns the matrix from linear RGB of a gamut to that of BT.709."""
    matrix = np.linalg.solve(_to_xyz("bt709"), _to_xyz(gamut))
    return matrix.astype(np.float32)


def _to_xyz(gamut: str) -> np.ndarray:
    """Returns the matrix from linear RGB to CIE XYZ, of which white is (1, 1, 1)."""
    columns = np.stack([_xyz(*xy) for xy in _CHROMATICITIES[gamut]], axis=1)
    return columns * np.linalg.solve(columns, _xyz(*_D65))


def _xyz(x: float, y: float) -> np.ndarray:
    return np.array([x / y, 1, (1 - x - y) / y])
