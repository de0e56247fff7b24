"""Heatmaps: beside and over their pictures. Scaling to [0, 1] for display happens here alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cifarcam.errors import CifarcamError
from cifarcam.figures.pictures import nothing
from cifarcam.figures.style import (
    BLUE,
    GREY,
    HEAT,
    LINE,
    PALE,
    WIDTH,
    checked_pictures,
    place,
    sheet,
    shortened,
    styled,
    text_width,
    title_rows,
)

# Of the figure of explained pictures, in inches: a column's width, the height up to which a
# picture fills it, the height of the probabilities, and its most rows (a PNG's height is bounded).
COLUMN, TALLEST, LEAST = 1.35, 2.7, 1.02
MOST_ROWS = 100
OPACITY = 0.65  # of the heatmap in an overlay, where it is 1
NO_EVIDENCE = "no positive\nevidence"


class Explained(Protocol):
    """What `cifarcam.explain.explain_pictures` gives."""

    @property
    def name(self) -> str:
        """The picture's name."""

    @property
    def picture(self) -> np.ndarray:
        """H x W x 3, uint8."""

    @property
    def heatmap(self) -> np.ndarray:
        """H x W, raw magnitudes."""

    @property
    def target(self) -> str:
        """The class that the heatmap explains."""

    @property
    def top(self) -> Sequence[tuple[str, float]]:
        """Likeliest classes with probabilities, likeliest first."""


def scaled_for_display(heatmap: np.ndarray) -> np.ndarray:
    """A heatmap of raw magnitudes divided by its maximum; a zero map stays zero.

    Raises
    ------
    CifarcamError
        When a value is negative or not finite, or the map is not two-dimensional.
    """
    values = np.asarray(heatmap, dtype=np.float64)
    if values.ndim != 2 or not np.isfinite(values).all() or (values < 0).any():
        raise CifarcamError("a heatmap must be a height x width array of finite values >= 0")
    return values / values.max() if values.any() else values


def coloured(scaled: np.ndarray) -> np.ndarray:
    """A map in [0, 1] as an H x W x 3 uint8 picture."""
    return matplotlib.colormaps[HEAT](scaled, bytes=True)[..., :3]


def overlaid(picture: np.ndarray, scaled: np.ndarray) -> np.ndarray:
    """A map in [0, 1] laid over its picture, the more opaque the higher.

    So a pixel with no evidence keeps the picture's own colour.

    Raises
    ------
    CifarcamError
        When picture and map differ in size.
    """
    if picture.shape[:2] != scaled.shape:
        raise CifarcamError(f"heatmap {scaled.shape} does not fit picture {picture.shape[:2]}")
    opacity = OPACITY * scaled[..., None]
    return np.rint(picture * (1 - opacity) + coloured(scaled) * opacity).astype(np.uint8)


@styled
def heatmaps(
    images: np.ndarray, heatmaps: np.ndarray, titles: Sequence[str], *, columns: int = 5
) -> Figure:
    """For each image, from top to bottom: picture, heatmap, overlay.

    Parameters
    ----------
    images
        N x H x W x 3, uint8; N may be 0.
    heatmaps
        N x H x W raw magnitudes >= 0; each is divided by its own maximum for display.
    titles
        N texts; lines that do not fit are broken.
    columns
        Images side by side.

    Raises
    ------
    CifarcamError
        When numbers or sizes differ, or a heatmap has a negative value.
    """
    if not len(images) == len(heatmaps) == len(titles):
        raise CifarcamError(
            f"{len(images)} images, {len(heatmaps)} heatmaps and {len(titles)} titles"
        )
    if len(images) == 0:
        return nothing("no images to show")
    pictures = checked_pictures(images)
    margin, gap = 0.68, 0.14
    width = (WIDTH - margin - (columns - 1) * gap) / columns
    rows = title_rows(titles, width + 0.06, columns)
    tile = width * pictures.shape[1] / pictures.shape[2]
    heads = [LINE * max(len(lines) for _, lines in row) + 0.06 for row in rows]
    band = 3 * tile + 0.1
    # Few pictures are shown as large as many, on a narrower sheet that still has room for the bar.
    right = margin + max(min(columns, len(titles)) * (width + gap) - gap, 2.4)
    figure, axes = sheet(sum(heads) + len(rows) * band + (len(rows) - 1) * 0.18 + 0.5, right)
    top = 0.0
    for row, head in zip(rows, heads, strict=True):
        for step, name in enumerate(("picture", "heatmap", "overlay")):
            middle = top + head + step * (tile + 0.05) + tile / 2
            axes.text(margin - 0.08, middle, name, ha="right", va="center", color=GREY)
        for column, (index, lines) in enumerate(row):
            x = margin + column * (width + gap)
            title = "\n".join(lines)
            axes.text(x + width / 2, top + head - 0.04, title, ha="center", va="bottom")
            places = [(x, top + head + step * (tile + 0.05)) for step in range(3)]
            _triple(axes, pictures[index], heatmaps[index], places, width)
        top += head + band + 0.18
    scale_bar(axes, margin, top - 0.1, right - margin)
    return figure


@styled
def explanation(image: np.ndarray, heatmap: np.ndarray, top: list[tuple[str, float]]) -> Figure:
    """One picture, its heatmap, the overlay and the likeliest classes.

    Parameters
    ----------
    image
        H x W x 3, uint8.
    heatmap
        H x W raw magnitudes >= 0.
    top
        Classes with probabilities, likeliest first.
    """
    return _explained([("", image, heatmap, top)])


@styled
def explanations(items: Sequence[Explained]) -> Figure:
    """What `explanation` draws, a row an item, under the item's name.

    Raises
    ------
    CifarcamError
        When there is no item, or more than `MOST_ROWS`.
    """
    if not items:
        raise CifarcamError("explanations: no picture to show")
    if len(items) > MOST_ROWS:
        raise CifarcamError(f"{len(items)} pictures are too many for a figure; give {MOST_ROWS}")
    return _explained(
        [
            (_row_title(item.name, item.target), item.picture, item.heatmap, item.top)
            for item in items
        ]
    )


def _row_title(name: str, target: str) -> str:
    end = f": map for {shortened(target, 0.4 * WIDTH, 'bold')}"
    return shortened(name, WIDTH - text_width(end, weight="bold") - 0.1, "bold") + end


def _explained(
    rows: Sequence[tuple[str, np.ndarray, np.ndarray, Sequence[tuple[str, float]]]],
) -> Figure:
    gap = 0.1
    head = LINE + 0.06 if any(name for name, *_ in rows) else 0.0
    caption = LINE + 0.04
    pictures = [checked_pictures(np.asarray(picture)[None])[0] for _, picture, *_ in rows]
    # A slender picture is narrower than its column, so that its row is no taller than TALLEST.
    widths = [min(COLUMN, TALLEST * p.shape[1] / p.shape[0]) for p in pictures]
    tiles = [width * p.shape[0] / p.shape[1] for width, p in zip(widths, pictures, strict=True)]
    heights = [max(LEAST, tile) for tile in tiles]
    figure, axes = sheet(caption + sum(head + height + 0.14 for height in heights) + 0.32)
    for step, name in enumerate(("picture", "heatmap", "overlay", "probability")):
        x = step * (COLUMN + gap) + (COLUMN / 2 if step < 3 else 0.1)
        axes.text(x, 0, name, ha="center" if step < 3 else "left", va="top", color=GREY)
    y = caption
    for (name, _, heatmap, top), picture, width, tile, height in zip(
        rows, pictures, widths, tiles, heights, strict=True
    ):
        y += head
        if name:
            axes.text(0, y - 0.05, name, va="bottom", weight="bold")
        left, upper = (COLUMN - width) / 2, y + (height - tile) / 2
        places = [(step * (COLUMN + gap) + left, upper) for step in range(3)]
        _triple(axes, picture, heatmap, places, width)
        bars(axes, 3 * (COLUMN + gap) + 0.1, y, WIDTH, min(height, COLUMN), top)
        y += height + 0.14
    scale_bar(axes, COLUMN + gap, y, 2 * COLUMN + gap)
    return figure


def bars(
    axes: Axes, left: float, y: float, right: float, height: float, top: Sequence[tuple[str, float]]
) -> None:
    """Probabilities as bars that fill from `left` to `right`, class and number above each."""
    pitch = height / max(len(top), 1)
    for index, (name, share) in enumerate(top):
        line = y + index * pitch
        number = f"{100 * share:.1f}%"
        room = right - left - text_width(number) - 0.12
        axes.text(left, line + 0.15, shortened(name, room), va="baseline")
        axes.text(right, line + 0.15, number, ha="right", va="baseline")
        axes.barh(line + 0.26, right - left, 0.12, left=left, color=PALE)
        colour = BLUE if index == 0 else GREY
        axes.barh(line + 0.26, share * (right - left), 0.12, left=left, color=colour)


@styled
def mean_heatmaps(maps: np.ndarray, class_names: Sequence[str]) -> Figure:
    """One map for each class, all on one colour scale from 0 to the largest value of any.

    Parameters
    ----------
    maps
        Classes x H x W, >= 0, in any unit common to them.

    Raises
    ------
    CifarcamError
        When the numbers of maps and classes differ, or a value is negative.
    """
    values = np.asarray(maps, dtype=np.float64)
    if len(values) != len(class_names):
        raise CifarcamError(f"{len(values)} maps for {len(class_names)} classes")
    joint = scaled_for_display(values.reshape(len(values), -1)).reshape(values.shape)
    columns, gap = 5, 0.12
    width = (WIDTH - (columns - 1) * gap) / columns
    band = width * values.shape[1] / values.shape[2] + LINE + 0.14
    rows = -(-len(values) // columns)
    figure, axes = sheet(rows * band + 0.34)
    for index, (scaled, name) in enumerate(zip(joint, class_names, strict=True)):
        row, column = divmod(index, columns)
        x, y = column * (width + gap), row * band + LINE + 0.05
        axes.text(x + width / 2, y - 0.03, shortened(name, width), ha="center", va="bottom")
        place(axes, coloured(scaled), x, y, width)
        if not scaled.any():
            say_zero(axes, x + width / 2, y + width / 2)
    scale_bar(axes, 1.6, rows * band + 0.02, WIDTH - 3.2, f"{values.max():.2g}")
    return figure


def _triple(
    axes: Axes,
    picture: np.ndarray,
    heatmap: np.ndarray,
    places: Sequence[tuple[float, float]],
    width: float,
) -> None:
    """Picture, heatmap and overlay at three places."""
    scaled = scaled_for_display(heatmap)
    tiles = (picture, coloured(scaled), overlaid(picture, scaled))
    for tile, (x, y) in zip(tiles, places, strict=True):
        place(axes, tile, x, y, width)
    if not scaled.any():
        height = width * picture.shape[0] / picture.shape[1]
        x, y = places[1]
        say_zero(axes, x + width / 2, y + height / 2)


def say_zero(axes: Axes, x: float, y: float) -> None:
    """Label a map without positive evidence."""
    ground = {"facecolor": coloured(np.zeros((1, 1)))[0, 0] / 255, "edgecolor": "none", "pad": 1}
    axes.text(x, y, NO_EVIDENCE, ha="center", va="center", color="white", bbox=ground)


def scale_bar(axes: Axes, x: float, y: float, width: float, most: str = "maximum") -> None:
    """The heatmaps' colours, from 0 to what they were divided by."""
    colours = coloured(np.linspace(0, 1, 128)[None])
    axes.imshow(colours, extent=(x, x + width, y + 0.09, y), interpolation="none", aspect="auto")
    axes.text(x, y + 0.13, "0", va="top")
    axes.text(x + width, y + 0.13, most, ha="right", va="top")
    axes.text(x + width / 2, y + 0.13, "evidence for the class", ha="center", va="top")
