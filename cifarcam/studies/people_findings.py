"""How networks compare with people, concluded from the record `people` in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cifarcam.studies import inference, twins
from cifarcam.studies.inference import Effect
from cifarcam.studies.networks import called
from cifarcam.studies.people_networks import AgainstPeople
from cifarcam.studies.wording import capital, number

CLEARLY = -0.5  # a rank correlation nearer to 0 is called weak
NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five"}
NORMAL = 1.96  # standard errors that a 95% interval reaches to either side


@dataclass(frozen=True)
class Score:
    """The most accurate network beside a single person.

    Attributes
    ----------
    name
        The network.
    accuracy
        How often it gives the label, %.
    person
        How often a person does, on average, %.
    by_people, pair
        How often a person would answer as the network, and as another person, %.
    loss, loss_scaled, entropy
        The network's cross-entropy against people, the same after one temperature, and the lowest
        possible, nats.
    sentence, loss_sentence
        The results in words.
    """

    name: str
    accuracy: Effect
    person: float
    by_people: Effect
    pair: float
    loss: Effect
    loss_scaled: Effect
    entropy: float
    sentence: str
    loss_sentence: str


def score(found: Sequence[AgainstPeople], record: Mapping[str, Any]) -> Score:
    """Whether the most accurate network gives the label as often as one person does.

    Compared with the interval over seeds, or with the single value.
    """
    best, facts = found[0], record["facts"]
    name, value = capital(called(best.name)), best.accuracy.value
    low, high = (
        (value, value) if math.isnan(best.accuracy.low) else (best.accuracy.low, best.accuracy.high)
    )
    numbers = f"({value:.1f}% against {facts['label']:.1f}%)"
    if low > facts["label"]:
        sentence = f"{name} gives the label more often than a single person does {numbers}."
    elif high < facts["label"]:
        sentence = f"{name} gives the label less often than a single person does {numbers}."
    else:
        sentence = f"{name} gives the label about as often as a single person does {numbers}."
    return Score(
        best.name,
        best.accuracy,
        facts["label"],
        best.by_people,
        facts["pair"],
        best.loss,
        best.loss_scaled,
        facts["entropy"],
        sentence,
        _loss_sentence(found),
    )


def _loss_sentence(found: Sequence[AgainstPeople]) -> str:
    """Whether one temperature brings the networks closer to people, the most accurate first."""
    changes = [one.loss_scaled.value - one.loss.value for one in found]
    closer = [change < 0 for change in changes]
    start = "One temperature brings"
    if all(closer):
        return f"{start} every network closer to people."
    if not any(closer):
        return f"{start} no network closer to people."
    start = f"{start} {sum(closer)} of {len(closer)} networks closer to people,"
    if closer[0]:
        return f"{start} among them the most accurate network."
    first = closer.index(True)
    if first == 1 or not all(closer[first:]):
        return f"{start} but not the most accurate network."
    return f"{start} but not the {NUMBERS.get(first, first)} most accurate networks."


@dataclass(frozen=True)
class Confusion:
    """Whether networks confuse the classes that people confuse, and whether accuracy matters.

    Attributes
    ----------
    networks
        Number of networks of this report.
    lowest, highest
        Their lowest and highest rank correlation with people.
    margins_lowest, margins_highest
        The same of the mistakes that the classes alone would give.
    beyond_lowest, beyond_highest
        The same of what the classes alone leave.
    seeds
        Mean rank correlation between two seeds of the most accurate network.
    published
        Number of published networks.
    accuracy, accuracy_equal
        Over published networks, rank correlation of their accuracy with their likeness to people:
        with all their mistakes, and with equally many mistakes of each.
    sentence, accuracy_sentence
        The results in words.
    """

    networks: int
    lowest: float
    highest: float
    margins_lowest: float
    margins_highest: float
    beyond_lowest: float
    beyond_highest: float
    seeds: float
    published: int
    accuracy: Effect
    accuracy_equal: Effect
    sentence: str
    accuracy_sentence: str


def confusion(found: Sequence[AgainstPeople], record: Mapping[str, Any]) -> Confusion:
    """Compare the networks' confusions with people's and with what the classes alone would give.

    A network confuses what people confuse beyond its classes when its rank correlation minus 1.96
    standard errors over images lies above that of the expected mistakes.
    """
    observed, margins, beyond = (
        [getattr(one, field).value for one in found]
        for field in ("observed", "by_margins", "beyond")
    )
    above = [one.observed.value - NORMAL * one.error > one.by_margins.value for one in found]
    values = f"the rank correlation over the 45 pairs is {_span(observed)}"
    alone = f"mistakes spread by chance give {_span(margins)}"
    if all(above):
        sentence = (
            f"Every network confuses the classes that people confuse: {values}, while {alone}."
        )
    elif any(above):
        sentence = (
            f"Of the {len(found)} networks, {sum(above)} confuse the classes that people confuse, "
            f"beyond what their classes explain: {values}, and {alone}."
        )
    else:
        sentence = (
            "The networks confuse what people confuse no more than their classes explain: "
            f"{values}, and {alone}."
        )
    entries = list(record["published"].values())
    accuracy = [one["accuracy"] for one in entries]
    effects = [
        inference.rank_correlation(accuracy, [one["likeness"][field] for one in entries])
        for field in ("observed", "equal")
    ]
    return Confusion(
        len(found),
        min(observed),
        max(observed),
        min(margins),
        max(margins),
        min(beyond),
        max(beyond),
        found[0].seeds,
        len(entries),
        effects[0],
        effects[1],
        sentence,
        _accuracy_sentence(*effects),
    )


def _accuracy_sentence(plain: Effect, equal: Effect) -> str:
    """Whether more accurate published networks are more like people."""
    one, other = number(plain.value, 2), number(equal.value, 2)
    if plain.high < 0 < equal.low:
        return (
            "More accurate published networks seem less like people when all their mistakes are "
            f"counted (rank correlation {one}). This is because they make fewer mistakes: with equally "
            f"many mistakes of each network, they are more like people ({other})."
        )
    if plain.high < 0 <= equal.high:
        return (
            "More accurate published networks seem less like people when all their mistakes are "
            f"counted (rank correlation {one}). With equally many mistakes of each network, no "
            f"difference remains beyond chance ({other})."
        )
    if equal.high < 0:
        return (
            "With equally many mistakes of each network, more accurate published networks are less "
            f"like people (rank correlation {other})."
        )
    if equal.low > 0:
        return (
            "With equally many mistakes of each network, more accurate published networks are more "
            f"like people (rank correlation {other})."
        )
    return (
        "The accuracy of a published network does not tell how much the network is like people (rank "
        f"correlation {other}, with equally many mistakes of each network)."
    )


@dataclass(frozen=True)
class Sureness:
    """Whether networks are less sure where people disagree.

    Attributes
    ----------
    weakest, strongest
        Rank correlation over images of a network's probability, after one temperature, with
        people's entropy: the one nearest to 0 or above it, and the lowest.
    weakest_name, strongest_name
        Their networks.
    right_weakest, right_strongest
        The range of the same over each network's right predictions.
    best
        The most accurate network.
    agreed, disputed
        Its mean probability, after one temperature, where everyone agrees, and where no class has
        half of people, %.
    agreed_right, disputed_right
        Its accuracy there, %.
    disputed_low, disputed_high
        Wilson's 95% interval of `disputed_right` over these images, %; NaN where there are none.
    disputed_images
        Number of images on which no class has half of people.
    sentence, fall_sentence
        The results in words; the second compares how far the best network's accuracy and its
        probability fall from where everyone agrees.
    """

    weakest: float
    weakest_name: str
    strongest: float
    strongest_name: str
    right_weakest: float
    right_strongest: float
    best: str
    agreed: float
    disputed: float
    agreed_right: float
    disputed_right: float
    disputed_low: float
    disputed_high: float
    disputed_images: int
    sentence: str
    fall_sentence: str


def sureness(found: Sequence[AgainstPeople], record: Mapping[str, Any]) -> Sureness:
    """Whether each network is less sure where people disagree.

    A network is when its rank correlation lies below -1.96 standard errors over independent images.
    """
    bound = -NORMAL / math.sqrt(record["facts"]["images"] - 1)
    order = sorted(found, key=lambda one: -one.entropy.value)
    weakest, strongest, best = order[0], order[-1], found[0]
    less = [one.entropy.value < bound for one in found]
    if all(less) and strongest.entropy.value > CLEARLY:
        sentence = "Every network tends to be less sure where people disagree, but the link is weak: the rank "
    elif all(less):
        sentence = "Every network tends to be less sure where people disagree: the rank "
    elif any(less):
        sentence = (
            f"Of the {len(found)} networks, {sum(less)} tend to be less sure where people disagree: "
            "the rank "
        )
    else:
        sentence = "No network is measurably less sure where people disagree: the rank "
    ends = f"{number(strongest.entropy.value, 2)} to {number(weakest.entropy.value, 2)}"
    sentence += f"correlation of its probability with the entropy of people's answers is {ends}."
    images, right = record["bins"]["count"][0], float(best.right[0])
    low, high = twins.interval_of(right, images) if images else (math.nan, math.nan)
    return Sureness(
        weakest.entropy.value,
        weakest.name,
        strongest.entropy.value,
        strongest.name,
        max(one.entropy_right.value for one in found),
        min(one.entropy_right.value for one in found),
        best.name,
        float(best.confidence[-1]),
        float(best.confidence[0]),
        float(best.right[-1]),
        right,
        low,
        high,
        images,
        sentence,
        _fall_sentence(
            float(best.right[-1]) - right, float(best.confidence[-1] - best.confidence[0])
        ),
    )


def _fall_sentence(accuracy: float, probability: float) -> str:
    """How far accuracy and probability fall, in points, where people disagree."""
    if math.isnan(accuracy - probability):
        return "People agree or disagree on too few images to compare accuracy and probability."
    numbers = f"({number(accuracy, 0)} and {number(probability, 0)} points)"
    if accuracy > probability:
        return (
            "From agreed to disputed images, its accuracy falls further than its probability "
            f"{numbers}."
        )
    return (
        "From agreed to disputed images, its accuracy falls no further than its probability "
        f"{numbers}."
    )


def _span(values: Sequence[float]) -> str:
    low, high = number(min(values), 2), number(max(values), 2)
    return low if low == high else f"{low} to {high}"
