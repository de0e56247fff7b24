"""Heatmaps of corrupted test images beside those of the clean images, as a record.

The images are our rendering of CIFAR-10-C, see `cifarcam.data.corruptions`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from cifarcam import _devices, data, explain, runs
from cifarcam.data.corruptions import KINDS, corrupt
from cifarcam.explain import metrics
from cifarcam.runs import Run
from cifarcam.studies import records
from cifarcam.studies.corruptions import SEED, balanced
from cifarcam.studies.packing import packed
from cifarcam.studies.progress import log
from cifarcam.studies.summaries import mean

RECORD = "corrupted-maps"
BATCH = 256  # small images at a time
IMAGES = 200  # test images, as many of each class, among those of the record "corruptions"
SEVERITIES = (1, 3, 5)
METHODS = ("grad-cam", "layer-cam", "saliency")
NETWORKS = {"baseline": "baseline", "custom CNN, augmented": "custom-cnn-augmented-long"}


def measure() -> Iterator[dict[str, Any]]:
    """Explain corrupted test images with two networks; yields the results after each network."""
    dataset = data.load()
    measured = {
        name: runs.load(experiment, seed=0, dataset=dataset)
        for name, experiment in NETWORKS.items()
    }
    images = dataset.test.images[balanced(dataset.test.labels, IMAGES)]
    results: dict[str, Any] = {
        "inputs": records.inputs(dataset, runs=list(measured.values())),
        "device": _devices.describe()["device"],
        "images": len(images),
        "heatmaps": {},
    }
    for name, run in measured.items():
        results["heatmaps"][name] = explained(run, images)
        yield results


def explained(run: Run, images: np.ndarray) -> dict[str, Any]:
    """The part of the record for one network's heatmaps.

    Heatmaps explain the class that the network predicts for the clean image. A value is Spearman's
    rank correlation of the pixels of two heatmaps of one method. The control correlates the clean
    image's heatmap with that of the image before it (of the first image with that of the last),
    for the class of each.

    Returns
    -------
    dict
        By method: ``control``, a value for each image; ``images``, for each severity the mean over
        kinds for each image; ``kinds``, for each kind and severity the mean over images; ``kept``
        and ``changed``, for each severity the mean over the copies of which the network predicts
        the same class as of the clean image, or another one, None where there is none.
    """
    began = time.perf_counter()
    classifier = explain.Classifier(run.model())
    classes = classifier.scores(images, BATCH).argmax(axis=1)
    explainers = {name: explain.METHODS[name](classifier) for name in METHODS}
    clean = {
        name: explainer(images, classes, batch_size=BATCH) for name, explainer in explainers.items()
    }
    shape = (len(KINDS), len(SEVERITIES), len(images))
    values = {name: np.full(shape, np.nan) for name in METHODS}
    kept = np.zeros(shape, bool)
    for row, kind in enumerate(KINDS):
        for column, severity in enumerate(SEVERITIES):
            copies = corrupt(images, kind, severity, SEED)
            kept[row, column] = classifier.scores(copies, BATCH).argmax(axis=1) == classes
            for name, explainer in explainers.items():
                values[name][row, column] = metrics.rank_correlation(
                    clean[name], explainer(copies, classes, batch_size=BATCH)
                )
        log(f"{run.name}: {kind}, {time.perf_counter() - began:.0f} s")
    severities = range(len(SEVERITIES))
    return {
        name: {
            "control": packed(metrics.rank_correlation(one, np.roll(one, 1, axis=0))),
            "images": [packed(_means(values[name][:, k])) for k in severities],
            "kinds": [[mean(cell) for cell in row] for row in values[name]],
            "kept": [mean(values[name][:, k][kept[:, k]]) for k in severities],
            "changed": [mean(values[name][:, k][~kept[:, k]]) for k in severities],
        }
        for name, one in clean.items()
    }


def _means(table: np.ndarray) -> np.ndarray:
    """Means over rows of the values that are not NaN; NaN where a column has none."""
    is_number = ~np.isnan(table)
    count = is_number.sum(axis=0)
    total = np.where(is_number, table, 0).sum(axis=0)
    return np.divide(total, count, out=np.full(table.shape[1], np.nan), where=count > 0)


def record() -> dict[str, Any] | None:
    """The record, with the networks that have been measured, or None where there is none."""
    return records.load(RECORD) if records.is_at_hand(RECORD) else None
