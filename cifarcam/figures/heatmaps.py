"""Heatmaps beside and over their pictures. Only this module scales them to [0, 1] for display."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cifarcam.errors import CifarcamError
from cifarcam.figures.pictures import nothing
from cifarcam.figures.sheet import checked_pictures, place, sheet
from cifarcam.figures.style import GREY, HEAT, WIDTH, styled
from cifarcam.figures.text import LINE, shortened, title_rows

OPACITY = 0.65  # of an overlay where the scaled heatmap is 1
NO_EVIDENCE = "no positive\nevidence"
TILE = 0.82  # inches, the most width of a picture beside its heatmap
SCALE = 3.2  # inches, the width of the colour scale


def scaled_for_display(heatmap: np.ndarray) -> np.ndarray:
    """Divide a heatmap of raw magnitudes by its maximum; a zero map stays zero.

    Raises
    ------
    CifarcamError
        When a value is negative or not finite, or the map is not two-dimensional.
    """
    values = np.asarray(heatmap, dtype=np.float64)
    if values.ndim != 2 or not np.isfinite(values).all() or (values < 0).any():
        raise CifarcamError(
            f"heatmap of shape {values.shape}: give a height x width array of finite values >= 0"
        )
    return values / values.max() if values.any() else values


def coloured(scaled: np.ndarray) -> np.ndarray:
    """Colour a map in [0, 1]: an H x W x 3 uint8 picture, or ... x 3 for any other shape."""
    return matplotlib.colormaps[HEAT](scaled, bytes=True)[..., :3]


def overlaid(picture: np.ndarray, scaled: np.ndarray) -> np.ndarray:
    """Lay a map in [0, 1] over its picture, more opaque where the map is higher.

    A pixel without evidence keeps the picture's own colour.

    Raises
    ------
    CifarcamError
        When picture and map differ in size.
    """
    if picture.shape[:2] != scaled.shape:
        raise CifarcamError(
            f"heatmap of shape {scaled.shape} on a picture of {picture.shape[:2]}; give equal sizes"
        )
    opacity = OPACITY * scaled[..., None]
    return np.rint(picture * (1 - opacity) + coloured(scaled) * opacity).astype(np.uint8)


@styled
def heatmaps(
    images: np.ndarray, heatmaps: np.ndarray, titles: Sequence[str], *, columns: int = 2
) -> Figure:
    """Each image under its title: picture, heatmap and overlay side by side.

    Parameters
    ----------
    images
        N x H x W x 3, uint8; N may be 0.
    heatmaps
        N x H x W raw magnitudes >= 0. Each heatmap is divided by its own maximum for display.
    titles
        N texts; lines that are too long are broken.
    columns
        Images side by side.

    Raises
    ------
    CifarcamError
        When their numbers or sizes differ, or a heatmap has a negative value.
    """
    if not len(images) == len(heatmaps) == len(titles):
        raise CifarcamError(
            f"heatmaps: {len(images)} images, {len(heatmaps)} heatmaps and {len(titles)} titles; "
            "give equal numbers"
        )
    if len(images) == 0:
        return nothing("no images to show")
    pictures = checked_pictures(images)
    gap, inner, below = 0.2, 0.04, 0.08
    width = min(TILE, ((WIDTH + gap) / columns - gap - 2 * inner) / 3)
    height = width * pictures.shape[1] / pictures.shape[2]
    band = 3 * width + 2 * inner
    rows = title_rows(titles, band + gap - 0.04, columns)
    heads = [LINE * max(len(lines) for _, lines in row) + 0.05 for row in rows]
    right = columns * (band + gap) - gap
    top = LINE + 0.03
    figure, axes = sheet(top + sum(heads) + len(rows) * (height + below) + 0.26, right)
    for column in range(min(columns, len(titles))):
        for step, name in enumerate(("picture", "heatmap", "overlay")):
            middle = column * (band + gap) + step * (width + inner) + width / 2
            axes.text(middle, 0, name, ha="center", va="top", color=GREY)
    for row, head in zip(rows, heads, strict=True):
        top += head
        for column, (index, lines) in enumerate(row):
            x = column * (band + gap)
            axes.text(x + band / 2, top - 0.03, "\n".join(lines), ha="center", va="bottom")
            places = [(x + step * (width + inner), top) for step in range(3)]
            triple(axes, pictures[index], heatmaps[index], places, width)
        top += height + below
    scale_bar(axes, (right - SCALE) / 2, top, SCALE)
    return figure


@styled
def mean_heatmaps(maps: np.ndarray, class_names: Sequence[str]) -> Figure:
    """One heatmap for each class, all on one colour scale from 0 to their largest value.

    Parameters
    ----------
    maps
        Classes x H x W, >= 0, all in the same unit.

    Raises
    ------
    CifarcamError
        When the numbers of heatmaps and classes differ, or a value is negative.
    """
    values = np.asarray(maps, dtype=np.float64)
    if len(values) != len(class_names):
        raise CifarcamError(
            f"mean_heatmaps: {len(values)} heatmaps for {len(class_names)} classes; "
            "give one for each class"
        )
    joint = scaled_for_display(values.reshape(len(values), -1)).reshape(values.shape)
    columns, gap, width = 5, 0.12, 0.82
    right = columns * (width + gap) - gap
    band = width * values.shape[1] / values.shape[2] + LINE + 0.1
    rows = -(-len(values) // columns)
    figure, axes = sheet(rows * band + 0.28, right)
    for index, (scaled, name) in enumerate(zip(joint, class_names, strict=True)):
        row, column = divmod(index, columns)
        x, y = column * (width + gap), row * band + LINE + 0.05
        axes.text(x + width / 2, y - 0.03, shortened(name, width), ha="center", va="bottom")
        place(axes, coloured(scaled), x, y, width)
        if not scaled.any():
            say_zero(axes, x + width / 2, y + width / 2)
    scale_bar(axes, (right - SCALE) / 2, rows * band + 0.02, SCALE, f"{values.max():.2g}")
    return figure


def triple(
    axes: Axes,
    picture: np.ndarray,
    heatmap: np.ndarray,
    places: Sequence[tuple[float, float]],
    width: float,
) -> None:
    """Place picture, heatmap and overlay, their upper left corners at three places in inches."""
    scaled = scaled_for_display(heatmap)
    tiles = (picture, coloured(scaled), overlaid(picture, scaled))
    for tile, (x, y) in zip(tiles, places, strict=True):
        place(axes, tile, x, y, width)
    if not scaled.any():
        height = width * picture.shape[0] / picture.shape[1]
        x, y = places[1]
        say_zero(axes, x + width / 2, y + height / 2)


def say_zero(axes: Axes, x: float, y: float) -> None:
    """Label a heatmap without positive evidence, the label's middle at (x, y) inches."""
    ground = {"facecolor": coloured(np.zeros((1, 1)))[0, 0] / 255, "edgecolor": "none", "pad": 1}
    axes.text(x, y, NO_EVIDENCE, ha="center", va="center", color="white", bbox=ground)


def scale_bar(axes: Axes, x: float, y: float, width: float, most: str = "maximum") -> None:
    """Draw the heatmaps' colours from 0 to the value by which they were divided."""
    colours = coloured(np.linspace(0, 1, 128)[None])
    axes.imshow(colours, extent=(x, x + width, y + 0.09, y), interpolation="none", aspect="auto")
    axes.text(x, y + 0.13, "0", va="top")
    axes.text(x + width, y + 0.13, most, ha="right", va="top")
    axes.text(x + width / 2, y + 0.13, "evidence for the class", ha="center", va="top")
