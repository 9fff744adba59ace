"""`dream`: one picture, with a dreamer for one use."""

from typing import TYPE_CHECKING, Any

from keras_dream.dreamer.dreamer import Dreamer, as_recipe
from keras_dream.engine.result import Dream
from keras_dream.errors import SettingError, nearest
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.recipe.settings import pop_keys
from keras_dream.zoo import user_models
from keras_dream.zoo.loading import OnePerNetwork

if TYPE_CHECKING:
    from keras_dream.dreamer.dreamer import Photo


def dream(
    photo: "Photo",
    recipe: Recipe | str = "default",
    *,
    weights: OnePerNetwork = None,
    preprocessing: OnePerNetwork = None,
    trust_model: bool = False,
    **settings: Any,
) -> Dream:
    """Dreams one picture: a `Dreamer` for one use.

    Args:
        photo: As for `Dreamer.steps`.
        recipe: A recipe or the name of a preset.
        weights: As for `Dreamer`.
        preprocessing: As for `Dreamer`.
        trust_model: As for `Dreamer`.
        **settings: Any setting of the recipe, put over it, and any run setting;
            `layers={"mixed3": 3.0}` is another way to write an objective, and
            `network` may be a `.keras` file or a `keras.Model`, or a list of names,
            files and models.

    Returns:
        The dream; `dream(...).save("out.png")` writes it.

    Raises:
        SettingError: If a setting is unknown or impossible.
        DreamError: As for `Dreamer` and `Dreamer.steps`.
    """
    network = settings.pop("network", None)
    if isinstance(network, str) and not user_models.is_file(network):
        settings["network"], network = network, None
    run = pop_keys(settings, RunSettings.model_fields)
    unknown = [n for n in settings if n not in (*Recipe.model_fields, "layers")]
    if unknown:
        names = [*Recipe.model_fields, *RunSettings.model_fields, "layers", "weights"]
        raise SettingError(
            "A setting must be one that exists",
            received=repr(unknown[0]),
            hint=nearest(unknown[0], names),
        )
    dreamer = Dreamer.of(
        chosen := as_recipe(recipe).but(**settings),
        network,
        weights=weights,
        preprocessing=preprocessing,
        trust_model=trust_model,
        run=RunSettings.of(run),
    )
    return dreamer.dream(photo, chosen)
