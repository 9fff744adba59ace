"""Synthetic videos whose motion is known, for the tests of films.

Every maker returns uint8 (frames, height, width, 3), and what is known of the motion
stands in its docstring.
"""

from fractions import Fraction
from pathlib import Path

import numpy as np
from scipy import ndimage

SIZE = (48, 64)


def texture(size=SIZE, *, seed=0, grain=1.5):
    """A smooth random texture, uint8 (height, width, 3), with details of any size."""
    random = np.random.default_rng(seed)
    image = np.zeros((*size, 3))
    for sigma, share in ((grain, 0.35), (3 * grain, 0.35), (8 * grain, 0.3)):
        noise = random.standard_normal((*size, 3))
        noise = ndimage.gaussian_filter(noise, (sigma, sigma, 0), mode="wrap")
        image += share * noise / noise.std()
    return np.clip(127.5 + 55 * image, 0, 255).astype(np.uint8)


def still(count=6, size=SIZE):
    """The same frame again and again: the flow is 0."""
    return np.stack([texture(size)] * count)


def pan(count=6, size=SIZE, *, step=(1, 2)):
    """A camera that moves `step` (down, across) pixels a frame over a larger picture.

    A point at x in frame k is at x - step in frame k + 1.
    """
    height, width = size
    down, across = step
    whole = texture((height + abs(down) * count, width + abs(across) * count))
    tops = [down * k if down >= 0 else -down * (count - k) for k in range(count)]
    lefts = [across * k if across >= 0 else -across * (count - k) for k in range(count)]
    return np.stack(
        [
            whole[top : top + height, left : left + width]
            for top, left in zip(tops, lefts, strict=True)
        ]
    )


def turned(count=6, size=SIZE, *, degrees=0.0, zoom=1.0):
    """A camera that turns and zooms around the frame's centre, so much each frame.

    A point at p in frame 0 is at c + zoom**k R(k degrees) (p - c) in frame k, where R
    turns (down, across) by an angle from down towards across.
    """
    height, width = size
    base = texture((2 * height, 2 * width)).astype(np.float64)
    frames = []
    for k in range(count):
        angle, scale = np.deg2rad(degrees * k), zoom**-k
        back = scale * np.array(
            [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
        )
        centre = np.array([(height - 1) / 2, (width - 1) / 2])
        offset = centre + np.array([height / 2, width / 2]) - back @ centre
        planes = [
            ndimage.affine_transform(
                base[..., c], back, offset, output_shape=size, order=3, mode="mirror"
            )
            for c in range(3)
        ]
        frames.append(np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8))
    return np.stack(frames)


def moving_square(count=6, size=SIZE, *, step=(0, 3), side=16, at=(16, 8)):
    """A textured square that moves over a background that stands still.

    The square is at (at + k * step) in frame k; what is behind it appears again.
    """
    back, front = texture(size), texture((side, side), seed=7, grain=1.0)
    frames = []
    for k in range(count):
        frame = back.copy()
        top, left = at[0] + k * step[0], at[1] + k * step[1]
        frame[top : top + side, left : left + side] = front
        frames.append(frame)
    return np.stack(frames)


def hard_cut(count=8, size=SIZE, *, at=4):
    """Two pans, of which the second begins at frame `at`."""
    second = 255 - pan(count, size)[:, ::-1, ::-1]
    return np.concatenate([pan(count, size)[:at], second[at:]])


def fade(count=8, size=SIZE):
    """A still that becomes dark: no scene begins."""
    shares = np.linspace(1, 0.25, count)[:, None, None, None]
    return (still(count, size) * shares).astype(np.uint8)


def tone(seconds, *, rate=48_000, hertz=440.0):
    """A sine tone, int16 (1, samples)."""
    times = np.arange(int(seconds * rate)) / rate
    return (12_000 * np.sin(2 * np.pi * hertz * times)).astype(np.int16)[None]


def write_clip(
    path,
    frames,
    *,
    rate=Fraction(25),
    codec="libx264",
    pixel_format="yuv444p",
    options=None,
    stamps=None,
    time_base=None,
    sound=None,
    sound_rate=48_000,
    sound_codec="aac",
    prepare=lambda stream: None,
):
    """Writes frames as a video file.

    Args:
        path: Where; its suffix decides the container.
        frames: uint8 or uint16 (frames, height, width, 3).
        rate: Frames a second.
        codec: Of the video.
        pixel_format: As the encoder has it.
        options: Of the encoder; nearly lossless where none are given.
        stamps: Of each frame, in ticks of `time_base`; None for an even rate.
        time_base: Seconds of a tick; None for one frame.
        sound: int16 (channels, samples), or None.
        sound_rate: Its samples a second.
        sound_codec: Of the sound.
        prepare: Called with the video's stream before anything is written.
    """
    import av

    path = Path(path)
    deep = frames.dtype == np.uint16
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixel_format
        stream.options = options or ({"crf": "4"} if codec == "libx264" else {})
        base = time_base or 1 / Fraction(rate)
        stream.codec_context.time_base = base
        prepare(stream)
        track = None
        if sound is not None:
            track = container.add_stream(sound_codec, rate=sound_rate)
            track.layout = "mono" if len(sound) == 1 else "stereo"
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(image), format="rgb48le" if deep else "rgb24"
            )
            frame.pts = number if stamps is None else stamps[number]
            frame.time_base = base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if track is not None:
            _write_sound(container, track, sound, sound_rate)
    return path


def _write_sound(container, track, sound, rate):
    import av

    samples = np.ascontiguousarray(sound.T.reshape(1, -1))
    frame = av.AudioFrame.from_ndarray(samples, format="s16", layout=track.layout.name)
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    resampler = av.AudioResampler(
        format=track.format.name,
        layout=track.layout.name,
        rate=rate,
        frame_size=track.codec_context.frame_size or None,
    )
    for part in (*resampler.resample(frame), *resampler.resample(None)):
        container.mux(track.encode(part))
    container.mux(track.encode(None))
