"""What the record `people` says of the networks of this report, and in words."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cifarcam.data import CLASS_NAMES, evidence
from cifarcam.studies import confusion_pairs, inference, networks, people
from cifarcam.studies.inference import Effect

# Experiments by display name.
NETWORKS: Mapping[str, str] = {
    "baseline": "baseline",
    **networks.LONG,
    "speedrun": "speedrun",
}


@dataclass(frozen=True)
class AgainstPeople:
    """A network beside people, over its seeds.

    Attributes
    ----------
    name
        The network.
    accuracy, by_majority, by_people, loss, loss_scaled, entropy, entropy_right
        As in `people.Answers` and `people.Certainty`, means over seeds.
    observed, by_margins, beyond, equal
        As in `confusion_pairs.PeopleLikeness`, means over seeds.
    error
        Standard error of `observed` over test images, mean over seeds.
    seeds
        Mean rank correlation of the confusions of two seeds of the network: how alike two observers
        are that differ by chance alone; NaN for a single seed.
    mistakes
        Mean wrong predictions by pair of classes, float64, 45.
    confidence, right
        Mean probability of the predicted class after one temperature, and accuracy, by bin of
        people's agreement, %, float64; NaN in an empty bin.
    """

    name: str
    accuracy: Effect
    by_majority: Effect
    by_people: Effect
    loss: Effect
    loss_scaled: Effect
    entropy: Effect
    entropy_right: Effect
    observed: Effect
    by_margins: Effect
    beyond: Effect
    equal: Effect
    error: float
    seeds: float
    mistakes: np.ndarray
    confidence: np.ndarray
    right: np.ndarray


def of_record(record: Mapping[str, Any]) -> tuple[AgainstPeople, ...]:
    """The networks of `NETWORKS` that the record holds, from the most accurate on."""
    entries = {
        name: [run for run in record["runs"] if run["experiment"] == experiment]
        for name, experiment in NETWORKS.items()
    }
    found = [_network(name, seeds) for name, seeds in entries.items() if seeds]
    return tuple(sorted(found, key=lambda one: -one.accuracy.value))


def _network(name: str, entries: Sequence[Mapping[str, Any]]) -> AgainstPeople:
    answers = [entry["answers"] for entry in entries]
    certainty = [entry["certainty"] for entry in entries]
    alike = [one["likeness"] for one in answers]

    def percent(field: str) -> Effect:
        return inference.over_seeds([part[field] for part in answers], "%")

    def of_certainty(field: str, unit: str) -> Effect:
        return inference.over_seeds([part[field] for part in certainty], unit)

    def of_likeness(field: str) -> Effect:
        return inference.over_seeds([part[field] for part in alike], "rank correlation")

    def by_bin(field: str) -> np.ndarray:
        return np.array([part[field] for part in certainty], np.float64).mean(axis=0)

    mistakes = np.array([part["mistakes"] for part in answers], np.float64)
    return AgainstPeople(
        name=name,
        accuracy=percent("accuracy"),
        by_majority=percent("by_majority"),
        by_people=percent("by_people"),
        loss=of_certainty("loss", "nats"),
        loss_scaled=of_certainty("loss_scaled", "nats"),
        entropy=of_certainty("entropy", "rank correlation"),
        entropy_right=of_certainty("entropy_right", "rank correlation"),
        observed=of_likeness("observed"),
        by_margins=of_likeness("by_margins"),
        beyond=of_likeness("beyond"),
        equal=of_likeness("equal"),
        error=float(np.mean([one["error"] for one in alike])),
        seeds=_between_seeds(mistakes),
        mistakes=mistakes.mean(axis=0),
        confidence=by_bin("confidence"),
        right=by_bin("right"),
    )


def _between_seeds(mistakes: np.ndarray) -> float:
    """Mean rank correlation over all pairs of seeds; NaN for a single seed."""
    pairs = itertools.combinations(mistakes, 2)
    values = [confusion_pairs.rank_correlation(one, other) for one, other in pairs]
    return float(np.mean(values)) if values else math.nan


@dataclass(frozen=True)
class Table:
    """What people's answers say by themselves, for prose; see `people_table.Facts`.

    Attributes
    ----------
    label, majority, entropy, unanimous, minority, another, pair
        As there.
    lowest, second, highest
        The classes whose label people choose least, second least and most often.
    lowest_share, second_share, highest_share
        How often they choose it, %.
    confused
        The four pairs that people confuse most, as a part of a sentence.
    """

    label: float
    majority: float
    entropy: float
    unanimous: float
    minority: int
    another: int
    pair: float
    lowest: str
    lowest_share: float
    second: str
    second_share: float
    highest: str
    highest_share: float
    confused: str


def table(record: Mapping[str, Any]) -> Table:
    """The facts of the record, with the names of classes and pairs."""
    facts = record["facts"]
    shares = np.array(facts["by_class"])
    order = np.argsort(shares, kind="stable")
    first = np.argsort(-np.array(facts["mistakes"]), kind="stable")[:4]
    pairs = [people.names_of_pairs()[k].replace(" – ", " and ") for k in first]
    lowest, second, highest = order[0], order[1], order[-1]
    return Table(
        label=facts["label"],
        majority=facts["majority"],
        entropy=facts["entropy"],
        unanimous=facts["unanimous"],
        minority=facts["minority"],
        another=facts["another"],
        pair=facts["pair"],
        lowest=CLASS_NAMES[lowest],
        lowest_share=float(shares[lowest]),
        second=CLASS_NAMES[second],
        second_share=float(shares[second]),
        highest=CLASS_NAMES[highest],
        highest_share=float(shares[highest]),
        confused=", ".join(pairs[:-1]) + f", and {pairs[-1]}",
    )


@dataclass(frozen=True)
class Lists:
    """Images easy for people and hard for networks, and the reverse.

    Attributes
    ----------
    good
        Number of experiments of at least 85% accuracy, each with one vote.
    for_people
        Images whose label everyone chooses and all of them miss.
    for_networks
        Images whose label fewer than half of people choose and all of them predict.
    doubtful
        Images of both lists whose label a majority of Northcutt et al.'s judges doubt.
    sentence
        The result in words.
    """

    good: int
    for_people: int
    for_networks: int
    doubtful: int
    sentence: str


def lists(record: Mapping[str, Any]) -> Lists:
    """Count the images of the two lists."""
    one, other, good = (
        record["easy_for_people"],
        record["easy_for_networks"],
        len(record["good"]),
    )
    votes = evidence.label_votes()
    doubtful = int(np.isin([*one, *other], votes.images[votes.doubtful]).sum())
    if not good:
        sentence = "No network at hand is that accurate, so no image follows either rule."
    else:
        sentence = f"{_accurate(good)} {_of_rules(len(one), len(other))}"
    return Lists(good, len(one), len(other), doubtful, sentence)


def _accurate(good: int) -> str:
    return "One network is that accurate." if good == 1 else f"{good} networks are that accurate."


def _of_rules(first: int, second: int) -> str:
    """How many images follow the two rules."""
    if not first and not second:
        return "No image follows either rule."
    if not first:
        return f"No image follows the first rule, and {_follow(second)} the second rule."
    if not second:
        return f"{_follow(first)} the first rule, and no image follows the second rule."
    return f"{_follow(first)} the first rule, and {_follow(second)} the second rule."


def _follow(count: int) -> str:
    return "1 image follows" if count == 1 else f"{count} images follow"
