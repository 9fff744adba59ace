"""Settings that are a part of a recipe: those of a film and of a camera."""

from typing import Any

from pydantic import PrivateAttr

from keras_dream.recipe.keyframes import is_curve
from keras_dream.recipe.settings import Settings


class NestedSettings(Settings):
    """Settings that a recipe has in one of its own.

    A value may be written by its keyframes: they become the recipe's, and here the
    setting has its default.
    """

    _curves: dict[str, Any] = PrivateAttr(default_factory=dict)

    def __init__(self, /, **values: Any):
        curves = {
            name: value
            for name, value in values.items()
            if name in type(self).model_fields and is_curve(value)
        }
        super().__init__(**{n: v for n, v in values.items() if n not in curves})
        self._curves = curves

    @property
    def curves(self) -> dict[str, Any]:
        """Keyframes by their settings, as they were written."""
        return dict(self._curves)

    def _set_fields(self) -> dict[str, Any]:
        return {**super()._set_fields(), **self._curves}
