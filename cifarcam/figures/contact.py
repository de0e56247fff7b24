"""Contact sheets: many small pictures on a page, with their heatmaps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from matplotlib.figure import Figure

from cifarcam.errors import CifarcamError
from cifarcam.figures.heatmaps import overlaid, scaled_for_display
from cifarcam.figures.pictures import nothing
from cifarcam.figures.sheet import checked_pictures, place, sheet
from cifarcam.figures.style import GREY, WIDTH, styled
from cifarcam.figures.text import LINE, shortened

COLUMNS = 18
GAP = 0.03  # inches between pictures


@styled
def contact_sheet(
    images: np.ndarray,
    heatmaps: np.ndarray,
    labels: np.ndarray,
    predicted: np.ndarray,
    class_names: Sequence[str],
) -> Figure:
    """Pictures under their heatmaps, class by class; the predicted class stands under a mistake.

    In each class the right predictions come first.

    Parameters
    ----------
    images
        N x H x W x 3, uint8.
    heatmaps
        N x H x W raw magnitudes >= 0. Each heatmap is divided by its own maximum for display.
    labels, predicted
        True and predicted classes, N integers, indices of `class_names`.
    class_names
        A name for each class.

    Raises
    ------
    CifarcamError
        When the numbers of images, heatmaps and classes differ.
    """
    if not len(images) == len(heatmaps) == len(labels) == len(predicted):
        raise CifarcamError(
            f"contact_sheet: {len(images)} images, {len(heatmaps)} heatmaps, {len(labels)} labels "
            f"and {len(predicted)} predictions; give equal numbers"
        )
    if not len(images):
        return nothing("no images to show")
    order = [int(index) for index in np.lexsort((predicted, predicted != labels, labels))]
    pictures = checked_pictures(images)
    step = (WIDTH + GAP) / COLUMNS
    width = step - GAP
    tile = width * pictures.shape[1] / pictures.shape[2]
    band = LINE + 0.05 + tile + LINE + 0.1
    rows = [order[start : start + COLUMNS] for start in range(0, len(order), COLUMNS)]
    figure, axes = sheet(len(rows) * band)
    for row, members in enumerate(rows):
        top = row * band + LINE + 0.05
        left = 0.0
        for label, group in groupby(members, key=lambda index: labels[index]):
            tiles = list(group)
            end = left + len(tiles) * step - GAP
            name = shortened(class_names[label], end - left, "bold")
            axes.text(left, top - 0.05, name, va="baseline", weight="bold")
            axes.plot([left, end], [top - 0.02] * 2, color=GREY, linewidth=0.6)
            for x, index in zip(left + step * np.arange(len(tiles)), tiles, strict=True):
                overlay = overlaid(pictures[index], scaled_for_display(heatmaps[index]))
                place(axes, overlay, x, top, width)
                if predicted[index] != label:
                    mistake = shortened(class_names[predicted[index]], width)
                    axes.text(x + width / 2, top + tile + 0.03, mistake, ha="center", va="top")
            left += len(tiles) * step
    return figure
