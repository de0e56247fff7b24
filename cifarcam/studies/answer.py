"""Where the mistakes of networks come from: the answer over all networks, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.studies import inference
from cifarcam.studies.inference import LEVEL, Effect
from cifarcam.studies.mistakes import DISAGREE, Evidence, Kind, Sorted, recut, sort
from cifarcam.studies.networks import called
from cifarcam.studies.wording import number

ANY, MINORITY = 1, 3  # people's agreement from which one answer differs, fewer than half agree


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
        Shares of their mistakes whose label is in doubt, and where people disagree, %.
    label_ratio, people_ratio
        Of the best network: its share divided by the share of the images.
    preferred
        See `Sorted`, of the best network.
    correlation
        Rank correlation of the accuracy and the share with a doubtful label, over networks.
    sentence
        Whose mistakes most are, in words.
    trend
        How the share with a doubtful label changes with accuracy, in words.
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
        _trend_sentence(correlation, weakest, best, len(networks), len(others)),
        _further_sentence(sum(one.own.high < 50 for one in others), len(others)),
    )


def _answer_sentence(networks: Sequence[Sorted]) -> str:
    rule = (
        "We call a mistake the network's own if people do not doubt the label and at least nine in "
        "ten people give this label."
    )
    most = [one.own for one in networks if one.own.low > 50]
    every = _range([one.own for one in networks])
    if len(most) == len(networks):
        return (
            f"{rule} According to this rule, most mistakes of every network are its own ({every})."
        )
    if all(one.own.high < 50 for one in networks):
        return (
            f"{rule} According to this rule, fewer than half of the mistakes of every network are its "
            f"own ({every})."
        )
    best = networks[-1]
    if best.own.low > 50 and len(most) == 1:
        last = f"This is the most accurate network, {called(best.name)}"
    elif best.own.low > 50:
        last = f"The most accurate network, {called(best.name)}, is among them"
    elif best.own.high < 50:
        last = f"Fewer than half of the mistakes of the most accurate network, {called(best.name)}, are its own"
    else:
        last = f"About half of the mistakes of the most accurate network, {called(best.name)}, are its own"
    if not most:
        first = (
            f"None of our {len(networks)} networks has a share of own mistakes measurably above half "
            f"({every})"
        )
    else:
        count = "one" if len(most) == 1 else len(most)
        first = (
            f"In {count} of our {len(networks)} networks, most mistakes are the network's own "
            f"({_range(most)})"
        )
    return (
        f"{rule} {first}. {last} ({best.own.value:.0f}%, 95% interval {best.own.low:.0f}% to "
        f"{best.own.high:.0f}% over test images)."
    )


def _range(effects: Sequence[Effect]) -> str:
    values = [effect.value for effect in effects]
    if len(values) == 1:
        return f"{values[0]:.0f}%"
    return f"{min(values):.0f}% to {max(values):.0f}%, depending on the network"


def _trend_sentence(
    correlation: Effect, weakest: Sorted, best: Sorted, networks: int, others: int
) -> str:
    over = f"over our {networks} networks"
    if others:
        over += f" and {others} published networks"
    ends = (
        f"(rank correlation {number(correlation.value, 2)} {over}, where 1 would be the same order)"
    )
    shares = (
        f"The share is {weakest.shares[Kind.LABEL].value:.0f}% for our least accurate network and "
        f"{best.shares[Kind.LABEL].value:.0f}% for our most accurate network."
    )
    if correlation.p < 1 - LEVEL and correlation.value > 0:
        text = (
            "More accurate networks have a larger share of mistakes whose label is in doubt "
            f"{ends}."
        )
    elif correlation.p < 1 - LEVEL:
        text = (
            "More accurate networks have a smaller share of mistakes whose label is in doubt "
            f"{ends}."
        )
    else:
        text = (
            "The share of mistakes whose label is in doubt does not change measurably with "
            f"accuracy {ends}."
        )
    return f"{text} {shares} {_number_sentence(weakest, best)}"


def _number_sentence(weakest: Sorted, best: Sorted) -> str:
    """How the numbers behind the shares change from the least to the most accurate network."""
    before, after = weakest.counts[Kind.LABEL], best.counts[Kind.LABEL]
    label = f"from {before:.0f} to {after:.0f}"
    whole = f"from {weakest.mistakes:,.0f} to {best.mistakes:,.0f}"
    if after >= before or best.mistakes >= weakest.mistakes:
        return f"The number of these mistakes goes {label}, and the number of all mistakes goes {whole}."
    if after * weakest.mistakes > before * best.mistakes:
        return (
            f"The number of these mistakes falls {label}, but more slowly than the number of all "
            f"mistakes ({whole})."
        )
    return (
        f"The number of these mistakes falls {label}, no more slowly than the number of all "
        f"mistakes ({whole})."
    )


def _further_sentence(below: int, networks: int) -> str:
    if not networks:
        return "No published network is at hand for comparison."
    if not below:
        return (
            "No published network has a share of own mistakes measurably below half (95% interval "
            f"over test images, {networks} networks)."
        )
    first = (
        f"One of the {networks} published networks has a share of own mistakes measurably below half"
        if below == 1
        else f"Among the {networks} published networks, {below} have a share of own mistakes "
        "measurably below half"
    )
    return (
        f"{first} (95% interval over test images). We should therefore compare a small difference "
        "between two very accurate networks with the number of labels that people doubt."
    )


@dataclass(frozen=True)
class Thresholds:
    """The most accurate network's own mistakes, by when people count as disagreeing.

    Attributes
    ----------
    network
        The network.
    strict, printed, lenient
        Share of its own mistakes, %, with the interval over test images: if people disagree
        wherever one of them gives another class, as printed, and where fewer than half give the
        label.
    sentence
        The result in words.
    """

    network: str
    strict: Effect
    printed: Effect
    lenient: Effect
    sentence: str


def thresholds(
    predicted: Mapping[str, np.ndarray], labels: np.ndarray, evidence: Evidence
) -> Thresholds:
    """Sort the mistakes of the most accurate network by other thresholds too.

    Parameters
    ----------
    predicted, labels, evidence
        As in `mistakes.sort`.

    Raises
    ------
    CifarcamError
        When there is no network, or a network makes no mistake.
    """
    if not predicted:
        raise CifarcamError("no network whose mistakes are sorted; give at least one")
    best = [sort(predicted, labels, recut(evidence, cut))[-1] for cut in (ANY, DISAGREE, MINORITY)]
    name, (strict, printed, lenient) = best[0].name, [one.own for one in best]
    return Thresholds(
        name, strict, printed, lenient, _threshold_sentence(name, strict, printed, lenient)
    )


def _threshold_sentence(name: str, strict: Effect, printed: Effect, lenient: Effect) -> str:
    if lenient.low <= strict.high:
        return (
            f"The threshold matters little: between {strict.value:.0f}% and {lenient.value:.0f}% of "
            f"the mistakes of {called(name)} are its own, whatever the threshold."
        )
    return (
        f"The threshold matters. With nine in ten people, {printed.value:.0f}% of the mistakes of "
        f"{called(name)} are its own. If we spoke of disagreement as soon as one person gave another class, "
        f"the share would be {strict.value:.0f}%. If we spoke of disagreement only where fewer than "
        f"half of people gave the label, the share would be {lenient.value:.0f}%."
    )
