"""What one temperature says of a rising loss, and of networks trained with smoothed labels.

The scaled runs come from the record of `cifarcam.studies.calibration`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.studies import inference
from cifarcam.studies.calibration import Scaled
from cifarcam.studies.inference import Effect

MOSTLY = 0.5  # a temperature explains most of a rise of the loss when it takes away this much of it


@dataclass(frozen=True)
class Overfitting:
    """How much of a rise of the test loss one temperature takes away.

    Attributes
    ----------
    before, after
        Cross-entropy through all epochs minus stopped early, nats, paired by seed: before and after
        both are scaled.
    full_before, full_after
        Cross-entropy through all epochs, nats, means of the seeds.
    share
        Share of the difference that scaling takes away, %.
    sentence
        What follows, in words.
    """

    before: Effect
    after: Effect
    full_before: float
    full_after: float
    share: float
    sentence: str


@dataclass(frozen=True)
class Smoothing:
    """Whether networks trained with smoothed labels are too modest.

    Attributes
    ----------
    networks, modest
        Number of experiments with label smoothing, and of those that are too modest: all their
        seeds have a temperature below 1.
    least, most
        Their lowest and highest temperature.
    error_before, error_after
        The largest of their expected calibration errors before and after scaling, points.
    sentence
        What follows, in words.
    """

    networks: int
    modest: int
    least: float
    most: float
    error_before: float
    error_after: float
    sentence: str


def overfitting(full: Sequence[Scaled], stopped: Sequence[Scaled]) -> Overfitting:
    """How much of the loss that rises after the stop is a matter of scale.

    Parameters
    ----------
    full, stopped
        Runs through all epochs and stopped early, seed by seed.

    Raises
    ------
    CifarcamError
        When no seed is on both sides.
    """
    early = {one.seed: one for one in stopped}
    pairs = [(one, early[one.seed]) for one in full if one.seed in early]
    if not pairs:
        raise CifarcamError("no seed has both a run through all epochs and one stopped early")
    before = inference.paired_over_seeds(
        [one.loss_before for one, _ in pairs], [other.loss_before for _, other in pairs], "nats"
    )
    after = inference.paired_over_seeds(
        [one.loss_after for one, _ in pairs], [other.loss_after for _, other in pairs], "nats"
    )
    full_before = float(np.mean([one.loss_before for one, _ in pairs]))
    full_after = float(np.mean([one.loss_after for one, _ in pairs]))
    share = 100 * (1 - after.value / before.value) if before.value else 0.0
    falls = f"from {full_before:.2f} to {full_after:.2f} nats"
    stopped_after = (
        f"With early stopping and a temperature, the loss is {full_after - after.value:.2f} nats."
    )
    if before.value <= 0:
        sentence = (
            "The test loss does not rise after the stop, so a temperature has nothing to explain."
        )
    elif share >= 100 * MOSTLY:
        sentence = (
            "Most of the rise of the test loss comes from the scale of the logits and not from worse "
            f"knowledge. One temperature lowers the loss after all epochs {falls}. {stopped_after}"
        )
    else:
        sentence = (
            "The scale of the logits alone does not explain the rise of the test loss. One temperature "
            f"lowers the loss after all epochs only {falls}. {stopped_after}"
        )
    return Overfitting(before, after, full_before, full_after, share, sentence)


def smoothing(scaled: Sequence[Scaled]) -> Smoothing:
    """Whether the networks trained with smoothed labels are too modest.

    Parameters
    ----------
    scaled
        Runs of all experiments; those without label smoothing are left out.
    """
    smoothed = [one for one in scaled if one.smoothing > 0]
    temperatures: dict[str, list[float]] = {}
    for one in smoothed:
        temperatures.setdefault(one.experiment, []).append(one.temperature)
    modest = sum(max(values) < 1 for values in temperatures.values())
    count = len(temperatures)
    errors = [(100 * one.before.error, 100 * one.after.error) for one in smoothed]
    errors = errors or [(np.nan, np.nan)]
    worst_before, worst_after = (float(max(column)) for column in zip(*errors, strict=True))
    every = [one.temperature for one in smoothed] or [np.nan]
    if not count:
        sentence = "No network at hand was trained with smoothed labels."
    elif modest == count:
        sentence = (
            "Smoothed labels make networks too modest: with every seed of all "
            f"{count} experiments that smooth the labels, the network is right more often than it "
            f"says (temperatures {min(every):.2f} to {max(every):.2f}). "
            f"One temperature lowers their calibration error from at most {worst_before:.1f} to at "
            f"most {worst_after:.1f} points."
        )
    elif modest:
        sentence = (
            f"Smoothed labels make some networks too modest: with every seed of {modest} of the "
            f"{count} experiments that smooth the labels, the network is right more often than it "
            f"says (temperatures {min(every):.2f} to {max(every):.2f})."
        )
    else:
        sentence = (
            "Smoothed labels do not make networks too modest: no experiment that smooths the labels "
            "gives a network that is right more often than it says with every seed (temperatures "
            f"{min(every):.2f} to {max(every):.2f})."
        )
    return Smoothing(
        count,
        modest,
        float(min(every)),
        float(max(every)),
        worst_before,
        worst_after,
        sentence,
    )
