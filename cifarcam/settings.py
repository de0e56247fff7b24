"""Settings read from TOML into frozen dataclasses, refused with file, key and allowed values."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from cifarcam.errors import CifarcamError

Check = Callable[[Any], Any]
_Settings = TypeVar("_Settings")


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
        return float(value)

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
        On an unknown, missing or out-of-range setting.
    """
    if not isinstance(values, Mapping):
        raise CifarcamError(f"{where}: expected a table of settings, not {values!r}")
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise CifarcamError(f"{where}.{key}: unknown setting; allowed are {', '.join(fields)}")
    checked = {}
    for key, field in fields.items():
        allowed = field.metadata["allowed"]
        if key in values:
            try:
                checked[key] = field.metadata["check"](values[key])
            except (TypeError, ValueError) as error:
                raise CifarcamError(f"{where}.{key}: {values[key]!r} is not {allowed}") from error
        elif field.default is dataclasses.MISSING:
            raise CifarcamError(f"{where}.{key}: missing; give {allowed}")
    return cls(**checked)
