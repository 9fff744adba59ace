"""Files that a recipe names: guides, masks, palettes, directions.

A recipe names a file as (name, sha256) and never holds its contents. What the user
types may be a path without a hash; a dream's recipe, which travels in the picture, has
the plain name and the hash of the bytes. A recipe that comes from a file or a picture
is untrusted, for it may be a stranger's: its files have plain names and hashes, and are
looked for among the files that the user names and beside the picture, nowhere else.
"""

import re
from dataclasses import dataclass

from keras_dream.errors import SettingError, short_repr

MAX_NAME = 4_096  # characters: PATH_MAX of Linux

_WITH_HASH = re.compile(r"(?P<name>.+)#(?P<sha256>[0-9a-fA-F]{64})", re.DOTALL)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class FileRef:
    """A file as a recipe names it.

    Attributes:
        name: Its name; a path only where the user typed it.
        sha256: Of its bytes, in 64 hexadecimal digits; empty where it is not stated.

    Raises:
        SettingError: If the name is none, a URL or too long, or the hash is none.
    """

    name: str
    sha256: str = ""

    def __post_init__(self) -> None:
        if (
            not self.name
            or self.name != self.name.strip()
            or "\0" in self.name
            or len(self.name) > MAX_NAME
            or _WITH_HASH.fullmatch(self.name)
        ):
            raise SettingError(
                f"A file must have a name of at most {MAX_NAME} characters that does "
                "not begin or end with a space, nor look like one with its sha256",
                received=short_repr(self.name),
                hint="name a file, or rename it",
            )
        if re.match(r"\w{2,}://", self.name):
            raise SettingError(
                "A file must be on this machine",
                received=f"the address {short_repr(self.name)}",
                hint="download it first, and name the file",
            )
        if self.sha256 and not _SHA256.fullmatch(self.sha256):
            raise SettingError(
                "The sha256 of a file must be 64 hexadecimal digits in lower case",
                received=short_repr(self.sha256),
                hint="leave it out: it is computed",
            )

    @classmethod
    def read(cls, text: str) -> "FileRef":
        """Returns the file for text such as "photo2.jpg" or "photo2.jpg#<sha256>"."""
        match = _WITH_HASH.fullmatch(text.strip())
        if match is None:
            return cls(text.strip())
        return cls(match["name"], match["sha256"].lower())

    @property
    def text(self) -> str:
        """The file as text that `read` reads back."""
        return f"{self.name}#{self.sha256}" if self.sha256 else self.name

    def __str__(self) -> str:
        return self.text
