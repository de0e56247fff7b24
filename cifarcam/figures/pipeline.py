"""How a network classifies one picture and how Grad-CAM explains it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cifarcam.figures.explanations import bars
from cifarcam.figures.heatmaps import coloured, overlaid, say_zero, scaled_for_display
from cifarcam.figures.sheet import checked_pictures, mosaic, place, sheet
from cifarcam.figures.style import GREY, WIDTH, styled
from cifarcam.figures.text import LINE

MAPS_SHOWN = 9  # feature maps of a layer, three by three


@styled
def pipeline(
    image: np.ndarray,
    activations: Sequence[np.ndarray],
    heatmap: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
) -> Figure:
    """The CNN from picture to probabilities (above), and Grad-CAM back to the picture (below).

    Parameters
    ----------
    image
        H x W x 3, uint8.
    activations
        The feature maps of each convolution in order, h x w x k, >= 0. The nine maps with the
        highest mean are shown for each layer, on the layer's own scale.
    heatmap
        H x W raw magnitudes >= 0, for the likeliest class.
    probabilities
        One for each class.
    class_names
        Their names.
    """
    picture = checked_pictures(np.asarray(image)[None])[0]
    columns = len(activations) + 2
    gap = 0.34
    width = (WIDTH - (columns - 1) * gap) / columns
    head, foot = LINE + 0.05, LINE + 0.05
    below = head + width + foot + 0.42
    figure, axes = sheet(below + width + LINE + 0.1)
    lefts = [index * (width + gap) for index in range(columns)]
    tiles = [picture, *(_feature_maps(maps) for maps in activations)]
    shapes = [picture.shape, *(np.shape(maps) for maps in activations)]
    titles = ["picture", *(f"convolution {i + 1}" for i in range(len(activations)))]
    for x, tile, shape, title in zip(lefts, tiles, shapes, titles, strict=False):
        axes.text(x + width / 2, head - 0.05, title, ha="center", va="bottom")
        place(axes, tile, x, head, width)
        size = " × ".join(str(length) for length in shape)
        axes.text(x + width / 2, head + width + 0.05, size, ha="center", va="top", color=GREY)
    for x in lefts[1:]:
        _arrow(axes, (x - gap + 0.06, head + width / 2), (x - 0.06, head + width / 2))
    axes.text(lefts[-1] + width / 2, head - 0.05, "probabilities", ha="center", va="bottom")
    order = np.argsort(-np.asarray(probabilities), kind="stable")[:3]
    top = [(class_names[index], float(probabilities[index])) for index in order]
    bars(axes, lefts[-1], head, WIDTH, width, top)

    scaled = scaled_for_display(heatmap)
    last = lefts[-2]
    _arrow(axes, (last + width / 2, head + width + foot + 0.06), (last + width / 2, below - 0.06))
    note = f"weights: mean gradient\nof the score for {class_names[order[0]]}"
    axes.text(last + width + 0.1, below + width / 2, note, va="center", color=GREY)
    place(axes, coloured(scaled), last, below, width)
    if not scaled.any():
        say_zero(axes, last + width / 2, below + width / 2)
    axes.text(last + width / 2, below + width + 0.05, "heatmap", ha="center", va="top")
    middle = below + width / 2
    _arrow(axes, (last - 0.06, middle), (lefts[0] + width + 0.06, middle))
    place(axes, overlaid(picture, scaled), lefts[0], below, width)
    axes.text(lefts[0] + width / 2, below + width + 0.05, "overlay", ha="center", va="top")
    words = "sum, positive part, resized to the picture"
    axes.text(
        (lefts[0] + width + last) / 2, middle - 0.05, words, ha="center", va="bottom", color=GREY
    )
    return figure


def _feature_maps(maps: np.ndarray) -> np.ndarray:
    """Join the maps with the highest mean in one picture, brighter where they are more active."""
    strongest = np.argsort(-maps.mean(axis=(0, 1)), kind="stable")[:MAPS_SHOWN]
    shown = np.moveaxis(maps[..., strongest], -1, 0)
    joint = scaled_for_display(shown.reshape(len(shown), -1)).reshape(shown.shape)
    grey = np.rint(255 * joint).astype(np.uint8)
    enlarged = grey.repeat(32 // grey.shape[1], axis=1).repeat(32 // grey.shape[2], axis=2)
    return mosaic(np.repeat(enlarged[..., None], 3, axis=-1), 3, 2)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": GREY, "lw": 1.0})
