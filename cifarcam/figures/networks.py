"""Networks and experiments compared, drawn with Seaborn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
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
    seaborn,
    slant_names,
    styled,
)

# A network keeps its colour and mark on a page if the figures list the networks in one order.
COLOURS = (BLACK, SKY, BLUE, GREEN, PURPLE, GREY, ORANGE, VERMILLION, "#8B4513", "#3B3B98")
PAIR_COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE)
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
    figure = Figure(figsize=(WIDTH, 3.1), layout="constrained")
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
            s=100,
            linewidth=0,
            legend=False,
            ax=axes,
        )
        _logarithmic(axes)
        axes.set_xlabel(label)
        axes.margins(x=0.12, y=0.08)
        axes.grid()
    panels[0].set_ylabel("test accuracy (%)")
    _legend(figure, looks, linestyle="none", markersize=8)
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
    figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
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
        _logarithmic(axes)
        axes.set(title=title, xlabel="minutes of training")
        axes.grid()
    panels[0].set_ylabel("accuracy (%)")
    _legend(figure, looks, **lines)
    return figure


@styled
def confusions_by_network(counts: Mapping[str, Mapping[str, float]]) -> Figure:
    """Mistakes between pairs of classes by network, one line for each pair.

    Parameters
    ----------
    counts
        For each pair, the mistakes by network; all pairs with the same networks in one order.
    """
    networks = list(next(iter(counts.values())))
    looks = _looks(np.repeat(list(counts), len(networks)).tolist(), PAIR_COLOURS)
    lines: Any = {"linewidth": 1.2, "markersize": 5, "markeredgewidth": 0}
    figure = Figure(figsize=(WIDTH, 2.9), layout="constrained")
    axes = figure.add_subplot()
    seaborn().lineplot(
        x=networks * len(counts),
        y=[values[name] for values in counts.values() for name in networks],
        **looks,
        dashes=False,
        estimator=None,
        sort=False,
        **lines,
        legend=False,
        ax=axes,
    )
    axes.set_ylim(bottom=0)
    axes.set_ylabel("test images confused,\nboth directions")
    slant_names(axes)
    axes.grid()
    _legend(figure, looks, **lines)
    return figure


@styled
def ablation(
    ingredients: Sequence[str],
    accuracy: Sequence[Sequence[float]],
    intervals: Sequence[tuple[float, float]],
    seconds: Sequence[float],
) -> Figure:
    """Steps from top to bottom: accuracy of each seed, their mean with its interval, and time.

    Parameters
    ----------
    ingredients
        A text for each step.
    accuracy
        For each step the accuracy of each seed, percent.
    intervals
        For each step the ends of the interval of the mean, percent.
    seconds
        For each step the duration of a training run.

    Raises
    ------
    CifarcamError
        When the numbers of steps differ.
    """
    if not len(ingredients) == len(accuracy) == len(intervals) == len(seconds):
        raise CifarcamError(
            f"ablation: {len(ingredients)} ingredients, {len(accuracy)} accuracies, "
            f"{len(intervals)} intervals and {len(seconds)} times; give one for each step"
        )
    sns = seaborn()
    figure = Figure(figsize=(WIDTH, 0.7 + 0.3 * len(ingredients)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    steps = range(len(ingredients))
    for step, ends in zip(steps, intervals, strict=True):
        left.plot(ends, [step, step], color=PALE, linewidth=5, solid_capstyle="butt", zorder=1)
    seeds: Any = {
        "x": np.concatenate(accuracy),
        "y": np.repeat(steps, [len(values) for values in accuracy]),
        "orient": "h",
        "ax": left,
    }
    sns.stripplot(**seeds, color=BLUE, jitter=False, size=4.2, alpha=0.7)
    sns.pointplot(
        **seeds,
        errorbar=None,
        color=BLACK,
        linestyles="none",
        markers="|",
        markersize=11,
        markeredgewidth=1.5,
    )
    sns.barplot(
        x=np.asarray(seconds) / 60,
        y=list(steps),
        orient="h",
        width=0.6,
        color=SKY,
        saturation=1,
        ax=right,
    )
    left.set_yticks(steps, ingredients)
    left.set(xlabel="validation accuracy (%)", ylabel="")
    right.set(xlabel="minutes a training run", ylabel="")
    for axes in (left, right):
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
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


def _legend(figure: Figure, looks: Mapping[str, Any], **line: Any) -> None:
    """Add one legend above all panels, for names with their `_looks`."""
    handles = [
        Line2D([], [], color=colour, marker=looks["markers"][name], label=name, **line)
        for name, colour in looks["palette"].items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)


def _logarithmic(axes: Axes) -> None:
    """A logarithmic horizontal axis with ticks at 1 and 3 times each power of ten."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(_plain))


def _plain(value: float, _: object) -> str:
    return f"{value:g}"
