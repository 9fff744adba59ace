"""Classes by their names, as people write them.

Capital letters, hyphens, underscores and further spaces do not count: `class:Goldfish`,
`class:great_white_shark` and `class:'Great White Shark'` are understood. A name may end
in brackets that tell it from another, as in `crane (bird)`; without them it stands for
neither.
"""

import fnmatch
import re
from collections.abc import Sequence

from keras_dream.errors import ObjectiveError, nearest
from keras_dream.recipe.targets import Class

_MOST_HINTS = 4  # as many names as are read at a glance


def numbers_of(name: str, classes: Sequence[str]) -> tuple[int, ...]:
    """Returns the numbers of the classes that a name may stand for.

    Args:
        name: As a person writes it.
        classes: The names of all classes.

    Returns:
        One number; several for an ambiguous name; none for an unknown one.
    """
    if name in classes:
        return (classes.index(name),)
    wanted = _key(name)
    whole = tuple(n for n, other in enumerate(classes) if _key(other) == wanted)
    bare = (other.partition(" (")[0] for other in classes)
    return whole or tuple(n for n, other in enumerate(bare) if _key(other) == wanted)


def similar(name: str, classes: Sequence[str]) -> tuple[str, ...]:
    """Returns classes that have an unknown name among their words, short ones first."""
    wanted = f" {_key(name)} "
    found = [other for other in classes if wanted in f" {_key(other)} "]
    return tuple(sorted(found, key=len)[:_MOST_HINTS])


def matching(patterns: Sequence[str], classes: Sequence[str]) -> tuple[int, ...]:
    """Returns the numbers of the classes that match one of several patterns.

    Args:
        patterns: Parts of names, or patterns such as "*spider"; none match every class.
        classes: The names of all classes.

    Raises:
        ObjectiveError: If a pattern matches none.
    """
    numbers: set[int] = set()
    for pattern in patterns:
        wanted = " ".join(pattern.casefold().split())
        if not any(sign in wanted for sign in "*?["):
            wanted = f"*{wanted}*"
        keys = (name.casefold() for name in classes)
        matched = [n for n, key in enumerate(keys) if fnmatch.fnmatchcase(key, wanted)]
        if not matched:
            raise ObjectiveError(
                "A pattern must match a class",
                received=repr(pattern),
                hint=advice(pattern, classes),
            )
        numbers.update(matched)
    return tuple(sorted(numbers)) if patterns else tuple(range(len(classes)))


def advice(name: str, classes: Sequence[str]) -> str:
    """Returns what to try in the place of an unknown name, as a clause."""
    see = "`dream layers NETWORK --classes`"
    if others := similar(name, classes):
        return f"try {' or '.join(Class(other).text for other in others)}, or see {see}"
    return nearest(_key(name), {_key(other) for other in classes}, see=see)


def _key(name: str) -> str:
    """Returns what counts of a name: its letters and digits, word by word."""
    return " ".join(re.findall(r"[^\W_]+", name.casefold().replace("'", "")))
