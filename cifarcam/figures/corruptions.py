"""Corrupted images, and networks on them by kind and by severity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cifarcam.errors import CifarcamError
from cifarcam.figures.labels import End, label_ends
from cifarcam.figures.networks import COLOURS, MARKS
from cifarcam.figures.pictures import nothing
from cifarcam.figures.sheet import checked_pictures, mosaic, place, sheet
from cifarcam.figures.style import GREY, PALE, WIDTH, styled
from cifarcam.figures.text import LINE

NOTHING = "no network is measured yet"


@styled
def corruption_sheet(pictures: np.ndarray, kinds: Sequence[str]) -> Figure:
    """One image under every kind (rows, in two halves) and severity (columns).

    Parameters
    ----------
    pictures
        uint8, kinds x severities x H x W x 3; with no kinds the figure says so.
    kinds
        Names of the rows.

    Raises
    ------
    CifarcamError
        When the numbers of kinds differ.
    """
    if len(pictures) == 0 and not kinds:
        return nothing("no images to show")
    if len(pictures) != len(kinds):
        raise CifarcamError(
            f"corruption_sheet: {len(pictures)} rows and {len(kinds)} names; give one name a row"
        )
    severities = pictures.shape[1]
    rows = -(-len(kinds) // 2)
    margin, side = 1.05, 0.32
    breadth = severities * side
    figure, axes = sheet(LINE + 0.05 + rows * side, 2 * (margin + breadth))
    for half in range(2):
        few = slice(half * rows, (half + 1) * rows)
        part = checked_pictures(pictures[few].reshape(-1, *pictures.shape[2:]))
        left = half * (margin + breadth) + margin
        joined = mosaic(part, severities, gap=1)
        pixel = breadth / joined.shape[1]
        place(axes, joined, left, LINE + 0.05, breadth)
        for column in range(severities):
            middle = left + (column * (pictures.shape[3] + 1) + pictures.shape[3] / 2) * pixel
            axes.text(middle, LINE, str(column + 1), ha="center", va="bottom")
        for row, kind in enumerate(kinds[few]):
            middle = LINE + 0.05 + (row * (pictures.shape[2] + 1) + pictures.shape[2] / 2) * pixel
            axes.text(left - 0.07, middle, kind, ha="right", va="center")
    return figure


@styled
def accuracy_by_kind(
    accuracy: Mapping[str, Sequence[float] | np.ndarray],
    kinds: Sequence[str],
    published: Mapping[str, Mapping[str, float]],
) -> Figure:
    """Rows from top to bottom: a mark for each network, and hollow marks for published accuracies.

    Parameters
    ----------
    accuracy
        By network, percent, a value for each kind; with no networks the figure says so.
    kinds
        Names of the rows.
    published
        By network, percent by kind, of some of the kinds.

    Raises
    ------
    CifarcamError
        When a network has another number of kinds.
    """
    if not accuracy:
        return nothing(NOTHING)
    for name, values in accuracy.items():
        if len(values) != len(kinds):
            raise CifarcamError(
                f"accuracy_by_kind: {len(values)} values of {name}; give one for each of "
                f"{len(kinds)} kinds"
            )
    figure = Figure(figsize=(WIDTH, 0.75 + 0.205 * len(kinds)), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(kinds))
    axes.hlines(places, 0, 1, transform=axes.get_yaxis_transform(), color=PALE, linewidth=0.6)
    for (name, values), look in zip(accuracy.items(), _looks(len(accuracy)), strict=True):
        axes.plot(values, places, linestyle="none", markersize=5, label=name, **look)
    for name, some in published.items():
        own = [kind for kind in kinds if kind in some]
        rows = [kinds.index(kind) for kind in own]
        hollow: Any = {"marker": "o", "markerfacecolor": "none", "color": GREY, "markersize": 8}
        axes.plot([some[kind] for kind in own], rows, linestyle="none", label=name, **hollow)
    axes.set_yticks(places, kinds)
    axes.invert_yaxis()
    axes.set_xlabel("accuracy, mean over severities (%)")
    _finish(axes, "y")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


@styled
def accuracy_by_severity(
    accuracy: Mapping[str, Sequence[float] | np.ndarray], clean: Mapping[str, float]
) -> Figure:
    """A line for each network: mean accuracy over kinds from clean images to the last severity.

    Parameters
    ----------
    accuracy
        By network, percent, a value for each severity; with no networks the figure says so.
    clean
        By network, percent on images without corruption.
    """
    if not accuracy:
        return nothing(NOTHING)
    figure = Figure(figsize=(WIDTH, 2.5), layout="constrained")
    axes = figure.add_subplot()
    ends = []
    for (name, values), look in zip(accuracy.items(), _looks(len(accuracy)), strict=True):
        line = [clean[name], *values]
        axes.plot(range(len(line)), line, linewidth=1.2, markersize=5, **look)
        ends.append(End(name, len(values), values[-1], look["color"], look["marker"]))
    count = max(len(values) for values in accuracy.values())
    axes.set_xticks(range(count + 1), ["clean", *map(str, range(1, count + 1))])
    axes.set(xlabel="severity", ylabel="accuracy, mean over kinds (%)")
    _finish(axes, "x")
    label_ends(axes, ends)
    return figure


def _looks(count: int) -> list[dict[str, Any]]:
    """Colour and mark of each network, in order."""
    return [
        {"color": COLOURS[k % len(COLOURS)], "marker": MARKS[k % len(MARKS)]} for k in range(count)
    ]


def _finish(axes: Axes, names: Literal["x", "y"]) -> None:
    """A grid along the values, and no ticks along the names."""
    values = axes.xaxis if names == "y" else axes.yaxis
    values.set_major_locator(MaxNLocator(7, integer=True))
    axes.grid(axis="x" if names == "y" else "y")
    axes.tick_params(axis=names, length=0)
