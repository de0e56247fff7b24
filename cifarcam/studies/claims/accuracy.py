"""Claims on accuracy and on the course of training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cifarcam.studies import inference
from cifarcam.studies.claims.base import (
    Claim,
    Condition,
    Finding,
    Timing,
    Verdict,
    verdict_of_range,
)
from cifarcam.studies.claims.sources import Sources

LEVEL_POINTS = 2.0  # a plateau varies by at most this many points
RISE_POINTS = 2.0  # and lies this many above the first epoch


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
    if verdict is Verdict.REPRODUCED:
        sentence = f"The validation accuracy stays level: over the last {epochs} epochs it varies"
    elif verdict is Verdict.CONTRADICTED:
        sentence = (
            f"The validation accuracy does not stay level: over the last {epochs} epochs it varies"
        )
    else:
        sentence = (
            "Whether the validation accuracy stays level is open: over the last "
            f"{epochs} epochs it varies"
        )
    sentence += f" by {effect.value:.1f} points."
    return Finding(
        verdict, sentence, f"{effect.count} seeds of the baseline", effect, tuple(spreads)
    )


def _late(curve: np.ndarray) -> np.ndarray:
    """The last fifth of the epochs, at least two."""
    return curve[-min(len(curve), max(2, len(curve) // 5)) :]


def _curves(sources: Sources) -> tuple[list[np.ndarray]]:
    return ([run.history["validation_accuracy"] for run in sources.baseline],)


CLAIMS = (
    Claim(
        "plateau",
        "The validation accuracy rises, then stays level far below deep networks.",
        "Experimental results, training and evaluation",
        (
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
        ),
    ),
)
