"""What a claim, its conditions and a finding are, and what rules share: verdicts and sentences."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cifarcam.errors import CifarcamError
from cifarcam.studies.claims.sources import Sources
from cifarcam.studies.inference import FEWEST_SEEDS as FEWEST_SEEDS
from cifarcam.studies.inference import Effect


class Verdict(StrEnum):
    """What we say of a condition of a claim."""

    REPRODUCED = "reproduced"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"  # too few seeds, seeds disagree, or the interval holds the threshold
    NOT_TESTED = "not tested"  # for want of training time, or true by construction
    FITTED = "fitted"  # the network was chosen for it


class Timing(StrEnum):
    """Whether a rule was written down before its result, as the history of the project shows."""

    BEFORE = "before its result"
    WITH = "with its result"
    AFTER = "after its result"


@dataclass(frozen=True)
class Finding:
    """The measured answer to one condition of a claim.

    Attributes
    ----------
    verdict
        See `Verdict`.
    sentence
        The answer in whole sentences of Markdown, chosen by the outcome: the finding in words first,
        then the number in brackets.
    basis
        What it rests on: networks, seeds, images.
    effect
        The effect with interval and test, or None where nothing was measured.
    by_seed
        The value of each seed in the effect's unit; empty where seeds play no part.
    """

    verdict: Verdict
    sentence: str
    basis: str
    effect: Effect | None = None
    by_seed: tuple[float, ...] = ()


@dataclass(frozen=True)
class Condition:
    """One row of the ledger: a rule and the pure function that applies it.

    Attributes
    ----------
    id
        Unique in the ledger; the claim's id where the claim has one condition, else that id and a
        word, such as ``"precision-frog-horse.frog"``.
    label
        A few words for tables and figures, such as ``"frog's precision above the mean"``.
    rule
        The rule in one sentence, with its threshold.
    since
        Date of the commit since which the rule stands, ``"2026-11-24"``.
    timing
        See `Timing`.
    judge
        Pure function from arrays to a `Finding`.
    evidence
        Collects the arguments of `judge` from runs, records and data.
    """

    id: str
    label: str
    rule: str
    since: str
    timing: Timing
    judge: Callable[..., Finding]
    evidence: Callable[[Sources], tuple[Any, ...]]

    def finding(self, sources: Sources) -> Finding:
        """Apply the rule to the runs and records at hand."""
        return self.judge(*self.evidence(sources))


@dataclass(frozen=True)
class Claim:
    """A claim of the original report, in our words.

    Attributes
    ----------
    id
        As in addresses: ``#claim-<id>``.
    statement
        Our paraphrase, one sentence.
    place
        Where the original makes it: chapter and section, or table.
    conditions
        One row each; a claim with several conditions has several verdicts.
    """

    id: str
    statement: str
    place: str
    conditions: tuple[Condition, ...]


def verdict_of(effect: Effect, *, claimed: str = "above") -> Verdict:
    """The verdict on an effect that is claimed to lie above (or below) its null value.

    Reproduced where the whole interval lies on the claimed side of `effect.null`, contradicted
    where it lies on the other side, else undecided. Over fewer than three seeds: undecided.

    Parameters
    ----------
    effect
        With an interval.
    claimed
        ``"above"`` or ``"below"``.

    Raises
    ------
    CifarcamError
        When `claimed` is neither.
    """
    if claimed not in ("above", "below"):
        raise CifarcamError(f"claimed side {claimed!r}; give 'above' or 'below'")
    if (effect.over == "seeds" and effect.count < FEWEST_SEEDS) or math.isnan(effect.low):
        return Verdict.UNDECIDED
    above, below = effect.low > effect.null, effect.high < effect.null
    if not (above or below):
        return Verdict.UNDECIDED
    return Verdict.REPRODUCED if above == (claimed == "above") else Verdict.CONTRADICTED


def verdict_of_range(effect: Effect, least: float, most: float) -> Verdict:
    """The verdict on an effect that is claimed to lie in [`least`, `most`].

    Reproduced where the whole interval lies inside, contradicted where it lies wholly outside, else
    undecided. Over fewer than three seeds: undecided.
    """
    if (effect.over == "seeds" and effect.count < FEWEST_SEEDS) or math.isnan(effect.low):
        return Verdict.UNDECIDED
    if least <= effect.low and effect.high <= most:
        return Verdict.REPRODUCED
    if effect.high < least or most < effect.low:
        return Verdict.CONTRADICTED
    return Verdict.UNDECIDED


def verdict_by_seed(holds: Sequence[bool]) -> Verdict:
    """The verdict on a condition that holds or not for each seed: all seeds must agree.

    Over fewer than three seeds: undecided.
    """
    if len(holds) < FEWEST_SEEDS or len(set(map(bool, holds))) > 1:
        return Verdict.UNDECIDED
    return Verdict.REPRODUCED if holds[0] else Verdict.CONTRADICTED


def sentence_of(verdict: Verdict, *, reproduced: str, contradicted: str, undecided: str) -> str:
    """The sentence for a verdict that `verdict_of` or its siblings gave."""
    sentences = {
        Verdict.REPRODUCED: reproduced,
        Verdict.CONTRADICTED: contradicted,
        Verdict.UNDECIDED: undecided,
    }
    return sentences[verdict]
