"""Explanation methods beside their controls, drawn with Seaborn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cifarcam.errors import CifarcamError
from cifarcam.figures.labels import legible
from cifarcam.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    WIDTH,
    seaborn,
    styled,
)

CONTROLS: Mapping[str, tuple[str, str]] = {
    "random map": (GREY, ":"),
    "centre blob": (VERMILION, "--"),
}
COLOURS = (BLACK, BLUE, GREEN, PURPLE, ORANGE, SKY)


@styled
def method_dots(
    values: Mapping[str, Mapping[str, Sequence[float]]],
    controls: Mapping[str, Mapping[str, float]],
    better: Mapping[str, str],
    columns: int = 1,
) -> Figure:
    """A dot for each method and seed, one panel for each metric, the controls as lines.

    Parameters
    ----------
    values
        By metric and method: a value for each seed. All panels list the methods of the first, in
        its order from the top; a method may be absent from the others.
    controls
        By metric: the mean of ``"random map"`` and ``"centre blob"``.
    better
        By metric: ``"higher is better"`` or ``"lower is better"``.
    columns
        Panels beside each other.

    Raises
    ------
    CifarcamError
        When there is no panel or no method.
    """
    if not values or not all(values.values()):
        raise CifarcamError("method_dots: no values; give at least one metric with a method")
    metrics = list(values)
    names = list(values[metrics[0]])
    rows = -(-len(metrics) // columns)
    figure = Figure(
        figsize=(WIDTH, rows * (0.8 + 0.17 * len(names))),
        layout="constrained",
    )
    panels = np.ravel(figure.subplots(rows, columns, sharey=True, squeeze=False))
    for metric, axes in zip(metrics, panels, strict=False):
        points = [(value, name) for name in names for value in values[metric].get(name, ())]
        seaborn().stripplot(
            x=[x for x, _ in points],
            y=[y for _, y in points],
            order=names,
            color=BLUE,
            size=5,
            jitter=False,
            ax=axes,
        )
        for control, value in controls[metric].items():
            colour, line = CONTROLS[control]
            axes.axvline(value, color=colour, linestyle=line, label=control, zorder=0)
        axes.grid(axis="y", color="#EEEEEE")
        axes.set_axisbelow(True)
        axes.set(xlabel=f"{metric}\n({better[metric]})", ylabel="")
    for axes in panels[len(metrics) :]:
        axes.set_axis_off()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    return figure


@styled
def removal_curves(
    shares: Sequence[float],
    deletion: Mapping[str, Sequence[float]],
    insertion: Mapping[str, Sequence[float]],
) -> Figure:
    """Mean probability of the class against the share of pixels removed, and against that put back.

    Parameters
    ----------
    shares
        Shares of pixels, 0-1.
    deletion, insertion
        By map, the controls among them: mean probabilities at the shares, 0-1.
    """
    figure = Figure(figsize=(WIDTH, 2.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    _curves(left, shares, deletion)
    _curves(right, shares, insertion)
    left.set(xlabel="pixels removed (%)", ylabel="mean probability of the class")
    right.set(xlabel="pixels put back (%)")
    _name_curves(left)
    return figure


def _name_curves(axes: Axes) -> None:
    """Name falling curves above them, from the highest to the lowest, each in its colour.

    All curves begin and end at one point, so that names at their ends would tell nothing.
    """
    lines: Any = axes.lines
    highest = sorted(lines, key=lambda line: -np.mean(line.get_ydata()))
    legend = axes.legend(handles=highest, loc="upper right", handlelength=1.8, labelspacing=0.15)
    for text, line in zip(legend.get_texts(), highest, strict=True):
        text.set_color(legible(line.get_color()))


def _curves(axes: Axes, shares: Sequence[float], curves: Mapping[str, Sequence[float]]) -> None:
    colours = iter(COLOURS)
    for name, values in curves.items():
        colour, line = CONTROLS.get(name) or (next(colours), "-")
        axes.plot(100 * np.asarray(shares), values, color=colour, linestyle=line, label=name)
    axes.set_ylim(0, 1)
