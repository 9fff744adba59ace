"""The settings of a film: what a video needs beside the recipe of its frames."""

from typing import Literal

from pydantic import Field

from keras_dream.recipe.nested import NestedSettings
from keras_dream.recipe.settings import MOST_STEPS, FiniteFloat

ZOOM_SETTINGS = ("first_steps", "later_steps", "lock")
"""The settings of a film that a zoom has, too, whose motion is known."""


class VideoSettings(NestedSettings):
    """What decides a dreamed video beside the recipe of each frame; part of a recipe.

    A frame is dreamed from its own pixels plus the difference that the frame before it
    was given, moved along the optical flow.
    """

    first_steps: int | None = Field(
        default=None,
        ge=0,
        le=MOST_STEPS,
        description="steps in each octave of a scene's first frame, which nothing is "
        "carried to; none for the recipe's steps",
    )
    later_steps: int | None = Field(
        default=None,
        ge=0,
        le=MOST_STEPS,
        description="steps in each octave of every later frame, which begins with what "
        "the one before it dreamed, where it takes over all of it; none for a quarter "
        "of the first ones",
    )
    warm_up: int = Field(
        default=8,
        ge=0,
        le=1000,
        description="how often a scene's first frame is dreamed again with the later "
        "steps, as if it had stood still for so many frames before, so that a scene "
        "begins as it goes on",
    )
    carry: FiniteFloat = Field(
        default=1.0,
        ge=0,
        le=1,
        description="how much of the last frame's dream the next one begins with: 0 "
        "dreams every frame by itself",
    )
    flow_size: int = Field(
        default=640,
        ge=16,
        le=8192,
        description="longest side in pixels at which the optical flow is computed",
    )
    lock: bool = Field(
        default=True,
        description="hold the dream's strength, and what it does to mean, contrast and "
        "saturation, at those of the scene's first frame, so that it neither fades nor "
        "burns out",
    )
    cuts: Literal["auto", "none"] = Field(
        default="auto",
        description="whether a scene's cut begins the dream anew: auto, where one is "
        "detected, or none",
    )
    smooth: FiniteFloat = Field(
        default=0.0,
        ge=0,
        le=1,
        description="how much of each frame's dream is taken from a second pass, which "
        "runs backwards in time; 0 for one pass",
    )
    block: int | None = Field(
        default=None,
        ge=2,
        le=1_000_000,
        description="frames of a block: blocks are dreamed by themselves, so that "
        "several workers can share a scene, and fade into each other; none for whole "
        "scenes",
    )
    overlap: int = Field(
        default=12,
        ge=1,
        le=1000,
        description="frames over which a block fades into the next",
    )

    def frame_steps(self, steps: int) -> tuple[int, int]:
        """Returns the steps in each octave of a scene's first and of a later frame.

        Args:
            steps: Those of the recipe.
        """
        first = steps if self.first_steps is None else self.first_steps
        later = self.later_steps
        if later is None:
            later = max(1, round(first / 4)) if first else 0
        return first, later
