"""Explained pictures of a user: picture, heatmap, overlay and the likeliest classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cifarcam.errors import CifarcamError
from cifarcam.figures.heatmaps import scale_bar, triple
from cifarcam.figures.sheet import checked_pictures, sheet
from cifarcam.figures.style import BLUE, GREY, PALE, WIDTH, styled
from cifarcam.figures.text import LINE, shortened, text_width

COLUMN = 1.35  # inches, the width of a column
TALLEST = 2.7  # inches, the height up to which a picture fills its column
LEAST = 1.02  # inches, the height of the probabilities, which is the least height of a row
MOST_ROWS = 100  # the height of a PNG is bounded


class Explanation(Protocol):
    """The attributes of `cifarcam.explain.Explanation` that this module reads."""

    @property
    def name(self) -> str:
        """The picture's name."""

    @property
    def picture(self) -> np.ndarray:
        """The picture, H x W x 3, uint8."""

    @property
    def heatmap(self) -> np.ndarray:
        """The heatmap, H x W, raw magnitudes >= 0."""

    @property
    def target(self) -> str:
        """The class that the heatmap explains."""

    @property
    def top(self) -> Sequence[tuple[str, float]]:
        """The likeliest classes with their probabilities (0-1), likeliest first."""

    @property
    def against(self) -> str | None:
        """The class against which the target is explained; None without contrast."""


@styled
def explanations(items: Sequence[Explanation]) -> Figure:
    """Explained pictures, one a row: picture, heatmap, overlay and probabilities.

    Parameters
    ----------
    items
        From `cifarcam.explain.explain_pictures`.

    Raises
    ------
    CifarcamError
        When there is no item, there are more than `MOST_ROWS`, or a heatmap has a negative value.
    """
    if not items:
        raise CifarcamError("explanations: no picture to show; give at least one")
    if len(items) > MOST_ROWS:
        raise CifarcamError(f"explanations: {len(items)} pictures; give at most {MOST_ROWS}")
    gap = 0.1
    head = LINE + 0.06
    caption = LINE + 0.04
    pictures = [checked_pictures(np.asarray(item.picture)[None])[0] for item in items]
    # A tall picture is narrower than its column, so that its row is at most TALLEST.
    widths = [min(COLUMN, TALLEST * p.shape[1] / p.shape[0]) for p in pictures]
    tiles = [width * p.shape[0] / p.shape[1] for width, p in zip(widths, pictures, strict=True)]
    heights = [max(LEAST, tile) for tile in tiles]
    figure, axes = sheet(caption + sum(head + height + 0.14 for height in heights) + 0.32)
    for step, name in enumerate(("picture", "heatmap", "overlay", "probability")):
        x = step * (COLUMN + gap) + (COLUMN / 2 if step < 3 else 0.1)
        axes.text(x, 0, name, ha="center" if step < 3 else "left", va="top", color=GREY)
    y = caption
    for item, picture, width, tile, height in zip(
        items, pictures, widths, tiles, heights, strict=True
    ):
        y += head
        axes.text(0, y - 0.05, _row_title(item), va="bottom", weight="bold")
        left, upper = (COLUMN - width) / 2, y + (height - tile) / 2
        places = [(step * (COLUMN + gap) + left, upper) for step in range(3)]
        triple(axes, picture, item.heatmap, places, width)
        bars(axes, 3 * (COLUMN + gap) + 0.1, y, WIDTH, min(height, COLUMN), item.top)
        y += height + 0.14
    scale_bar(axes, COLUMN + gap, y, 2 * COLUMN + gap)
    return figure


def bars(
    axes: Axes, left: float, y: float, right: float, height: float, top: Sequence[tuple[str, float]]
) -> None:
    """Draw probabilities as bars from `left` to `right` inches, class and number above each bar."""
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


def _row_title(item: Explanation) -> str:
    share = 0.4 * WIDTH if item.against is None else 0.2 * WIDTH
    end = f": map for {shortened(item.target, share, 'bold')}"
    if item.against is not None:
        end += f" rather than {shortened(item.against, share, 'bold')}"
    return shortened(item.name, WIDTH - text_width(end, "bold") - 0.1, "bold") + end
