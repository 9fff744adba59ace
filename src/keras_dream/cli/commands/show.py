"""`dream show`: the recipe and the record that a saved picture or film holds."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from keras_dream.cli.options import Switch
from keras_dream.cli.output import plain, table, write_stdout

if TYPE_CHECKING:
    from keras_dream.engine.result import Record


def show(picture: str, /, *, json: Switch = False) -> int:
    """Show the recipe and the record of a dream, or the description of a sheet.

    Args:
        picture: a picture or a film that keras-dream saved
        json: print one JSON object
    """
    from keras_dream.recipe.recipe import canonical_json
    from keras_dream.replay import film_record, read_saved
    from keras_dream.sheets.sheet import read_about

    about = read_about(picture)
    if about is not None:
        write_stdout(canonical_json(about) if json else _sheet_text(about))
        return 0
    saved = read_saved(picture)
    film = film_record(picture)
    recipe = saved.recipe.model_dump(mode="json")
    record = saved.record.data() if film is None else film
    if json:
        write_stdout(canonical_json({"recipe": recipe, "record": record}))
        return 0
    rows = [(name, _text(value)) for name, value in recipe.items()]
    write_stdout(table(("recipe", ""), rows))
    write_stdout("")
    told = _record_rows(saved.record) if film is None else _film_rows(film)
    write_stdout(table(("record", ""), list(told)))
    return 0


def _sheet_text(about: "Mapping[str, Any]") -> str:
    """Returns a sheet's description as tables; a stranger may have written it."""
    ((kind, facts),) = about.items()
    recipe = facts.pop("recipe", None)
    cells = facts.pop("cells", None)
    facts["cells"] = len(cells) if isinstance(cells, list) else cells
    rows = [(plain(name), plain(_json(value))) for name, value in facts.items()]
    text = table((kind, ""), rows)
    if isinstance(recipe, dict):
        common = [(plain(name), plain(_json(value))) for name, value in recipe.items()]
        text += "\n\n" + table(("recipe", ""), common)
    return text


def _json(value: object) -> str:
    from keras_dream.recipe.recipe import canonical_json

    return value if isinstance(value, str) else canonical_json(value)


def _film_rows(record: "Mapping[str, Any]") -> Iterator[tuple[str, str]]:
    """Yields what a film's record says; a stranger may have written it."""
    for name, value in record.items():
        if name == "notices" and isinstance(value, list):
            yield from (("notice", plain(_json(notice))) for notice in value)
        elif isinstance(value, dict) and name in ("run", "versions", "also"):
            yield from ((plain(key), _text(each)) for key, each in value.items())
        else:
            yield plain(name), plain(_json(value))


def _record_rows(record: "Record") -> Iterator[tuple[str, str]]:
    yield "source", plain(record.source) or "a picture without a name"
    yield "source_sha256", plain(record.source_sha256)
    if record.start_sha256:
        yield "start_sha256", plain(record.start_sha256)
    if record.stripped:
        yield "stripped", "yes, of the photo's camera, date and copyright"
    yield "size", f"{record.size[1]} × {record.size[0]} pixels"
    yield "network", plain(record.network)
    yield "weights_sha256", plain(record.weights_sha256)
    for network, sha256 in record.also.items():
        yield "also", f"{plain(network)}, weights {plain(sha256)}"
    for network, meant in record.strongest.items():
        for text, channels in meant.items():
            numbers = ", ".join(map(str, channels))
            yield plain(text), f"of {plain(network)} meant {numbers}"
    for name, value in (*record.run.items(), *record.versions.items()):
        yield plain(name), _text(value)
    yield "processor", plain(record.processor)
    for octave, losses in record.losses.items():
        if losses:
            yield (
                f"octave {plain(octave)}",
                f"loss {losses[0]:.4g} to {losses[-1]:.4g}, {len(losses)} kept",
            )
    for notice in record.notices:
        yield "notice", plain(notice)
    yield "complete", "yes" if record.complete else "no, it was stopped"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        value = _json(value)
    if isinstance(value, list):
        value = "; ".join(map(str, cast("list[object]", value))) or None
    return "none" if value is None else plain(str(value))
