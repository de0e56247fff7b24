"""Settings read from TOML into frozen dataclasses, refused with file, key and allowed values.

A field says what it allows. What the fields of a class need of each other its ``__post_init__``
says: it raises a `ValueError` that begins with a setting's name, ``"width: 10 is not ..."``.
"""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from cifarcam.errors import CifarcamError

Check = Callable[[Any], Any]
_Settings = TypeVar("_Settings")
LONGEST_SHOWN = 200  # characters of a value, a key or a path that an error repeats whole


def setting(allowed: str, check: Check, **kwargs: Any) -> Any:
    """Declare a dataclass field by what it allows.

    Parameters
    ----------
    allowed
        The allowed values in words, shown when a value is refused.
    check
        Returns the value in its final type, or raises `ValueError` or `TypeError`.
    """
    return dataclasses.field(metadata={"allowed": allowed, "check": check}, **kwargs)


def whole_number(low: int, high: int, **kwargs: Any) -> Any:
    """A field that takes a whole number from `low` to `high`."""

    def check(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError
        return value

    return setting(f"a whole number from {low} to {high}", check, **kwargs)


def number(low: float, high: float, **kwargs: Any) -> Any:
    """A field that takes a number from `low` to `high`."""

    def check(value: Any) -> float:
        if type(value) not in (int, float) or not low <= value <= high:
            raise ValueError
        return float(value) + 0.0  # -0.0 becomes 0.0, which is written and hashed otherwise

    return setting(f"a number from {low:g} to {high:g}", check, **kwargs)


def choice(*names: str, **kwargs: Any) -> Any:
    """A field that takes one of some names."""

    def check(value: Any) -> str:
        if value not in names:
            raise ValueError
        return value

    return setting("one of " + ", ".join(names), check, **kwargs)


def flag(**kwargs: Any) -> Any:
    """A field that takes true or false."""

    def check(value: Any) -> bool:
        if type(value) is not bool:
            raise ValueError
        return value

    return setting("true or false", check, **kwargs)


def whole_numbers(count: tuple[int, int], low: int, high: int, **kwargs: Any) -> Any:
    """A field that takes a list of whole numbers, kept as a tuple."""

    def check(value: Any) -> tuple[int, ...]:
        if not isinstance(value, list | tuple) or not count[0] <= len(value) <= count[1]:
            raise ValueError
        if any(type(item) is not int or not low <= item <= high for item in value):
            raise ValueError
        return tuple(value)

    words = f"a list of {count[0]} to {count[1]} whole numbers from {low} to {high}"
    return setting(words, check, **kwargs)


def shown(value: Any) -> str:
    """A value as an error names it: on one short line, however long or deeply nested it is."""
    short = reprlib.Repr()
    short.maxstring = short.maxlong = short.maxother = LONGEST_SHOWN
    try:
        return short.repr(value)
    except ValueError:  # Python does not write out whole numbers of more than 4,300 digits
        return "a value with thousands of digits"


def named(name: str) -> str:
    """A key or a path as an error names it: as it is, unless it is long or cannot be printed."""
    return name if name.isprintable() and len(name) <= LONGEST_SHOWN else shown(name)


def given(values: Any) -> dict[str, Any]:
    """The settings of a dataclass by name, without those at their defaults."""
    return {
        field.name: getattr(values, field.name)
        for field in dataclasses.fields(values)
        if getattr(values, field.name) != field.default
    }


def changed(values: _Settings, changes: Mapping[str, Any], where: str) -> _Settings:
    """The settings with some of them changed, refused as by `read`."""
    return read(type(values), given(values) | dict(changes), where)


def read(cls: type[_Settings], values: Any, where: str) -> _Settings:
    """Make an instance of a settings dataclass from a TOML table.

    Parameters
    ----------
    cls
        A dataclass whose fields were declared by the functions above.
    values
        The table.
    where
        What is named when a value is refused, such as ``"baseline.toml: training"``.

    Raises
    ------
    CifarcamError
        On an unknown, missing or out-of-range setting, or settings that do not go together.
    """
    if not isinstance(values, Mapping):
        raise CifarcamError(f"{where}: expected a table of settings, not {shown(values)}")
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise CifarcamError(
                f"{where}.{named(key)}: unknown setting; allowed are {', '.join(fields)}"
            )
    checked = {}
    for key, field in fields.items():
        allowed = field.metadata["allowed"]
        if key in values:
            try:
                checked[key] = field.metadata["check"](values[key])
            except (TypeError, ValueError) as error:
                raise CifarcamError(
                    f"{where}.{key}: {shown(values[key])} is not {allowed}"
                ) from error
        elif field.default is dataclasses.MISSING:
            raise CifarcamError(f"{where}.{key}: missing; give {allowed}")
    try:
        return cls(**checked)
    except ValueError as error:
        raise CifarcamError(f"{where}.{error}") from error
