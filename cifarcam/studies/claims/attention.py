"""The claim that attention would reduce reliance on the background."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cifarcam.studies import inference, places
from cifarcam.studies.claims import phrases
from cifarcam.studies.claims.base import (
    FEWEST_SEEDS,
    Claim,
    Condition,
    Finding,
    Timing,
    Verdict,
    sentence_of,
    verdict_of,
)
from cifarcam.studies.claims.sources import Sources
from cifarcam.studies.wording import number

WITH, WITHOUT = "custom-cnn-attention-long", "custom-cnn-augmented-long"
SINCE = "2026-11-26"


def lowers(
    with_attention: Sequence[float],
    without: Sequence[float],
    baseline: Sequence[float],
    what: str,
) -> Finding:
    """Judge whether attention lowers a measure of reliance on the background.

    Parameters
    ----------
    with_attention, without
        The measure by seed, points.
    baseline
        The same measure of the baseline by seed, which shows how much seeds differ.
    what
        Words for the measure, such as ``"the energy on the background minus its area"``.
    """
    basis = (
        f"{phrases.seeds(len(with_attention))} of the custom CNN with attention and "
        f"{phrases.seeds(len(without))} without, at equal recipes"
    )
    if not len(with_attention) or not len(without):
        return Finding(
            Verdict.NOT_TESTED,
            f"We could not test whether attention lowers {what}, because the weights of networks "
            "with and without attention are not at hand.",
            basis,
        )
    effect = inference.unpaired_over_seeds(with_attention, without, "points")
    verdict, numbers = verdict_of(effect, claimed="below"), phrases.points(effect)
    if effect.count < FEWEST_SEEDS:
        sentence = (
            f"We cannot tell whether attention lowers {what}. The weights of only "
            f"{phrases.seeds(effect.count)} on each side are at hand, and the difference is "
            f"{number(effect.value, signed=True)} points.{_noise(baseline)}"
        )
    else:
        sentence = sentence_of(
            verdict,
            reproduced=f"Attention lowers {what} {numbers}.",
            contradicted=f"Attention raises {what} {numbers}.",
            undecided=f"We cannot tell whether attention lowers {what} {numbers}.",
        )
    return Finding(verdict, sentence, basis, effect)


def _noise(baseline: Sequence[float]) -> str:
    """A sentence on how much the measure varies over seeds of the baseline."""
    if len(baseline) < 2:
        return ""
    deviation = float(np.std(baseline, ddof=1))
    return (
        " The same measure of the baseline varies from seed to seed with a standard deviation of "
        f"{deviation:.1f} points."
    )


def _measure(key: str, what: str) -> Callable[[Sources], tuple[Any, ...]]:
    def collect(sources: Sources) -> tuple[Any, ...]:
        names = WITH, WITHOUT, "baseline"
        record = sources.record("where")
        return *(places.values(record, name, key, "all", "mean") for name in names), what

    return collect


CLAIM = Claim(
    "attention-helps",
    "Attention would reduce reliance on the background.",
    "Summary and conclusion, recommendations",
    (
        Condition(
            "attention-helps.energy",
            "energy on the background with attention",
            "With attention, the energy on the estimated background minus its area is lower "
            "than without (interval over seeds below 0).",
            SINCE,
            Timing.AFTER,
            lowers,
            _measure("excess", "the energy on the background minus its area"),
        ),
        Condition(
            "attention-helps.removal",
            "probability lost without the background with attention",
            "With attention, the true class loses less probability without the estimated "
            "background than without attention (interval over seeds below 0).",
            SINCE,
            Timing.AFTER,
            lowers,
            _measure("lost_background", "the probability lost without the background"),
        ),
    ),
)
