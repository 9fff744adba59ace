"""Names of classes that published networks share."""

import functools
from pathlib import Path


@functools.cache
def imagenet() -> tuple[str, ...]:
    """Returns the names of ImageNet's 1,000 classes by number.

    The file says where they come from.
    """
    text = Path(__file__).with_name("imagenet_classes.txt").read_text("utf-8")
    return tuple(line for line in text.splitlines() if not line.startswith("#"))
