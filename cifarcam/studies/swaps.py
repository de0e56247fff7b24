"""Background swaps: the object of one picture on the background of another.

The estimated foreground of `explain.metrics.foreground` is cut out and laid over another picture,
whose own foreground is filled with the colours of the nearest background pixels. A swap with another
picture of the *same* class is the control: it has the same cut edges and the same filling, and the
class's usual surroundings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from cifarcam import explain
from cifarcam.errors import CifarcamError
from cifarcam.studies.summaries import by_group, summary

BATCH = 256  # small images at a time
LEAST, MOST = 0.1, 0.6  # share of the image that the estimated foreground of a picture covers


@dataclass(frozen=True)
class Swaps:
    """Objects on foreign backgrounds, and the same objects on backgrounds of their own class.

    Attributes
    ----------
    indices
        Indices of the pictures whose objects are shown, int64, N.
    labels
        Their true classes, int64, N.
    hosts
        The classes whose backgrounds are in `foreign`, int64, N.
    foreign, own
        Pictures with a background of another class and of the same class, uint8, N x H x W x C.
    """

    indices: np.ndarray
    labels: np.ndarray
    hosts: np.ndarray
    foreign: np.ndarray
    own: np.ndarray


def eligible(masks: np.ndarray) -> np.ndarray:
    """Whether an estimated foreground covers between 10% and 60% of its image, bool, N."""
    share = masks.mean(axis=(1, 2))
    return (share >= LEAST) & (share <= MOST)


def without_object(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The image with each pixel of the mask replaced by the nearest pixel outside it (H x W x C)."""
    if not mask.any():
        return image.copy()
    if mask.all():
        raise CifarcamError("the mask covers the whole image; give one with a background")
    nearest = ndimage.distance_transform_edt(mask, return_distances=False, return_indices=True)
    return image[tuple(nearest)]


def pasted(images: np.ndarray, masks: np.ndarray, objects: int, host: int) -> np.ndarray:
    """The foreground of picture `objects` on the background of picture `host`, H x W x C."""
    background = without_object(images[host], masks[host])
    return np.where(masks[objects][..., np.newaxis], images[objects], background)


def swap(
    images: np.ndarray,
    labels: np.ndarray,
    masks: np.ndarray,
    of_class: int,
    hosts: int | None,
    count: int,
    seed: int = 0,
) -> Swaps | None:
    """Swaps of pictures of one class; the seed decides pictures and backgrounds.

    None where fewer than two pictures of the class, or none of the hosts, are eligible, as in a
    small sample.

    Parameters
    ----------
    images, labels, masks
        Pictures, uint8, N x H x W x C; classes, N; estimated foregrounds, bool, N x H x W.
    of_class
        The class of the objects.
    hosts
        The class of the foreign backgrounds, or None for all other classes.
    count
        The number of pictures; all that there are where fewer are eligible.
    seed
        Seed of the random draws.
    """
    usable = eligible(masks)
    mine = np.flatnonzero(usable & (labels == of_class))
    is_host = labels != of_class if hosts is None else labels == hosts
    others = np.flatnonzero(usable & is_host)
    if len(mine) < 2 or not len(others):
        return None
    rng = np.random.default_rng([seed, of_class, -1 % 2**16 if hosts is None else hosts])
    indices = rng.permutation(mine)[:count]
    foreign_hosts = rng.choice(others, len(indices))
    # Another picture of the class: a step of 1 to len - 1 around the circle of pictures.
    places = np.searchsorted(mine, indices)
    steps = rng.integers(1, len(mine), len(indices))
    own_hosts = mine[(places + steps) % len(mine)]
    return Swaps(
        indices,
        labels[indices],
        labels[foreign_hosts],
        np.stack(
            [pasted(images, masks, *pair) for pair in zip(indices, foreign_hosts, strict=True)]
        ),
        np.stack([pasted(images, masks, *pair) for pair in zip(indices, own_hosts, strict=True)]),
    )


def costs(
    classifier: explain.Classifier, by_class: Sequence[Swaps], by_pair: Mapping[str, Swaps]
) -> dict[str, Any]:
    """Accuracy and probability of the true class with a background of its own or another class.

    `accuracy_lost` and `probability_lost` compare the same objects: with the background of another
    picture of the class, minus with the background of another class. `host_gained` is what the
    class of the foreign background gains in probability.
    """
    measured = [_swapped(classifier, each) for each in by_class]
    labels = np.concatenate([each.labels for each in by_class]) if by_class else np.array([], int)
    return {
        "by_class": {
            name: by_group(np.concatenate([values[name] for values in measured]), labels)
            for name in ("accuracy_own", "accuracy_lost", "probability_own", "probability_lost")
            if measured
        },
        "by_pair": {
            name: {key: summary(values) for key, values in _swapped(classifier, each).items()}
            for name, each in by_pair.items()
        },
    }


def _swapped(classifier: explain.Classifier, pictures: Swaps) -> dict[str, np.ndarray]:
    """Values of each object, percent or points, N each."""
    own, foreign = (
        classifier.probabilities(each, BATCH) for each in (pictures.own, pictures.foreign)
    )
    rows = np.arange(len(pictures.labels))
    of_true = [100 * each[rows, pictures.labels] for each in (own, foreign)]
    right = [100.0 * (each.argmax(axis=1) == pictures.labels) for each in (own, foreign)]
    return {
        "probability_own": of_true[0],
        "probability_lost": of_true[0] - of_true[1],
        "host_gained": 100 * (foreign - own)[rows, pictures.hosts],
        "accuracy_own": right[0],
        "accuracy_lost": right[0] - right[1],
    }
