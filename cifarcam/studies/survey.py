"""A survey of a dataset: how many images of each class, how many duplicates across its splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from cifarcam.data import Dataset, quality
from cifarcam.data.quality import Pair

THRESHOLD = 0.95  # correlation from which on two images are near duplicates
SHOWN = 5  # of the strongest and of the weakest pairs across to the test images
SPLITS = ("training", "validation", "test")
KINDS = (  # of pairs of images, by their splits
    ("training", "training"),
    ("training", "validation"),
    ("validation", "validation"),
    ("training", "test"),
    ("validation", "test"),
    ("test", "test"),
)


@dataclass(frozen=True)
class Sizes:
    """Numbers of images.

    Attributes
    ----------
    total, published_train, train, validation, test
        In all splits, in the published training images, and in each split.
    classes, per_class
        Number of classes, and images of each class.
    balance
        In words, how many images of a class the training split (without the validation images)
        and the test split have.
    by_split
        For each split the images of each class, int64.
    """

    total: int
    published_train: int
    train: int
    validation: int
    test: int
    classes: int
    per_class: int
    balance: str
    by_split: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Duplicates:
    """Pairs of one kind: exact, near (exact pairs included), and near with different labels."""

    first: str
    second: str
    exact: int
    near: int
    differing: int


@dataclass(frozen=True)
class Examples:
    """Pairs to show: images of both sides, uint8 N x H x W x 3, and a title for each pair."""

    first: np.ndarray
    second: np.ndarray
    titles: tuple[str, ...]


@dataclass(frozen=True)
class Survey:
    """The quality of a dataset's images.

    Attributes
    ----------
    constant
        Images of one colour everywhere.
    least_contrast
        The smallest root mean square deviation from an image's mean colour, levels of 0-255.
    threshold
        The correlation from which on two images are near duplicates.
    exact_pairs, near_pairs, differing
        All pairs; `differing` counts near pairs with two different labels.
    near_test, near_test_share
        Test images with a near duplicate among training or validation images, and their
        percentage of the test images.
    kinds
        The pairs by their splits.
    examples
        Near pairs that reach across to the test images, the strongest and the weakest.
    """

    constant: int
    least_contrast: float
    threshold: float
    exact_pairs: int
    near_pairs: int
    differing: int
    near_test: int
    near_test_share: float
    kinds: tuple[Duplicates, ...]
    examples: Examples


def sizes(dataset: Dataset) -> Sizes:
    """Count the images of a dataset."""
    count = len(dataset.class_names)
    train, validation, test = (
        np.bincount(split.labels, minlength=count)
        for split in (dataset.train, dataset.validation, dataset.test)
    )
    total = int((train + validation + test).sum())
    return Sizes(
        total,
        int((train + validation).sum()),
        int(train.sum()),
        int(validation.sum()),
        int(test.sum()),
        count,
        total // count,
        f"{_each(train)} training images and {_each(test)} test images",
        dict(zip(SPLITS, (train, validation, test), strict=True)),
    )


def survey(dataset: Dataset) -> Survey:
    """Look for constant images and for exact and near duplicates, over all pairs of images.

    60,000 images take about 20 seconds on two cores.
    """
    splits = (dataset.train, dataset.validation, dataset.test)
    images = np.concatenate([split.images for split in splits])
    labels = np.concatenate([split.labels for split in splits])
    origin = np.repeat(SPLITS, [len(split) for split in splits])
    near = quality.near_duplicates(images, THRESHOLD)
    exact = [pair for group in quality.exact_duplicates(images) for pair in combinations(group, 2)]
    across = [p for p in near if origin[p.first] != "test" and origin[p.second] == "test"]
    reached = len({p.second for p in across})
    kinds = tuple(_duplicates(kind, exact, near, origin, labels) for kind in KINDS)
    return Survey(
        len(quality.constant_images(images)),
        float(quality.contrast(images).min()),
        THRESHOLD,
        len(exact),
        len(near),
        sum(kind.differing for kind in kinds),
        reached,
        100 * reached / len(dataset.test),
        kinds,
        _examples(across, images, labels, dataset.class_names),
    )


def _each(counts: np.ndarray) -> str:
    least, most = int(counts.min()), int(counts.max())
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def _duplicates(
    kind: tuple[str, str],
    exact: list[tuple[int, int]],
    near: list[Pair],
    origin: np.ndarray,
    labels: np.ndarray,
) -> Duplicates:
    # Images are numbered split by split, so that the first of a pair has the earlier split.
    of_kind = [p for p in near if (origin[p.first], origin[p.second]) == kind]
    return Duplicates(
        *kind,
        sum((origin[first], origin[second]) == kind for first, second in exact),
        len(of_kind),
        sum(int(labels[p.first] != labels[p.second]) for p in of_kind),
    )


def _examples(
    across: list[Pair], images: np.ndarray, labels: np.ndarray, names: tuple[str, ...]
) -> Examples:
    shown = across[:SHOWN] + across[SHOWN:][-SHOWN:]
    return Examples(
        images[[p.first for p in shown]],
        images[[p.second for p in shown]],
        tuple(
            f"{names[labels[p.first]]} / {names[labels[p.second]]}, {p.correlation:.3f}"
            for p in shown
        ),
    )
