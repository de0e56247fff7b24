"""What each ingredient of a recipe buys: the records of the ablation judged over seeds, in pairs.

Two training runs of the same seed start from the same weights where their networks are the same,
and see the images in the same order. Differences between recipes are therefore taken seed by seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import zip_longest
from typing import Any

import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.studies import inference
from cifarcam.studies.inference import FEWEST_SEEDS, Effect

LEVEL = 0.05  # of a family of tests, after Holm's correction
# The step of the ablation that changes the network and ten things or more of the recipe at once.
BUNDLE = "speedrun's network and recipe"
AUGMENTED = "flips and shifts"
FULL = "full recipe"
VIEWS = "mean over views"


class Outcome(StrEnum):
    """What a change does to the accuracy, as far as the seeds show."""

    RAISES = "raises the accuracy"
    LOWERS = "lowers the accuracy"
    OPEN = "open"
    UNMEASURED = "not measured"


@dataclass(frozen=True)
class Step:
    """A line of the ablation, with its change from the line above.

    Attributes
    ----------
    ingredient
        What the line adds to the line above.
    accuracy
        Mean validation accuracy over seeds, percent.
    by_seed
        The accuracy of each seed, percent.
    train
        Mean accuracy on training images, percent.
    parameters, forward_flops
        Of the network; `forward_flops` are the multiplications and additions for one image.
    seconds
        Median time of a training run.
    change
        Accuracy minus that of the line above, points, in pairs; None in the first line.
    changes
        The change of each seed that both lines share, points.
    p
        The p-value of `change` after Holm's correction over all steps; NaN in the first line.
    outcome
        What the step does; None in the first line.
    """

    ingredient: str
    accuracy: Effect
    by_seed: tuple[float, ...]
    train: float
    parameters: int
    forward_flops: int
    seconds: float
    change: Effect | None = None
    changes: tuple[float, ...] = ()
    p: float = math.nan
    outcome: Outcome | None = None


@dataclass(frozen=True)
class Steps:
    """The ablation.

    Attributes
    ----------
    lines
        From the baseline to the speedrun.
    seeds, epochs
        Of each line.
    first, last
        Mean accuracy of the first and of the last line, percent.
    total
        The last line's accuracy minus the first line's, points, in pairs.
    error_ratio
        Mistakes of the first line for each mistake of the last.
    bundle
        The change of the step that changes many things at once.
    bundle_share
        Its percentage of `total`.
    detectable
        The change that such a step must make to be found with a probability of 80%, points; it
        rests on the median over steps of the changes' standard deviation. NaN for one seed.
    sentence, widest
        Which steps are beyond chance, and what the largest change that is not shows.
    runs, minutes
        Number of training runs of the record, those of dropout included, and their time.
    """

    lines: tuple[Step, ...]
    seeds: int
    epochs: int
    first: float
    last: float
    total: Effect
    error_ratio: float
    bundle: Effect
    bundle_share: float
    detectable: float
    sentence: str
    widest: str
    runs: int
    minutes: float


@dataclass(frozen=True)
class Precision:
    """What the step to bfloat16 does to time and accuracy, and the device that it ran on."""

    units: str
    device: str
    precision: str
    speed: float
    change: Effect


@dataclass(frozen=True)
class Comparison:
    """A quantity of two arms that differ in one ingredient; `difference` is taken in pairs."""

    quantity: str
    without: Effect
    with_: Effect
    difference: Effect


@dataclass(frozen=True)
class Removal:
    """The full recipe without one ingredient.

    Attributes
    ----------
    ingredient
        What is removed.
    accuracy
        Mean validation accuracy without it, percent; None where no seed has finished.
    change
        Accuracy without it minus that of the full recipe, points, in pairs; None likewise.
    changes
        The change of each seed, points.
    p
        The p-value of `change` after Holm's correction over all ingredients, or NaN.
    outcome
        What removing it does.
    """

    ingredient: str
    accuracy: Effect | None = None
    change: Effect | None = None
    changes: tuple[float, ...] = ()
    p: float = math.nan
    outcome: Outcome = Outcome.UNMEASURED


@dataclass(frozen=True)
class Removals:
    """Leave-one-out: all removals from the full recipe, with as many seeds as have finished."""

    lines: tuple[Removal, ...]
    seeds: int
    planned: int
    full: Effect | None
    sentence: str


def by_seed(
    trainings: Sequence[Mapping[str, Any]], key: str, minus: str | None = None
) -> dict[int, float]:
    """One percentage of each training run of a record, by seed.

    Parameters
    ----------
    trainings
        Entries of a record, with ``seed``.
    key, minus
        Which of their shares (0-1), and which other share is subtracted from it.
    """
    return {
        run["seed"]: 100 * (run[key] - (0.0 if minus is None else run[minus])) for run in trainings
    }


def pairs(after: Mapping[int, float], before: Mapping[int, float]) -> tuple[np.ndarray, np.ndarray]:
    """The values of the seeds that both sides have, float64, in the order of the seeds.

    Raises
    ------
    CifarcamError
        When the two share no seed.
    """
    shared = sorted(after.keys() & before.keys())
    if not shared:
        raise CifarcamError(
            f"seeds {sorted(after)} and {sorted(before)}; give two sides that share a seed"
        )
    return np.array([after[s] for s in shared]), np.array([before[s] for s in shared])


def steps(record: Mapping[str, Any]) -> Steps:
    """Judge each step of the ablation's record against the line above it.

    Differences are paired by seed, with Holm's correction over all steps.
    """
    accuracy = [_accuracy(line) for line in record["steps"]]
    lines = [_line(line, values) for line, values in zip(record["steps"], accuracy, strict=True)]
    changes = [
        _paired(after, before) for after, before in zip(accuracy[1:], accuracy[:-1], strict=True)
    ]
    adjusted = _holm([change for change, _ in changes])
    judged = tuple(
        replace(line, change=change, changes=each, p=p, outcome=_outcome(change, p))
        for line, (change, each), p in zip(lines[1:], changes, adjusted, strict=True)
    )
    total, _ = _paired(accuracy[-1], accuracy[0])
    bundle = next(step.change for step in judged if step.ingredient == BUNDLE)
    assert bundle is not None
    first, last = lines[0].accuracy.value, lines[-1].accuracy.value
    trained = [line for line in record["steps"] if not line["views"]] + list(record["dropout"])
    seconds = [run["seconds"] for line in trained for run in line["trainings"]]
    return Steps(
        (lines[0], *judged),
        len(accuracy[0]),
        record["epochs"],
        first,
        last,
        total,
        (100 - first) / (100 - last),
        bundle,
        100 * bundle.value / total.value,
        _detectable([step.changes for step in judged]),
        _steps_sentence(judged),
        _widest(judged),
        len(seconds),
        sum(seconds) / 60,
    )


def precision(record: Mapping[str, Any]) -> Precision:
    """What the ablation's step to bfloat16 does to time and accuracy."""
    names = [line["ingredient"] for line in record["steps"]]
    place = names.index("bfloat16")
    before, after = record["steps"][place - 1 : place + 1]
    change, _ = _paired(_accuracy(after), _accuracy(before))
    slow, fast = (
        np.median([run["seconds"] for run in one["trainings"]]) for one in (before, after)
    )
    return Precision(
        record["bfloat16_units"],
        record["device"],
        after["trainings"][0]["precision"],
        float(slow / fast),
        change,
    )


def dropout_arms(record: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ablation's arms without dropout and with dropout."""
    without, with_ = sorted(record["dropout"], key=lambda arm: arm["rate"])
    return without, with_


def augmentation_arms(record: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ablation's lines before and after the step of augmentation."""
    names = [line["ingredient"] for line in record["steps"]]
    without, with_ = record["steps"][names.index(AUGMENTED) - 1 : names.index(AUGMENTED) + 1]
    return without, with_


def dropout(record: Mapping[str, Any]) -> tuple[Comparison, ...]:
    """The baseline without and with dropout, at the final weights, dropout off."""
    without, with_ = dropout_arms(record)
    return (
        _compare("training accuracy (%)", without, with_, "train"),
        _compare("validation accuracy (%)", without, with_, "validation"),
        _compare("gap (points)", without, with_, "train", "validation"),
        _comparison("validation loss (nats)", final_losses(without), final_losses(with_), "nats"),
    )


def augmentation(record: Mapping[str, Any]) -> tuple[Comparison, ...]:
    """The ablation's networks before and after the step of augmentation, at the final weights."""
    arms = augmentation_arms(record)
    return (
        _compare("validation accuracy (%)", *arms, "validation"),
        _compare("lost when shifted (points)", *arms, "validation", "validation_shifted"),
        _compare("lost when turned (points)", *arms, "validation", "validation_turned"),
        _compare("gap to training images (points)", *arms, "train", "validation"),
    )


def final_losses(arm: Mapping[str, Any]) -> dict[int, float]:
    """The validation loss after the last epoch of each training run of an arm, nats, by seed."""
    return {run["seed"]: run["history"][-1]["validation_loss"] for run in arm["trainings"]}


def lowest_epochs(arm: Mapping[str, Any]) -> dict[int, int]:
    """The epoch (from 1) at which the validation loss of each training run is lowest, by seed."""
    return {
        run["seed"]: 1 + int(np.argmin([epoch["validation_loss"] for epoch in run["history"]]))
        for run in arm["trainings"]
    }


def dropout_timing(record: Mapping[str, Any]) -> str:
    """A sentence that says when the validation loss begins to rise without and with dropout."""
    without, with_ = (np.mean(list(lowest_epochs(arm).values())) for arm in dropout_arms(record))
    epochs = record["dropout_epochs"]
    numbers = f"(epoch {with_:.1f} with it, {without:.1f} without it, means over seeds)"
    if with_ > without:
        return f"Dropout also delays overfitting: the validation loss is lowest later {numbers}."
    if with_ < without:
        return (
            f"Within {epochs} epochs dropout does not delay overfitting: the validation loss is "
            f"lowest earlier {numbers}."
        )
    return f"Dropout does not move the epoch at which the validation loss is lowest {numbers}."


def histories(record: Mapping[str, Any]) -> dict[str, list[dict[str, np.ndarray]]]:
    """Training histories of the two arms of dropout, one mapping of arrays for each seed."""
    return {
        title: [
            {key: np.array([epoch[key] for epoch in run["history"]]) for key in run["history"][0]}
            for run in arm["trainings"]
        ]
        for title, arm in zip(
            ("without dropout", "with dropout"), dropout_arms(record), strict=True
        )
    }


def rebuilt(record: Mapping[str, Any], sizes: Sequence[tuple[int, int]]) -> str:
    """A sentence that compares the networks of the ablation's record with networks built now.

    Parameters
    ----------
    record
        The ablation's record.
    sizes
        Parameters and operations of each step's network, as `ablation.sizes` counts them.
    """
    recorded = [(line["parameters"], line["forward_flops"]) for line in record["steps"]]
    if recorded == list(sizes):
        return (
            "Built again, the networks of all steps have as many parameters and need as many "
            "operations as the record says."
        )
    other = sum(one != two for one, two in zip_longest(recorded, sizes))
    return f"Built again, {other} of {len(recorded)} networks differ from the record."


def removals(ingredients: Sequence[str], record: Mapping[str, Any] | None) -> Removals:
    """Judge the recipe without each ingredient against the full recipe.

    Differences are paired by seed, with Holm's correction over all ingredients. All accuracies are
    those of the mean over views, which the recipe ends with; leaving out the mean over views asks
    the networks of the full recipe once about each image.

    Parameters
    ----------
    ingredients
        The names of the ingredients that are removed, in order.
    record
        The record, with as many seeds as have finished; None where there is none.
    """
    names = [*ingredients, VIEWS]
    if record is None:
        lines = tuple(Removal(name) for name in names)
        return Removals(lines, 0, 0, None, "Leave-one-out has not been measured yet.")
    arms = {arm["removed"]: arm["trainings"] for arm in record["arms"]}
    full = by_seed(arms[FULL], "validation_views")
    values = {name: by_seed(arms[name], "validation_views") for name in ingredients}
    values[VIEWS] = by_seed(arms[FULL], "validation")
    changes = [_paired(values[name], full) for name in names]
    adjusted = _holm([change for change, _ in changes])
    lines = tuple(
        Removal(
            name,
            inference.over_seeds(list(values[name].values()), "%"),
            change,
            each,
            p,
            _outcome(change, p),
        )
        for name, (change, each), p in zip(names, changes, adjusted, strict=True)
    )
    seeds, planned = len(full), record["planned_seeds"]
    sentence = _removals_sentence(lines, seeds, planned)
    return Removals(lines, seeds, planned, inference.over_seeds(list(full.values()), "%"), sentence)


def _line(line: Mapping[str, Any], accuracy: Mapping[int, float]) -> Step:
    runs = line["trainings"]
    return Step(
        line["ingredient"],
        inference.over_seeds(list(accuracy.values()), "%"),
        tuple(accuracy.values()),
        float(np.mean([100 * run["train"] for run in runs])),
        line["parameters"],
        line["forward_flops"],
        float(np.median([run["seconds"] for run in runs])),
    )


def _accuracy(line: Mapping[str, Any]) -> dict[int, float]:
    """The validation accuracy of a line's networks, percent, by seed."""
    return by_seed(line["trainings"], "validation_views" if line["views"] else "validation")


def _paired(
    after: Mapping[int, float], before: Mapping[int, float], unit: str = "points"
) -> tuple[Effect, tuple[float, ...]]:
    """The paired effect over the shared seeds, and the difference of each seed."""
    one, other = pairs(after, before)
    return inference.paired_over_seeds(one, other, unit), tuple((one - other).tolist())


def _compare(
    quantity: str,
    without: Mapping[str, Any],
    with_: Mapping[str, Any],
    key: str,
    minus: str | None = None,
) -> Comparison:
    before, after = (by_seed(arm["trainings"], key, minus) for arm in (without, with_))
    return _comparison(quantity, before, after, "points")


def _comparison(
    quantity: str, without: Mapping[int, float], with_: Mapping[int, float], unit: str
) -> Comparison:
    return Comparison(
        quantity,
        inference.over_seeds(list(without.values()), unit),
        inference.over_seeds(list(with_.values()), unit),
        _paired(with_, without, unit)[0],
    )


def _holm(effects: Sequence[Effect]) -> list[float]:
    """Holm's adjusted p-values; NaN where an effect has no test, as with a single seed."""
    p = np.array([effect.p for effect in effects])
    tested = ~np.isnan(p)
    p[tested] = inference.holm(p[tested])
    return [float(value) for value in p]


def _outcome(change: Effect, p: float) -> Outcome:
    """What a change does; open for fewer than three seeds, and where `p` is `LEVEL` or more."""
    if change.count < FEWEST_SEEDS or not p < LEVEL:
        return Outcome.OPEN
    return Outcome.RAISES if change.value > 0 else Outcome.LOWERS


def _detectable(changes: Sequence[Sequence[float]]) -> float:
    """The change that the seeds find with a probability of 80%, before Holm's correction."""
    count = min(map(len, changes))
    if count < 2:
        return math.nan
    deviation = float(np.median([np.std(each, ddof=1) for each in changes]))
    return inference.smallest_detectable(deviation, count)


def _steps_sentence(judged: Sequence[Step]) -> str:
    """Which steps change the accuracy beyond chance."""
    certain = [step for step in judged if step.outcome is not Outcome.OPEN]
    if not certain:
        return f"After Holm's correction, none of the {len(judged)} steps is beyond chance."
    if len(certain) == 1 and certain[0].change is not None:
        (step,) = certain
        points = _points(step.change)
        if step.ingredient == BUNDLE:
            return (
                f"After Holm's correction, one of the {len(judged)} steps is beyond chance: the "
                f"bundle of the speedrun's network and recipe ({points}). It is no single "
                "ingredient, because it changes at least ten things at once."
            )
        return (
            f"After Holm's correction, one of the {len(judged)} steps is beyond chance: "
            f"{step.ingredient} {step.outcome} ({points})."
        )
    most = max(certain, key=lambda step: abs(_value(step.change)))
    return (
        f"After Holm's correction, {len(certain)} of the {len(judged)} steps are beyond chance. "
        f"The largest of these changes is the step “{most.ingredient}” ({_points(most.change)})."
    )


def _widest(judged: Sequence[Step]) -> str:
    """What the largest change among the open steps shows."""
    undecided = [step for step in judged if step.outcome is Outcome.OPEN]
    if not undecided:
        return "No step is open."
    step = max(undecided, key=lambda step: abs(_value(step.change)))
    least, most = min(step.changes), max(step.changes)
    start = f"The largest open change is the step “{step.ingredient}”."
    if least > 0:
        return (
            f"{start} Every seed gains, by {least:.1f} to {most:.1f} points, yet so few seeds "
            "that differ so much cannot rule out chance."
        )
    if most < 0:
        return (
            f"{start} Every seed loses, by {-most:.1f} to {-least:.1f} points, yet so few seeds "
            "that differ so much cannot rule out chance."
        )
    extent = f"{least:+.1f} to {most:+.1f} points".replace("-", "−")
    return f"{start} The seeds disagree even on its sign ({extent})."


def _removals_sentence(lines: Sequence[Removal], seeds: int, planned: int) -> str:
    """Which ingredients the recipe needs, as far as the seeds show."""
    if seeds < FEWEST_SEEDS:
        finished = "one seed has" if seeds == 1 else f"{seeds} seeds have"
        return (
            f"So far {finished} finished of {planned}, too few to judge any ingredient; the table "
            "shows what they give."
        )
    needed = [line for line in lines if line.outcome is Outcome.LOWERS]
    harmful = [line for line in lines if line.outcome is Outcome.RAISES]
    if not needed:
        sentence = (
            "No ingredient can be shown to be needed: no removal lowers the accuracy beyond chance."
        )
    else:
        most = min(needed, key=lambda line: _value(line.change))
        what = f"{most.ingredient} ({_points(most.change)})"
        if len(needed) == 1:
            sentence = f"One ingredient can be shown to be needed, {what}."
        else:
            sentence = (
                f"The recipe needs {len(needed)} of its {len(lines)} ingredients beyond chance. "
                f"It loses most without {what}."
            )
    if len(harmful) == 1:
        (line,) = harmful
        sentence += (
            f" Without {line.ingredient} the accuracy rises beyond chance ({_points(line.change)})."
        )
    elif harmful:
        most = max(harmful, key=lambda line: _value(line.change))
        sentence += (
            f" For {len(harmful)} ingredients the accuracy rises without them, most without "
            f"{most.ingredient} ({_points(most.change)})."
        )
    if seeds < planned:
        sentence += f" So far {seeds} of {planned} seeds have finished."
    return sentence


def _value(effect: Effect | None) -> float:
    return math.nan if effect is None else effect.value


def _points(effect: Effect | None) -> str:
    """A change in words: ``+9.5 points [8.9, 10.1]``."""
    if effect is None:
        return "not measured"
    text = f"{effect.value:+.1f} points [{effect.low:.1f}, {effect.high:.1f}]"
    return text.replace("-", "−")
