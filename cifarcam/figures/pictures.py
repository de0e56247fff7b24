"""Grids of pictures: samples, pairs, predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from cifarcam.errors import CifarcamError
from cifarcam.figures.sheet import checked_pictures, mosaic, place, sheet
from cifarcam.figures.style import GREY, SKY, WIDTH, styled
from cifarcam.figures.text import LINE, TEXT, title_rows

TILE = 0.42  # inches, the width of a sample
PAIRS = 4.8  # inches, the width of a sheet of up to four columns of pairs


@styled
def samples(
    images: np.ndarray, labels: np.ndarray, class_names: Sequence[str], per_class: int = 10
) -> Figure:
    """The first `per_class` images of each class, one row for each class.

    Parameters
    ----------
    images
        N x H x W x 3, uint8.
    labels
        N integers, indices of `class_names`. The row of a class with fewer images is shorter.

    Raises
    ------
    CifarcamError
        When images and labels differ in number.
    """
    pictures, labels = checked_pictures(images), np.asarray(labels)
    if len(pictures) != len(labels):
        raise CifarcamError(
            f"samples: {len(pictures)} images and {len(labels)} labels; give one label an image"
        )
    height, width = pictures.shape[1:3]
    tiles = np.full((len(class_names) * per_class, height, width, 3), 255, dtype=np.uint8)
    for index in range(len(class_names)):
        members = pictures[labels == index][:per_class]
        tiles[index * per_class : index * per_class + len(members)] = members
    joined = mosaic(tiles, per_class, gap=2)
    margin = 0.85
    breadth = min(WIDTH - margin, TILE * per_class)
    pixel = breadth / joined.shape[1]
    figure, axes = sheet(joined.shape[0] * pixel, margin + breadth)
    place(axes, joined, margin, 0.0, breadth)
    for index, name in enumerate(class_names):
        middle = (index * (height + 2) + height / 2) * pixel
        axes.text(margin - 0.08, middle, name, ha="right", va="center")
    return figure


@styled
def predictions(images: np.ndarray, titles: Sequence[str]) -> Figure:
    """Pictures in five columns, each under its title.

    Parameters
    ----------
    images
        N x H x W x 3, uint8; N may be 0.
    titles
        N texts; lines that are too long are broken.

    Raises
    ------
    CifarcamError
        When images and titles differ in number.
    """
    if len(images) == 0:
        return nothing("no images to show")
    pictures = checked_pictures(images)
    _same_number(len(pictures), len(titles))
    return _titled(list(pictures), titles, 5, WIDTH / 5, 0.55)


@styled
def image_pairs(
    first: np.ndarray, second: np.ndarray, titles: Sequence[str], *, columns: int = 4
) -> Figure:
    """Pairs of pictures side by side, each pair under its title.

    Parameters
    ----------
    first, second
        N x H x W x 3, uint8; N may be 0.
    titles
        N texts; lines that are too long are broken.

    Raises
    ------
    CifarcamError
        When their numbers differ.
    """
    if len(first) == 0 and len(second) == 0:
        return nothing("no pairs to show")
    left, right = checked_pictures(first, "first"), checked_pictures(second, "second")
    _same_number(len(left), len(titles))
    _same_number(len(right), len(titles))
    pairs = [mosaic(np.stack(pair), 2, gap=1) for pair in zip(left, right, strict=True)]
    pitch = (PAIRS if columns <= 4 else WIDTH) / columns
    return _titled(pairs, titles, columns, pitch, pitch - 0.25)


@styled
def boxes(
    images: np.ndarray, boxes: np.ndarray, titles: Sequence[str], *, columns: int = 18
) -> Figure:
    """Small pictures, each with a box drawn on it, under their titles: a contact sheet.

    Parameters
    ----------
    images
        N x H x W x 3, uint8; N may be 0.
    boxes
        N x 4: left, top, right and bottom edges in pixels; right and bottom are exclusive.
    titles
        N short texts, such as the images' indices.

    Raises
    ------
    CifarcamError
        When the numbers of images, boxes and titles differ.
    """
    if len(images) == 0:
        return nothing("no images to show")
    pictures, edges = checked_pictures(images), np.asarray(boxes)
    _same_number(len(pictures), len(titles))
    if edges.shape != (len(pictures), 4):
        raise CifarcamError(
            f"boxes: shape {edges.shape} for {len(pictures)} images; give one box of 4 edges each"
        )
    pitch = WIDTH / columns
    return _titled(list(pictures), titles, columns, pitch, pitch - 0.04, boxes=edges)


def nothing(text: str) -> Figure:
    """A figure that says in a text that there is nothing to show."""
    figure, axes = sheet(0.5)
    axes.text(WIDTH / 2, 0.25, text, ha="center", va="center", color=GREY)
    return figure


def _titled(
    pictures: Sequence[np.ndarray],
    titles: Sequence[str],
    columns: int,
    pitch: float,
    width: float,
    *,
    boxes: np.ndarray | None = None,
) -> Figure:
    """Pictures of one size in a grid; a row has room for the longest of its titles.

    `width` is a picture's width and `pitch` the distance from one picture to the next, in inches.
    `boxes` are drawn on the pictures.
    """
    height = width * pictures[0].shape[0] / pictures[0].shape[1]
    below = min(pitch - width, 0.1)
    rows = title_rows(titles, pitch - 0.06, columns)
    heads = [LINE * max(len(lines) for _, lines in row) + 0.05 for row in rows]
    high = sum(heads) + len(rows) * height + (len(rows) - 1) * below
    figure, axes = sheet(high, columns * pitch)
    top = 0.0
    for row, head in zip(rows, heads, strict=True):
        for column, (index, lines) in enumerate(row):
            x = column * pitch + (pitch - width) / 2
            title = "\n".join(lines)
            axes.text(x + width / 2, top + head - 0.04, title, ha="center", va="bottom", size=TEXT)
            place(axes, pictures[index], x, top + head, width)
            if boxes is not None:
                _frame(axes, boxes[index], x, top + head, width / pictures[index].shape[1])
        top += head + height + below
    return figure


def _frame(axes: Axes, box: np.ndarray, x: float, y: float, pixel: float) -> None:
    """Draw a box on a picture whose upper left corner is at (x, y) and whose pixels are `pixel`.

    The line runs along the outer edges of the box's pixels, blue on white, so that it shows on
    light and on dark fur.
    """
    left, top, right, bottom = (float(edge) * pixel for edge in box)
    for color, thickness in (("white", 1.4), (SKY, 0.7)):
        axes.add_patch(
            Rectangle(
                (x + left, y + top),
                right - left,
                bottom - top,
                fill=False,
                edgecolor=color,
                linewidth=thickness,
                joinstyle="miter",
            )
        )


def _same_number(pictures: int, titles: int) -> None:
    if pictures != titles:
        raise CifarcamError(f"{pictures} images and {titles} titles; give one title an image")
