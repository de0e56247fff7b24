"""Where heatmaps lie and what removing that place costs: dots for seeds, drawn with Seaborn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cifarcam.errors import CifarcamError
from cifarcam.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    VERMILION,
    WIDTH,
    seaborn,
    styled,
)

MARKS = ((BLUE, "o"), (VERMILION, "s"), (GREEN, "D"), (ORANGE, "^"))


@styled
def dots_by_seed(
    series: Mapping[str, np.ndarray],
    rows: Sequence[str],
    xlabel: str,
    *,
    reference: float | None = None,
    reference_label: str = "",
) -> Figure:
    """Rows from top to bottom: for each series a dot for every seed and a larger mark for the mean.

    Parameters
    ----------
    series
        By name, seeds x rows; NaN where there is no value. At most four.
    rows
        Names of the rows, such as the classes.
    xlabel
        Label of the horizontal axis, with the unit.
    reference
        Where a vertical line stands, or None.
    reference_label
        What the line means.

    Raises
    ------
    CifarcamError
        When there are more than four series, or a series has another number of rows.
    """
    _check(series, len(rows))
    figure = Figure(figsize=(WIDTH, 0.75 + (0.085 + 0.1 * len(series)) * len(rows)))
    figure.set_layout_engine("constrained")
    axes = figure.add_subplot()
    if reference is not None:
        axes.axvline(reference, color=GREY, linewidth=1, linestyle="--", zorder=1)
    offsets = (np.arange(len(series)) - (len(series) - 1) / 2) * 0.7 / len(series)
    for values, offset, (colour, mark) in zip(series.values(), offsets, MARKS, strict=False):
        _dots(axes, values, np.arange(len(rows)) + offset, colour, mark)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set(xlabel=xlabel, ylabel="")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    for row in range(len(rows) - 1):
        axes.axhline(row + 0.5, color=GREY, linewidth=0.3)
    handles = [
        Line2D([], [], color=colour, marker=mark, linestyle="none", markersize=5.5, label=name)
        for name, (colour, mark) in zip(series, MARKS, strict=False)
    ]
    if reference is not None and reference_label:
        handles.append(Line2D([], [], color=GREY, linestyle="--", label=reference_label))
    handles.append(Line2D([], [], color=BLACK, marker=".", linestyle="none", label="single seeds"))
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 4))
    return figure


def _check(series: Mapping[str, np.ndarray], rows: int) -> None:
    if not 0 < len(series) <= len(MARKS):
        raise CifarcamError(f"dots_by_seed: {len(series)} series; give one to {len(MARKS)}")
    for name, values in series.items():
        if values.ndim != 2 or values.shape[1] != rows:
            raise CifarcamError(
                f"dots_by_seed: series {name!r} has shape {values.shape}; give seeds x {rows}"
            )


def _dots(axes: Axes, values: np.ndarray, places: np.ndarray, colour: str, mark: str) -> None:
    """Draw one series, seeds x rows, at heights `places`: pale dots, and larger marks for means."""
    if len(values) > 1:
        seaborn().scatterplot(
            x=values.ravel(),
            y=np.tile(places, len(values)),
            color=colour,
            s=14,
            alpha=0.45,
            linewidth=0,
            zorder=2,
            ax=axes,
        )
    means = [np.nanmean(column) if np.isfinite(column).any() else np.nan for column in values.T]
    axes.plot(means, places, linestyle="none", color=colour, marker=mark, markersize=5.5)
