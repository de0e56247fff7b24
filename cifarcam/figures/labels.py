"""Names at the ends of lines, kept apart from each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.transforms import ScaledTranslation, Transform
from scipy.optimize import isotonic_regression

from cifarcam.figures.text import LINE

CONTRAST = 4.5  # of small text on its ground, at least (WCAG 2.2, criterion 1.4.3)


class End(NamedTuple):
    """The end of a line, or another point that is named right of the axes.

    Attributes
    ----------
    name
        Text of one line.
    x, y
        The point, in data coordinates.
    colour
        The line's colour.
    mark
        The mark of the line's points; empty for a line without marks.
    """

    name: str
    x: float
    y: float
    colour: str
    mark: str = ""


def label_ends(axes: Axes, ends: Sequence[End]) -> None:
    """Name lines right of the axes, each name in its line's colour and joined to the line's end.

    The axes' limits and the figure's other texts must be final.
    """
    figure: Any = axes.figure
    figure.draw_without_rendering()  # lays the figure out, which tells the axes' height
    height = axes.get_window_extent().height / figure.dpi
    points = axes.transData.transform([(end.x, end.y) for end in ends])
    points = axes.transAxes.inverted().transform(points)
    places = spread(points[:, 1], LINE / height, 0.0, 1.0)

    def right_of_axes(inches: float) -> Transform:
        return axes.transAxes + ScaledTranslation(inches, 0, figure.dpi_scale_trans)

    for end, point, place in zip(ends, points, places, strict=True):
        axes.annotate(
            "",
            point,
            (1, place),
            xycoords="axes fraction",
            textcoords=right_of_axes(0.08),
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": end.colour,
                "linewidth": 0.6,
                "shrinkA": 0,
                "shrinkB": 0,
            },
        )
        left = 0.11
        if end.mark:
            axes.plot(
                1,
                place,
                color=end.colour,
                marker=end.mark,
                markersize=5,
                markeredgewidth=0,
                transform=right_of_axes(0.13),
                clip_on=False,
            )
            left = 0.21
        axes.text(
            1,
            place,
            end.name,
            va="center_baseline",
            color=legible(end.colour),
            transform=right_of_axes(left),
        )


def spread(
    places: Sequence[float] | np.ndarray,
    distance: float,
    low: float = -np.inf,
    high: float = np.inf,
) -> np.ndarray:
    """Places moved as little as possible, in their order, so that neighbours keep a distance.

    The sum of the squared moves is least. That is an isotonic regression once the distances are
    taken off, and its values cut at the limits solve it within limits.

    Parameters
    ----------
    places
        Where labels would be, N.
    distance
        From one label to the next, at least.
    low, high
        Limits; where not all labels fit, the lowest lie below `low`.
    """
    wanted = np.asarray(places, float)
    if wanted.size == 0:
        return wanted
    order = np.argsort(wanted, kind="stable")
    steps = distance * np.arange(wanted.size)
    moved = np.empty_like(wanted)
    nearest = isotonic_regression(wanted[order] - steps).x
    moved[order] = np.minimum(np.maximum(nearest, low), high - steps[-1]) + steps
    return moved


def legible(colour: str) -> tuple[float, float, float]:
    """The colour, red, green and blue 0-1, darkened where text in it would be too pale on white."""
    shade = np.array(to_rgb(colour))
    while contrast_on_white(shade) < CONTRAST:
        shade *= 0.97
    red, green, blue = shade.tolist()
    return red, green, blue


def contrast_on_white(shade: Sequence[float] | np.ndarray) -> float:
    """Contrast of an sRGB colour, 0-1, on white, from 1 to 21 (WCAG 2.2, "contrast ratio")."""
    values = np.asarray(shade, float)
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float(1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05))
