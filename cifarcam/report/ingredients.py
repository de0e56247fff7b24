"""Rows of the tables on what each ingredient of a recipe buys, and arrays of the figures."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cifarcam.report.page import interval
from cifarcam.studies.ingredients import (
    BUNDLE,
    Change,
    Comparison,
    Removal,
    Removals,
    Step,
    Steps,
)

STEP_HEADER = (
    "Ingredient",
    "Validation accuracy (%)",
    "Change (points)",
    "p (Holm)",
    "The step",
)
COST_HEADER = (
    "Ingredient",
    "Training accuracy (%)",
    "Parameters (million)",
    "Operations (million)",
    "Minutes",
)
REMOVAL_HEADER = (
    "Without",
    "Validation accuracy (%)",
    "Change (points)",
    "p (Holm)",
    "Removing it",
)
NONE = "–"


def step_rows(steps: Steps) -> list[list[str]]:
    """Rows of the ablation's table under `STEP_HEADER`."""
    return [
        [
            _title(step),
            interval(step.accuracy, 1, signed=False),
            *([NONE] * 3 if step.change is None else _cells(step.change)),
        ]
        for step in steps.lines
    ]


def cost_rows(steps: Steps) -> list[list[str]]:
    """Rows of the table under `COST_HEADER`: how closely each step fits, its size and its time."""
    return [
        [
            step.ingredient,
            f"{step.train:.1f}",
            f"{step.parameters / 1e6:.2f}",
            f"{step.forward_flops / 1e6:,.0f}",
            f"{step.seconds / 60:.1f}",
        ]
        for step in steps.lines
    ]


def removal_rows(removals: Removals) -> list[list[str]]:
    """Rows of the table of leave-one-out under `REMOVAL_HEADER`, the full recipe first."""
    full = NONE if removals.full is None else interval(removals.full, 1, signed=False)
    return [
        ["nothing (full recipe)", full, NONE, NONE, NONE],
        *(_removal_row(line) for line in removals.lines),
    ]


def comparison_rows(comparisons: Sequence[Comparison]) -> list[list[str]]:
    """Rows of quantity, without, with, and difference; losses have two decimal places."""
    rows = []
    for one in comparisons:
        digits = 2 if one.difference.unit == "nats" else 1
        sides = (interval(side, digits, signed=False) for side in (one.without, one.with_))
        rows.append([one.quantity, *sides, interval(one.difference, digits)])
    return rows


def step_arrays(
    steps: Steps,
) -> tuple[list[str], list[Sequence[float]], list[tuple[float, float]], list[float]]:
    """The arguments of `cifarcam.figures.ablation`."""
    return (
        [step.ingredient for step in steps.lines],
        [step.by_seed for step in steps.lines],
        [(step.accuracy.low, step.accuracy.high) for step in steps.lines],
        [step.seconds for step in steps.lines],
    )


def removal_arrays(
    removals: Removals,
) -> tuple[list[str], list[Sequence[float]], list[tuple[float, float]]]:
    """The arguments of `cifarcam.figures.removals`."""
    return (
        [line.ingredient for line in removals.lines],
        [() if line.change is None else line.change.by_seed for line in removals.lines],
        [
            (math.nan, math.nan)
            if line.change is None
            else (line.change.effect.low, line.change.effect.high)
            for line in removals.lines
        ],
    )


def _title(step: Step) -> str:
    if step.ingredient == BUNDLE:
        return f"{step.ingredient} (at least ten changes)"
    return step.ingredient


def _removal_row(line: Removal) -> list[str]:
    if line.accuracy is None or line.change is None:
        return [line.ingredient, NONE, NONE, NONE, "not measured"]
    return [line.ingredient, interval(line.accuracy, 1, signed=False), *_cells(line.change)]


def _cells(change: Change) -> list[str]:
    """A change, its p-value, and what it does."""
    p = "< 0.001" if change.p < 0.001 else f"{change.p:.3f}"
    return [interval(change.effect, 1), NONE if math.isnan(change.p) else p, str(change.outcome)]
