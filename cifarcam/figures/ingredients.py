"""What a recipe loses without each of its ingredients, drawn with Seaborn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from cifarcam.errors import CifarcamError
from cifarcam.figures.style import BLACK, BLUE, GREY, PALE, WIDTH, seaborn, styled


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
    figure = Figure(figsize=(WIDTH, 0.7 + 0.3 * len(ingredients)), layout="constrained")
    axes = figure.add_subplot()
    rows = range(len(ingredients))
    axes.axvline(0, color=GREY, linewidth=0.8, zorder=0)
    for row, ends in zip(rows, intervals, strict=True):
        axes.plot(ends, [row, row], color=PALE, linewidth=5, solid_capstyle="butt", zorder=1)
    if any(map(len, changes)):
        seaborn().stripplot(
            x=np.concatenate(changes),
            y=np.repeat(rows, [len(each) for each in changes]),
            orient="h",
            color=BLUE,
            jitter=False,
            size=4.2,
            alpha=0.7,
            ax=axes,
        )
        means = [float(np.mean(each)) if len(each) else np.nan for each in changes]
        axes.plot(means, rows, "|", color=BLACK, markersize=11, markeredgewidth=1.5, zorder=3)
    else:
        axes.text(0.5, 0.5, "not measured yet", transform=axes.transAxes, ha="center", color=GREY)
    axes.set_yticks(rows, ingredients)
    axes.set_ylim(len(ingredients) - 0.5, -0.5)
    axes.set(xlabel="validation accuracy without it, minus that of the full recipe (points)")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    return figure
