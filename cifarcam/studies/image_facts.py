"""What is known of each CIFAR-10 test image besides its label, in masks and in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cifarcam.data import Dataset, evidence
from cifarcam.data.evidence import LabelVotes, Twins
from cifarcam.errors import CifarcamError
from cifarcam.runs import Run
from cifarcam.studies import records
from cifarcam.studies.agreement import suspects
from cifarcam.studies.labels import in_doubt
from cifarcam.studies.people import RECORD, agreement

# By `people_table.CATEGORIES`; the record holds no more than these degrees.
PEOPLE = (
    "All of about fifty people chose the label.",
    "At least 90% of about fifty people chose the label.",
    "At least half of about fifty people chose the label, but fewer than 90%.",
    "Fewer than half of about fifty people chose the label.",
)
DOUBT = "The label is in doubt, so a mistake may come from the label and not from the network."


@dataclass(frozen=True)
class ImageFacts:
    """What is known of the test images.

    Attributes
    ----------
    twins
        Whether a near twin is among the training images, bool, N.
    doubtful
        Whether the label is in doubt, bool, N.
    missed
        Whether no published network predicts the label, bool, N.
    people
        How far people agree with the label, an index of `people_table.CATEGORIES`, int64, N.
    sentences
        The same facts of each image, and what five people said of a label, in words; N.
    """

    twins: np.ndarray
    doubtful: np.ndarray
    missed: np.ndarray
    people: np.ndarray
    sentences: tuple[tuple[str, ...], ...]


def of_dataset(dataset: Dataset, every: Sequence[Run]) -> ImageFacts | None:
    """What is known of the test images of a dataset; None for the sample, which has other images.

    Parameters
    ----------
    dataset
        CIFAR-10 or the sample.
    every
        The runs that may contradict labels, see `agreement.suspects`.

    Raises
    ------
    CifarcamError
        When the record ``people`` is missing.
    """
    if dataset.is_sample:
        return None
    labels = dataset.test.labels
    return gather(
        labels,
        dataset.class_names,
        twins=evidence.twins(),
        votes=evidence.label_votes(),
        doubtful=in_doubt(dataset, suspects(every, labels).indices).indices,
        published=evidence.published_predictions(),
        people=agreement(records.load(RECORD)),
    )


def gather(
    labels: np.ndarray,
    class_names: Sequence[str],
    *,
    twins: Twins,
    votes: LabelVotes,
    doubtful: np.ndarray,
    published: Mapping[str, np.ndarray],
    people: np.ndarray,
) -> ImageFacts:
    """Put together what several sources say of the same test images.

    Parameters
    ----------
    labels
        True classes, integers, N.
    class_names
        A name for each class.
    twins, votes
        Near duplicates among the training images, and what five people said of some labels.
    doubtful
        Indices of the images whose label is in doubt.
    published
        Predicted classes by network, integers, N each; at least one network.
    people
        Index of `people_table.CATEGORIES` of each image, integers, N.

    Raises
    ------
    CifarcamError
        When there is no published network, or the numbers of images differ.
    """
    count = len(labels)
    if not published or any(len(one) != count for one in (*published.values(), people)):
        raise CifarcamError(
            f"facts about {count} images: give people's agreement and the predictions of at least "
            "one network on just these images"
        )
    right = np.sum([predicted == labels for predicted in published.values()], axis=0)
    said: list[list[str]] = [[] for _ in range(count)]
    for image, same_shot in zip(twins.images.tolist(), twins.same_shot.tolist(), strict=True):
        said[image].append(_twin_sentence(same_shot))
    for index, image in enumerate(votes.images.tolist()):
        said[image].append(votes_sentence(votes, index, class_names))
    in_question = set(doubtful.tolist())
    for image in range(count):
        said[image].append(PEOPLE[people[image]])
        if image in in_question:
            said[image].append(DOUBT)
        said[image].append(_published_sentence(int(right[image]), len(published)))
    return ImageFacts(
        _mask(twins.images, count),
        _mask(doubtful, count),
        right == 0,
        people.astype(np.int64),
        tuple(map(tuple, said)),
    )


def votes_sentence(votes: LabelVotes, index: int, class_names: Sequence[str]) -> str:
    """What five people said of a label and of the class suggested in its place, in words.

    Parameters
    ----------
    votes
        Of all judged labels.
    index
        Which of them.
    class_names
        A name for each class.
    """
    label, other = (class_names[which[index]] for which in (votes.labels, votes.suggested))
    answers = [(int(votes.for_label[index]), label), (int(votes.for_suggested[index]), other)]
    answers.sort(key=lambda answer: -answer[0])  # of equals the label first
    answers += [(int(votes.for_both[index]), "both"), (int(votes.for_neither[index]), "neither")]
    parts = [f"{n} {'says' if n == 1 else 'say'} {what}" for n, what in answers if n]
    if votes.corrected[index]:
        verdict = f"A majority corrects the label {label} to {other}."
    elif votes.confirmed[index]:
        verdict = f"A majority confirms the label {label}."
    else:
        verdict = f"No majority confirms the label {label}."
    return f"Five people were asked whether this is {_a(label)} or {_a(other)}: {', '.join(parts)}. {verdict}"


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _twin_sentence(same_shot: bool) -> str:
    start = "The training images hold a near twin of this image"
    if same_shot:
        return f"{start}, made from the same photograph."
    return f"{start}, a photograph that looks very much like it."


def _published_sentence(right: int, networks: int) -> str:
    if right == 0:
        return f"None of the {networks} published networks predicts the label."
    if right == networks:
        return f"All {networks} published networks predict the label."
    return f"Of the {networks} published networks, {right} predict{'s' if right == 1 else ''} the label."


def _mask(indices: np.ndarray, count: int) -> np.ndarray:
    mask = np.zeros(count, bool)
    mask[indices] = True
    return mask
