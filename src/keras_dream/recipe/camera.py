"""The settings of a camera that moves through a dream: a zoom from one picture."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Any, cast

from pydantic import BeforeValidator, Field

from keras_dream.errors import SettingError, short_repr
from keras_dream.recipe.nested import NestedSettings
from keras_dream.recipe.settings import FiniteFloat

MOST_FRAMES = 1_000_000


def _pair(setting: str, example: str) -> Any:
    """Returns what reads two numbers from text such as "0.4,0.6" or from a list."""

    def read(value: Any) -> tuple[float, float]:
        text = value
        if isinstance(value, list | tuple) and len(cast("Sequence[Any]", value)) == 1:
            text = cast("Sequence[Any]", value)[0]  # as a flag gives text
        try:
            values: Any = text.split(",") if isinstance(text, str) else text
            x, y = (float(each) + 0.0 for each in values)
            if abs(x) <= 10 and abs(y) <= 10:  # which no number that is none does
                return x, y
        except (TypeError, ValueError, OverflowError):
            pass
        raise SettingError(
            f"`{setting}` must be two numbers from -10 to 10 with a comma between, "
            "across and down",
            received=short_repr(cast("object", text)),
            hint=f"try {example}",
        )

    return BeforeValidator(read, json_schema_input_type=str | list[float])


class CameraSettings(NestedSettings):
    """How the camera of a zoom moves from each frame to the next; part of a recipe.

    `rate`, `rotate` and `shift` are those of one frame, whatever `fps` is: what a dream
    becomes depends on how far it is magnified between two of its frames, so that `fps`
    only says how fast the same frames are shown.
    """

    rate: FiniteFloat = Field(
        default=1.02,
        ge=0.5,
        le=2,
        description="how much larger the picture becomes from each frame to the next; "
        "below 1 the camera goes back, and what comes into sight is dreamed",
    )
    center: Annotated[tuple[float, float], _pair("center", "0.4,0.6")] = Field(
        default=(0.5, 0.5),
        description="the place that stays where it is, across and down, as shares of "
        "width and height, such as '0.4,0.6'",
    )
    rotate: FiniteFloat = Field(
        default=0.0,
        ge=-180,
        le=180,
        description="degrees by which the picture turns counter-clockwise from each "
        "frame to the next",
    )
    shift: Annotated[tuple[float, float], _pair("shift", "0.01,0")] = Field(
        default=(0.0, 0.0),
        description="how far the picture moves to the right and down from each frame "
        "to the next, as shares of width and height, such as '0.01,0'",
    )
    seconds: FiniteFloat = Field(
        default=10.0, gt=0, le=100_000, description="how long the film is"
    )
    fps: FiniteFloat = Field(
        default=25.0, ge=0.1, le=1000, description="frames a second"
    )
    loop: bool = Field(
        default=False,
        description="make the last frame lead into the first, so that the film can be "
        "repeated without end",
    )
    seam: int = Field(
        default=25,
        ge=1,
        le=10_000,
        description="frames over which a loop closes: they are dreamed twice",
    )

    @property
    def frame_rate(self) -> Fraction:
        """Frames a second, exactly; 23.976 and the like are thousands over 1,001."""
        return exact_rate(self.fps)

    @property
    def frames(self) -> int:
        """How many frames the film has, at least one."""
        return max(1, round(self.seconds * self.frame_rate))


def exact_rate(fps: float) -> Fraction:
    """Returns frames a second as a fraction: 29.97 is 30000/1001, as broadcasters do.

    Args:
        fps: Frames a second, above 0.
    """
    whole = round(fps * 1.001)
    ntsc = Fraction(whole * 1000, 1001)
    is_ntsc = whole and fps % 1 and abs(float(ntsc) - fps) < 5e-3
    return ntsc if is_ntsc else Fraction(str(fps))
