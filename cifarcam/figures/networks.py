"""Networks compared by cost, by training time and by seed, drawn with Seaborn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cifarcam.errors import CifarcamError
from cifarcam.figures.labels import End, label_ends
from cifarcam.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PALE,
    PURPLE,
    SKY,
    VERMILION,
    WIDTH,
    log_ticks,
    seaborn,
    styled,
)

# A network keeps its colour and mark on a page if the figures list the networks in one order.
COLOURS = (BLACK, SKY, BLUE, GREEN, PURPLE, GREY, ORANGE, VERMILION, "#8B4513", "#3B3B98")
MARKS = ("o", "s", "D", "^", "v", "P", "X", "*", "<", ">")


@styled
def accuracy_by_cost(
    accuracy: Mapping[str, float], costs: Mapping[str, Mapping[str, float]]
) -> Figure:
    """Accuracy against several costs, one panel for each cost, all on logarithmic scales.

    Parameters
    ----------
    accuracy
        Percent, by network.
    costs
        For each cost, whose name is its axis's label, a positive number by network.

    Raises
    ------
    CifarcamError
        When a network has no cost, or one that is not positive.
    """
    sns = seaborn()
    figure = Figure(figsize=(WIDTH, 2.6), layout="constrained")
    panels = figure.subplots(1, len(costs), sharey=True, squeeze=False)[0]
    networks = list(accuracy)
    looks = _looks(networks)
    for axes, (label, values) in zip(panels, costs.items(), strict=True):
        for name in networks:
            if values.get(name, 0.0) <= 0:
                raise CifarcamError(
                    f"accuracy_by_cost: {name} has no {label} above 0; give one for each network"
                )
        sns.scatterplot(
            x=[values[name] for name in networks],
            y=list(accuracy.values()),
            **looks,
            s=64,
            linewidth=0,
            legend=False,
            ax=axes,
        )
        logarithmic(axes)
        axes.set_xlabel(label)
        axes.margins(x=0.12, y=0.08)
        axes.grid()
    panels[0].set_ylabel("test accuracy (%)")
    border = panels[-1].get_xlim()[1]
    label_ends(panels[-1], _ends(looks, {name: (border, y) for name, y in accuracy.items()}))
    return figure


@styled
def learning_curves(histories: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Accuracy by training time: on the training images (left) and the validation images (right).

    Parameters
    ----------
    histories
        For each network arrays ``seconds`` (of each epoch), ``train_accuracy`` and
        ``validation_accuracy`` (0-1, NaN where it was not measured).
    """
    sns = seaborn()
    figure = Figure(figsize=(WIDTH, 2.8), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    lengths = [len(history["seconds"]) for history in histories.values()]
    looks = _looks(np.repeat(list(histories), lengths).tolist())
    minutes = np.concatenate([np.cumsum(h["seconds"]) / 60 for h in histories.values()])
    lines: Any = {"linewidth": 1.1, "markersize": 3.5, "markeredgewidth": 0}
    for axes, split, title in zip(
        panels, ("train", "validation"), ("training, as logged", "validation"), strict=True
    ):
        sns.lineplot(
            x=minutes,
            y=100 * np.concatenate([h[f"{split}_accuracy"] for h in histories.values()]),
            **looks,
            dashes=False,
            estimator=None,
            sort=False,
            **lines,
            legend=False,
            ax=axes,
        )
        logarithmic(axes)
        axes.set(title=title, xlabel="minutes of training")
        axes.grid()
    panels[0].set_ylabel("accuracy (%)")
    last = {
        name: (float(np.sum(h["seconds"])) / 60, 100 * h["train_accuracy"][-1])
        for name, h in histories.items()
    }
    label_ends(panels[0], _ends(looks, last))
    return figure


@styled
def accuracy_by_seed(
    percent: Mapping[str, Sequence[float]],
    intervals: Mapping[str, tuple[float, float]],
    level: float | None = None,
) -> Figure:
    """Networks from top to bottom: accuracy of each seed, and the interval of their mean.

    Parameters
    ----------
    percent
        Accuracy by seed, for each network.
    intervals
        Ends of the interval of each network's mean, percent; NaN where there is none.
    level
        An accuracy that a dashed line marks, percent.
    """
    names = list(percent)
    figure = Figure(figsize=(WIDTH, 0.6 + 0.21 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    for row, name in enumerate(names):
        axes.plot(
            intervals[name], [row, row], color=PALE, linewidth=7, solid_capstyle="butt", zorder=1
        )
    seaborn().stripplot(
        x=np.concatenate([np.asarray(values, float) for values in percent.values()]),
        y=np.repeat(names, [len(values) for values in percent.values()]),
        order=names,
        orient="h",
        color=BLUE,
        jitter=False,
        size=5,
        alpha=0.7,
        ax=axes,
    )
    if level is not None:
        axes.axvline(level, color=VERMILION, linewidth=1.2, linestyle="--", zorder=0)
    axes.set(xlabel="test accuracy (%)", ylabel="")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    return figure


def _looks(names: Sequence[str], colours: Sequence[str] = COLOURS) -> dict[str, Any]:
    """Seaborn's arguments that give each distinct name a colour and a mark, in order."""
    distinct = dict.fromkeys(names)
    return {
        "hue": names,
        "style": names,
        "palette": {name: colours[k % len(colours)] for k, name in enumerate(distinct)},
        "markers": {name: MARKS[k % len(MARKS)] for k, name in enumerate(distinct)},
    }


def _ends(looks: Mapping[str, Any], points: Mapping[str, tuple[float, float]]) -> list[End]:
    """Points by name, with the colour and the mark of their `_looks`."""
    return [
        End(name, x, y, looks["palette"][name], looks["markers"][name])
        for name, (x, y) in points.items()
    ]


def logarithmic(axes: Axes) -> None:
    """A logarithmic horizontal axis with ticks at 1 and 3 times each power of ten."""
    axes.set_xscale("log")
    log_ticks(axes.xaxis, (1, 3))
