"""Networks and experiments compared, drawn with Seaborn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from cifarcam.errors import CifarcamError
from cifarcam.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    HEAT,
    ORANGE,
    PALE,
    PURPLE,
    SKY,
    VERMILLION,
    WIDTH,
    seaborn,
    styled,
)
from cifarcam.figures.text import TEXT

# A network keeps its colour and mark on a page if the figures list the networks in one order.
COLOURS = (BLACK, SKY, BLUE, GREEN, PURPLE, GREY, ORANGE, VERMILLION, "#8B4513", "#3B3B98")
ACCURACIES = (30, 50, 70, 80, 90, 95, 98)  # percent, ticks of an axis by mistakes
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
    figure = Figure(figsize=(WIDTH, 0.7 + 0.28 * len(names)), layout="constrained")
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
        axes.axvline(level, color=VERMILLION, linewidth=1.2, linestyle="--", zorder=0)
    axes.set(xlabel="test accuracy (%)", ylabel="")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    return figure


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
    figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
    panels = figure.subplots(1, len(counts), sharex=True, squeeze=False)[0]
    scale: Any = LogNorm(np.nanmin(layers), np.nanmax(layers))
    cloud: Any = None
    for axes, (title, values) in zip(panels, counts.items(), strict=True):
        for mask, mark, size in ((~ours, "o", 34), (ours, "D", 44)):
            unknown, known = mask & np.isnan(layers), mask & ~np.isnan(layers)
            look: Any = {"marker": mark, "s": size, "linewidths": 0.7}
            y = np.asarray(values, float)
            axes.scatter(percent[unknown], y[unknown], color=PALE, edgecolors=GREY, **look)
            cloud = axes.scatter(
                percent[known],
                y[known],
                c=layers[known],
                norm=scale,
                cmap=HEAT,
                edgecolors=BLACK if mark == "D" else GREY,
                **look,
            )
        axes.set_title(title)
        axes.set_xscale("function", functions=(_by_errors, _from_errors))
        axes.set_xticks([a for a in ACCURACIES if percent.min() - 3 <= a <= percent.max() + 1])
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
        axes.yaxis.set_major_formatter(FuncFormatter(_plain))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.grid()
    panels[0].set_ylabel("test images confused, both ways")
    figure.supxlabel("test accuracy (%)", fontsize=TEXT)
    bar = figure.colorbar(cloud, ax=list(panels), label="depth (layers)", aspect=30, pad=0.02)
    ticks = [n for n in (5, 10, 20, 50, 100, 150) if scale.vmin <= n <= scale.vmax]
    bar.set_ticks(ticks, labels=[str(n) for n in ticks])
    bar.ax.yaxis.set_minor_locator(NullLocator())
    handles = [
        Line2D([], [], linestyle="none", marker="D", color=GREY, label="this report"),
        Line2D([], [], linestyle="none", marker="o", color=GREY, label="published"),
        Line2D(
            [],
            [],
            linestyle="none",
            marker="o",
            color=PALE,
            markeredgecolor=GREY,
            label="depth not known or not comparable",
        ),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
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


def _by_errors(accuracy: np.ndarray) -> np.ndarray:
    """Where an accuracy stands on an axis that is logarithmic in the mistakes."""
    return -np.log10(np.maximum(100 - np.asarray(accuracy, float), 1e-3))


def _from_errors(place: np.ndarray) -> np.ndarray:
    return 100 - 10 ** -np.asarray(place, float)


def _plain(value: float, _: object) -> str:
    return f"{value:g}"
