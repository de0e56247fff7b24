"""Networks beside people, who labelled the same test images (CIFAR-10H), as a record.

The answers of single images are no part of the record: it holds sums over images, a coarse
category of each image, and the images of a few lists. These are derived from CIFAR-10H (Peterson
et al. 2019), CC BY-NC-SA 4.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cifarcam import data, runs
from cifarcam.data import CLASS_NAMES, evidence
from cifarcam.data import people as answers
from cifarcam.evaluation import SMALLEST_PROBABILITY
from cifarcam.runs import Run
from cifarcam.studies import calibration, confusion_pairs, people_table, records
from cifarcam.studies.agreement import GOOD_ACCURACY
from cifarcam.studies.confusion_pairs import PeopleLikeness

RECORD = "people"
SOURCE = (
    "derived from CIFAR-10H (Peterson et al. 2019), https://github.com/jcpeterson/cifar-10h, "
    "license CC BY-NC-SA 4.0; so are these values"
)


@dataclass(frozen=True)
class Answers:
    """A network's predicted classes beside people's answers.

    Attributes
    ----------
    accuracy
        Share of images whose label it predicts, %.
    by_majority
        Share of images of which it predicts the class that most people choose, %.
    by_people
        Mean share of people who choose the predicted class, %.
    mistakes
        Wrong predictions by pair of classes, both ways.
    likeness
        How alike it and people confuse the pairs.
    """

    accuracy: float
    by_majority: float
    by_people: float
    mistakes: tuple[int, ...]
    likeness: PeopleLikeness


@dataclass(frozen=True)
class Certainty:
    """A network's probabilities beside people's distributions.

    Attributes
    ----------
    loss
        Cross-entropy of people's distribution, nats.
    loss_scaled
        The same after one temperature: each half of the images is scaled by the temperature that
        fits the labels of the other half best.
    temperature
        Geometric mean of the two temperatures.
    entropy
        Rank correlation over images of the scaled probability of the predicted class with the
        entropy of people's distribution.
    entropy_right
        The same over the images that the network classifies correctly.
    confidence, right
        Mean scaled probability of the predicted class, and accuracy, by bin of people's agreement,
        %; None in an empty bin.
    """

    loss: float
    loss_scaled: float
    temperature: float
    entropy: float
    entropy_right: float
    confidence: tuple[float | None, ...]
    right: tuple[float | None, ...]


def compare(
    predictions: Mapping[str, np.ndarray], people: np.ndarray, labels: np.ndarray
) -> dict[str, Answers]:
    """Set the predicted classes of several networks beside people's answers.

    Parameters
    ----------
    predictions
        Predicted classes of each network, integers, N.
    people, labels
        N x C and N.
    """
    people_table.check(people, labels)
    alike = confusion_pairs.likeness(predictions, people, labels)
    top, every = people.argmax(axis=1), np.eye(people.shape[1])
    return {
        name: Answers(
            100 * float((predicted == labels).mean()),
            100 * float((predicted == top).mean()),
            100 * float(people_table.of_class(people, predicted).mean()),
            tuple(
                confusion_pairs.both_ways(confusion_pairs.by_class(every[predicted], labels))
                .astype(int)
                .tolist()
            ),
            alike[name],
        )
        for name, predicted in predictions.items()
    }


def certainty(probabilities: np.ndarray, people: np.ndarray, labels: np.ndarray) -> Certainty:
    """Set a network's probabilities (N x C) beside people's distributions.

    How sure a network is, is measured after the temperature, so that networks can be compared.
    """
    people_table.check(people, labels)
    scaled, temperature = calibration.scale_by_halves(probabilities, labels)
    confidence = scaled.max(axis=1)
    right, entropy = probabilities.argmax(axis=1) == labels, people_table.entropies(people)
    bins = people_table.agreement_bins(people)
    return Certainty(
        cross_entropy(probabilities, people),
        cross_entropy(scaled, people),
        temperature,
        confusion_pairs.rank_correlation(confidence, entropy),
        confusion_pairs.rank_correlation(confidence[right], entropy[right]),
        _means(100 * confidence, bins),
        _means(100 * right, bins),
    )


def cross_entropy(probabilities: np.ndarray, people: np.ndarray) -> float:
    """Mean cross-entropy of people's distributions under a network's probabilities, nats."""
    floored = np.maximum(probabilities.astype(np.float64), SMALLEST_PROBABILITY)
    return float(-(people * np.log(floored)).sum(axis=1).mean())


def easy_for_people(votes: np.ndarray, people: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Indices of the images whose label everyone chooses and every network misses, int64.

    Parameters
    ----------
    votes
        Predicted class of each network, integers, K x N; without networks there is no such image.
    people, labels
        N x C and N.
    """
    everyone = people_table.categories(people, labels) == people_table.UNANIMOUS
    return _where(everyone & (votes != labels).all(axis=0), votes)


def easy_for_networks(votes: np.ndarray, people: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Indices of the images whose label under half of people choose and every network predicts."""
    few = people_table.categories(people, labels) == people_table.FEWER
    return _where(few & (votes == labels).all(axis=0), votes)


def good_votes(every: Sequence[Run]) -> dict[str, np.ndarray]:
    """The class that each experiment of at least 85% mean test accuracy predicts, int64, N.

    As in `agreement.suspects`, an experiment has one vote: the mean probability of its seeds.
    """
    experiments: dict[str, list[Run]] = {}
    for run in every:
        experiments.setdefault(run.experiment.name, []).append(run)
    return {
        name: np.mean([run.predictions for run in seeds], axis=0).argmax(axis=1)
        for name, seeds in experiments.items()
        if np.mean([run.metrics["test"]["accuracy"] for run in seeds]) >= GOOD_ACCURACY
    }


def measure() -> dict[str, Any]:
    """Compare every network on CIFAR-10, and thirty published networks, with people."""
    dataset, people = data.load(), answers.people()
    labels, every = dataset.test.labels, runs.every(dataset)
    predicted = {run.name: run.predictions.argmax(axis=1) for run in every}
    published = {
        name: classes.astype(np.int64) for name, classes in evidence.published_predictions().items()
    }
    compared = compare(predicted | published, people, labels)
    good = good_votes(every)
    votes = np.array(list(good.values()), np.int64).reshape(-1, len(labels))
    top, bins = people.argmax(axis=1), people_table.agreement_bins(people)
    return {
        "inputs": records.inputs(dataset, runs=every) | {"people": answers.TABLE.sha256},
        "source": SOURCE,
        "facts": asdict(people_table.facts(people, labels)),
        "agreement": "".join(map(str, people_table.categories(people, labels).tolist())),
        "majority": {str(n): int(top[n]) for n in np.flatnonzero(top != labels)},
        "bins": {
            "count": np.bincount(bins, minlength=len(people_table.EDGES) + 1).tolist(),
            "share": _means(100 * people.max(axis=1), bins),
        },
        "good": list(good),
        "easy_for_people": easy_for_people(votes, people, labels).tolist(),
        "easy_for_networks": easy_for_networks(votes, people, labels).tolist(),
        "runs": [
            {
                "experiment": run.experiment.name,
                "seed": run.experiment.training.seed,
                "answers": _short(compared[run.name]),
                "certainty": _short(certainty(run.predictions, people, labels)),
            }
            for run in every
        ],
        "published": {name: _short(compared[name]) for name in published},
    }


def agreement(record: Mapping[str, Any]) -> np.ndarray:
    """The record's index of `people_table.CATEGORIES` of each test image, int64, 10,000."""
    return np.array(list(record["agreement"]), np.int64)


def majority(record: Mapping[str, Any], labels: np.ndarray) -> np.ndarray:
    """The class that most people choose for each test image, int64, N.

    Parameters
    ----------
    record
        It names the images where that class is not the label.
    labels
        Labels of the test images, integers.
    """
    classes = labels.astype(np.int64)
    for image, choice in record["majority"].items():
        classes[int(image)] = choice
    return classes


def names_of_pairs() -> list[str]:
    """The pairs of classes in the order of `confusion_pairs.both_ways`."""
    first, second = np.triu_indices(len(CLASS_NAMES), 1)
    return [
        f"{CLASS_NAMES[one]} – {CLASS_NAMES[other]}"
        for one, other in zip(first, second, strict=True)
    ]


def _means(values: np.ndarray, bins: np.ndarray) -> tuple[float | None, ...]:
    return tuple(
        float(values[bins == k].mean()) if (bins == k).any() else None
        for k in range(len(people_table.EDGES) + 1)
    )


def _where(mask: np.ndarray, votes: np.ndarray) -> np.ndarray:
    return np.flatnonzero(mask if len(votes) else np.zeros_like(mask)).astype(np.int64)


def _short(value: Any) -> Any:
    """A dataclass as JSON takes it, numbers rounded to the sixth place."""
    if hasattr(value, "__dataclass_fields__"):
        return {name: _short(one) for name, one in vars(value).items()}
    if isinstance(value, tuple):
        return [_short(one) for one in value]
    return round(value, 6) if isinstance(value, float) else value
