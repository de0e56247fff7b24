"""What networks make of labels that people judged: how often they prefer the other class."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cifarcam.data.evidence import LabelVotes
from cifarcam.errors import CifarcamError
from cifarcam.runs import Run
from cifarcam.studies import inference
from cifarcam.studies.inference import LEVEL, Effect
from cifarcam.studies.wording import number


@dataclass(frozen=True)
class Followed:
    """How often a network predicts the class that another network suggests in place of a label.

    Attributes
    ----------
    name
        The network.
    corrected, undecided, confirmed
        Share of the images on which it does so, %, mean over seeds: images of which a majority of
        five people chose the suggested class, no majority chose one class, and a majority chose the
        label.
    difference
        The first two together minus the third, points, over images; each image counts by the share
        of the seeds (Welch's t).
    by_image
        Share of the seeds that do so, %, float64, of each judged image.
    """

    name: str
    corrected: Effect
    undecided: Effect
    confirmed: Effect
    difference: Effect
    by_image: np.ndarray


@dataclass(frozen=True)
class Following:
    """Whether networks leave labels that people did not confirm more often than confirmed labels.

    Attributes
    ----------
    networks, beyond
        Number of networks, and of those that do so beyond chance by themselves (Holm, 5%).
    doubtful, corrected, confirmed
        Mean over networks of the shares, %: labels not confirmed, those of them that people
        corrected, and labels confirmed.
    difference
        The first minus the last of these, points, over images; each image counts by the mean over
        networks of the share of the seeds (Welch's t).
    sentence
        The result in words.
    """

    networks: int
    beyond: int
    doubtful: float
    corrected: float
    confirmed: float
    difference: Effect
    sentence: str


def followed(predicted: Mapping[str, np.ndarray], votes: LabelVotes) -> tuple[Followed, ...]:
    """How often each network predicts the suggested class, by what people said of the label.

    Parameters
    ----------
    predicted
        Predicted classes by network, integers, seeds x N.
    votes
        What people said; each of the three groups has at least one image.

    Raises
    ------
    CifarcamError
        When a group is empty.
    """
    undecided = votes.doubtful & ~votes.corrected
    groups = (votes.corrected, undecided, votes.confirmed)
    if not all(group.any() for group in groups):
        raise CifarcamError(
            f"{[int(group.sum()) for group in groups]} labels corrected, undecided and confirmed; "
            "give at least one of each"
        )
    results = []
    for name, seeds in predicted.items():
        same = seeds[:, votes.images] == votes.suggested
        corrected, open_ones, confirmed = (
            inference.over_seeds(100 * same[:, group].mean(axis=1), "%") for group in groups
        )
        by_image = 100 * same.mean(axis=0)
        difference = _difference(by_image, votes)
        results.append(Followed(name, corrected, open_ones, confirmed, difference, by_image))
    return tuple(results)


def _difference(by_image: np.ndarray, votes: LabelVotes) -> Effect:
    """Labels not confirmed minus labels confirmed, over images."""
    effect = inference.unpaired_over_seeds(
        by_image[votes.doubtful], by_image[votes.confirmed], "points"
    )
    return replace(effect, over="test images")


def following(networks: Sequence[Followed], votes: LabelVotes) -> Following:
    """Summarise `followed` over the networks.

    All networks are asked about the same images, so that their differences are no independent
    findings: the answer is the difference of their mean. Single networks come after it.
    """
    by_image = np.mean([one.by_image for one in networks], axis=0)
    difference = _difference(by_image, votes)
    tested = [one.difference for one in networks if not math.isnan(one.difference.p)]
    adjusted = inference.holm([effect.p for effect in tested])
    beyond = sum(
        effect.value > 0 and float(p) < 1 - LEVEL
        for effect, p in zip(tested, adjusted, strict=True)
    )
    corrected = float(np.mean([one.corrected.value for one in networks]))
    doubtful = float(by_image[votes.doubtful].mean())
    confirmed = float(by_image[votes.confirmed].mean())
    sentence = f"{_pooled(difference, doubtful, confirmed)} {_singly(beyond, len(networks))}"
    return Following(len(networks), beyond, doubtful, corrected, confirmed, difference, sentence)


def _pooled(difference: Effect, doubtful: float, confirmed: float) -> str:
    numbers = f"{doubtful:.0f}% against {confirmed:.0f}%"
    if math.isnan(difference.p):
        return (
            "These are too few images to tell whether networks predict the suggested class more often "
            f"where people did not confirm the label ({numbers})."
        )
    numbers += (
        f", difference {number(difference.value, signed=True)} points, 95% interval "
        f"{number(difference.low)} to {number(difference.high)} over test images, Welch"
    )
    if difference.low > 0 or difference.high < 0:
        often = "more often" if difference.low > 0 else "less often"
        return (
            f"On average, the networks predict the suggested class {often} where people did not "
            f"confirm the label than where people confirmed it ({numbers})."
        )
    return (
        "We cannot tell whether networks predict the suggested class more often where people did not "
        f"confirm the label than where people confirmed it ({numbers}, mean of the networks)."
    )


def _singly(beyond: int, networks: int) -> str:
    if beyond == networks:
        return "Every single network does so measurably, even after Holm's correction."
    if beyond:
        return (
            f"Of the {networks} networks, {beyond} do so measurably even after Holm's correction for "
            "the number of networks."
        )
    return (
        "After Holm's correction for the number of networks, no single network does so measurably."
    )


@dataclass(frozen=True)
class Rescored:
    """A network's accuracy on all labels, without those not confirmed, and with corrections.

    Attributes
    ----------
    name
        The network.
    accuracy, without, corrected
        Percent, mean over seeds: on all images, without the images whose label the five people did
        not confirm, and on all images with the labels that they prefer.
    gain_without, gain_corrected
        The second and the third minus the first, points, paired by seed.
    """

    name: str
    accuracy: Effect
    without: Effect
    corrected: Effect
    gain_without: Effect
    gain_corrected: Effect


@dataclass(frozen=True)
class Rescoring:
    """What labels that the five people did not confirm do to the accuracies of several networks.

    Attributes
    ----------
    least, most
        Smallest and largest gain without the images of these labels, points.
    least_corrected, most_corrected
        The same with the corrected labels.
    same_order
        Whether the order of the networks by accuracy stays the same both times.
    sentence
        The result in words.
    """

    least: float
    most: float
    least_corrected: float
    most_corrected: float
    same_order: bool
    sentence: str


def rescored(
    predicted: Mapping[str, np.ndarray], labels: np.ndarray, votes: LabelVotes
) -> tuple[Rescored, ...]:
    """Accuracy of each network without the labels not confirmed, and with the corrected labels.

    Parameters
    ----------
    predicted
        Predicted classes by network, integers, seeds x N.
    labels
        Integers, N.
    votes
        What people said.
    """
    kept = np.ones(len(labels), bool)
    kept[votes.images[votes.doubtful]] = False
    better = labels.copy()
    better[votes.images[votes.corrected]] = votes.suggested[votes.corrected]
    results = []
    for name, seeds in predicted.items():
        as_is = 100 * (seeds == labels).mean(axis=1)
        without = 100 * (seeds == labels)[:, kept].mean(axis=1)
        corrected = 100 * (seeds == better).mean(axis=1)
        results.append(
            Rescored(
                name,
                inference.over_seeds(as_is, "%"),
                inference.over_seeds(without, "%"),
                inference.over_seeds(corrected, "%"),
                inference.paired_over_seeds(without, as_is, "points"),
                inference.paired_over_seeds(corrected, as_is, "points"),
            )
        )
    return tuple(results)


def rescoring(networks: Sequence[Rescored]) -> Rescoring:
    """Summarise `rescored` over the networks."""
    gains = [one.gain_without.value for one in networks]
    corrections = [one.gain_corrected.value for one in networks]

    def order(kind: str) -> list[str]:
        return [one.name for one in sorted(networks, key=lambda one: -getattr(one, kind).value)]

    same = order("accuracy") == order("without") == order("corrected")
    changes = (
        f"(by {number(min(gains), 2, signed=True)} to {number(max(gains), 2, signed=True)} points without these images, by "
        f"{number(min(corrections), 2, signed=True)} to {number(max(corrections), 2, signed=True)} points with the labels that "
        "the five people prefer)"
    )
    if same:
        sentence = (
            f"The labels that the five people did not confirm hardly change accuracies {changes}. They "
            "change no network's rank."
        )
    else:
        sentence = (
            f"The labels that the five people did not confirm change accuracies {changes} and the "
            "order of the networks."
        )
    return Rescoring(min(gains), max(gains), min(corrections), max(corrections), same, sentence)


def predicted_classes(networks: Mapping[str, Sequence[Run]]) -> dict[str, np.ndarray]:
    """Predicted classes of the test images, int64, seeds x N, of each network with its runs."""
    return {
        name: np.stack([run.predictions.argmax(axis=1) for run in seeds])
        for name, seeds in networks.items()
    }
