"""Claims on pairs of classes that the network confuses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cifarcam import evaluation
from cifarcam.errors import CifarcamError
from cifarcam.studies import inference
from cifarcam.studies.claims.base import (
    FEWEST_SEEDS,
    Claim,
    Condition,
    Finding,
    Timing,
    sentence_of,
    verdict_by_seed,
    verdict_of,
)
from cifarcam.studies.claims.sources import Sources
from cifarcam.studies.wording import capital, seeds_text

OFTEN_RANK = 5  # a pair that is often confused ranks at least here
OFTEN_SHARES = 2  # and takes more than this many even shares of the mistakes

PLACE = "Experimental results, confusion matrix"


def pair_rank(
    confusions: Sequence[np.ndarray], names: Sequence[str], pair: tuple[str, str], worst: int
) -> Finding:
    """Judge whether a pair ranks among the most confused pairs with every seed.

    Parameters
    ----------
    confusions
        Counts of each seed, C x C, rows true and columns predicted.
    names
        C class names.
    pair
        Two of them.
    worst
        The worst rank that the claim allows.
    """
    ranks = [_pair(matrix, names, pair).rank for matrix in confusions]
    effect = replace(inference.over_seeds(ranks, "rank", null=worst), p=np.nan)
    verdict = verdict_by_seed([rank <= worst for rank in ranks])
    both, seen = f"{pair[0]} and {pair[1]}", shown_ranks(ranks)
    if len(ranks) < FEWEST_SEEDS:
        sentence = f"Too few seeds are at hand to rank {both} ({seen})."
    elif worst == 1:
        sentence = sentence_of(
            verdict,
            reproduced=f"With every seed, the network confuses {both} more than any other pair "
            f"({seen}).",
            contradicted=f"With every seed, the network confuses another pair more than {both} "
            f"({seen}).",
            undecided=f"Seeds disagree on whether the network confuses {both} more than any other "
            f"pair ({seen}).",
        )
    else:
        sentence = sentence_of(
            verdict,
            reproduced=f"With every seed, {both} rank among the {worst} pairs that the network "
            f"confuses most ({seen}).",
            contradicted=f"With every seed, the network confuses at least {worst} other pairs more "
            f"than {both} ({seen}).",
            undecided=f"Seeds disagree on whether {both} rank among the {worst} pairs that the "
            f"network confuses most ({seen}).",
        )
    return Finding(verdict, sentence, basis(len(ranks)), effect, tuple(map(float, ranks)))


def pair_share(
    confusions: Sequence[np.ndarray], names: Sequence[str], pair: tuple[str, str]
) -> Finding:
    """Judge whether a pair takes more than twice an even share of all mistakes.

    Parameters
    ----------
    confusions, names, pair
        As for `pair_rank`.
    """
    shares = [100 * _pair(matrix, names, pair).share for matrix in confusions]
    pairs = len(names) * (len(names) - 1) // 2
    effect = inference.over_seeds(shares, "% of the mistakes", null=100 * OFTEN_SHARES / pairs)
    verdict = verdict_of(effect)
    both = f"{pair[0]} and {pair[1]}"
    amount = (
        f"({effect.value:.1f}% of the mistakes, where twice an even share is {effect.null:.1f}%)"
    )
    if effect.count < FEWEST_SEEDS:
        sentence = f"Too few seeds are at hand for the share of {both} {amount}."
    else:
        sentence = sentence_of(
            verdict,
            reproduced=f"{capital(both)} take more than twice an even share of the mistakes "
            f"{amount}.",
            contradicted=f"{capital(both)} take less than twice an even share of the mistakes "
            f"{amount}.",
            undecided=f"We cannot tell whether {both} take more than twice an even share of the "
            f"mistakes {amount}.",
        )
    return Finding(verdict, sentence, basis(effect.count), effect, tuple(shares))


def _pair(
    matrix: np.ndarray, names: Sequence[str], pair: tuple[str, str]
) -> evaluation.ConfusedPair:
    first, second = sorted(names.index(name) for name in pair)
    for one in evaluation.confused_pairs(matrix):
        if (one.first, one.second) == (first, second):
            return one
    raise CifarcamError(f"{pair} is no pair of two classes; give two different names")


def shown_ranks(ranks: Sequence[int]) -> str:
    """Ranks of all seeds in words, such as ``ranks 3 to 6``."""
    low, high = min(ranks), max(ranks)
    return f"rank {low}" if low == high else f"ranks {low} to {high}"


def basis(seeds: int) -> str:
    """What a finding on the baseline's test predictions rests on."""
    return f"{seeds_text(seeds)} of the baseline, all test images"


def _confusions(sources: Sources) -> tuple[list[np.ndarray], tuple[str, ...]]:
    matrices = [np.array(run.metrics["test"]["confusion"]) for run in sources.baseline]
    return matrices, tuple(sources.baseline[0].metrics["test"]["per_class"])


def _rank_condition(id: str, pair: tuple[str, str], worst: int) -> Condition:
    both = f"{pair[0]} and {pair[1]}"
    if worst == 1:
        label = f"{both} confused most"
        rule = f"With every seed, {both} rank first of all pairs by their mistakes both ways."
    else:
        label = f"{both} among the first {worst} pairs"
        rule = f"With every seed, {both} rank among the first {worst} pairs by their mistakes both ways."
    return condition(
        id, label, rule, pair_rank, lambda sources: (*_confusions(sources), pair, worst)
    )


def _share_condition(id: str, pair: tuple[str, str]) -> Condition:
    both = f"{pair[0]} and {pair[1]}"
    return condition(
        id,
        f"{both} above twice an even share",
        f"{capital(both)} take more than twice an even share of all mistakes (interval over seeds).",
        pair_share,
        lambda sources: (*_confusions(sources), pair),
    )


def condition(
    id: str,
    label: str,
    rule: str,
    judge: Callable[..., Finding],
    evidence: Callable[[Sources], tuple[Any, ...]],
) -> Condition:
    """A condition whose rule was written down before the first runs."""
    return Condition(id, label, rule, "2026-11-24", Timing.BEFORE, judge, evidence)


_AIR_SHIP, _CAR_TRUCK = ("airplane", "ship"), ("automobile", "truck")

CLAIMS = (
    Claim(
        "confuse-air-ship",
        "Airplane and ship are often taken for each other.",
        PLACE,
        (
            _rank_condition("confuse-air-ship.rank", _AIR_SHIP, OFTEN_RANK),
            _share_condition("confuse-air-ship.share", _AIR_SHIP),
        ),
    ),
    Claim(
        "confuse-cat-dog",
        "Cat and dog are confused more than any other pair.",
        PLACE,
        (_rank_condition("confuse-cat-dog", ("cat", "dog"), 1),),
    ),
    Claim(
        "confuse-car-truck",
        "Automobile and truck are predicted for each other.",
        PLACE,
        (
            _rank_condition("confuse-car-truck.rank", _CAR_TRUCK, OFTEN_RANK),
            _share_condition("confuse-car-truck.share", _CAR_TRUCK),
        ),
    ),
)
