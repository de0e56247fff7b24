"""Networks beside people: what they confuse, and how sure they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator

from cifarcam.errors import CifarcamError
from cifarcam.figures.confusions import ACCURACIES, by_errors, from_errors
from cifarcam.figures.labels import End, label_ends, spread
from cifarcam.figures.networks import COLOURS, MARKS
from cifarcam.figures.style import BLACK, BLUE, GREY, ORANGE, PALE, WIDTH, styled
from cifarcam.figures.text import TEXT

TICKS = (0, 1, 5, 10, 20, 50, 100, 200, 400, 800)  # of counts on square-root axes


@styled
def confusions_beside_people(
    people: np.ndarray, networks: Mapping[str, np.ndarray], pairs: Sequence[str], named: int = 4
) -> Figure:
    """Mistakes of networks against people's mistakes, a mark for each pair of classes.

    Both axes are square roots, on which counts spread alike, and 0 has a place.

    Parameters
    ----------
    people
        People's mistakes by pair, in images.
    networks
        Mistakes by pair of each network, a panel for each.
    pairs
        Names of the pairs.
    named
        So many pairs that people confuse most have their names.

    Raises
    ------
    CifarcamError
        When the numbers of pairs differ.
    """
    if any(len(values) != len(people) for values in (*networks.values(), pairs)):
        raise CifarcamError(
            "confusions_beside_people: numbers of pairs differ; give a value for each pair"
        )
    figure = Figure(figsize=(WIDTH, 2.8), layout="constrained")
    panels = figure.subplots(1, len(networks), sharex=True, squeeze=False)[0]
    first = np.argsort(-np.asarray(people), kind="stable")[:named]
    for axes, (title, counts) in zip(panels, networks.items(), strict=True):
        most, highest = (1.15 * float(np.max(side, initial=1)) for side in (people, counts))
        for set_scale in (axes.set_xscale, axes.set_yscale):
            set_scale("function", functions=(_root, np.square))
        axes.scatter(people, counts, color=BLUE, s=22, linewidths=0, alpha=0.75, zorder=3)
        # Names stand in the upper half, where few pairs are, in the order of their marks.
        heights = 0.5 + 0.46 * _root(counts[first] / highest)
        for index, place in zip(first, spread(heights, 0.09, high=0.96), strict=True):
            axes.annotate(
                pairs[index],
                (people[index], counts[index]),
                xytext=(0.03, place),
                textcoords="axes fraction",
                va="center",
                size=TEXT,
                arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.5, "relpos": (1, 0.5)},
            )
        axes.set(xlim=(0, most), ylim=(0, highest), title=title)
        axes.xaxis.set_major_locator(FixedLocator(TICKS))
        axes.yaxis.set_major_locator(FixedLocator(TICKS))
        axes.grid()
    panels[0].set_ylabel("images that the network confuses")
    figure.supxlabel("people's answers for the pair's other class (in images)", fontsize=TEXT)
    return figure


@styled
def likeness_by_accuracy(
    accuracy: np.ndarray, series: Mapping[str, np.ndarray], is_ours: np.ndarray
) -> Figure:
    """How alike networks and people confuse classes, against accuracy.

    The horizontal axis is logarithmic in the mistakes.

    Parameters
    ----------
    accuracy
        Percent, by network.
    series
        Rank correlations with people by network; at most three series.
    is_ours
        Whether a network is ours (a diamond) or published (a dot).

    Raises
    ------
    CifarcamError
        When there are more than three series, or the numbers of networks differ.
    """
    if len(series) > 3 or any(
        len(values) != len(accuracy) for values in (*series.values(), is_ours)
    ):
        raise CifarcamError(
            "likeness_by_accuracy: give at most three series with a value for each network"
        )
    percent, ours = np.asarray(accuracy, float), np.asarray(is_ours, bool)
    figure = Figure(figsize=(WIDTH, 2.6), layout="constrained")
    axes = figure.add_subplot()
    handles = []
    for (name, values), colour in zip(series.items(), (BLUE, ORANGE, GREY), strict=False):
        for mask, mark, size in ((~ours, "o", 20), (ours, "D", 34)):
            look: Any = {"marker": mark, "s": size, "linewidths": 0.6, "color": colour}
            edge = BLACK if mark == "D" else colour
            axes.scatter(percent[mask], np.asarray(values)[mask], edgecolors=edge, **look)
        handles.append(Line2D([], [], linestyle="none", marker="s", color=colour, label=name))
    for mark, label in (("D", "this report"), ("o", "published")):
        handles.append(
            Line2D(
                [],
                [],
                linestyle="none",
                marker=mark,
                color=PALE,
                markeredgecolor=BLACK,
                label=label,
            )
        )
    axes.set_xscale("function", functions=(by_errors, from_errors))
    axes.set_xticks([a for a in ACCURACIES if percent.min() - 3 <= a <= percent.max() + 1])
    axes.set(xlabel="test accuracy (%)", ylabel="rank correlation with people", ylim=(0.2, 1))
    axes.grid()
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


@styled
def sureness_by_agreement(
    share: np.ndarray, confidence: Mapping[str, np.ndarray], right: Mapping[str, np.ndarray]
) -> Figure:
    """Mean probability of the predicted class (left) and accuracy (right) by people's agreement.

    Parameters
    ----------
    share
        Mean share of people who choose the most frequent class, percent, by bin.
    confidence, right
        Percent by bin, for each network.

    Raises
    ------
    CifarcamError
        When the numbers of bins differ.
    """
    panels_of = {"probability of the predicted class": confidence, "accuracy": right}
    if any(len(values) != len(share) for one in panels_of.values() for values in one.values()):
        raise CifarcamError("sureness_by_agreement: bins differ; give a value for each bin")
    figure = Figure(figsize=(WIDTH, 2.8), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, (title, networks) in zip(panels, panels_of.items(), strict=True):
        axes.plot([35, 100], [35, 100], color=GREY, linewidth=1, linestyle="--", zorder=1)
        for k, (name, values) in enumerate(networks.items()):
            axes.plot(
                share,
                values,
                color=COLOURS[k % len(COLOURS)],
                marker=MARKS[k % len(MARKS)],
                markersize=4,
                linewidth=1,
                label=name,
            )
        axes.set(title=title)
        axes.grid()
    panels[0].set_ylabel("mean (%)")
    figure.supxlabel("people who choose the most frequent class (%)", fontsize=TEXT)
    ends = [End("as people agree", 100, 100, GREY)]
    for k, (name, values) in enumerate(right.items()):
        colour, mark = COLOURS[k % len(COLOURS)], MARKS[k % len(MARKS)]
        ends.append(End(name, share[-1], values[-1], colour, mark))
    label_ends(panels[1], ends)
    return figure


def _root(values: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(values, 0))
