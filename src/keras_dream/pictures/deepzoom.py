"""Notes in deep-zoom pictures: a comment of a .dzi file, or that of a .szi archive."""

import re
from pathlib import Path

SUFFIXES = (".dzi", ".szi")
"""The suffixes of deep-zoom pictures."""

_MOST = 1 << 20  # bytes of a .dzi file
_COMMENT = re.compile(r"<!-- keras-dream (.*?) -->", re.DOTALL)
# The end of a ZIP archive, and its comment: APPNOTE 6.3.10, 4.3.16.
_END, _MOST_COMMENT = re.compile(rb"PK\x05\x06.{16}(..)", re.DOTALL), (1 << 16) - 1


def comment(xml: str, text: str) -> str:
    """Returns a .dzi file with notes as its last line.

    Args:
        xml: The file.
        text: The notes as JSON in ASCII; two dashes, which no comment may have, are
            written as escapes.
    """
    text = text.replace("--", r"-\u002d")
    return f"{xml.rstrip()}\n<!-- keras-dream {text} -->\n"


def read_text(path: Path) -> str:
    """Returns what stands where the notes of a deep-zoom picture are; "" for nothing.

    Args:
        path: A file with one of `SUFFIXES`; it is untrusted, and little of it is read.
    """
    with path.open("rb") as file:
        if path.suffix.lower() == ".dzi":
            found = _COMMENT.search(file.read(_MOST).decode("utf-8", "replace"))
            return found[1] if found else ""
        file.seek(max(0, path.stat().st_size - _MOST_COMMENT - 22))
        for end in reversed(list(_END.finditer(file.read(_MOST_COMMENT + 22)))):
            if len(end.string) - end.end() == int.from_bytes(end[1], "little"):
                return end.string[end.end() :].decode("utf-8", "replace")
    return ""
