"""Near twins: networks on two sets of images, drawn as dots joined by a line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cifarcam.errors import CifarcamError
from cifarcam.figures.style import BLUE, PALE, VERMILION, WIDTH, styled

MARKS = ((VERMILION, "s"), (BLUE, "o"))  # of the first and the second set


@styled
def two_sets(
    names: Sequence[str],
    values: Sequence[Sequence[float]] | np.ndarray,
    intervals: Sequence[Sequence[Sequence[float]]] | np.ndarray,
    sets: tuple[str, str],
    xlabel: str = "test accuracy (%)",
) -> Figure:
    """Networks from top to bottom: a mark for each of two sets of images, with intervals.

    Parameters
    ----------
    names
        Of the networks, K.
    values
        K x 2.
    intervals
        Ends of the interval of each value, K x 2 x 2; NaN where there is none.
    sets
        What the two sets of images are, for the legend.
    xlabel
        Label of the horizontal axis, with the unit.

    Raises
    ------
    CifarcamError
        When the shapes do not fit.
    """
    places, ends = np.asarray(values, float), np.asarray(intervals, float)
    if places.shape != (len(names), 2) or ends.shape != (len(names), 2, 2):
        raise CifarcamError(
            f"two_sets: values of shape {places.shape} and intervals of shape {ends.shape} for "
            f"{len(names)} networks; give K x 2 and K x 2 x 2"
        )
    figure = Figure(figsize=(WIDTH, 0.72 + 0.21 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    for row, pair in enumerate(places):
        axes.plot(pair, [row, row], color=PALE, linewidth=1.5, zorder=1)
    for index, (colour, mark) in enumerate(MARKS):
        for row, (low, high) in enumerate(ends[:, index]):
            axes.plot([low, high], [row, row], color=colour, linewidth=1, alpha=0.7, zorder=2)
        axes.plot(
            places[:, index],
            range(len(names)),
            linestyle="none",
            color=colour,
            marker=mark,
            markersize=5.5,
            zorder=3,
        )
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set(xlabel=xlabel, ylabel="")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    handles = [
        Line2D([], [], color=colour, marker=mark, linestyle="none", markersize=5.5, label=name)
        for name, (colour, mark) in zip(sets, MARKS, strict=True)
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure
