"""Mistakes sorted by kind: stacked bars for networks, and pictures in groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from cifarcam.errors import CifarcamError
from cifarcam.figures.pictures import nothing
from cifarcam.figures.sheet import checked_pictures, place, sheet
from cifarcam.figures.style import BLACK, BLUE, GREY, ORANGE, PALE, SKY, VERMILION, WIDTH, styled
from cifarcam.figures.text import LINE, TEXT, title_rows

PARTS = ((VERMILION, BLACK), (ORANGE, BLACK), (SKY, BLACK), (BLUE, "white"), (GREY, "white"))
NARROWEST = 4.0  # percent; a narrower part shows no number


class PictureGroup(NamedTuple):
    """Pictures under one heading.

    Attributes
    ----------
    heading
        Text of one line.
    images
        N x H x W x 3, uint8; N may be 0.
    titles
        N texts.
    """

    heading: str
    images: np.ndarray
    titles: Sequence[str]


@styled
def stacked_shares(
    shares: Mapping[str, Sequence[float]], parts: Sequence[str], xlabel: str, separate: int = 0
) -> Figure:
    """Horizontal bars of parts that sum to 100%, from top to bottom.

    Parameters
    ----------
    shares
        For each row the share of each part, percent.
    parts
        Names of the parts, at most five.
    xlabel
        Label of the horizontal axis.
    separate
        Number of first rows that a gap separates from the others, such as a comparison.

    Raises
    ------
    CifarcamError
        When there is no row, a row has another number of parts, or does not sum to 100.
    """
    if not shares or not 0 < len(parts) <= len(PARTS):
        raise CifarcamError(
            f"stacked_shares: {len(shares)} rows of {len(parts)} parts; give at least one row and "
            f"one to {len(PARTS)} parts"
        )
    for name, values in shares.items():
        if len(values) != len(parts) or not np.isclose(sum(values), 100, atol=0.1):
            raise CifarcamError(
                f"stacked_shares: row {name!r} has the shares {list(values)}; give {len(parts)} "
                "that sum to 100"
            )
    places = np.arange(len(shares)) + 0.5 * (np.arange(len(shares)) >= separate)
    figure = Figure(figsize=(WIDTH, 0.65 + 0.215 * len(shares)), layout="constrained")
    axes = figure.add_subplot()
    rows = np.array([list(values) for values in shares.values()], float)
    starts = np.cumsum(rows, axis=1) - rows
    for part, (name, (colour, ink)) in enumerate(zip(parts, PARTS, strict=False)):
        widths = rows[:, part]
        axes.barh(
            places,
            widths,
            left=starts[:, part],
            height=0.74,
            color=colour,
            edgecolor="white",
            linewidth=0.8,
            label=name,
        )
        for y, start, width in zip(places, starts[:, part], widths, strict=True):
            if width >= NARROWEST:
                text = f"{width:.0f}"
                axes.text(start + width / 2, y, text, ha="center", va="center", color=ink)
    axes.set_yticks(places, list(shares))
    axes.set(xlim=(0, 100), xlabel=xlabel, ylim=(places[-1] + 0.6, -0.6))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    figure.legend(loc="outside upper center", ncols=len(parts), handlelength=1.2)
    return figure


@styled
def picture_groups(groups: Sequence[PictureGroup], *, columns: int = 10) -> Figure:
    """Pictures in groups, each under its own title, each group under its heading.

    Parameters
    ----------
    groups
        Groups without pictures are left out.
    columns
        Pictures side by side.

    Raises
    ------
    CifarcamError
        When a group has another number of titles than of pictures.
    """
    for group in groups:
        if len(group.images) != len(group.titles):
            raise CifarcamError(
                f"picture_groups: {group.heading!r} has {len(group.images)} pictures and "
                f"{len(group.titles)} titles; give one title a picture"
            )
    filled = [group for group in groups if len(group.images)]
    if not filled:
        return nothing("no pictures to show: the test images of CIFAR-10 are not at hand")
    pitch, width = WIDTH / columns, 0.48
    heading = LINE + 0.1
    layout = []
    height = 0.0
    for group in filled:
        pictures = checked_pictures(group.images, group.heading)
        rows = title_rows(group.titles, pitch - 0.01, columns)
        heads = [LINE * max(len(lines) for _, lines in row) + 0.05 for row in rows]
        tile = width * pictures.shape[1] / pictures.shape[2]
        layout.append((group.heading, pictures, rows, heads, tile))
        height += heading + sum(heads) + len(rows) * (tile + 0.06)
    figure, axes = sheet(height)
    top = 0.0
    for text, pictures, rows, heads, tile in layout:
        axes.axhline(top + 0.03, color=PALE, linewidth=0.8)
        axes.text(0, top + heading - 0.04, text, ha="left", va="bottom", weight="bold", size=TEXT)
        top += heading
        for row, head in zip(rows, heads, strict=True):
            for column, (index, lines) in enumerate(row):
                x = column * pitch + (pitch - width) / 2
                title = "\n".join(lines)
                axes.text(x + width / 2, top + head - 0.03, title, ha="center", va="bottom")
                place(axes, pictures[index], x, top + head, width)
            top += head + tile + 0.06
    return figure
