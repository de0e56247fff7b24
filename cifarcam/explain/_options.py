"""Checks of options."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import keras

from cifarcam.errors import CifarcamError


def checked_count(name: str, value: Any, least: int, most: int | None = None) -> int:
    """The value of an option that counts something.

    Raises
    ------
    CifarcamError
        When it is no whole number, below `least` or above `most`.
    """
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or value < least or (most is not None and value > most):
        numbers = (
            f"a whole number, at least {least}"
            if most is None
            else f"{least} to {most}, a whole number"
        )
        raise CifarcamError(f"{name} is {value!r}; give {numbers}")
    return int(value)


def checked_number(
    name: str, value: Any, least: float, most: float = math.inf, *, between: bool = False
) -> float:
    """The value of an option that measures something.

    Raises
    ------
    CifarcamError
        When it is no finite number, below `least` or above `most`, or one of them if it has to lie
        `between` them.
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    is_finite = is_number and math.isfinite(value)
    if not is_finite or not least <= value <= most or (between and value in (least, most)):
        numbers = (
            f"a finite number, at least {least:g}"
            if most == math.inf
            else f"a number {'between' if between else 'from'} {least:g} "
            f"{'and' if between else 'to'} {most:g}"
        )
        raise CifarcamError(f"{name} is {value!r}; give {numbers}")
    return float(value)


def checked_names(layers: Any) -> list[str]:
    """The names of one layer or several.

    Raises
    ------
    CifarcamError
        When there is none, or one is no text.
    """
    names = list(layers) if isinstance(layers, list | tuple) else [layers]
    if not names:
        raise CifarcamError("the list of layers is empty; give at least one")
    for name in names:
        if not isinstance(name, str):
            advice = f", {name.name!r}" if isinstance(name, keras.Layer) else ""
            raise CifarcamError(f"layer is a {type(name).__name__}; give the layer's name{advice}")
    return names
