"""A film that goes from one recipe to another."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

from keras_dream.errors import SettingError, short_repr
from keras_dream.recipe.interpolation import can_mix
from keras_dream.recipe.keyframes import (
    EASINGS,
    FIXED,
    SWITCHED,
    Curve,
    Keyframe,
    Keyframes,
    Moment,
    checked,
    value_text,
)
from keras_dream.recipe.recipe import Recipe, nested_settings
from keras_dream.recipe.settings import Settings

Time = Moment | str | float | Fraction


def crossfade(
    first: Recipe,
    last: Recipe,
    *,
    start: Time = "0%",
    end: Time = "100%",
    easing: str = "linear",
) -> Recipe:
    """Returns the recipe of a film that fades from one recipe into another.

    Whatever differs gets keyframes. Numbers are interpolated; of two objectives the
    terms are united, and their weights are interpolated. What has nothing between, such
    as words and parts of another kind, switches in the middle.

    Args:
        first: The recipe of the film's beginning.
        last: That of its end.
        start: When the fade begins: seconds, or text such as "5s", "1:12" or "25%".
        end: When it ends, in the same unit.
        easing: How it goes: linear, step, ease-in, ease-out or ease-in-out.

    Raises:
        SettingError: If the recipes differ in their keyframes or in what holds for a
            whole film, such as the network or the size, or if the fade does not end
            after it begins.
        ObjectiveError: If the objectives have no sum.
    """
    begin, finish = Moment.of(start), Moment.of(end)
    if begin.unit != finish.unit or begin.number >= finish.number:
        raise SettingError(
            "A cross-fade must begin before it ends, in the same unit",
            received=f"{begin.text} to {finish.text}",
            hint="try 5s to 8s, or 40% to 60%",
        )
    if easing not in EASINGS:
        raise SettingError(
            f"An easing must be one of {', '.join(EASINGS)}",
            received=short_repr(easing),
            hint="try ease-in-out",
        )
    if first.keyframes != last.keyframes:
        one = set(first.keyframes) ^ set(last.keyframes)
        raise SettingError(
            "A cross-fade must be between recipes with the same keyframes, or none",
            received=f"{min(curve.text for curve in one)} in one of them",
            hint="give them to both, or write the fade as keyframes, too",
        )
    middle = replace(begin, number=(begin.number + finish.number) / 2)
    curves = [
        _curve(setting, one, other, (begin, middle, finish), easing)
        for setting, one, other in _differences(first, last)
    ]
    return first.but(keyframes=(*first.keyframes, *curves)) if curves else first


def _curve(
    setting: str,
    one: Any,
    other: Any,
    moments: tuple[Moment, Moment, Moment],
    easing: str,
) -> Curve:
    if setting in FIXED:
        raise SettingError(
            "A cross-fade must be between recipes that are alike in what holds for a "
            "whole film",
            received=f"{setting} {' and '.join(map(_value_repr, (one, other)))}",
            hint="name the other network in the objective, behind a semicolon"
            if setting == "network"
            else f"give both the same {setting}",
        )
    begin, middle, finish = moments
    # A network's own objective is known when the film begins.
    mixes = can_mix(one, other) or (setting == "objective" and None in (one, other))
    if not mixes or setting in SWITCHED:
        finish, easing = middle, "step"
    keys = (Keyframe(begin, one), Keyframe(finish, other, easing))
    return checked(Keyframes(setting, keys))


def _value_repr(value: Any) -> str:
    return short_repr(value_text(value))


def _differences(first: Recipe, last: Recipe) -> Iterator[tuple[str, Any, Any]]:
    """Yields the settings that differ, with both values."""
    for name in Recipe.model_fields:
        one, other = getattr(first, name), getattr(last, name)
        if one == other:
            continue
        if name not in nested_settings():
            yield name, one, other
            continue
        plain: Settings = type(one or other)()
        one, other = one or plain, other or plain
        for part in type(plain).model_fields:
            values = getattr(one, part), getattr(other, part)
            if values[0] != values[1]:
                yield f"{name}.{part}", *values
