"""The claim that convolutional networks beat classical methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cifarcam.data import evidence
from cifarcam.studies import inference, networks
from cifarcam.studies.claims import phrases
from cifarcam.studies.claims.base import (
    Claim,
    Condition,
    Finding,
    Timing,
    sentence_of,
    verdict_of,
)
from cifarcam.studies.claims.sources import Sources
from cifarcam.studies.inference import Effect
from cifarcam.studies.wording import number

# Test accuracy of a linear SVM on features learnt by k-means, percent: Coates et al. (2011), abstract
LEARNT_FEATURES = 79.6


def cnn_over_classical(
    baseline: Sequence[float], classical: Mapping[str, float], paired: Sequence[Effect] = ()
) -> Finding:
    """Judge whether the baseline is more accurate than the best of the classical methods.

    Parameters
    ----------
    baseline
        Test accuracy by seed, percent.
    classical
        Test accuracy of each method, percent.
    paired
        For each seed the difference from the best method on the same images, where the test images
        are at hand.
    """
    best = max(classical, key=lambda name: classical[name])
    differences = tuple(value - classical[best] for value in baseline)
    effect = inference.over_seeds(differences, "points")
    verdict, numbers = verdict_of(effect), _numbers(effect)
    sentence = sentence_of(
        verdict,
        reproduced="The baseline is more accurate than the best classical method, a "
        f"{best} {numbers}.",
        contradicted="The baseline is less accurate than the best classical method, a "
        f"{best} {numbers}.",
        undecided="We cannot tell whether the baseline is more accurate than the best classical "
        f"method, a {best} {numbers}.",
    )
    if paired:
        largest = max(one.p for one in paired)
        each = "For each seed, McNemar's test on the same images agrees"
        if largest < 1 - inference.LEVEL and all(one.value * effect.value > 0 for one in paired):
            sentence += f" {each} ({phrases.p_value(largest)})."
    if np.mean(baseline) < LEARNT_FEATURES:
        sentence += (
            " On features learnt without labels, a linear support vector machine has reached "
            f"{LEARNT_FEATURES}% (Coates et al. 2011), more than the baseline's "
            f"{np.mean(baseline):.1f}%."
        )
    basis = f"{phrases.seeds(effect.count)} of the baseline, {len(classical)} classical methods"
    return Finding(verdict, sentence, basis, effect, differences)


def _numbers(effect: Effect) -> str:
    value = number(effect.value, signed=True)
    if effect.count == 1:
        return f"({value} points from one seed)"
    ends = f"{number(effect.low)} to {number(effect.high)}"
    return f"({value} points, 95% interval {ends} over {effect.count} seeds)"


def _classical(sources: Sources) -> tuple[Any, ...]:
    correct = networks.classical_correct(sources.record("classical"))
    percent = {name: 100 * float(one.mean()) for name, one in correct.items()}
    best = correct[max(percent, key=lambda name: percent[name])]
    runs = sources.baseline
    labels = evidence.test_labels()
    paired = [
        inference.paired_over_images(run.predictions.argmax(axis=1) == labels, best)
        for run in runs
        if len(run.predictions) == len(labels)  # the small sample has other test images
    ]
    return networks.accuracies(runs), percent, paired


CLAIM = Claim(
    "cnn-over-classical",
    "Convolutional networks beat support vector machines and random forests.",
    "Literature survey",
    (
        Condition(
            "cnn-over-classical",
            "baseline above the best classical method",
            "Over seeds, the interval of the baseline's test accuracy minus that of the best of "
            "four classical methods lies above 0.",
            "2026-11-26",
            Timing.AFTER,
            cnn_over_classical,
            _classical,
        ),
    ),
)
