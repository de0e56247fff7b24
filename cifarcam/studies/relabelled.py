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


@dataclass(frozen=True)
class Followed:
    """How often a network predicts the class that an algorithm suggests in place of a label.

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
    """

    name: str
    corrected: Effect
    undecided: Effect
    confirmed: Effect
    difference: Effect


@dataclass(frozen=True)
class Following:
    """Whether networks leave doubtful labels for the suggested class more often than good labels.

    Attributes
    ----------
    networks, beyond
        Number of networks, and of those that do so beyond chance (Holm, 5%).
    doubtful, corrected, confirmed
        Mean over networks of the shares, %: labels not confirmed, those of them that people
        corrected, and labels confirmed.
    sentence
        The result in words.
    """

    networks: int
    beyond: int
    doubtful: float
    corrected: float
    confirmed: float
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
        difference = inference.unpaired_over_seeds(
            by_image[votes.doubtful], by_image[votes.confirmed], "points"
        )
        difference = replace(difference, over="test images")
        results.append(Followed(name, corrected, open_ones, confirmed, difference))
    return tuple(results)


def following(networks: Sequence[Followed], votes: LabelVotes) -> Following:
    """Summarise `followed` over the networks."""
    tested = [one.difference for one in networks if not math.isnan(one.difference.p)]
    adjusted = inference.holm([effect.p for effect in tested])
    beyond = sum(
        effect.value > 0 and float(p) < 1 - LEVEL
        for effect, p in zip(tested, adjusted, strict=True)
    )
    corrected = float(np.mean([one.corrected.value for one in networks]))
    undecided = float(np.mean([one.undecided.value for one in networks]))
    confirmed = float(np.mean([one.confirmed.value for one in networks]))
    share = votes.corrected.sum() / votes.doubtful.sum()
    doubtful = float(share * corrected + (1 - share) * undecided)
    numbers = f"({doubtful:.0f}% against {confirmed:.0f}%, mean of the networks)"
    if beyond == len(networks):
        sentence = (
            "Every network leaves a label for the suggested class more often where people doubt "
            f"the label than where they confirm it {numbers}."
        )
    elif beyond:
        sentence = (
            f"{beyond} of {len(networks)} networks leave a label for the suggested class more often "
            f"where people doubt the label than where they confirm it {numbers}. For the other "
            "networks chance can explain the difference."
        )
    else:
        sentence = (
            "After Holm's correction, no single network leaves a label for the suggested class "
            f"measurably more often where people doubt the label than where they confirm it {numbers}."
        )
    return Following(len(networks), beyond, doubtful, corrected, confirmed, sentence)


@dataclass(frozen=True)
class Rescored:
    """A network's accuracy on the labels as they are, without doubtful ones, and with corrections.

    Attributes
    ----------
    name
        The network.
    accuracy, without, corrected
        Percent, mean over seeds: on all images, without the images whose label people do not
        confirm, and on all images with the labels that people prefer.
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
    """What doubtful labels do to the accuracies of several networks.

    Attributes
    ----------
    least, most
        Smallest and largest gain without the doubtful images, points.
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
    """Accuracy of each network without the doubtful images, and with the corrected labels.

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
        f"(by {_signed(min(gains))} to {_signed(max(gains))} points without these images, by "
        f"{_signed(min(corrections))} to {_signed(max(corrections))} points with the labels that "
        "people prefer)"
    )
    if same:
        sentence = f"Doubtful labels change accuracies little {changes}, and no network's rank."
    else:
        sentence = f"Doubtful labels change accuracies {changes} and the order of the networks."
    return Rescoring(min(gains), max(gains), min(corrections), max(corrections), same, sentence)


def predicted_classes(networks: Mapping[str, Sequence[Run]]) -> dict[str, np.ndarray]:
    """Predicted classes of the test images, int64, seeds x N, of each network with its runs."""
    return {
        name: np.stack([run.predictions.argmax(axis=1) for run in seeds])
        for name, seeds in networks.items()
    }


def _signed(value: float) -> str:
    return f"{value:+z.2f}".replace("-", "−")
