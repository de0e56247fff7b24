"""Whose mistakes the mistakes of networks are: the answer over all networks, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.studies import inference
from cifarcam.studies.inference import LEVEL, Effect
from cifarcam.studies.mistakes import Kind, Sorted


@dataclass(frozen=True)
class Answer:
    """Whose the mistakes are, over all networks.

    Attributes
    ----------
    weakest, best
        The least and the most accurate network.
    weakest_own, best_own
        Share of their own mistakes, %, with the interval over test images.
    others_below_half, others
        Number of further networks of whose mistakes fewer than half are their own (interval over
        test images), and of all further networks.
    weakest_label, best_label, weakest_people, best_people
        Shares of their mistakes that lie with the label, and where people disagree too, %.
    label_ratio, people_ratio
        Of the best network: its share divided by the share of the images.
    preferred
        See `Sorted`, of the best network.
    correlation
        Rank correlation of the accuracy and the share with the label, over networks.
    sentence
        Whose mistakes most are, in words.
    trend
        How the share with the label changes with accuracy, in words.
    further
        How many further networks have fewer than half of their mistakes of their own, in words.
    """

    weakest: str
    best: str
    weakest_own: Effect
    best_own: Effect
    others_below_half: int
    others: int
    weakest_label: float
    best_label: float
    weakest_people: float
    best_people: float
    label_ratio: float
    people_ratio: float
    preferred: float
    correlation: Effect
    sentence: str
    trend: str
    further: str


def answer(networks: Sequence[Sorted], chance: np.ndarray, others: Sequence[Sorted]) -> Answer:
    """Answer whose the mistakes are.

    Parameters
    ----------
    networks
        Our networks, the least accurate first.
    chance
        From `by_chance`.
    others
        Further networks for the trend with accuracy, such as published ones.

    Raises
    ------
    CifarcamError
        When there are fewer than three networks altogether, or no network of ours.
    """
    if not networks:
        raise CifarcamError("no network whose mistakes are sorted; give at least one")
    weakest, best = networks[0], networks[-1]
    everyone = [*networks, *others]
    correlation = inference.rank_correlation(
        [one.accuracy for one in everyone], [one.shares[Kind.LABEL].value for one in everyone]
    )
    label, people = (best.shares[kind].value for kind in (Kind.LABEL, Kind.PEOPLE))
    return Answer(
        weakest.name,
        best.name,
        weakest.own,
        best.own,
        sum(one.own.high < 50 for one in others),
        len(others),
        weakest.shares[Kind.LABEL].value,
        label,
        weakest.shares[Kind.PEOPLE].value,
        people,
        label / float(chance[Kind.LABEL]),
        people / float(chance[Kind.PEOPLE]),
        best.preferred,
        correlation,
        _answer_sentence(networks),
        _trend_sentence(correlation, weakest, best),
        _further_sentence(sum(one.own.high < 50 for one in others), len(others)),
    )


def _answer_sentence(networks: Sequence[Sorted]) -> str:
    own = [one.own for one in networks]
    values = [effect.value for effect in own]
    where = "people neither doubt the label nor disagree on it"
    ends = f"{min(values):.0f}% to {max(values):.0f}% of the mistakes, depending on the network"
    mostly, hardly = sum(one.low > 50 for one in own), sum(one.high < 50 for one in own)
    if mostly == len(own):
        return f"Most mistakes are the networks' own, in every network: {where} ({ends})."
    if hardly == len(own):
        return (
            "In no network are most mistakes its own: people doubt the label or disagree on it "
            f"(own mistakes are {ends})."
        )
    best = own[-1]
    if best.low > 50:
        last = "Of the most accurate network, most mistakes are its own as well"
    elif best.high < 50:
        last = "Of the most accurate network, fewer than half of the mistakes are its own"
    else:
        last = "Of the most accurate network, about half of the mistakes are its own"
    return (
        f"In {mostly} of our {len(own)} networks most mistakes are the network's own: {where} "
        f"({ends}). {last} ({best.value:.0f}%, 95% interval {best.low:.0f}% to {best.high:.0f}% "
        "over test images)."
    )


def _trend_sentence(correlation: Effect, weakest: Sorted, best: Sorted) -> str:
    ends = (
        f"({weakest.shares[Kind.LABEL].value:.0f}% of the mistakes of the least accurate and "
        f"{best.shares[Kind.LABEL].value:.0f}% of the most accurate of our networks; rank "
        f"correlation {correlation.value:.2f} over {correlation.count} networks)".replace("-", "−")
    )
    if correlation.p < 1 - LEVEL and correlation.value > 0:
        return (
            "The better a network is, the larger is the share of its mistakes that lie with the "
            f"label {ends}."
        )
    if correlation.p < 1 - LEVEL:
        return (
            "The better a network is, the smaller is the share of its mistakes that lie with the "
            f"label {ends}."
        )
    return f"The share that lies with the label does not change measurably with accuracy {ends}."


def _further_sentence(below: int, networks: int) -> str:
    measured = "fewer than half of the mistakes are their own (95% interval over test images)"
    if not networks:
        return "No published network is at hand for comparison."
    if not below:
        return (
            "No published network has measurably fewer than half of its mistakes as its own (95% "
            f"interval over test images, {networks} networks)."
        )
    return f"Of {below} of the {networks} published networks, {measured}."
