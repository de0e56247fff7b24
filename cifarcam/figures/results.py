"""Figures of one experiment's data and results, drawn with Seaborn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from cifarcam.errors import CifarcamError
from cifarcam.figures.labels import End, label_ends
from cifarcam.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    VERMILION,
    WIDTH,
    seaborn,
    slant_names,
    styled,
)
from cifarcam.figures.text import TEXT, fitted

SPLIT_COLOURS = (BLUE, ORANGE, GREEN, VERMILION)
SPLIT_INK = ("white", BLACK, "white", "white")
# For each score its colour, and its mark.
SCORES = {"precision": (BLUE, "s"), "recall": (VERMILION, "o"), "F1": (BLACK, "D")}
# Split, name and colour of the lines of training curves.
LINES = (("train", "training", BLUE), ("validation", "validation", VERMILION))
# The mark of the epoch whose weights early stopping keeps.
STOP: Any = {"marker": "o", "markersize": 5, "color": BLACK, "markerfacecolor": ORANGE}


class Calibration(Protocol):
    """The attributes of `cifarcam.evaluation.Calibration` that this module reads."""

    @property
    def confidence(self) -> np.ndarray:
        """Mean confidence of each bin, NaN where empty."""

    @property
    def accuracy(self) -> np.ndarray:
        """Share of each bin's images that are classified correctly, NaN where empty."""

    @property
    def count(self) -> np.ndarray:
        """Images in each bin."""

    @property
    def error(self) -> float:
        """Expected calibration error, 0-1."""


@styled
def class_histogram(counts: Mapping[str, Sequence[int]], class_names: Sequence[str]) -> Figure:
    """Images of each class as bars, the splits stacked.

    Parameters
    ----------
    counts
        For each split as many counts as there are classes.

    Raises
    ------
    CifarcamError
        When a split has another number of counts.
    """
    sns = seaborn()
    for split, values in counts.items():
        if len(values) != len(class_names):
            raise CifarcamError(
                f"class_histogram: {len(values)} counts in split {split!r}; "
                f"give one for each of {len(class_names)} classes"
            )
    splits = list(counts)
    colours = {split: SPLIT_COLOURS[k % len(SPLIT_COLOURS)] for k, split in enumerate(splits)}
    inks = {split: SPLIT_INK[k % len(SPLIT_INK)] for k, split in enumerate(splits)}
    figure = Figure(figsize=(WIDTH, 2.2), layout="constrained")
    axes = figure.add_subplot()
    sns.histplot(
        x=list(class_names) * len(splits),
        hue=np.repeat(splits, len(class_names)),
        hue_order=splits[::-1],  # Seaborn stacks the last at the bottom
        weights=np.concatenate([np.asarray(values) for values in counts.values()]),
        multiple="stack",
        palette=colours,
        shrink=0.8,
        alpha=1,
        linewidth=0,
        legend=False,
        ax=axes,
    )
    # A number is written where its bar has room for it.
    room = 0.1 * sum(sum(values) for values in counts.values()) / max(len(class_names), 1)
    containers: Any = axes.containers
    for split, bars in zip(splits, containers, strict=True):
        texts = [f"{count:,}" if count > room else "" for count in counts[split]]
        axes.bar_label(bars, texts, label_type="center", color=inks[split], fontsize=TEXT)
        bars.set_label(split)
    axes.set(xlabel="", ylabel="images")
    axes.yaxis.set_major_formatter(FuncFormatter(_thousands))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    slant_names(axes)
    axes.grid(axis="y")
    axes.margins(x=0.01)
    figure.legend(loc="outside upper center", ncols=len(counts))
    return figure


@styled
def training_curves(
    histories: Mapping[str, Sequence[Mapping[str, np.ndarray]]], kept: Sequence[int] = ()
) -> Figure:
    """Accuracy by epoch of each experiment, then cross-entropy, side by side, a line for each seed.

    Parameters
    ----------
    histories
        For each experiment, one history for each seed: arrays ``epoch``, ``train_accuracy``,
        ``validation_accuracy`` (0-1), ``train_loss``, ``validation_loss`` (nats).
    kept
        For each seed of the first experiment, in order, the epoch whose weights early stopping
        keeps; it is marked on the validation curves.

    Raises
    ------
    CifarcamError
        When there is no history, or a marked epoch is not in its history.
    """
    if not any(histories.values()):
        raise CifarcamError("training_curves: no history to draw; give at least one")
    count = len(histories)
    figure = Figure(figsize=(WIDTH, 2.5), layout="constrained")
    panels = figure.subplots(1, 2 * count, squeeze=False, sharex=True)[0]
    measures = {"accuracy": "accuracy", "loss": "cross-entropy (nats)"}
    for row, (measure, label) in zip(
        (panels[:count], panels[count:]), measures.items(), strict=True
    ):
        for axes, (name, seeds) in zip(row, histories.items(), strict=True):
            axes.sharey(row[0])
            axes.tick_params(labelleft=axes is row[0])
            _curves(axes, seeds, measure)
            axes.set_xlabel("epoch")
            if count > 1:
                axes.set_title("\n".join(fitted(name, 1.6 / count)), loc="left")
            axes.grid()
        row[0].set_ylabel(label)
    panels[0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    panels[0].xaxis.set_major_locator(MaxNLocator(5, integer=True))
    panels[count].set_ylim(bottom=0)
    if kept:
        _mark(panels[::count], next(iter(histories.values())), kept)
        mark = Line2D([], [], **STOP, linestyle="none", label="weights kept by stopping early")
        figure.legend(handles=[mark], loc="outside upper center")
    for axes, measure in zip((panels[count - 1], panels[-1]), measures, strict=True):
        label_ends(axes, _ends(list(histories.values())[-1], measure))
    return figure


def _ends(seeds: Sequence[Mapping[str, np.ndarray]], measure: str) -> list[End]:
    """The mean last point of each split's lines."""
    epoch = max(history["epoch"][-1] for history in seeds)
    return [
        End(name, epoch, np.mean([history[f"{split}_{measure}"][-1] for history in seeds]), colour)
        for split, name, colour in LINES
    ]


def _mark(row: np.ndarray, seeds: Sequence[Mapping[str, np.ndarray]], kept: Sequence[int]) -> None:
    """Mark an epoch of each seed on its validation accuracy and on its validation loss."""
    for history, epoch in zip(seeds, kept, strict=False):
        if not 1 <= epoch <= len(history["epoch"]):
            raise CifarcamError(
                f"training_curves: epoch {epoch} of {len(history['epoch'])}; give an epoch of the "
                "history"
            )
        for axes, measure in zip(row, ("accuracy", "loss"), strict=True):
            axes.plot(epoch, history[f"validation_{measure}"][epoch - 1], **STOP, zorder=4)


def _curves(axes: Axes, seeds: Sequence[Mapping[str, np.ndarray]], measure: str) -> None:
    """Draw one measure of both splits by epoch."""
    lines = [(seed, history, split) for split, *_ in LINES for seed, history in enumerate(seeds)]
    lengths = [len(history["epoch"]) for _, history, _ in lines]
    split_of_point = np.repeat([split for *_, split in lines], lengths)
    seaborn().lineplot(
        x=np.concatenate([history["epoch"] for _, history, _ in lines]),
        y=np.concatenate([history[f"{split}_{measure}"] for _, history, split in lines]),
        hue=split_of_point,
        style=split_of_point,
        units=np.repeat([seed for seed, *_ in lines], lengths),
        estimator=None,
        palette={split: colour for split, _, colour in LINES},
        dashes={"train": (3.7, 1.6), "validation": ""},
        # A line of one epoch would be invisible.
        marker="o" if max(lengths) == 1 else None,
        linewidth=1.1,
        alpha=0.85,
        legend=False,
        ax=axes,
    )


@styled
def per_class(seeds: Sequence[Mapping[str, Mapping[str, float]]]) -> Figure:
    """Precision, recall and F1 of each class: single seeds as dots, their mean as a larger mark.

    Parameters
    ----------
    seeds
        For each seed the scores by class: ``precision``, ``recall`` and ``f1``, 0-1.
    """
    sns = seaborn()
    names = list(seeds[0])
    rows = [
        (name, score, scores[name][score.lower()])
        for scores in seeds
        for score in SCORES
        for name in names
    ]
    columns: Any = dict(zip(("y", "hue", "x"), zip(*rows, strict=True), strict=True))
    columns |= {"order": names, "hue_order": list(SCORES), "legend": False}
    columns |= {"palette": {score: colour for score, (colour, _) in SCORES.items()}}
    figure = Figure(figsize=(WIDTH, 0.75 + 0.245 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    several = len(seeds) > 1
    if several:
        sns.stripplot(**columns, dodge=True, jitter=False, size=2.6, alpha=0.45, zorder=2, ax=axes)
    sns.pointplot(
        **columns,
        dodge=0.8 * 2 / 3,  # as far apart as Seaborn's dots
        linestyles="none",
        markers=[mark for _, mark in SCORES.values()],
        markersize=3.5,
        markeredgewidth=0,
        errorbar=None,
        ax=axes,
    )
    axes.set(xlabel="score", ylabel="")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    if max(value for *_, value in rows) > 0.9:
        axes.set_xlim(right=max(1.0, axes.get_xlim()[1]))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    for row in range(len(names) - 1):
        axes.axhline(row + 0.5, color=GREY, linewidth=0.3)
    handles = [
        Line2D([], [], color=colour, marker=mark, linestyle="none", markersize=5, label=score)
        for score, (colour, mark) in SCORES.items()
    ]
    title = "mean of the seeds (marks) and single seeds (dots)" if several else None
    figure.legend(handles=handles, loc="outside upper center", ncols=3, title=title)
    return figure


@styled
def reliability(panels: Mapping[str, tuple[Calibration, Calibration]]) -> Figure:
    """Accuracy against confidence by bin, before and after scaling, two panels for each network.

    Parameters
    ----------
    panels
        For each network, by display name, its calibration before and after scaling by a
        temperature, from `cifarcam.evaluation.calibration`. A disc is as large as its bin's share
        of the images.

    Raises
    ------
    CifarcamError
        When there is no network.
    """
    if not panels:
        raise CifarcamError("reliability: no network to draw; give at least one")
    columns = 2 * min(len(panels), 2)
    rows = -(-2 * len(panels) // columns)
    figure = Figure(figsize=(WIDTH, rows * (0.9 + 5.4 / columns)), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    pairs = zip(grid.reshape(-1, 2), panels.items(), strict=False)
    for (before, after), (name, (trained, scaled)) in pairs:
        for axes, calibration, when in ((before, trained, "as trained"), (after, scaled, "scaled")):
            _reliability(axes, calibration)
            error = f"error {100 * calibration.error:.1f} points"
            axes.set_title(f"{name}\n{when}\n{error}", loc="left")
    for axes in grid.flat[2 * len(panels) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set_ylabel("accuracy")
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    for axes in grid[-1]:
        axes.set_xlabel("confidence")
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return figure


def _reliability(axes: Axes, calibration: Calibration) -> None:
    """Draw the bins of one network as discs beside the diagonal."""
    count = np.asarray(calibration.count)
    full = count > 0
    confidence = np.asarray(calibration.confidence)[full]
    accuracy = np.asarray(calibration.accuracy)[full]
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    axes.vlines(confidence, confidence, accuracy, color=VERMILION, linewidth=1.2)
    axes.scatter(
        confidence,
        accuracy,
        s=6 + 120 * count[full] / max(count.sum(), 1),
        color=BLUE,
        alpha=0.85,
        linewidths=0,
        clip_on=False,
        zorder=3,
    )
    axes.set(xlim=(0, 1.04), ylim=(0, 1.04))
    axes.grid()


def _thousands(value: float, _: Any) -> str:
    return f"{value:,.0f}"
