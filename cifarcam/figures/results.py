"""Figures of numbers: counts, curves, the confusion matrix, scores, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from cifarcam.errors import CifarcamError
from cifarcam.figures.style import (
    BLACK,
    BLUE,
    COUNTS,
    GREEN,
    GREY,
    ORANGE,
    SKY,
    TEXT,
    VERMILLION,
    WIDTH,
    slant_names,
    styled,
)

SPLIT_COLOURS = (BLUE, ORANGE, GREEN, VERMILLION)
SPLIT_INK = ("white", BLACK, "white", "white")
SCORES = (("precision", BLUE, "s"), ("recall", VERMILLION, "o"), ("f1", BLACK, "D"))


class Calibration(Protocol):
    """What `cifarcam.evaluation.calibration` gives."""

    @property
    def confidence(self) -> np.ndarray:
        """Mean confidence of each bin, NaN where empty."""

    @property
    def accuracy(self) -> np.ndarray:
        """Share of each bin's images classified correctly, NaN where empty."""

    @property
    def count(self) -> np.ndarray:
        """Images in each bin."""

    @property
    def error(self) -> float:
        """Expected calibration error, 0-1."""


@styled
def class_histogram(counts: Mapping[str, Sequence[int]], class_names: Sequence[str]) -> Figure:
    """Images of each class, the splits on top of each other.

    Parameters
    ----------
    counts
        For each split, as many counts as there are classes.

    Raises
    ------
    CifarcamError
        When a split has another number of counts.
    """
    figure = Figure(figsize=(WIDTH, 3.3), layout="constrained")
    axes = figure.add_subplot()
    below = np.zeros(len(class_names))
    total = sum(np.asarray(values).sum() for values in counts.values())
    for index, (split, values) in enumerate(counts.items()):
        if len(values) != len(class_names):
            raise CifarcamError(
                f"{split}: {len(values)} counts for {len(class_names)} classes of images"
            )
        heights = np.asarray(values)
        colour = SPLIT_COLOURS[index % len(SPLIT_COLOURS)]
        ink = SPLIT_INK[index % len(SPLIT_INK)]
        bars = axes.bar(class_names, heights, 0.8, bottom=below, color=colour, label=split)
        # A number is written where its bar has room for it.
        room = 0.06 * total / max(len(class_names), 1)
        texts = [f"{height:,}" if height > room else "" for height in heights]
        axes.bar_label(bars, texts, label_type="center", color=ink, fontsize=TEXT)
        below = below + heights
    axes.set_ylabel("images")
    axes.yaxis.set_major_formatter(FuncFormatter(_thousands))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    slant_names(axes)
    axes.grid(axis="y")
    axes.margins(x=0.01)
    figure.legend(loc="outside upper center", ncols=len(counts))
    return figure


@styled
def training_curves(histories: Mapping[str, Sequence[Mapping[str, np.ndarray]]]) -> Figure:
    """Accuracy and cross-entropy by epoch, a row an experiment, a line a seed.

    Parameters
    ----------
    histories
        For each experiment, one history a seed: arrays ``epoch``, ``train_accuracy``,
        ``validation_accuracy`` (0-1), ``train_loss``, ``validation_loss`` (nats).

    Raises
    ------
    CifarcamError
        When there is no history.
    """
    if not any(histories.values()):
        raise CifarcamError("training_curves: no history to draw")
    rows = len(histories)
    figure = Figure(figsize=(WIDTH, 0.5 + 2.35 * rows), layout="constrained")
    panels = figure.subplots(rows, 2, squeeze=False, sharex=True, sharey="col")
    for row, (name, seeds) in zip(panels, histories.items(), strict=True):
        for history in seeds:
            _curves(row[0], history, "accuracy")
            _curves(row[1], history, "loss")
        row[0].set_ylabel("accuracy")
        row[1].set_ylabel("cross-entropy (nats)")
        row[0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        if rows > 1:
            row[0].set_title(name, loc="left")
    panels[0, 1].set_ylim(bottom=0)
    for axes in panels.flat:
        axes.grid()
    for axes in panels[-1]:
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles = [
        Line2D([], [], color=BLUE, linestyle="--", label="training (dropout on)"),
        Line2D([], [], color=VERMILLION, label="validation"),
    ]
    seeds_drawn = max(len(seeds) for seeds in histories.values())
    title = "one line for each seed" if seeds_drawn > 1 else None
    figure.legend(handles=handles, loc="outside upper center", ncols=2, title=title)
    return figure


def _curves(axes: Axes, history: Mapping[str, np.ndarray], measure: str) -> None:
    # A history of one epoch would be an invisible line.
    marker = "o" if len(history["epoch"]) == 1 else None
    for split, colour, dashes in (("train", BLUE, "--"), ("validation", VERMILLION, "-")):
        axes.plot(
            history["epoch"],
            history[f"{split}_{measure}"],
            linestyle=dashes,
            color=colour,
            linewidth=1.1,
            alpha=0.85,
            marker=marker,
        )


@styled
def confusion(matrix: np.ndarray | Sequence[Sequence[int]], class_names: Sequence[str]) -> Figure:
    """The confusion matrix: counts as text, shares of the true class as colour.

    Parameters
    ----------
    matrix
        Classes x classes counts; rows are the true, columns the predicted classes.

    Raises
    ------
    CifarcamError
        When it is not square with a row for each class.
    """
    counts = np.asarray(matrix)
    if counts.shape != (len(class_names),) * 2:
        raise CifarcamError(f"confusion: {counts.shape} is not {len(class_names)} classes squared")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(WIDTH, 5.5), layout="constrained")
    axes = figure.add_subplot()
    # By the root of the share, or the mistakes would all be white.
    norm = PowerNorm(0.5, vmin=0, vmax=1)
    image = axes.imshow(shares, cmap=COUNTS, norm=norm)
    for (row, column), count in np.ndenumerate(counts):
        dark = norm(shares[row, column]) > 0.6
        axes.text(
            column, row, f"{count}", ha="center", va="center", color="white" if dark else BLACK
        )
    ticks = range(len(class_names))
    axes.set_xticks(ticks, class_names, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, class_names)
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, ticks=[0, 0.01, 0.05, 0.1, 0.25, 0.5, 1])
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    bar.set_label("share of the true class's images")
    bar.outline.set_visible(False)  # type: ignore[operator]
    return figure


@styled
def per_class(scores: Mapping[str, Mapping[str, float]]) -> Figure:
    """Precision, recall and F1 of each class.

    Parameters
    ----------
    scores
        For each class ``precision``, ``recall`` and ``f1``, 0-1.
    """
    figure = Figure(figsize=(WIDTH, 0.9 + 0.27 * len(scores)), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(scores))
    values = {key: np.array([row[key] for row in scores.values()]) for key, _, _ in SCORES}
    stacked = np.stack(list(values.values()))
    axes.hlines(places, stacked.min(axis=0), stacked.max(axis=0), color=GREY, linewidth=1, zorder=1)
    for key, colour, marker in SCORES:
        name = "F1" if key == "f1" else key
        axes.plot(
            values[key], places, marker, color=colour, label=name, markersize=5, markeredgewidth=0
        )
    axes.set_yticks(places, list(scores))
    axes.invert_yaxis()
    axes.set_xlabel("score")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlim(right=max(1.0, axes.get_xlim()[1]) if stacked.max() > 0.9 else None)
    axes.tick_params(axis="y", length=0)
    axes.grid()
    figure.legend(loc="outside upper center", ncols=3)
    return figure


@styled
def reliability(calibration: Calibration) -> Figure:
    """Accuracy against confidence by bin, and how many images each bin holds.

    Parameters
    ----------
    calibration
        From `cifarcam.evaluation.calibration`; bins of equal width from 0 to 1.
    """
    count = np.asarray(calibration.count)
    edges = np.linspace(0, 1, len(count) + 1)
    full = count > 0
    figure = Figure(figsize=(4.6, 4.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    upper.plot(
        [0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="perfectly calibrated"
    )
    upper.plot(
        np.asarray(calibration.confidence)[full],
        np.asarray(calibration.accuracy)[full],
        "o-",
        color=BLUE,
        markersize=4,
        label="test images, by bin",
    )
    upper.set(ylabel="accuracy", ylim=(-0.02, 1.02))
    upper.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    note = f"expected calibration error {100 * calibration.error:.1f} points"
    upper.text(0.98, 0.04, note, transform=upper.transAxes, ha="right")
    upper.legend(loc="upper left")
    lower.bar(edges[:-1], count, np.diff(edges), align="edge", color=SKY, edgecolor="white")
    lower.set(xlabel="confidence: probability of the predicted class", ylabel="images", xlim=(0, 1))
    lower.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    lower.yaxis.set_major_formatter(FuncFormatter(_thousands))
    for axes in (upper, lower):
        axes.grid()
    return figure


def _thousands(value: float, _: Any) -> str:
    return f"{value:,.0f}"
