"""The record `where`: on what the heatmaps of Grad-CAM lie, and what removing it costs, by run.

All runs are explained at the same place, the default layer of `cifarcam.explain`. In these networks
it is the last convolution with its normalisation, ReLU and attention where a network has them. All
values are percentages or percentage points, except correlations, Gini indices and counts. The
errors in the record are standard errors over test images; seeds are separate entries.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from cifarcam import _closure, _devices, _files, _store, data, explain, runs
from cifarcam.data.faces import PATH as FACES
from cifarcam.data.faces import cat_faces
from cifarcam.explain import metrics
from cifarcam.runs import Run
from cifarcam.studies import contrast, records, swaps
from cifarcam.studies.packing import packed_maps
from cifarcam.studies.summaries import by_group
from cifarcam.studies.where_faces import marked_faces
from cifarcam.studies.where_maps import (
    BORDER,
    background,
    border,
    by_layer,
    cats,
    counter,
    mean_maps,
)
from cifarcam.studies.where_material import Material, material

RECORD = "where"
EXPERIMENTS = (
    "baseline",
    "baseline-early-stopping",
    "custom-cnn-augmented",
    "custom-cnn-attention",
    "custom-cnn-augmented-long",
    "custom-cnn-attention-long",
)


def measure() -> Iterator[dict[str, Any]]:
    """Measure every run of `EXPERIMENTS` whose weights are at hand, on all test images.

    The results are yielded after each run. Entries of an earlier record of the same weights, code
    and marked faces are copied, so that an interrupted measurement resumes.
    """
    dataset = data.load()
    chosen = [run for run in runs.every(dataset) if _experiment(run) in EXPERIMENTS]
    chosen = [run for run in chosen if run.has_weights]
    chosen.sort(key=lambda run: (EXPERIMENTS.index(_experiment(run)), _seed(run)))
    entries = _earlier()
    prepared = material(dataset, cat_faces())
    for run in tqdm(chosen, desc="runs"):
        if _weights(run) not in entries:
            entries[_weights(run)] = _entry(run, prepared)
        measured = [run for run in chosen if _weights(run) in entries]
        yield {
            "inputs": records.inputs(dataset, runs=measured),
            "device": _devices.describe()["device"],
            "images": len(dataset.test),
            "class_names": list(dataset.class_names),
            "faces": _files.sha256(FACES),
            "border": BORDER,
            "border_area": 100 * metrics.border_area(BORDER),
            "area": by_group(100 * (1 - prepared.masks.mean(axis=(1, 2))), prepared.labels),
            "eligible": int(swaps.eligible(prepared.masks).sum()),
            "runs": {run.name: entries[_weights(run)] for run in measured},
        }


def of_model(model: keras.Model, on: Material, *, in_detail: bool = False) -> dict[str, Any]:
    """All measurements of one network; earlier layers and contrast only `in_detail`."""
    classifier = explain.Classifier(model)
    explainer = explain.GradCAM(classifier)
    probabilities = classifier.probabilities(on.images, swaps.BATCH)
    predicted = probabilities.argmax(axis=1)
    is_wrong = predicted != on.labels
    of_predicted = explainer(on.images, batch_size=swaps.BATCH)
    of_true = of_predicted.copy()
    if is_wrong.any():
        of_true[is_wrong] = explainer(
            on.images[is_wrong], on.labels[is_wrong], batch_size=swaps.BATCH
        )
    kept = 100 * probabilities[np.arange(len(on.labels)), on.labels]
    found = {
        "layer": explainer.layer,
        "correct": int((~is_wrong).sum()),
        "zero_predicted": int((~of_predicted.any(axis=(1, 2))).sum()),
        "zero_true_wrong": int((~of_true[is_wrong].any(axis=(1, 2))).sum()),
        **background(classifier, on, of_true, kept),
        "border": border(of_predicted, predicted, on.labels, len(on.class_names)),
        "counter": counter(of_predicted, of_true, np.flatnonzero(is_wrong)),
        "mean_maps": packed_maps(mean_maps(of_true, on.labels, len(on.class_names))),
        "cats": cats(classifier, on, of_true, kept),
        "swaps": swaps.costs(classifier, on.by_class, on.by_pair),
        "faces": marked_faces(classifier, on, of_true, kept),
    }
    if in_detail:
        found["layers"] = by_layer(classifier, on, ~is_wrong)
        found["contrast"] = contrast.rates(classifier, explainer, on, predicted)
    return found


def _entry(run: Run, on: Material) -> dict[str, Any]:
    about = {"experiment": _experiment(run), "seed": _seed(run), "weights": _weights(run)}
    return about | of_model(run.model(), on, in_detail=_experiment(run) == EXPERIMENTS[0])


def _earlier() -> dict[str, dict[str, Any]]:
    """Entries of the record at hand by weights, where code and marked faces are the same."""
    if not records.is_at_hand(RECORD):
        return {}
    record = records.load(RECORD)
    code = _closure.code_digest(__name__)
    if record["code"] != code or record["faces"] != _files.sha256(FACES):
        return {}
    return {entry["weights"]: entry for entry in record["runs"].values()}


def _experiment(run: Run) -> str:
    return run.name.partition("-seed")[0]


def _seed(run: Run) -> int:
    return int(run.experiment.training.seed)


def _weights(run: Run) -> str:
    return str(run.provenance["files"][_store.WEIGHTS])
