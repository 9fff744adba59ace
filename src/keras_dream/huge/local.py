"""What a dream larger than memory may ask for: what is computed near a place only."""

from collections.abc import Callable, Iterator

from keras_dream.errors import SettingError
from keras_dream.parts.canvases import Pixels
from keras_dream.parts.optimizers import Lbfgs
from keras_dream.parts.starts import Photo
from keras_dream.parts.transforms import Flip, Pad
from keras_dream.recipe.recipe import Recipe

_OUT = "leave it out"


def _settings(*names: str) -> Callable[[Recipe], Iterator[str]]:
    """Returns what yields those of some settings that a recipe has."""
    return lambda recipe: (name for name in names if getattr(recipe, name))


def _canvas(recipe: Recipe) -> Iterator[str]:
    if not isinstance(recipe.canvas, Pixels):
        yield f"canvas={recipe.canvas.text}"


def _optimizer(recipe: Recipe) -> Iterator[str]:
    if isinstance(recipe.optimizer, Lbfgs):
        yield "optimizer=lbfgs"


def _start(recipe: Recipe) -> Iterator[str]:
    if not isinstance(recipe.start, Photo):
        yield f"start={recipe.start.text}"


def _wrap(recipe: Recipe) -> Iterator[str]:
    if recipe.wrap != "none":
        yield f"wrap={recipe.wrap}"


def _size(recipe: Recipe) -> Iterator[str]:
    if recipe.size is not None:
        yield f"size={recipe.size}"


def _transforms(recipe: Recipe) -> Iterator[str]:
    return (t.text for t in recipe.transforms if not isinstance(t, Flip | Pad))


def _colors(recipe: Recipe) -> Iterator[str]:
    return (f"colors={c.text}" for c in recipe.colors if not c.is_local)


def _networks(recipe: Recipe) -> Iterator[str]:
    if len(recipe.networks) > 1:
        yield "several networks"


def _strongest(recipe: Recipe) -> Iterator[str]:
    for network in recipe.every_network:
        yield from (target.text for target in network.strongest_targets)


# What yields the settings that are refused; why; what to try.
_REFUSED: tuple[tuple[Callable[[Recipe], Iterator[str]], str, str], ...] = (
    (_canvas, "whose numbers change the whole picture", "try canvas=pixels"),
    (_optimizer, "which compares whole pictures", "try sgd, momentum or adam"),
    (_start, "which is painted at once", "paint it to a file first"),
    (_wrap, "which joins opposite edges", "try wrap=none"),
    (_size, "which resizes the photo first", "resize the file first"),
    (_transforms, "whose pixels come from anywhere", "try pad and flip"),
    (
        _settings("mask", "blend_mask", "regions"),
        "which is a picture as large as the photo",
        _OUT,
    ),
    (_settings("keyframes"), "which are for films", "leave them out"),
    (_networks, "which are measured over the whole picture", "try one of them"),
    (
        _strongest,
        "which is measured on the whole picture",
        "name the channels that a dream of a small copy has chosen",
    ),
    (
        _settings("octave_strengths", "keep_detail", "full_size", "transparency"),
        "which needs all of the dream at once",
        _OUT,
    ),
    (
        _colors,
        "which measures the colours of the whole picture",
        "try chroma, chroma_limit or soft_clip",
    ),
)


def check_recipe(recipe: Recipe) -> None:
    """Refuses a recipe that asks for what sees the whole picture at once.

    Args:
        recipe: A complete recipe.

    Raises:
        SettingError: If it does.
    """
    for found, why, hint in _REFUSED:
        for received in found(recipe):
            raise SettingError(
                "A dream larger than memory must be of what looks near each place only",
                received=f"{received}, {why}",
                hint=hint,
            )
