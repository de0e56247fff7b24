"""Phrases that the sentences of several claims share: numbers in brackets, and seeds."""

from __future__ import annotations

import math

from cifarcam.studies.inference import Effect
from cifarcam.studies.wording import number


def points(effect: Effect) -> str:
    """An effect in points over seeds and its interval, in brackets."""
    if math.isnan(effect.low):
        return f"({number(effect.value, signed=True)} points, one seed)"
    return (
        f"({number(effect.value, signed=True)} points, 95% interval over {effect.count} seeds "
        f"{number(effect.low, signed=True)} to {number(effect.high, signed=True)})"
    )


def seeds(count: int) -> str:
    """``"one seed"`` or ``"3 seeds"``."""
    return "one seed" if count == 1 else f"{count} seeds"


def p_value(p: float) -> str:
    """``"p = 0.012"``, or that p is below 0.001."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
