"""Claims on accuracy and on the course of training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from cifarcam.runs import Run
from cifarcam.studies import inference
from cifarcam.studies.claims.base import (
    FEWEST_SEEDS,
    Claim,
    Condition,
    Finding,
    Timing,
    Verdict,
    sentence_of,
    verdict_of,
    verdict_of_range,
)
from cifarcam.studies.claims.sources import Sources
from cifarcam.studies.wording import number, seeds_text

TOLERANCE_POINTS = 2.0  # from an accuracy of the original's text
FINAL_PERCENT: Mapping[str, float] = {"training": 94.9, "test": 71.5}
TABLE_PERCENT: Mapping[str, tuple[float, float]] = {"training": (70, 80), "test": (65, 75)}

LEVEL_POINTS = 2.0  # a plateau varies by at most this many points
RISE_POINTS = 2.0  # and lies this many above the first epoch
WELL_BELOW_POINTS = 10.0  # and this many below deep networks
DEEP = {"VGG-19": "vgg19-long", "ResNet-18": "resnet18-long"}


def final(split: str, percent: Sequence[float]) -> Finding:
    """Compare an accuracy after the last epoch with the accuracy that the network was chosen for.

    A mean within the tolerance is a fit and no evidence. The sentence compares the original's single
    value with the prediction interval of one more seed.

    Parameters
    ----------
    split
        ``"training"`` (as logged) or ``"test"``.
    percent
        Accuracy of each seed, %.
    """
    stated = FINAL_PERCENT[split]
    # The original's value is a single draw, not a constant to test against.
    effect = replace(
        inference.over_seeds([value - stated for value in percent], "points"), p=math.nan
    )
    mean = float(np.mean(percent))
    low, high = inference.next_seed_interval(percent)
    if abs(effect.value) <= TOLERANCE_POINTS:
        verdict = Verdict.FITTED
        sentence = (
            f"The {split} accuracy lies within {TOLERANCE_POINTS:g} points of the original's value "
            f"({mean:.1f}% against {stated}%), but we chose the layer sizes for this."
        )
    else:
        verdict = verdict_of_range(effect, -TOLERANCE_POINTS, TOLERANCE_POINTS)
        sentence = (
            f"The {split} accuracy differs by more than {TOLERANCE_POINTS:g} points from the "
            f"original's value ({mean:.1f}% against {stated}%)."
        )
    if not math.isnan(low):
        side = "within" if low <= stated <= high else "outside"
        sentence += (
            f" We expect the accuracy of one more seed between {low:.1f} and {high:.1f}%. The "
            f"original's value lies {side} that interval."
        )
    by_seed = tuple(value - stated for value in percent)
    return Finding(verdict, sentence, _seeds(effect.count, "the baseline"), effect, by_seed)


def table(split: str, percent: Sequence[float]) -> Finding:
    """Judge whether an accuracy with early stopping lies in the range of the original's Table 1.

    Parameters
    ----------
    split
        ``"training"`` (as logged) or ``"test"``.
    percent
        Accuracy of each seed, %.
    """
    least, most = TABLE_PERCENT[split]
    effect = replace(inference.over_seeds(percent, "%", null=(least + most) / 2), p=math.nan)
    verdict = verdict_of_range(effect, least, most)
    sentence = sentence_of(
        verdict,
        reproduced=f"With early stopping, the {split} accuracy lies between the original's "
        f"{least:g} and {most:g}% ({_spread(effect)}).",
        contradicted=f"With early stopping, the {split} accuracy lies outside the original's "
        f"{least:g} to {most:g}% ({_spread(effect)}).",
        undecided=f"We cannot tell whether the {split} accuracy with early stopping lies between "
        f"{least:g} and {most:g}%, {_why_open(effect)} ({_spread(effect)}).",
    )
    return Finding(
        verdict,
        sentence,
        _seeds(effect.count, "the baseline, stopped early"),
        effect,
        tuple(percent),
    )


def plateau_rises(validation: Sequence[np.ndarray]) -> Finding:
    """Judge whether the validation accuracy of the last fifth lies above that of the first epoch.

    Parameters
    ----------
    validation
        Validation accuracy by epoch, 0-1, one array for each seed.
    """
    rises = [100 * float(_late(curve).mean() - curve[0]) for curve in validation]
    effect = inference.over_seeds(rises, "points", null=RISE_POINTS)
    verdict = verdict_of(effect)
    amount = f"({number(effect.value, signed=True)} points from the first epoch to the last fifth)"
    sentence = sentence_of(
        verdict,
        reproduced=f"The validation accuracy rises {amount}.",
        contradicted=f"The validation accuracy does not rise {amount}.",
        undecided="We cannot tell whether the validation accuracy rises, "
        f"{_why_open(effect)} {amount}.",
    )
    return Finding(verdict, sentence, _seeds(effect.count, "the baseline"), effect, tuple(rises))


def plateau_level(validation: Sequence[np.ndarray]) -> Finding:
    """Judge whether the validation accuracy stays level over the last fifth of the epochs.

    Parameters
    ----------
    validation
        Validation accuracy by epoch, 0-1, one array for each seed.
    """
    spreads = [100 * float(np.ptp(_late(curve))) for curve in validation]
    effect = inference.over_seeds(spreads, "points", null=LEVEL_POINTS)
    verdict = verdict_of_range(effect, 0.0, LEVEL_POINTS)
    epochs = len(_late(validation[0]))
    amount = f"over the last {epochs} epochs it varies by {effect.value:.1f} points"
    sentence = sentence_of(
        verdict,
        reproduced=f"The validation accuracy then stays level: {amount}.",
        contradicted=f"The validation accuracy does not stay level: {amount}.",
        undecided=f"We cannot tell whether the validation accuracy stays level: {amount}.",
    )
    return Finding(verdict, sentence, _seeds(effect.count, "the baseline"), effect, tuple(spreads))


def plateau_below(baseline: Sequence[float], deep: Mapping[str, Sequence[float]]) -> Finding:
    """Judge whether the baseline stays well below each of several deep networks.

    The effect is the difference from the weakest deep network, over independent seeds.

    Parameters
    ----------
    baseline
        Test accuracy after the last epoch, %, of each seed.
    deep
        The same of deep networks, by display name.
    """
    name = min(deep, key=lambda one: float(np.mean(deep[one])))
    difference = inference.unpaired_over_seeds(baseline, deep[name], "points")
    effect = replace(difference, null=-WELL_BELOW_POINTS, p=math.nan)
    basis = f"{_seeds(len(baseline), 'the baseline')}, {_seeds(len(deep[name]), name)}"
    mean, other = float(np.mean(baseline)), float(np.mean(deep[name]))
    amount = f"(test accuracy {mean:.1f}%, {name} {other:.1f}%)"
    if effect.count < FEWEST_SEEDS:
        sentence = (
            "Too few seeds are at hand to say how far the plateau lies below the accuracy of deep "
            f"networks {amount}."
        )
        return Finding(Verdict.UNDECIDED, sentence, basis, effect)
    verdict = verdict_of(effect, claimed="below")
    sentence = sentence_of(
        verdict,
        reproduced=f"The plateau lies well below the accuracy of deep networks {amount}.",
        contradicted=f"The plateau does not lie well below the accuracy of deep networks {amount}.",
        undecided="We cannot tell whether the plateau lies well below the accuracy of deep networks "
        f"{amount}.",
    )
    return Finding(verdict, sentence, basis, effect)


def _late(curve: np.ndarray) -> np.ndarray:
    """The last fifth of the epochs, at least two."""
    return curve[-min(len(curve), max(2, len(curve) // 5)) :]


def _seeds(count: int, network: str) -> str:
    return f"{seeds_text(count)} of {network}"


def _spread(effect: inference.Effect) -> str:
    """A mean with its interval over seeds, %."""
    if math.isnan(effect.low):
        return f"{effect.value:.1f}%, a single seed"
    return f"{effect.value:.1f}%, interval over seeds {effect.low:.1f} to {effect.high:.1f}%"


def _why_open(effect: inference.Effect) -> str:
    if effect.count < FEWEST_SEEDS:
        return "because there are too few seeds"
    return "because seeds differ too much"


def _curves(sources: Sources) -> tuple[list[np.ndarray]]:
    return ([run.history["validation_accuracy"] for run in sources.baseline],)


def _deep(sources: Sources) -> tuple[list[float], dict[str, list[float]]]:
    return (
        _percent(sources.baseline, "test"),
        {name: _percent(sources.seeds(run), "test") for name, run in DEEP.items()},
    )


def _percent(seeds: Sequence[Run], split: str) -> list[float]:
    """The accuracy of each run, %; of training images as logged at the epoch that was kept."""
    key = "train_kept_logged" if split == "training" else split
    return [100 * run.metrics[key]["accuracy"] for run in seeds]


def _final_condition(split: str, label: str) -> Condition:
    return Condition(
        f"accuracy-final.{split}",
        label,
        f"After the last epoch, the mean {split} accuracy lies within {TOLERANCE_POINTS:g} points of "
        f"the original's {FINAL_PERCENT[split]}%. The layer sizes were chosen by this distance, so "
        "that agreement counts as fitted.",
        "2026-11-24",
        Timing.BEFORE,
        final,
        lambda sources: (
            split,
            _percent(sources.baseline, split),
        ),
    )


def _table_condition(split: str, label: str) -> Condition:
    least, most = TABLE_PERCENT[split]
    return Condition(
        f"accuracy-table.{split}",
        label,
        f"With early stopping, the {split} accuracy lies between {least:g} and {most:g}% "
        "(interval over seeds).",
        "2026-11-24",
        Timing.BEFORE,
        table,
        lambda sources: (
            split,
            _percent(sources.stopped, split),
        ),
    )


CLAIMS = (
    Claim(
        "accuracy-final",
        "At epoch 50 the network has a training accuracy of about 94.9% and a test accuracy of "
        "71.5%.",
        "Experimental results, training and evaluation",
        (
            _final_condition("training", "training accuracy near 94.9%"),
            _final_condition("test", "test accuracy near 71.5%"),
        ),
    ),
    Claim(
        "accuracy-table",
        "The training accuracy is 70 to 80%, the test accuracy 65 to 75%.",
        "Table 1",
        (
            _table_condition("training", "training accuracy 70 to 80%"),
            _table_condition("test", "test accuracy 65 to 75%"),
        ),
    ),
    Claim(
        "plateau",
        "The validation accuracy rises, then stays level far below deep networks.",
        "Experimental results, training and evaluation",
        (
            Condition(
                "plateau.rises",
                "validation accuracy rises",
                "The mean validation accuracy of the last fifth of the epochs lies more than "
                f"{RISE_POINTS:g} points above that of the first epoch (interval over seeds).",
                "2026-11-24",
                Timing.BEFORE,
                plateau_rises,
                _curves,
            ),
            Condition(
                "plateau.level",
                "validation accuracy stays level",
                "Over the last fifth of the epochs the validation accuracy varies by at most "
                f"{LEVEL_POINTS:g} points (interval over seeds).",
                "2026-11-24",
                Timing.BEFORE,
                plateau_level,
                _curves,
            ),
            Condition(
                "plateau.below",
                "plateau far below deep networks",
                f"After the last epoch the test accuracy lies more than {WELL_BELOW_POINTS:g} points "
                f"below that of {' and '.join(DEEP)} (interval over seeds).",
                "2026-11-26",
                Timing.AFTER,
                plateau_below,
                _deep,
            ),
        ),
    ),
)
