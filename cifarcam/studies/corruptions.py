"""Networks on corrupted test images: accuracy, calibration and heatmaps, as a record.

The images are our rendering of CIFAR-10-C, see `cifarcam.data.corruptions`.
"""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from cifarcam import _closure, _devices, _store, data, evaluation, explain, runs
from cifarcam.data.corruptions import KINDS, SEVERITIES, corrupt
from cifarcam.explain import metrics
from cifarcam.runs import Run
from cifarcam.studies import records
from cifarcam.studies.packing import packed
from cifarcam.training import prediction

RECORD = "corruptions"
SEED = 0  # of the corruptions, and of the choice of images
IMAGES = 2_000  # test images that every network classifies, as many of each class
HEATMAP_IMAGES = 200  # of these, as many of each class
HEATMAP_SEVERITIES = (1, 3, 5)
METHODS = ("grad-cam", "layer-cam", "saliency")


@dataclass(frozen=True)
class Network:
    """A network to measure.

    Attributes
    ----------
    name, experiment
        Its display name, and its run with seed 0.
    every
        Whether it classifies all test images, or the first choice of `IMAGES` only.
    heatmaps
        Whether its heatmaps are compared as well.
    """

    name: str
    experiment: str
    every: bool = False
    heatmaps: bool = False


# From quick to slow. Runs of AlexNet and VGG-19 come without weights.
NETWORKS = (
    Network("baseline", "baseline", every=True, heatmaps=True),
    Network("custom CNN, augmented", "custom-cnn-augmented-long", every=True, heatmaps=True),
    Network("custom CNN with attention", "custom-cnn-attention-long", every=True),
    Network("transformer", "transformer-long"),
    Network("speedrun", "speedrun"),
    Network("ResNet-18", "resnet18-long"),
)


def balanced(labels: np.ndarray, count: int, seed: int = SEED) -> np.ndarray:
    """Indices of `count` random images, as many of each class, ascending, int64.

    The first images that a smaller `count` chooses are among those of a larger one. Of a class with
    too few images all are taken.
    """
    classes = np.unique(labels)
    generator = np.random.default_rng(seed)
    orders = [generator.permutation(np.flatnonzero(labels == one)) for one in classes]
    return np.sort(np.concatenate([order[: count // len(classes)] for order in orders]))


def measure() -> Iterator[dict[str, Any]]:
    """Classify and explain corrupted test images with every network that has its weights.

    Yields the results after each kind of corruption. A repeated call goes on from the present
    record if that was made with the same code and inputs.
    """
    dataset = data.load()
    measured = [(one, runs.load(one.experiment, seed=0, dataset=dataset)) for one in NETWORKS]
    inputs = records.inputs(dataset, runs=[run for _, run in measured])
    shared = balanced(dataset.test.labels, IMAGES)
    results: dict[str, Any] = {
        "inputs": inputs,
        "device": _devices.describe()["device"],
        "images": len(shared),
        "networks": {},
        "heatmaps": {},
    } | _earlier(inputs)
    yield results
    for network, run in measured:
        chosen = np.arange(len(dataset.test)) if network.every else shared
        new = {
            "images": len(chosen),
            "clean": _scores(run.predictions[chosen], dataset.test.labels[chosen]),
            "clean_shared": _scores(run.predictions[shared], dataset.test.labels[shared]),
            "kinds": {},
        }
        entry = results["networks"].setdefault(network.name, new)
        missing = [kind for kind in KINDS if kind not in entry["kinds"]]
        model = run.model() if missing else None
        for kind in missing:
            began = time.perf_counter()
            entry["kinds"][kind] = classified(model, kind, dataset.test, chosen, shared)
            _log(f"{network.name}: {kind}", began)
            yield results
    few = balanced(dataset.test.labels, HEATMAP_IMAGES)
    for network, run in measured:
        if network.heatmaps and network.name not in results["heatmaps"]:
            results["heatmaps"][network.name] = explained(run, dataset.test.images[few])
            yield results


def _earlier(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The parts that the present record has, if this code made it from these inputs."""
    path = _store.find_record(RECORD)
    if path is None:
        return {}
    record = _store.read_record(path)
    if record["code"] != _closure.code_digest(__name__) or record["inputs"] != inputs:
        return {}
    return {name: record[name] for name in ("networks", "heatmaps")}


def classified(
    model: keras.Model, kind: str, test: data.Split, chosen: np.ndarray, shared: np.ndarray
) -> dict[str, Any]:
    """The part of the record for one network and one kind: a value for each severity.

    Parameters
    ----------
    model, kind
        The network, and the corruption.
    test
        The test images with labels.
    chosen
        Indices of the images to classify, ascending.
    shared
        Those of which the record holds whether each is classified rightly; among `chosen`.
    """
    images, labels = test.images[chosen], test.labels[chosen]
    scores, right = [], []
    for severity in SEVERITIES:
        probabilities = prediction.predict(model, corrupt(images, kind, severity, SEED))
        scores.append(_scores(probabilities, labels))
        is_right = probabilities.argmax(axis=1) == labels
        right.append(is_right[np.searchsorted(chosen, shared)])
    return {name: [one[name] for one in scores] for name in scores[0]} | {
        "right": bits(np.stack(right))
    }


def _scores(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy, expected calibration error and mean confidence, 0-1."""
    return {
        "accuracy": round(float((probabilities.argmax(axis=1) == labels).mean()), 5),
        "calibration_error": round(evaluation.calibration(probabilities, labels).error, 5),
        "confidence": round(float(probabilities.max(axis=1).mean()), 5),
    }


def bits(table: np.ndarray) -> str:
    """Truth values as base64 of their bits, row by row."""
    return base64.b64encode(np.packbits(table).tobytes()).decode()


def from_bits(text: str, rows: int) -> np.ndarray:
    """The truth values that `bits` turned into text, bool, rows x N; 8 divides their number."""
    packed_bits = np.frombuffer(base64.b64decode(text), np.uint8)
    return np.unpackbits(packed_bits).astype(bool).reshape(rows, -1)


def explained(run: Run, images: np.ndarray) -> dict[str, Any]:
    """The part of the record for one network's heatmaps.

    Heatmaps explain the class that the network predicts for the clean image. A value is Spearman's
    rank correlation of the pixels of two heatmaps of one method. The control correlates the clean
    image's heatmap with that of the next image, for the class of each.

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
    classes = classifier.scores(images).argmax(axis=1)
    explainers = {name: explain.METHODS[name](classifier) for name in METHODS}
    clean = {name: explainer(images, classes) for name, explainer in explainers.items()}
    shape = (len(KINDS), len(HEATMAP_SEVERITIES), len(images))
    values = {name: np.full(shape, np.nan) for name in METHODS}
    kept = np.zeros(shape, bool)
    for row, kind in enumerate(KINDS):
        for column, severity in enumerate(HEATMAP_SEVERITIES):
            copies = corrupt(images, kind, severity, SEED)
            kept[row, column] = classifier.scores(copies).argmax(axis=1) == classes
            for name, explainer in explainers.items():
                values[name][row, column] = metrics.rank_correlation(
                    clean[name], explainer(copies, classes)
                )
        _log(f"{run.name}: heatmaps, {kind}", began)
    severities = range(len(HEATMAP_SEVERITIES))
    return {
        name: {
            "control": packed(metrics.rank_correlation(one, np.roll(one, 1, axis=0))),
            "images": [packed(_means(values[name][:, k])) for k in severities],
            "kinds": [[_mean(cell) for cell in row] for row in values[name]],
            "kept": [_mean(values[name][:, k][kept[:, k]]) for k in severities],
            "changed": [_mean(values[name][:, k][~kept[:, k]]) for k in severities],
        }
        for name, one in clean.items()
    }


def _means(table: np.ndarray) -> np.ndarray:
    """Means over rows of the values that are not NaN; NaN where a column has none."""
    is_number = ~np.isnan(table)
    count = is_number.sum(axis=0)
    total = np.where(is_number, table, 0).sum(axis=0)
    return np.divide(total, count, out=np.full(table.shape[1], np.nan), where=count > 0)


def _mean(values: np.ndarray) -> float | None:
    """The mean of the values that are not NaN; None where there is none."""
    return None if np.isnan(values).all() else round(float(np.nanmean(values)), 4)


def _log(text: str, began: float) -> None:
    print(f"{text}, {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)


def record() -> dict[str, Any] | None:
    """The record, with the parts that have been measured, or None where there is none."""
    return records.load(RECORD) if records.is_at_hand(RECORD) else None
