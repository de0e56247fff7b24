"""The claim that deeper networks confuse similar classes less often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cifarcam.studies import depth, inference, networks
from cifarcam.studies.claims import phrases
from cifarcam.studies.claims.base import Claim, Condition, Finding, Timing, Verdict
from cifarcam.studies.claims.sources import Sources
from cifarcam.studies.depth import Association, Confusions
from cifarcam.studies.wording import number

SINCE = "2026-11-26"


def counts_fall(data: Confusions, whose: str) -> Finding:
    """Judge whether deeper networks confuse the classes of each pair less often.

    Parameters
    ----------
    data
        Networks of known depth.
    whose
        ``"of our"`` or ``"published"``, as words between their number and "networks".
    """
    found = depth.association(data.counts, data.depth)
    numbers = _correlations(found, len(data.names), whose)
    if depth.smallest_p(data.depth) * len(depth.PAIRS) > 1 - inference.LEVEL:
        sentence = (
            f"Too few {whose} networks have a comparable depth to tell whether deeper networks confuse "
            f"similar classes less often {numbers}."
        )
    elif all(found.falls):
        sentence = f"Deeper networks confuse all three pairs less often {numbers}."
    elif any(found.falls):
        sentence = (
            f"Deeper networks confuse {_pairs(found.falls)} less often, but not all three pairs "
            f"{numbers}."
        )
    elif any(found.rises):
        sentence = f"Deeper networks confuse {_pairs(found.rises)} more often {numbers}."
    else:
        sentence = f"Deeper networks confuse no pair less often beyond chance {numbers}."
    return _of_association(found, sentence, len(data.names), whose)


def share_falls(data: Confusions) -> Finding:
    """Judge whether each pair takes a smaller share of the mistakes of deeper networks.

    Parameters
    ----------
    data
        Published networks of known depth.
    """
    found = depth.association(data.shares, data.depth)
    numbers = _correlations(found, len(data.names), "published")
    if all(found.falls):
        sentence = (
            f"All three pairs take a smaller share of the mistakes of deeper networks {numbers}."
        )
    elif any(found.falls):
        sentence = (
            f"Confusion of {_pairs(found.falls)} takes a smaller share of the mistakes of deeper "
            f"networks. For the other pairs, no such fall is beyond chance {numbers}."
        )
    elif any(found.rises):
        sentence = (
            f"Confusion of {_pairs(found.rises)} takes a larger share of the mistakes of deeper "
            f"networks {numbers}."
        )
    else:
        sentence = f"No pair's share of the mistakes changes with depth beyond chance {numbers}."
    return _of_association(found, sentence, len(data.names), "published")


def counts_fall_at_equal_accuracy(data: Confusions) -> Finding:
    """Judge whether depth lowers confusion at equal accuracy, and say what explains the counts.

    Parameters
    ----------
    data
        Published networks of known depth.
    """
    found = depth.association(data.counts, data.depth, data.accuracy)
    accuracy = depth.association(data.counts, data.accuracy, data.depth)
    numbers = _correlations(found, len(data.names), "published", "partial rank correlations")
    against = ", ".join(number(effect.value, 2, signed=True) for effect in accuracy.effects)
    if all(accuracy.falls) and not any(found.falls + found.rises):
        sentence = (
            "The counts follow accuracy rather than depth. At equal depth, they fall with accuracy "
            f"for all three pairs (partial rank correlations {against}). At equal accuracy, the "
            f"counts of no pair change with depth beyond chance {numbers}."
        )
    elif all(found.falls):
        sentence = (
            f"At equal accuracy, too, deeper networks confuse all three pairs less often {numbers}."
        )
    elif any(found.falls):
        sentence = (
            f"At equal accuracy, deeper networks confuse {_pairs(found.falls)} less often. For the "
            f"other pairs, no such fall is beyond chance {numbers}."
        )
    elif any(found.rises):
        sentence = f"At equal accuracy, deeper networks confuse {_pairs(found.rises)} more often {numbers}."
    else:
        sentence = (
            f"At equal accuracy, the counts of no pair change with depth beyond chance {numbers}."
        )
    return _of_association(found, sentence, len(data.names), "published")


def _of_association(found: Association, sentence: str, count: int, whose: str) -> Finding:
    """The finding on three correlations; its effect is the correlation that is nearest to chance."""
    if all(found.falls):
        verdict = Verdict.REPRODUCED
    elif any(found.rises) and not any(found.falls):
        verdict = Verdict.CONTRADICTED
    else:
        verdict = Verdict.UNDECIDED
    weakest = int(np.argmax(found.adjusted))
    pair = " and ".join(depth.PAIRS[weakest])
    basis = f"{count} {whose} networks of known depth, effect for {pair}"
    return Finding(verdict, sentence, basis, found.effects[weakest])


def _correlations(
    found: Association, count: int, whose: str, measure: str = "rank correlations"
) -> str:
    values = [
        f"{number(effect.value, 2, signed=True)} for {first} and {second}"
        for (first, second), effect in zip(depth.PAIRS, found.effects, strict=True)
    ]
    smallest = phrases.p_value(min(found.adjusted))
    return (
        f"({measure} over {count} {whose} networks: {', '.join(values)}, smallest {smallest} after "
        "Holm's correction)"
    )


def _pairs(which: Sequence[bool]) -> str:
    chosen = [
        f"{first}s with {second}s"
        for (first, second), one in zip(depth.PAIRS, which, strict=True)
        if one
    ]
    return " and ".join(chosen)


def _ours(sources: Sources) -> tuple[Any, ...]:
    seeds = {"baseline": sources.baseline} | {
        name: sources.seeds(experiment)
        for name, experiment in networks.LONG.items()
        if name in depth.DEPTHS
    }
    return depth.of_runs(seeds), "of our"


def _published(sources: Sources) -> tuple[Any, ...]:
    return (depth.published().of_known_depth(),)


def _published_counts(sources: Sources) -> tuple[Any, ...]:
    return depth.published().of_known_depth(), "published"


CLAIM = Claim(
    "depth-less-confusion",
    "Confusion between similar classes falls as networks get deeper.",
    "Summary and conclusion, comparison with the literature",
    (
        Condition(
            "depth-less-confusion.ours",
            "counts fall with depth, our networks",
            "Over our networks of comparable depth, the mean counts of all three pairs of "
            "similar classes fall with depth (rank correlation, permutations, Holm over pairs).",
            SINCE,
            Timing.AFTER,
            counts_fall,
            _ours,
        ),
        Condition(
            "depth-less-confusion.published",
            "counts fall with depth, published networks",
            "Over published networks of known depth, the counts of all three pairs fall with "
            "depth (rank correlation, permutations, Holm over pairs).",
            SINCE,
            Timing.AFTER,
            counts_fall,
            _published_counts,
        ),
        Condition(
            "depth-less-confusion.share",
            "share of mistakes falls with depth",
            "Over published networks of known depth, all three pairs take a smaller share of "
            "the mistakes the deeper a network is (as above).",
            SINCE,
            Timing.AFTER,
            share_falls,
            _published,
        ),
        Condition(
            "depth-less-confusion.equal-accuracy",
            "counts fall with depth at equal accuracy",
            "Over published networks of known depth, the counts of all three pairs fall with "
            "depth at equal accuracy (partial rank correlation, permutations, Holm over pairs).",
            SINCE,
            Timing.AFTER,
            counts_fall_at_equal_accuracy,
            _published,
        ),
    ),
)
