"""What it takes to carry a network: exports in every format and precision, as a record.

Beside these, how much of a heatmap int8 changes, and how much another seed does.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cifarcam import _closure, _devices, _files, _store, data, explain, export, runs
from cifarcam.data import Dataset
from cifarcam.explain import metrics
from cifarcam.runs import Run
from cifarcam.studies import records
from cifarcam.studies.packing import packed
from cifarcam.studies.progress import log
from cifarcam.training import prediction

RECORD = "export"
BATCH = 256  # small images at a time
CALIBRATION_SEED = 0
HEATMAP_IMAGES = 200  # the first test images
METHODS = (  # of `explain.METHODS`; those that need a gradient or two for each image, and two more
    "grad-cam",
    "grad-cam++",
    "hires-cam",
    "xgrad-cam",
    "layer-cam",
    "saliency",
    "integrated-gradients",
    "smoothgrad",
)
PACKAGES = ("ai-edge-litert", "onnx", "onnxruntime", "tf2onnx")  # that convert and run exports
SEEDS = 4  # runs of an experiment, at most, whose heatmaps are compared


@dataclass(frozen=True)
class Network:
    """A network to export.

    Attributes
    ----------
    experiment
        Its run with seed 0.
    heatmaps
        Whether its heatmaps are compared, which takes thousands of passes.
    """

    experiment: str
    heatmaps: bool = False


# From quick to slow. Runs of AlexNet and VGG-19 come without weights.
NETWORKS = (
    Network("baseline", heatmaps=True),
    Network("custom-cnn-augmented-long", heatmaps=True),
    Network("custom-cnn-attention-long"),
    Network("transformer-long"),
    Network("densenet-bc"),
    Network("speedrun"),
    Network("resnet18-long"),
)


def measure() -> Iterator[dict[str, Any]]:
    """Export networks of every family, and run each export on all test images (hours).

    The results are yielded after each network, and kept in the cache, so that a repeated call goes
    on after them.
    """
    dataset = data.load()
    code = _closure.code_digest(__name__)
    used: list[Run] = []
    results: dict[str, Any] = {
        **_devices.describe(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "images": len(dataset.test),
        "calls": export.CALLS,
        "calibration": {"images": export.IMAGES, "seed": CALIBRATION_SEED},
        "heatmap_images": min(HEATMAP_IMAGES, len(dataset.test)),
        "networks": {},
    }
    partial_files = []
    for network in NETWORKS:
        run = runs.load(network.experiment, seed=0, dataset=dataset)
        others = _of_other_seeds(run, dataset) if network.heatmaps else []
        path = _partial([run, *others], dataset, code)
        if not path.is_file():
            entry = measure_network(run, others, dataset, heatmaps=network.heatmaps)
            with _files.writing_to(path.parent):
                _files.write_json(path, entry)
        partial_files.append(path)
        used += [run, *others]
        results["networks"][network.experiment] = _files.read_json(path, "remove it")
        yield results | {"inputs": records.inputs(dataset, runs=used)}
    for path in partial_files:
        path.unlink(missing_ok=True)


def measure_network(
    run: Run, others: Sequence[Run], dataset: Dataset, *, heatmaps: bool
) -> dict[str, Any]:
    """The part of the record for one network.

    Parameters
    ----------
    run
        Its run.
    others
        Runs that differ in their seed alone, for the heatmaps.
    dataset
        Its test images are classified.
    heatmaps
        Whether to compare heatmaps.

    Returns
    -------
    dict
        ``accuracy`` and ``parameters`` of the run; ``training``, the seconds of its training and the
        device; ``exports``, a dictionary for each format and precision with the fields of
        `cifarcam.export.Comparison`, or with ``refused``, a sentence; ``heatmaps``, see
        `heatmap_changes`.
    """
    expected = prediction.predict(run.model(), dataset.test.images)
    exports = []
    with tempfile.TemporaryDirectory() as folder:
        for form in export.FORMATS:
            for precision in export.PRECISIONS:
                exports.append(_exported(run, dataset, form, precision, Path(folder), expected))
                log(f"{run.name}: {form}, {precision}")
    images = dataset.test.images[:HEATMAP_IMAGES] if heatmaps else None
    return {
        "accuracy": float((expected.argmax(axis=1) == dataset.test.labels).mean()),
        "parameters": int(run.provenance["parameters"]),
        "training": {
            name: run.provenance[name] for name in ("training_seconds", "device", "kind", "threads")
        },
        "exports": exports,
        "heatmaps": {}
        if images is None
        else heatmap_changes(run.model(), [one.model() for one in others], images),
    }


def _exported(
    run: Run, dataset: Dataset, form: str, precision: str, folder: Path, expected: np.ndarray
) -> dict[str, Any]:
    """One export, written, run and compared; a sentence where the format refuses the network."""
    path = folder / export.default_name(run, form, precision)
    try:
        export.write(run, form, path, precision=precision, dataset=dataset, seed=CALIBRATION_SEED)
    except export.Unrepresentable as error:
        return {"format": form, "precision": precision, "refused": str(error)}
    return asdict(export.check(run, dataset, path, expected=expected))


def heatmap_changes(
    model: keras.Model, others: Sequence[keras.Model], images: np.ndarray
) -> dict[str, dict[str, Any]]:
    """How alike heatmaps stay when the kernels become int8, and when the seed is another.

    A value is Spearman's rank correlation of the pixels of two heatmaps of an image by one method.
    All heatmaps explain the class that the float32 network predicts. The int8 network computes in
    float32 with its dequantised kernels (`cifarcam.export.dequantised`).

    Parameters
    ----------
    model
        The float32 network.
    others
        The networks of other seeds.
    images
        uint8, N x H x W x 3.

    Returns
    -------
    dict
        By method: ``int8``, a value for each image (`packed`); ``seeds``, the same for each of
        `others`.
    """
    classifier = explain.Classifier(model)
    classes = classifier.scores(images, BATCH).argmax(axis=1)
    changed = [explain.Classifier(one) for one in (export.dequantised(model), *others)]
    changes = {}
    for name in METHODS:
        method = explain.METHODS[name]
        maps = method(classifier)(images, classes, batch_size=BATCH)
        int8, *seeds = (
            packed(metrics.rank_correlation(maps, method(one)(images, classes, batch_size=BATCH)))
            for one in changed
        )
        changes[name] = {"int8": int8, "seeds": seeds}
    return changes


def record() -> Mapping[str, Any] | None:
    """The record, with the networks that have been measured, or None where there is none."""
    return records.load(RECORD) if records.is_at_hand(RECORD) else None


def _of_other_seeds(run: Run, dataset: Dataset) -> list[Run]:
    """At most `SEEDS` - 1 runs with weights that differ from a run in their seed alone."""
    return [
        one
        for one in runs.every(dataset)
        if one.has_weights
        and one.experiment.training.seed != run.experiment.training.seed
        and one.experiment.name == run.experiment.name
        and one.experiment.with_changes(seed=run.experiment.training.seed).fingerprint(
            dataset.digest
        )
        == run.fingerprint
    ][: SEEDS - 1]


def _partial(used: Sequence[Run], dataset: Dataset, code: str) -> Path:
    """The file in the cache for one network's results, by everything that decides them."""
    weights = [run.provenance["files"][_store.WEIGHTS] for run in used]
    key = json.dumps([weights, dataset.digest, code])
    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    return _files.cache_dir() / "measurements" / f"export-{name}.json"
