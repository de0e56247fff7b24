"""Our searches for near twins of the test images among the training images, as a record."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from cifarcam import data
from cifarcam.data import Dataset, duplicates, evidence, quality
from cifarcam.data.duplicates import Match
from cifarcam.studies import records

RECORD = "duplicates"
PLAIN = 0.95  # correlation of all pixels from which on the plain search takes two images for copies


def measure() -> dict[str, Any]:
    """Search the training images for twins of the test images, in both ways; about two minutes."""
    dataset = data.load()
    images = training_images(dataset)
    start = time.perf_counter()
    matches = duplicates.aligned_duplicates(dataset.test.images, images)
    aligned = time.perf_counter() - start
    both = np.concatenate([images, dataset.test.images])
    start = time.perf_counter()
    near = quality.near_duplicates(both, PLAIN)
    plain = time.perf_counter() - start
    pairs = [
        Match(one.second - len(images), one.first, one.correlation, False)
        for one in near
        if one.first < len(images) <= one.second
    ]
    listed, judged = evidence.twins(), duplicates.judged_pairs()
    twins = np.concatenate([listed.twins, judged.twins, [one.reference for one in matches]])
    labels = training_labels(dataset)
    return {
        "inputs": records.inputs(dataset),
        "seconds": {"aligned": round(aligned), "plain": round(plain)},
        "aligned": [_row(match) for match in matches],
        "plain": [_row(match) for match in pairs],
        "validation": np.intersect1d(twins, dataset.validation_indices).tolist(),
        "labels": {
            "listed": labels[listed.twins].tolist(),
            "judged": labels[judged.twins].tolist(),
        },
    }


def of_record(record: Mapping[str, Any], search: str = "aligned") -> list[Match]:
    """The pairs that a search found, ``"aligned"`` or ``"plain"``."""
    return [
        Match(query, reference, correlation, bool(mirrored))
        for query, reference, correlation, mirrored in record[search]
    ]


def training_images(dataset: Dataset) -> np.ndarray:
    """The training and validation images in their published order, uint8, N x 32 x 32 x 3."""
    count = len(dataset.train) + len(dataset.validation)
    images = np.empty((count, *dataset.train.images.shape[1:]), np.uint8)
    images[dataset.train_indices] = dataset.train.images
    images[dataset.validation_indices] = dataset.validation.images
    return images


def training_labels(dataset: Dataset) -> np.ndarray:
    """The labels of the training and validation images in their published order, int64, N."""
    labels = np.empty(len(dataset.train) + len(dataset.validation), np.int64)
    labels[dataset.train_indices] = dataset.train.labels
    labels[dataset.validation_indices] = dataset.validation.labels
    return labels


def _row(match: Match) -> list[Any]:
    return [match.query, match.reference, round(match.correlation, 4), int(match.mirrored)]
