"""Films of one picture from the shell: the endless zoom, and the film of an ascent."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from keras_dream.cli.dream_run import check_work
from keras_dream.cli.video_run import PREVIEW_SECONDS, Request
from keras_dream.recipe.camera import CameraSettings

if TYPE_CHECKING:
    from keras_dream.dreamer.dreamer import Dreamer
    from keras_dream.video.from_picture import PictureRun
    from keras_dream.video.setup import Setup


@dataclass(frozen=True)
class ZoomRequest(Request):
    """A zoom as the user asked for it; `source` is a photo, or one without a photo."""

    shorter: ClassVar[str] = (
        "see --preview, try fewer steps, a smaller --size, fewer --seconds, or --yes"
    )

    @property
    def setup(self) -> "Setup":
        """What the film is made from and by."""
        from keras_dream.video.from_picture import PictureSetup

        return PictureSetup(**vars(super().setup))

    @property
    def suffix(self) -> str:
        """How the name of a film ends that has none."""
        return ".mp4"

    def check_source(self, setup: "Setup") -> None:
        """Refuses a photo that cannot be read."""
        from keras_dream.pictures.picture import read_size
        from keras_dream.pictures.sources import is_source, size_of

        size = size_of if is_source(self.source) else read_size
        if not self.yes:  # before the pixels take memory
            check_work(size(self.source), setup.recipe)

    def begin(
        self,
        setup: "Setup",
        path: Path,
        dreamer: "Dreamer | Callable[[Setup], Dreamer]",
    ) -> "PictureRun":
        """Returns the run that makes the film."""
        from keras_dream.video.from_picture import PictureSetup
        from keras_dream.video.zoom import ZoomRun

        own = PictureSetup(**vars(setup))
        return ZoomRun(own, path, dreamer=dreamer, **self.run_options)

    def previewed(self, setup: "Setup", side: int) -> "Setup":
        """Returns what the preview is made from and by: as small, and so short."""
        recipe = setup.recipe
        camera = recipe.camera or CameraSettings()
        seconds = min(camera.seconds, PREVIEW_SECONDS)
        own = camera.but(seconds=seconds, loop=False)
        return replace(setup, recipe=recipe.but(size=side, camera=own))


@dataclass(frozen=True)
class FilmRequest(ZoomRequest):
    """A film of an ascent as the user asked for it.

    Attributes:
        rate: Frames a second.
        hold: Seconds for which the first and the last frame are shown in addition.
    """

    rate: float = 12.0
    hold: float = 1.0

    shorter: ClassVar[str] = "try fewer steps, a smaller --size, or --yes"

    def begin(
        self,
        setup: "Setup",
        path: Path,
        dreamer: "Dreamer | Callable[[Setup], Dreamer]",
    ) -> "PictureRun":
        """Returns the run that makes the film."""
        from keras_dream.video.film import FilmRun
        from keras_dream.video.from_picture import PictureSetup

        own, how = PictureSetup(**vars(setup)), self.run_options
        return FilmRun(own, path, fps=self.rate, hold=self.hold, dreamer=dreamer, **how)
