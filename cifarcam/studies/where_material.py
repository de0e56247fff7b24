"""What the record `where` measures every network on: test images, foregrounds, swaps, faces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cifarcam.data import Dataset
from cifarcam.data.faces import CatFaces
from cifarcam.explain import metrics
from cifarcam.studies.swaps import Swaps, swap

SWAPS_OF_CLASS = 300  # pictures of each class on the backgrounds of any other class
SWAPS_OF_PAIR = 500  # pictures of a class on the backgrounds of one other class
PAIRED_CLASSES = (("airplane", "deer"), ("deer", "airplane"), ("ship", "frog"), ("frog", "ship"))


@dataclass(frozen=True)
class Material:
    """What all runs are measured on, computed once.

    Attributes
    ----------
    images, labels, class_names
        The test images, their classes, and the classes' names.
    masks
        The estimated foregrounds, bool, N x H x W.
    by_class
        Of each class its objects on backgrounds of any other class, where enough pictures are
        eligible.
    by_pair
        Objects of one class on the backgrounds of another class, by name (``"airplane-deer"``).
    faces
        Marked faces.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    masks: np.ndarray
    by_class: tuple[Swaps, ...]
    by_pair: Mapping[str, Swaps]
    faces: CatFaces


def material(dataset: Dataset, faces: CatFaces) -> Material:
    """Foregrounds and swaps of a dataset's test images."""
    images, labels = dataset.test.images, dataset.test.labels
    names = dataset.class_names
    masks = metrics.foreground(images)
    by_class = [swap(images, labels, masks, k, None, SWAPS_OF_CLASS) for k in range(len(names))]
    by_pair = {
        f"{one}-{other}": swap(
            images, labels, masks, names.index(one), names.index(other), SWAPS_OF_PAIR
        )
        for one, other in PAIRED_CLASSES
    }
    return Material(
        images,
        labels,
        tuple(names),
        masks,
        tuple(each for each in by_class if each is not None),
        {name: each for name, each in by_pair.items() if each is not None},
        faces,
    )
