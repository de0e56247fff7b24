"""Networks on corrupted test images: accuracy and calibration, as a record.

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

from cifarcam import _closure, _devices, _store, data, evaluation, runs
from cifarcam.data.corruptions import KINDS, SEVERITIES, corrupt
from cifarcam.studies import records
from cifarcam.training import prediction

RECORD = "corruptions"
SEED = 0  # of the corruptions, and of the choice of images
IMAGES = 2_000  # test images that every network classifies, as many of each class


@dataclass(frozen=True)
class Network:
    """A network to measure.

    Attributes
    ----------
    name, experiment
        Its display name, and its run with seed 0.
    every
        Whether it classifies all test images, or the first choice of `IMAGES` only.
    """

    name: str
    experiment: str
    every: bool = False


# From quick to slow. Runs of AlexNet and VGG-19 come without weights.
NETWORKS = (
    Network("baseline", "baseline", every=True),
    Network("custom CNN, augmented", "custom-cnn-augmented-long", every=True),
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
    """Classify corrupted test images with every network that has its weights.

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
        "networks": _earlier(inputs),
    }
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
            seconds = time.perf_counter() - began
            print(f"{network.name}: {kind}, {seconds:.0f} s", file=sys.stderr, flush=True)
            yield results


def _earlier(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The networks of the present record, if this code made it from these inputs."""
    path = _store.find_record(RECORD)
    if path is None:
        return {}
    record = _store.read_record(path)
    if record["code"] != _closure.code_digest(__name__) or record["inputs"] != inputs:
        return {}
    return dict(record["networks"])


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


def record() -> dict[str, Any] | None:
    """The record, with the parts that have been measured, or None where there is none."""
    return records.load(RECORD) if records.is_at_hand(RECORD) else None
