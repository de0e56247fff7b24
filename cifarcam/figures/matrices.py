"""Matrices of numbers on colours: confusion matrices and correlations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from cifarcam.errors import CifarcamError
from cifarcam.figures.style import WIDTH, seaborn, styled
from cifarcam.figures.text import text_width

COUNTS = "Blues"  # shares, zero is white
DIVERGING = "RdBu_r"  # correlations, zero is white


@styled
def confusion(matrix: np.ndarray | Sequence[Sequence[int]], class_names: Sequence[str]) -> Figure:
    """The confusion matrix: counts as text, shares of the true class as colour.

    Parameters
    ----------
    matrix
        Classes x classes counts; rows are the true, columns the predicted classes.

    Raises
    ------
    CifarcamError
        When the matrix has not one row and one column for each class.
    """
    counts = np.asarray(matrix)
    if counts.shape != (len(class_names),) * 2:
        raise CifarcamError(
            f"confusion: matrix of shape {counts.shape}; "
            f"give a row and a column for each of {len(class_names)} classes"
        )
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    axes = figure.add_subplot()
    seaborn().heatmap(
        counts / np.maximum(counts.sum(axis=1, keepdims=True), 1),
        norm=PowerNorm(0.5, vmin=0, vmax=1),  # the root, or all mistakes would be white
        cmap=COUNTS,
        annot=counts,
        fmt="d",
        xticklabels=class_names,
        yticklabels=class_names,
        cbar_kws={
            "shrink": 0.8,
            "ticks": [0, 0.01, 0.05, 0.1, 0.25, 0.5, 1],
            "format": PercentFormatter(1.0, decimals=0),
        },
        ax=axes,
    )
    axes.set(xlabel="predicted class", ylabel="true class")
    _finish(axes, "share of the true class's images")
    return figure


@styled
def correlations(
    values: np.ndarray, rows: Sequence[str], columns: Sequence[str], label: str
) -> Figure:
    """Values from -1 to 1 as text on colours; unknown values stay blank.

    Parameters
    ----------
    values
        Rows x columns; NaN where unknown.
    rows, columns
        Their names.
    label
        What the values are, for the colour bar.

    Raises
    ------
    CifarcamError
        When the numbers of names do not fit.
    """
    table = np.asarray(values, np.float64)
    if table.shape != (len(rows), len(columns)):
        raise CifarcamError(
            f"correlations: values of shape {table.shape}; "
            f"give {len(rows)} rows x {len(columns)} columns"
        )
    head = 0.6 * max(map(text_width, columns))  # the names below are slanted
    figure = Figure(figsize=(WIDTH, 0.45 + 0.205 * len(rows) + head), layout="constrained")
    axes = figure.add_subplot()
    seaborn().heatmap(
        table,
        vmin=-1,
        vmax=1,
        cmap=DIVERGING,
        annot=np.vectorize(_short)(table),
        fmt="",
        xticklabels=columns,
        yticklabels=rows,
        cbar_kws={"shrink": 0.7, "aspect": 30, "ticks": [-1, -0.5, 0, 0.5, 1]},
        ax=axes,
    )
    _finish(axes, label)
    return figure


def _short(value: float) -> str:
    """A number from -1 to 1 with two decimals, without its zero and with a typeset minus."""
    return f"{value:z.2f}".replace("-", "−").replace("0.", ".")


def _finish(axes: Axes, label: str) -> None:
    """Finish a Seaborn heatmap: no ticks, slanted names, level rows, and the colour bar's label."""
    axes.tick_params(length=0)
    for name in axes.get_xticklabels():
        name.set(rotation=35, ha="right", rotation_mode="anchor")
    for name in axes.get_yticklabels():
        name.set(rotation=0, va="center")
    bar: Any = axes.collections[0].colorbar
    bar.set_label(label)
    bar.outline.set_visible(False)
