"""Settings in frozen pydantic dataclasses, and refusals of them in one sentence.

A settings class is declared as ``@dataclass(frozen=True, config=CONFIG)`` with pydantic's decorator,
and each field by a type that says what it allows. Rules between fields stand in `__post_init__`,
which raises a `ValueError` that begins with the field's name, ``"width: 10 is not ..."``.
"""

from __future__ import annotations

import dataclasses
import re
import reprlib
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from cifarcam.errors import CifarcamError

# Strict: true is no number, and "3" is no whole number.
CONFIG = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
# A float whose -0.0 becomes 0.0: JSON writes the two differently, so that fingerprints would differ.
Number = Annotated[float, AfterValidator(lambda value: value + 0.0)]

LONGEST_VALUE = 200  # characters of a value that an error message repeats
_Settings = TypeVar("_Settings")


def read(cls: type[_Settings], values: Any, where: str) -> _Settings:
    """Make an instance of a settings class from a TOML table.

    Parameters
    ----------
    cls
        A pydantic dataclass.
    values
        The table.
    where
        The place that errors name, such as ``"baseline.toml: training"``.

    Raises
    ------
    CifarcamError
        On an unknown, missing or refused setting, or settings that contradict each other.
    """
    if not isinstance(values, Mapping):
        raise CifarcamError(f"{where}: {shown(values)} should be a table of settings")
    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in values:
        if key not in names:
            raise CifarcamError(
                f"{where}: unknown setting {shown(key)}; allowed are {', '.join(names)}"
            )
    try:
        return cls(**values)
    except ValidationError as error:
        raise CifarcamError(f"{where}.{_sentence(error.errors()[0])}") from error


def replace(values: _Settings, changes: Mapping[str, Any], where: str) -> _Settings:
    """The settings with some values replaced; refuses values like `read`."""
    return read(type(values), non_default(values) | dict(changes), where)


def non_default(values: Any) -> dict[str, Any]:
    """The settings that differ from their defaults, by name."""
    return {
        field.name: getattr(values, field.name)
        for field in dataclasses.fields(values)
        if getattr(values, field.name) != field.default
    }


def shown(value: Any) -> str:
    """A value for an error message: its `repr` on one line, shortened if long or deeply nested."""
    short = reprlib.Repr()
    short.maxstring = short.maxlong = short.maxother = LONGEST_VALUE
    try:
        return short.repr(value)
    except ValueError:  # Python does not write out whole numbers of more than 4,300 digits
        return "a value with thousands of digits"


def _sentence(error: ErrorDetails) -> str:
    """The setting, its value and what is allowed, from one of pydantic's errors."""
    if error["type"] == "value_error":  # raised by a `__post_init__`
        return str(error["ctx"]["error"])
    name, *places = error["loc"]
    setting = f"{name}" + "".join(f"[{place}]" for place in places)
    if error["type"] == "missing":
        return f"{setting}: missing; give it a value"
    # "Input should be ..." or "Tuple should have at most 3 items after validation, not 4".
    allowed = re.sub(r"^\w+ (?=should )| after validation", "", error["msg"])
    return f"{setting}: {shown(error['input'])} {allowed}"
