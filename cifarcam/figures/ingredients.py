"""What each ingredient of a recipe buys, and what a recipe loses without it; drawn with Seaborn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cifarcam.errors import CifarcamError
from cifarcam.figures.style import BLACK, BLUE, GREY, PALE, SKY, WIDTH, seaborn, styled


@styled
def ablation(
    ingredients: Sequence[str],
    accuracy: Sequence[Sequence[float]],
    intervals: Sequence[tuple[float, float]],
    seconds: Sequence[float],
) -> Figure:
    """Steps from top to bottom: accuracy of each seed, their mean with its interval, and time.

    Parameters
    ----------
    ingredients
        A text for each step.
    accuracy
        For each step the accuracy of each seed, percent.
    intervals
        For each step the ends of the interval of the mean, percent.
    seconds
        For each step the duration of a training run.

    Raises
    ------
    CifarcamError
        When the numbers of steps differ.
    """
    if not len(ingredients) == len(accuracy) == len(intervals) == len(seconds):
        raise CifarcamError(
            f"ablation: {len(ingredients)} ingredients, {len(accuracy)} accuracies, "
            f"{len(intervals)} intervals and {len(seconds)} times; give one for each step"
        )
    figure = Figure(figsize=(WIDTH, 0.6 + 0.23 * len(ingredients)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    _rows_by_seed(left, ingredients, accuracy, intervals)
    seaborn().barplot(
        x=np.asarray(seconds) / 60,
        y=list(range(len(ingredients))),
        orient="h",
        width=0.6,
        color=SKY,
        saturation=1,
        ax=right,
    )
    left.set(xlabel="validation accuracy (%)", ylabel="")
    right.set(xlabel="minutes a run", ylabel="")
    right.tick_params(axis="y", length=0)
    right.grid(axis="x")
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    return figure


@styled
def removals(
    ingredients: Sequence[str],
    changes: Sequence[Sequence[float]],
    intervals: Sequence[tuple[float, float]],
) -> Figure:
    """Ingredients from top to bottom: the change of each seed without it, their mean, an interval.

    Parameters
    ----------
    ingredients
        A name for each ingredient.
    changes
        For each ingredient the change of accuracy of each seed, points; all may be empty, and the
        figure then says that nothing has been measured.
    intervals
        For each ingredient the ends of the interval of the mean, points, NaN for none.

    Raises
    ------
    CifarcamError
        When the numbers of ingredients differ.
    """
    if not len(ingredients) == len(changes) == len(intervals):
        raise CifarcamError(
            f"removals: {len(ingredients)} ingredients, {len(changes)} changes and "
            f"{len(intervals)} intervals; give one for each ingredient"
        )
    figure = Figure(figsize=(WIDTH, 0.6 + 0.23 * len(ingredients)), layout="constrained")
    axes = figure.add_subplot()
    axes.axvline(0, color=GREY, linewidth=0.8, zorder=0)
    _rows_by_seed(axes, ingredients, changes, intervals)
    if not any(map(len, changes)):
        axes.text(0.5, 0.5, "not measured yet", transform=axes.transAxes, ha="center", color=GREY)
    axes.set(xlabel="validation accuracy without it minus accuracy of the full recipe (points)")
    return figure


def _rows_by_seed(
    axes: Axes,
    names: Sequence[str],
    values: Sequence[Sequence[float]],
    intervals: Sequence[tuple[float, float]],
) -> None:
    """Rows from top to bottom: a dot for each seed, their mean, and an interval behind them."""
    rows = range(len(names))
    for row, ends in zip(rows, intervals, strict=True):
        axes.plot(ends, [row, row], color=PALE, linewidth=5, solid_capstyle="butt", zorder=1)
    if any(map(len, values)):
        seaborn().stripplot(
            x=np.concatenate(values),
            y=np.repeat(rows, [len(each) for each in values]),
            orient="h",
            color=BLUE,
            jitter=False,
            size=4.2,
            alpha=0.7,
            ax=axes,
        )
        means = [float(np.mean(each)) if len(each) else np.nan for each in values]
        axes.plot(means, rows, "|", color=BLACK, markersize=11, markeredgewidth=1.5, zorder=3)
    axes.set_yticks(rows, names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
