"""`dream presets`: the recipes that have names."""

import json as json_text

from keras_dream.cli.options import Switch
from keras_dream.cli.output import table, write_stdout


def presets(name: str | None = None, /, *, schema: Switch = False) -> int:
    """List the presets, or print one of them as JSON.

    Args:
        name: the preset to print; `dream PHOTO --recipe FILE.json` reads such JSON
        schema: print the JSON schema of recipes
    """
    from keras_dream.recipe.presets import preset, presets as every
    from keras_dream.recipe.recipe import Recipe
    from keras_dream.zoo import catalogue
    from keras_dream.zoo.inventory import status_of

    if schema:
        write_stdout(json_text.dumps(Recipe.model_json_schema(), indent=2))
    elif name is not None:
        write_stdout(json_text.dumps(preset(name).model_dump(mode="json"), indent=2))
    else:
        rows = [
            (
                name,
                recipe.network,
                status_of(catalogue.entry(recipe.network)).state,
                str(recipe.octaves)
                + (f"+{recipe.octaves_above}" if recipe.octaves_above else ""),
                str(recipe.steps),
                f"{recipe.step_size:.4g}",
                str(recipe.objective or "the network's own"),
            )
            for name, recipe in every.items()
        ]
        head = ("preset", "network", "weights", "octaves", "steps", "step_size")
        write_stdout(table((*head, "objective"), rows))
    return 0
