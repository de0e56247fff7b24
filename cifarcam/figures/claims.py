"""The figure of all claims: verdicts and effects at a glance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from cifarcam.figures.style import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    PALE,
    SKY,
    VERMILION,
    WIDTH,
    styled,
)
from cifarcam.figures.text import fitted

# Colours by verdict, which the figure also says in words.
COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "reproduced": BLUE,
        "contradicted": VERMILION,
        "undecided": ORANGE,
        "not tested": PALE,
        "fitted": SKY,
    }
)
SIDE = 0.1  # inches, of a verdict's square
LINE = 0.135  # inches from one line to the next
GAP = 0.07  # inches before a claim
# Left ends of the columns in inches: square, verdict, condition, interval, effect.
SQUARE, WORD, LABEL, INTERVAL, EFFECT = 0.05, 0.22, 1.08, 3.92, 4.54
REACH = 0.26  # half the width of an interval's column


@dataclass(frozen=True)
class Row:
    """A condition of a claim in the figure.

    Attributes
    ----------
    label, verdict
        The condition in a few words, and one of `COLOURS`.
    effect
        The effect as text; empty where there is none.
    value, low, high, null
        The effect, the ends of its interval, and the value to compare with, in one unit. NaN where
        there are none.
    """

    label: str
    verdict: str
    effect: str
    value: float
    low: float
    high: float
    null: float


@styled
def claims(groups: Sequence[tuple[str, Sequence[Row]]]) -> Figure:
    """Draw a line for each condition, under its claim: verdict, label, interval, effect in words.

    Each interval is drawn on a scale of its own, around a line at the value that the verdict
    compares it with.

    Parameters
    ----------
    groups
        For each claim its statement and its conditions.
    """
    blocks = [
        (fitted(statement, WIDTH - 2 * SQUARE), [(row, *_broken(row)) for row in rows])
        for statement, rows in groups
    ]
    lines = sum(
        len(title) + sum(max(len(label), len(effect)) for _, label, effect in rows)
        for title, rows in blocks
    )
    height = LINE * lines + GAP * (len(blocks) + 1)
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(height, 0))
    axes.axis("off")
    y = LINE / 2
    for title, rows in blocks:
        y += GAP
        y = _write(axes, SQUARE, y, title, color=GREY)
        for row, label, effect in rows:
            _draw_verdict(axes, row.verdict, y)
            if math.isfinite(row.value):
                _draw_interval(axes, row, y)
            y = max(_write(axes, LABEL, y, label), _write(axes, EFFECT, y, effect))
    return figure


def _broken(row: Row) -> tuple[list[str], list[str]]:
    """The label and the effect of a row in lines that fit their columns; one line at least."""
    return fitted(row.label, INTERVAL - LABEL - 0.08), fitted(row.effect, WIDTH - EFFECT)


def _write(axes: Axes, x: float, y: float, lines: Sequence[str], color: str = BLACK) -> float:
    """Write lines of text from the height `y` on, and return the height of the next line."""
    for index, line in enumerate(lines):
        axes.text(x, y + index * LINE, line, va="center", color=color)
    return y + LINE * len(lines)


def _draw_verdict(axes: Axes, verdict: str, y: float) -> None:
    """Draw a verdict's square and its word."""
    corner = SQUARE, y - SIDE / 2
    colour = COLOURS[verdict]
    axes.add_patch(Rectangle(corner, SIDE, SIDE, facecolor=colour, edgecolor=GREY, linewidth=0.6))
    axes.text(WORD, y, verdict, va="center", weight="bold", color=BLACK)


def _draw_interval(axes: Axes, row: Row, y: float) -> None:
    """Draw the effect around its null value, as far as the column reaches."""
    centre = INTERVAL + REACH
    axes.plot([centre, centre], [y - LINE / 2, y + LINE / 2], color=GREY, linewidth=0.6)
    numbers = [n for n in (row.value, row.low, row.high) if math.isfinite(n)]
    farthest = max(abs(number - row.null) for number in numbers) or 1.0
    places = [centre + REACH * (number - row.null) / farthest for number in numbers]
    if len(places) == 3:
        axes.plot(places[1:], [y, y], color=BLACK, linewidth=1.2, solid_capstyle="butt")
    axes.plot(places[:1], [y], marker="o", markersize=3.2, color=BLACK)
