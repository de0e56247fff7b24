"""Networks on images other than the test set's: CIFAR-10.1, and classes that they never saw."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats
from sklearn import metrics

from cifarcam import evaluation
from cifarcam.errors import CifarcamError
from cifarcam.studies.inference import Effect

# Accuracies, %, on CIFAR-10's test images and on CIFAR-10.1 v4 and v6, of five of the thirty
# networks whose predictions Recht et al. (2018) publish; by their names there. The first number is
# computed again from `data.evidence.published_predictions` by a test.
PUBLISHED: Mapping[str, tuple[float, float, float]] = {
    "wrn_28_10": (95.9, 89.7, 90.2),
    "densenet_BC_100_12": (95.5, 87.6, 87.9),
    "resnet_basic_110": (93.5, 85.2, 85.4),
    "random_features_256k_aug": (85.6, 73.1, 73.6),
    "alexnet_tf_ben": (82.0, 68.9, 69.2),
}
TITLES: Mapping[str, str] = {
    "wrn_28_10": "WRN-28-10",
    "densenet_BC_100_12": "DenseNet-BC (100, 12)",
    "resnet_basic_110": "ResNet-110",
    "random_features_256k_aug": "random features, augmented",
    "alexnet_tf_ben": "AlexNet",
}
SURE = 0.9  # a confidence at which a reader would take an answer for certain


@dataclass(frozen=True)
class Fall:
    """How accuracy differs between the usual test images and new images of the same classes.

    Attributes
    ----------
    before, after
        Accuracy on the usual and on the new images, %.
    change
        `after` minus `before`, points; the images are others, so that nothing is paired.
    """

    before: float
    after: float
    change: Effect


@dataclass(frozen=True)
class PublishedFalls:
    """The cited networks' falls from CIFAR-10 to CIFAR-10.1 v6.

    Attributes
    ----------
    least, most
        The smallest and the greatest fall, points.
    same_order
        Whether the networks rank in the same order on both sets.
    slope
        Points of accuracy on the new images for each point on the usual ones, by least squares.
    sentence
        The result in words.
    """

    least: float
    most: float
    same_order: bool
    slope: float
    sentence: str


@dataclass(frozen=True)
class Unknown:
    """A network's confidence in images of classes that it knows and of classes that it does not.

    Attributes
    ----------
    known, unknown
        Mean probability of the predicted class, 0-1.
    sure
        Share of the unknown images on which that probability exceeds `SURE`, 0-1.
    auroc
        Probability that a known image gets a higher confidence than an unknown image, ties
        counting one half, 0-1 (Hendrycks and Gimpel 2016, section 2.1). At 0.5 confidence says
        nothing.
    """

    known: float
    unknown: float
    sure: float
    auroc: float


def fall(correct: np.ndarray, new_correct: np.ndarray) -> Fall:
    """Compare the accuracy on two sets of different images.

    The interval is Newcombe's (1998, method 10), which combines the Wilson intervals of the two
    proportions; the test is that of two proportions with a pooled variance.

    Parameters
    ----------
    correct, new_correct
        Whether each usual (bool, N) and each new image (bool, M) was classified rightly.

    Raises
    ------
    CifarcamError
        When there is no image on one side.
    """
    if not len(correct) or not len(new_correct):
        raise CifarcamError(f"{len(correct)} and {len(new_correct)} images; give at least one each")
    before, after = float(correct.mean()), float(new_correct.mean())
    (low_before, high_before), (low_after, high_after) = (
        evaluation.wilson_interval(int(one.sum()), len(one)) for one in (correct, new_correct)
    )
    change = after - before
    low = change - math.hypot(after - low_after, high_before - before)
    high = change + math.hypot(high_after - after, before - low_before)
    pooled = float(np.concatenate([correct, new_correct]).mean())
    error = math.sqrt(pooled * (1 - pooled) * (1 / len(correct) + 1 / len(new_correct)))
    p = float(2 * stats.norm.sf(abs(change) / error)) if error else 1.0
    effect = Effect(
        100 * change,
        100 * low,
        100 * high,
        "points",
        "test images",
        len(new_correct),
        "two proportions",
        p,
    )
    return Fall(100 * before, 100 * after, effect)


def published_falls(
    published: Mapping[str, tuple[float, float, float]] = PUBLISHED,
) -> PublishedFalls:
    """What the published accuracies say of new images of the same classes.

    Parameters
    ----------
    published
        As `PUBLISHED`, at least two networks.
    """
    old = np.array([accuracies[0] for accuracies in published.values()])
    new = np.array([accuracies[2] for accuracies in published.values()])
    falls = old - new
    same = bool((np.argsort(-old, kind="stable") == np.argsort(-new, kind="stable")).all())
    slope = float(stats.linregress(old, new).slope)
    if falls.min() <= 0:
        sentence = "Not every network that we cite is worse on the new images."
    elif slope > 1:
        sentence = (
            f"Each of the {len(published)} published networks that we cite loses accuracy on new "
            f"images of the same classes ({falls.min():.1f} to {falls.max():.1f} points). Better "
            f"networks lose less: each point of accuracy on the usual images is worth {slope:.1f} "
            "points on the new images."
        )
    else:
        sentence = (
            f"Each of the {len(published)} published networks that we cite loses accuracy on new "
            f"images of the same classes ({falls.min():.1f} to {falls.max():.1f} points). Better "
            "networks do not lose less."
        )
    order = " The networks keep their order." if same else " The networks do not keep their order."
    return PublishedFalls(float(falls.min()), float(falls.max()), same, slope, sentence + order)


def unknown(known: np.ndarray, others: np.ndarray) -> Unknown:
    """Compare confidence in images of known and of unknown classes.

    Parameters
    ----------
    known, others
        A network's probabilities for N images of its classes and for M images of other classes
        (float, N x C and M x C).
    """
    inside, outside = known.max(axis=1), others.max(axis=1)
    truth = np.r_[np.ones(len(inside)), np.zeros(len(outside))]
    return Unknown(
        float(inside.mean()),
        float(outside.mean()),
        float((outside > SURE).mean()),
        float(metrics.roc_auc_score(truth, np.r_[inside, outside])),
    )
