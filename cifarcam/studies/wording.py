"""Small pieces of English for the sentences of findings."""

from __future__ import annotations

import math
from collections.abc import Sequence


def number(value: float, digits: int = 1, *, signed: bool = False) -> str:
    """A number with a typeset minus, ``"−2.7"``; with a plus sign if `signed`. Zero has no minus."""
    return f"{value:{'+' if signed else ''}z.{digits}f}".replace("-", "−")


def with_ends(
    value: float, low: float, high: float, digits: int = 1, *, signed: bool = False, unit: str = ""
) -> str:
    """A value, its unit and its interval, ``"−2.7 points [−3.1, 0.4]"``.

    The ends have no plus sign. Without finite ends it is the value with its unit.
    """
    text = number(value, digits, signed=signed) + (f" {unit}" if unit else "")
    if math.isfinite(high - low):
        text += f" [{number(low, digits)}, {number(high, digits)}]"
    return text


def listed(names: Sequence[str]) -> str:
    """Names as an English list: ``"A, B and C"``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def capital(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def seeds_text(count: int) -> str:
    """``"1 seed"`` or ``"3 seeds"``."""
    return f"{count} seed" if count == 1 else f"{count} seeds"
