"""Heatmaps of several explanation methods side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cifarcam.errors import CifarcamError
from cifarcam.figures.heatmaps import coloured, scale_bar, scaled_for_display
from cifarcam.figures.sheet import checked_pictures, place, sheet
from cifarcam.figures.style import BLACK, GREY, styled
from cifarcam.figures.text import LINE, text_width

BREADTH = 3.5  # inches, the width of all pictures together


@styled
def method_grid(
    images: np.ndarray,
    heatmaps: np.ndarray,
    method_names: Sequence[str],
    titles: Sequence[str],
) -> Figure:
    """Heatmaps of several methods, one row for each method, under the explained pictures.

    Parameters
    ----------
    images
        N x H x W x 3, uint8.
    heatmaps
        Methods x N x H x W raw magnitudes >= 0. Each heatmap is divided by its own maximum for
        display.
    method_names, titles
        A text for each row and for each column.

    Raises
    ------
    CifarcamError
        When their numbers or sizes differ, or a heatmap has a negative value.
    """
    pictures = checked_pictures(images)
    expected = (len(method_names), len(pictures), *pictures.shape[1:3])
    if np.shape(heatmaps) != expected or len(titles) != len(pictures):
        raise CifarcamError(
            f"method_grid: heatmaps of shape {np.shape(heatmaps)} and {len(titles)} titles; "
            f"give shape {expected} and one title an image"
        )
    margin, gap = 0.1 + max(map(text_width, ["picture", *method_names])), 0.03
    width = BREADTH / len(pictures) - gap
    height = width * pictures.shape[1] / pictures.shape[2]
    head = 0.62 * max(map(text_width, titles)) + LINE  # titles rise by 35 degrees
    # The last title may reach beyond the last picture.
    right = margin + BREADTH + max(0.0, 0.86 * text_width(titles[-1]) - width / 2)
    figure, axes = sheet(head + (len(method_names) + 1) * (height + gap) + 0.36, right)
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
    scale_bar(axes, margin, bottom, BREADTH - gap)
    return figure
