"""What each step of the ablation adds to the line above it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, zip_longest
from typing import Any

import numpy as np

from cifarcam.studies import inference
from cifarcam.studies.inference import Effect
from cifarcam.studies.ingredients.paired import Change, Outcome, by_seed, difference, judged
from cifarcam.studies.wording import number

# The step of the ablation that changes the network and ten things or more of the recipe at once.
BUNDLE = "speedrun's network and recipe"


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
        Accuracy minus that of the line above; None in the first line.
    """

    ingredient: str
    accuracy: Effect
    by_seed: tuple[float, ...]
    train: float
    parameters: int
    forward_flops: int
    seconds: float
    change: Change | None = None


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


def steps(record: Mapping[str, Any]) -> Steps:
    """Judge each step of the ablation's record against the line above it.

    Differences are paired by seed, with Holm's correction over all steps.
    """
    accuracy = [_accuracy(line) for line in record["steps"]]
    lines = [_line(line, values) for line, values in zip(record["steps"], accuracy, strict=True)]
    changes = judged([(after, before) for before, after in pairwise(accuracy)])
    by_name = {line.ingredient: each for line, each in zip(lines[1:], changes, strict=True)}
    first, last = lines[0].accuracy.value, lines[-1].accuracy.value
    total, bundle = difference(accuracy[-1], accuracy[0]), by_name[BUNDLE].effect
    trained = [line for line in record["steps"] if not line["views"]] + list(record["dropout"])
    seconds = [run["seconds"] for line in trained for run in line["trainings"]]
    return Steps(
        lines=tuple(replace(line, change=by_name.get(line.ingredient)) for line in lines),
        seeds=len(accuracy[0]),
        epochs=record["epochs"],
        first=first,
        last=last,
        total=total,
        error_ratio=(100 - first) / (100 - last),
        bundle=bundle,
        bundle_share=100 * bundle.value / total.value,
        detectable=_detectable([change.by_seed for change in changes]),
        sentence=_certain(by_name),
        widest=_widest(by_name),
        runs=len(seconds),
        minutes=sum(seconds) / 60,
    )


def precision(record: Mapping[str, Any]) -> Precision:
    """What the ablation's step to bfloat16 does to time and accuracy."""
    names = [line["ingredient"] for line in record["steps"]]
    place = names.index("bfloat16")
    before, after = record["steps"][place - 1 : place + 1]
    slow, fast = (
        np.median([run["seconds"] for run in one["trainings"]]) for one in (before, after)
    )
    return Precision(
        record["bfloat16_units"],
        record["device"],
        after["trainings"][0]["precision"],
        float(slow / fast),
        difference(_accuracy(after), _accuracy(before)),
    )


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


def _detectable(changes: Sequence[Sequence[float]]) -> float:
    """The change that the seeds find with a probability of 80%, before Holm's correction."""
    count = min(map(len, changes))
    if count < 2:
        return math.nan
    deviation = float(np.median([np.std(each, ddof=1) for each in changes]))
    return inference.smallest_detectable(deviation, count)


def _certain(changes: Mapping[str, Change]) -> str:
    """Which steps change the accuracy beyond chance."""
    certain = [name for name, change in changes.items() if change.outcome is not Outcome.OPEN]
    if not certain:
        return (
            f"After Holm's correction, none of the {len(changes)} steps changes the accuracy beyond "
            "chance."
        )
    most = _largest(changes, certain)
    if len(certain) > 1:
        return (
            f"After Holm's correction, {len(certain)} of the {len(changes)} steps change the accuracy "
            f"beyond chance. The largest of these changes is the step “{most}” ({changes[most]})."
        )
    if most == BUNDLE:
        return (
            f"After Holm's correction, one of the {len(changes)} steps changes the accuracy beyond "
            f"chance: the bundle of the speedrun's network and recipe ({changes[most]}). It is no "
            "single ingredient, because it changes at least ten things at once."
        )
    return (
        f"After Holm's correction, one of the {len(changes)} steps changes the accuracy beyond chance: "
        f"{most} {changes[most].outcome} ({changes[most]})."
    )


def _widest(changes: Mapping[str, Change]) -> str:
    """What the largest change among the open steps shows."""
    undecided = [name for name, change in changes.items() if change.outcome is Outcome.OPEN]
    if not undecided:
        return "No step is open."
    widest = _largest(changes, undecided)
    least, most = min(changes[widest].by_seed), max(changes[widest].by_seed)
    start = f"The largest open change is the step “{widest}”."
    if least > 0:
        return (
            f"{start} Every seed gains accuracy ({least:.1f} to {most:.1f} points), but so few seeds "
            "that differ so much cannot rule out chance."
        )
    if most < 0:
        return (
            f"{start} Every seed loses accuracy ({-most:.1f} to {-least:.1f} points), but so few seeds "
            "that differ so much cannot rule out chance."
        )
    extent = f"{number(least, signed=True)} to {number(most, signed=True)} points"
    return f"{start} The seeds disagree even on the sign of this change ({extent})."


def _largest(changes: Mapping[str, Change], names: Sequence[str]) -> str:
    return max(names, key=lambda name: abs(changes[name].effect.value))
