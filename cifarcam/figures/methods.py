"""Explainers compared: their maps side by side, and tables of values as colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from cifarcam.errors import CifarcamError
from cifarcam.figures.heatmaps import coloured, scale_bar, scaled_for_display
from cifarcam.figures.style import (
    BLACK,
    GREY,
    LINE,
    WIDTH,
    checked_pictures,
    place,
    sheet,
    styled,
    text_width,
)

DIVERGING = "RdBu_r"  # correlations, white at 0


@styled
def method_grid(
    images: np.ndarray,
    heatmaps: np.ndarray,
    method_names: Sequence[str],
    titles: Sequence[str],
) -> Figure:
    """The maps of several methods, a row a method, under the pictures that they explain.

    Parameters
    ----------
    images
        N x H x W x 3, uint8.
    heatmaps
        Methods x N x H x W raw magnitudes >= 0; each is divided by its own maximum for display.
    method_names, titles
        A text for each row and for each column.

    Raises
    ------
    CifarcamError
        When numbers or sizes differ, or a heatmap has a negative value.
    """
    pictures = checked_pictures(images)
    expected = (len(method_names), len(pictures), *pictures.shape[1:3])
    if np.shape(heatmaps) != expected or len(titles) != len(pictures):
        raise CifarcamError(
            f"heatmaps {np.shape(heatmaps)} and {len(titles)} titles do not fit {expected}"
        )
    margin, gap = 1.22, 0.03
    width = (WIDTH - margin) / len(pictures) - gap
    height = width * pictures.shape[1] / pictures.shape[2]
    head = 0.62 * max(map(text_width, titles)) + LINE  # titles rise by 35 degrees
    figure, axes = sheet(head + (len(method_names) + 1) * (height + gap) + 0.42)
    for column, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        x = margin + column * (width + gap)
        slanted: Any = {"rotation": 35, "rotation_mode": "anchor", "ha": "left", "va": "bottom"}
        axes.text(x + width / 2, head - 0.03, title, **slanted)
        place(axes, picture, x, head, width)
        for row, maps in enumerate(heatmaps):
            y = head + (row + 1) * (height + gap) + 0.04
            place(axes, coloured(scaled_for_display(maps[column])), x, y, width)
    for row, name in enumerate(["picture", *method_names]):
        y = head + row * (height + gap) + height / 2 + 0.04 * (row > 0)
        axes.text(margin - 0.08, y, name, ha="right", va="center", color=BLACK if row else GREY)
    bottom = head + (len(method_names) + 1) * (height + gap) + 0.06
    scale_bar(axes, margin, bottom, WIDTH - margin - gap)
    return figure


@styled
def correlations(
    values: np.ndarray, rows: Sequence[str], columns: Sequence[str], label: str
) -> Figure:
    """Values from -1 to 1 as a table of numbers on colours; what is not known stays blank.

    Parameters
    ----------
    values
        Rows x columns; NaN where unknown.
    rows, columns
        Their names.
    label
        What the values are.

    Raises
    ------
    CifarcamError
        When the numbers of names do not fit.
    """
    table = np.asarray(values, np.float64)
    if table.shape != (len(rows), len(columns)):
        raise CifarcamError(
            f"correlations: {table.shape} is not {len(rows)} rows x {len(columns)} columns"
        )
    figure = Figure(figsize=(WIDTH, 1.5 + 0.27 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    colours = matplotlib.colormaps[DIVERGING].with_extremes(bad="white")
    image = axes.imshow(table, cmap=colours, vmin=-1, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(table):
        if not np.isnan(value):
            text = f"{value:.2f}".replace("-", "−").replace("0.", ".")
            colour = "white" if abs(value) > 0.65 else BLACK
            axes.text(column, row, text, ha="center", va="center", color=colour)
    axes.set_xticks(range(len(columns)), columns, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, shrink=0.7, aspect=30, ticks=[-1, -0.5, 0, 0.5, 1])
    bar.set_label(label)
    bar.outline.set_visible(False)  # type: ignore[operator]
    return figure
