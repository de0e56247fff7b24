"""The choice of test images for the gallery, by rules and without looking at them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import confusion_matrix

from cifarcam import evaluation
from cifarcam.data import Dataset
from cifarcam.errors import CifarcamError
from cifarcam.runs import Run
from cifarcam.studies.image_facts import ImageFacts


@dataclass(frozen=True)
class Rules:
    """How many images the gallery takes.

    Attributes
    ----------
    first, mistakes
        Of each class: first images, and surest mistakes among the others. See `choose`.
    each
        Of each kind of which more is known than the label. See `add_known`.
    """

    first: int = 6
    mistakes: int = 5
    each: int = 15


RULES = Rules()


def of_run(run: Run, dataset: Dataset, facts: ImageFacts | None) -> np.ndarray:
    """The gallery's images according to `RULES`: indices of test images, int64, N.

    Parameters
    ----------
    run
        The run whose surest mistakes the gallery shows; the dataset's.
    dataset
        CIFAR-10 or the sample.
    facts
        What is known of the dataset's test images, or None.
    """
    by_class = choose(
        dataset.test.labels, run.predictions, first=RULES.first, mistakes=RULES.mistakes
    )
    return add_known(by_class, facts, each=RULES.each)


def choose(
    labels: np.ndarray, probabilities: np.ndarray, *, first: int, mistakes: int
) -> np.ndarray:
    """Choose first images and surest mistakes of each class.

    The rule takes the first images of each class in their order. Then it takes, from the other
    images of the class, those that a classifier gets wrong with the highest confidence, the most
    confident mistake first.

    Parameters
    ----------
    labels
        True classes, integers, N.
    probabilities
        Class probabilities of the classifier, N x classes.
    first, mistakes
        How many images and mistakes of each class; fewer if the class has fewer.

    Returns
    -------
    numpy.ndarray
        Indices of the images, int64, class by class.

    Raises
    ------
    CifarcamError
        When the shapes do not fit or a number is negative.
    """
    if first < 0:
        raise CifarcamError(f"gallery: the first {first} images of a class; give 0 or more")
    evaluation.most_confident_mistakes(probabilities, labels, mistakes)  # checks the arguments
    indices: list[int] = []
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        others = of_class[first:]
        indices += of_class[:first].tolist()
        if len(others):
            wrong = evaluation.most_confident_mistakes(
                probabilities[others], labels[others], mistakes
            )
            indices += others[wrong].tolist()
    return np.array(indices, np.int64)


def add_known(indices: np.ndarray, facts: ImageFacts | None, *, each: int) -> np.ndarray:
    """Add images of which more is known than the label.

    The rule takes, by their number in the test split, the first images whose label is in doubt, the
    first with a near twin among the training images, and the first that no published network
    classifies correctly. It adds those that are not there yet, in this order.

    Parameters
    ----------
    indices
        From `choose`.
    facts
        What is known of all test images; None adds nothing.
    each
        How many images of each of the three kinds to take; fewer if there are fewer.

    Returns
    -------
    numpy.ndarray
        Indices of the images, int64; those of `indices` first.

    Raises
    ------
    CifarcamError
        When `each` is negative.
    """
    if each < 0:
        raise CifarcamError(f"gallery: {each} images of each kind; give 0 or more")
    kinds = () if facts is None else (facts.doubtful, facts.twins, facts.missed)
    first = [np.flatnonzero(kind)[:each] for kind in kinds]
    together = np.concatenate([indices, *first])
    return together[np.sort(np.unique(together, return_index=True)[1])].astype(np.int64)


def count_cells(labels: np.ndarray, probabilities: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Count chosen images by true and by predicted class, int64, C x C.

    Parameters
    ----------
    labels
        True classes of all test images, integers, N.
    probabilities
        Class probabilities of all test images, N x C.
    indices
        The chosen images.
    """
    classes = np.arange(probabilities.shape[1])
    predicted = probabilities[indices].argmax(axis=1)
    return np.asarray(confusion_matrix(labels[indices], predicted, labels=classes))
