"""Mistakes between pairs of classes, by accuracy and depth of many networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from cifarcam.errors import CifarcamError
from cifarcam.figures.style import BLACK, GREY, HEAT, PALE, WIDTH, log_ticks, styled
from cifarcam.figures.text import TEXT

ACCURACIES = (30, 50, 70, 80, 90, 95, 98)  # percent, ticks of the horizontal axis
DEPTHS = (5, 10, 20, 50, 100, 150)  # layers, ticks of the colour bar


@styled
def confusions_by_accuracy(
    accuracy: Sequence[float] | np.ndarray,
    counts: Mapping[str, Sequence[float] | np.ndarray],
    depth: Sequence[float] | np.ndarray,
    is_ours: Sequence[bool] | np.ndarray,
) -> Figure:
    """Mistakes between pairs of classes against accuracy, one panel for each pair.

    Both axes are logarithmic, the horizontal axis in the mistakes, so that networks in which a pair
    takes the same share of the mistakes lie on a line. The colour is the depth, grey where it is not
    known. Our networks are diamonds, others dots.

    Parameters
    ----------
    accuracy
        Percent, below 100, by network.
    counts
        For each pair, whose name is its panel's title, the mistakes by network.
    depth
        Layers, by network; NaN where not known.
    is_ours
        Whether a network is ours.

    Raises
    ------
    CifarcamError
        When the numbers of networks differ, or no depth is known.
    """
    percent, layers, ours = np.asarray(accuracy, float), np.asarray(depth, float), np.array(is_ours)
    if any(len(values) != len(percent) for values in (*counts.values(), layers, ours)):
        raise CifarcamError(
            "confusions_by_accuracy: numbers of networks differ; give a value for each network"
        )
    if np.isnan(layers).all():
        raise CifarcamError("confusions_by_accuracy: no depth is known; give the depth of some")
    figure = Figure(figsize=(WIDTH, 2.7), layout="constrained")
    panels = figure.subplots(1, len(counts), sharex=True, squeeze=False)[0]
    scale = LogNorm(np.nanmin(layers), np.nanmax(layers))
    for axes, (title, values) in zip(panels, counts.items(), strict=True):
        dots = _dots(axes, percent, np.asarray(values, float), layers, ours, scale)
        axes.set_title(title)
        _axes_by_mistakes(axes, percent)
    panels[0].set_ylabel("test images confused, both ways")
    figure.supxlabel("test accuracy (%)", fontsize=TEXT)
    bar = figure.colorbar(dots, ax=list(panels), label="depth (layers)", aspect=30, pad=0.02)
    ticks = [n for n in DEPTHS if np.nanmin(layers) <= n <= np.nanmax(layers)]
    bar.set_ticks(ticks, labels=[str(n) for n in ticks])
    bar.ax.yaxis.set_minor_locator(NullLocator())
    _explain_marks(figure)
    return figure


def _dots(
    axes: Axes,
    accuracy: np.ndarray,
    counts: np.ndarray,
    depth: np.ndarray,
    is_ours: np.ndarray,
    scale: LogNorm,
) -> Any:
    """Draw all networks of a panel; return the last dots that are coloured by depth."""
    is_known = ~np.isnan(depth)
    dots: Any = None
    for mask, mark, size, edge in ((~is_ours, "o", 34, GREY), (is_ours, "D", 44, BLACK)):
        look: Any = {"marker": mark, "s": size, "linewidths": 0.7}
        unknown, known = mask & ~is_known, mask & is_known
        axes.scatter(accuracy[unknown], counts[unknown], color=PALE, edgecolors=GREY, **look)
        look |= {"c": depth[known], "norm": scale, "cmap": HEAT, "edgecolors": edge}
        dots = axes.scatter(accuracy[known], counts[known], **look)
    return dots


def _axes_by_mistakes(axes: Axes, accuracy: np.ndarray) -> None:
    """Logarithmic axes, the horizontal axis in the mistakes."""
    axes.set_xscale("function", functions=(by_errors, from_errors))
    low, high = accuracy.min() - 3, accuracy.max() + 1
    axes.set_xticks([tick for tick in ACCURACIES if low <= tick <= high])
    axes.set_yscale("log")
    log_ticks(axes.yaxis, (1, 2, 3, 5, 7))
    axes.grid()


def _explain_marks(figure: Figure) -> None:
    """Add the legend."""
    looks: dict[str, Any] = {
        "this report": {"marker": "D", "color": GREY},
        "published": {"marker": "o", "color": GREY},
        "depth not known or not comparable": {
            "marker": "o",
            "color": PALE,
            "markeredgecolor": GREY,
        },
    }
    handles = [
        Line2D([], [], linestyle="none", label=label, **look) for label, look in looks.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)


def by_errors(accuracy: np.ndarray) -> np.ndarray:
    """Where an accuracy stands on an axis that is logarithmic in the mistakes."""
    return -np.log10(np.maximum(100 - np.asarray(accuracy, float), 1e-3))


def from_errors(place: np.ndarray) -> np.ndarray:
    """The accuracy at a place of such an axis, percent."""
    return 100 - 10 ** -np.asarray(place, float)
