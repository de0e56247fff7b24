"""Changes of accuracy between training runs of the same seed, and which are beyond chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.studies import inference
from cifarcam.studies.inference import FEWEST_SEEDS, Effect

LEVEL = 0.05  # of a family of tests, after Holm's correction


class Outcome(StrEnum):
    """What a change does to the accuracy, as far as the seeds show."""

    RAISES = "raises the accuracy"
    LOWERS = "lowers the accuracy"
    OPEN = "open"


@dataclass(frozen=True)
class Change:
    """A change of accuracy, judged within a family of changes.

    Attributes
    ----------
    effect
        Its mean over seeds, points, in pairs.
    by_seed
        The change of each seed that both sides share, points.
    p
        The p-value of `effect` after Holm's correction over the family; NaN without a test.
    outcome
        What the change does.
    """

    effect: Effect
    by_seed: tuple[float, ...]
    p: float
    outcome: Outcome

    def __str__(self) -> str:
        """The change in words: ``+9.5 points [8.9, 10.1]``."""
        return self.effect.text(signed=True, unit="points")


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


def difference(
    after: Mapping[int, float], before: Mapping[int, float], unit: str = "points"
) -> Effect:
    """The paired effect over the seeds that both sides share."""
    return inference.paired_over_seeds(*pairs(after, before), unit)


def judged(sides: Sequence[tuple[Mapping[int, float], Mapping[int, float]]]) -> list[Change]:
    """The changes of a family: accuracies by seed after and before each, percent.

    A change is open for fewer than three seeds, and where its p-value is `LEVEL` or more.
    """
    effects = [difference(after, before) for after, before in sides]
    p_values = np.array([effect.p for effect in effects])
    tested = ~np.isnan(p_values)  # no test with a single seed
    p_values[tested] = inference.holm(p_values[tested])
    changes = []
    for effect, side, p in zip(effects, sides, p_values.tolist(), strict=True):
        after, before = pairs(*side)
        changes.append(Change(effect, tuple((after - before).tolist()), p, _outcome(effect, p)))
    return changes


def _outcome(effect: Effect, p: float) -> Outcome:
    if effect.count < FEWEST_SEEDS or not p < LEVEL:
        return Outcome.OPEN
    return Outcome.RAISES if effect.value > 0 else Outcome.LOWERS
