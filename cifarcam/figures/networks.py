"""Networks side by side: accuracy against cost, learning curves, confusions, ablations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from cifarcam.errors import CifarcamError
from cifarcam.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PALE,
    PURPLE,
    SKY,
    VERMILLION,
    WIDTH,
    slant_names,
    styled,
)

# A network keeps its colour and mark on a page, in the order in which it is given.
COLOURS = (BLACK, SKY, BLUE, GREEN, PURPLE, GREY, ORANGE, VERMILLION, "#8B4513", "#3B3B98")
MARKS = ("o", "s", "D", "^", "v", "P", "X", "*", "<", ">")


@styled
def accuracy_by_cost(
    accuracy: Mapping[str, float], costs: Mapping[str, Mapping[str, float]]
) -> Figure:
    """Accuracy against each of some costs, a panel a cost, all on logarithmic scales.

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
    figure = Figure(figsize=(WIDTH, 3.1), layout="constrained")
    panels = figure.subplots(1, len(costs), sharey=True, squeeze=False)[0]
    for axes, (label, values) in zip(panels, costs.items(), strict=True):
        for index, (name, height) in enumerate(accuracy.items()):
            if values.get(name, 0.0) <= 0:
                raise CifarcamError(f"{label}: {name} has no cost above 0")
            axes.plot(
                values[name],
                height,
                **_look(index),
                markersize=6.5,
                linestyle="none",
                label=name,
            )
        _logarithmic(axes)
        axes.set_xlabel(label)
        axes.margins(x=0.12, y=0.08)
        axes.grid()
    panels[0].set_ylabel("test accuracy (%)")
    _name_networks(figure, panels[0])
    return figure


@styled
def learning_curves(histories: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Accuracy against the time of training: left on the training images, right on validation.

    Parameters
    ----------
    histories
        For each network arrays ``seconds`` (of each epoch), ``train_accuracy`` and
        ``validation_accuracy`` (0-1, NaN where nothing was watched).
    """
    figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for index, (name, history) in enumerate(histories.items()):
        minutes = np.cumsum(history["seconds"]) / 60
        for axes, split in zip(panels, ("train", "validation"), strict=True):
            axes.plot(
                minutes,
                100 * history[f"{split}_accuracy"],
                **_look(index),
                markersize=3.5,
                linewidth=1.1,
                label=name,
            )
    for axes, title in zip(panels, ("training, as logged", "validation"), strict=True):
        _logarithmic(axes)
        axes.set(title=title, xlabel="minutes of training")
        axes.grid()
    panels[0].set_ylabel("accuracy (%)")
    _name_networks(figure, panels[0])
    return figure


@styled
def confusions_by_network(counts: Mapping[str, Mapping[str, float]]) -> Figure:
    """Mistakes between pairs of classes, a line a pair, a place on the axis for each network.

    Parameters
    ----------
    counts
        For each pair, the mistakes by network; all pairs with the same networks in one order.
    """
    networks = list(next(iter(counts.values())))
    figure = Figure(figsize=(WIDTH, 2.9), layout="constrained")
    axes = figure.add_subplot()
    for index, (pair, values) in enumerate(counts.items()):
        axes.plot(
            networks,
            [values[name] for name in networks],
            color=(BLUE, VERMILLION, GREEN, ORANGE, PURPLE)[index % 5],
            marker=MARKS[index],
            markersize=5,
            linewidth=1.2,
            label=pair,
        )
    axes.set_ylim(bottom=0)
    axes.set_ylabel("test images confused,\nboth directions")
    slant_names(axes)
    axes.grid()
    figure.legend(loc="outside upper center", ncols=len(counts))
    return figure


@styled
def ablation(
    ingredients: Sequence[str],
    accuracy: Sequence[Sequence[float]],
    intervals: Sequence[tuple[float, float]],
    seconds: Sequence[float],
) -> Figure:
    """Steps from top to bottom: the accuracy of each training, its mean's interval, and the time.

    Parameters
    ----------
    ingredients
        A text for each step.
    accuracy
        For each step the accuracies, percent, of its seeds.
    intervals
        For each step the ends of the interval of its mean, percent.
    seconds
        Of a training, for each step.

    Raises
    ------
    CifarcamError
        When the numbers of steps differ.
    """
    if not len(ingredients) == len(accuracy) == len(intervals) == len(seconds):
        raise CifarcamError(
            f"{len(ingredients)} ingredients, {len(accuracy)} accuracies, {len(intervals)} "
            f"intervals and {len(seconds)} times"
        )
    figure = Figure(figsize=(WIDTH, 0.7 + 0.3 * len(ingredients)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    places = np.arange(len(ingredients))
    for place, values, (low, high) in zip(places, accuracy, intervals, strict=True):
        left.plot([low, high], [place, place], color=PALE, linewidth=5, solid_capstyle="butt")
        left.plot(values, [place] * len(values), "o", color=BLUE, markersize=3.5, alpha=0.7)
        left.plot(np.mean(values), place, "|", color=BLACK, markersize=11, markeredgewidth=1.5)
    left.set_yticks(places, ingredients)
    left.invert_yaxis()
    left.set_xlabel("validation accuracy (%)")
    right.barh(places, np.asarray(seconds) / 60, 0.6, color=SKY)
    right.set_xlabel("minutes a training")
    for axes in (left, right):
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    return figure


def _look(index: int) -> dict[str, str]:
    """Colour and mark of the network at a place."""
    return {"color": COLOURS[index % len(COLOURS)], "marker": MARKS[index % len(MARKS)]}


def _name_networks(figure: Figure, axes: Axes) -> None:
    """One legend over all panels, from the first of them."""
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=3)


def _logarithmic(axes: Axes) -> None:
    """A logarithmic horizontal axis that names 1 and 3 times each power of ten."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(_plain))


def _plain(value: float, _: object) -> str:
    return f"{value:g}"
