"""The recipe of every frame of a film, whose settings may change in time."""

import hashlib
import os
from pathlib import Path

from keras_dream.errors import InputError
from keras_dream.recipe.files import FileRef, Files
from keras_dream.recipe.keyframes import Follow, Sound
from keras_dream.recipe.recipe import Recipe
from keras_dream.video.frames import Clip, Stamp
from keras_dream.video.levels import Levels, levels_of
from keras_dream.video.source import Source


class Timeline:
    """A recipe bound to a film: what its settings are in each frame.

    Sounds that settings follow are decoded here, once. It may be pickled for other
    processes.

    Args:
        recipe: The film's recipe; completed, where it goes from one objective to
            another and one of them is the network's own.
        clip: The film's frames.
        source: The film's source, or its path, for the sound of its own.
        sound: A file whose sound the film has, in place of the source's own.
        files: Finds the files of sounds.

    Attributes:
        recipe: The recipe with its keyframes in seconds.

    Raises:
        SettingError: If settings do not fit each other at some time.
        InputError: If a sound that is followed cannot be had.
    """

    def __init__(
        self,
        recipe: Recipe,
        clip: Clip,
        *,
        source: Source | str | os.PathLike[str] | None = None,
        sound: str | os.PathLike[str] | None = None,
        files: Files | None = None,
    ):
        starts = [stamp.start for stamp in clip.stamps]
        self.recipe = recipe.in_seconds(clip.seconds, frames=starts)
        self._levels: dict[Sound, Levels] = {}
        sounds = (c.sound for c in self.recipe.keyframes if isinstance(c, Follow))
        by_file: dict[FileRef | None, list[Sound]] = {}
        for followed in dict.fromkeys(sounds):
            by_file.setdefault(followed.file, []).append(followed)
        for file, several in by_file.items():
            path, origin = sound, None
            if file is not None:
                path = (files or Files()).find(file)
            elif path is None:
                path, origin = _own_track(clip, source), clip.origin
            self._levels.update(levels_of(path, several, origin=origin))

    @property
    def sha256(self) -> str:
        """Of the levels of the sounds that are followed; "" where there are none."""
        if not self._levels:
            return ""
        digest = hashlib.sha256()
        for sound, levels in sorted(
            self._levels.items(), key=lambda item: str(item[0])
        ):
            digest.update(f"{sound} {levels.start} {len(levels.values)}\n".encode())
            digest.update(levels.values.tobytes())
        return digest.hexdigest()

    def at(self, stamp: Stamp) -> Recipe:
        """Returns the recipe of a frame, without keyframes; cheap.

        A frame has the values of its first moment, and the highest level of a sound
        while it is shown.
        """
        return self.recipe.at_time(
            stamp.start, level=lambda sound: self._levels[sound].at(stamp)
        )


def _own_track(clip: Clip, source: Source | str | os.PathLike[str] | None) -> Path:
    """Returns the path of a film whose own sound is followed."""
    if source is None or not clip.has_sound:
        raise InputError(
            "A setting that follows the film's sound must have a film with a track",
            received=f"{clip.name}, which has none",
            hint="name a file of sound with follow(..., file=song.mp3)",
        )
    return source.path if isinstance(source, Source) else Path(source)
