"""Heatmaps of the first test image of each class, as a record.

The record holds Grad-CAM for every network, because runs of the largest networks come without
weights, and the methods that need seconds for an image for the baseline.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np

from cifarcam import _store, data, explain, models, runs
from cifarcam.data import Dataset
from cifarcam.errors import CifarcamError
from cifarcam.runs import Run
from cifarcam.studies import records

RECORD = "heatmaps"
SLOW = ("lime", "shap")  # of `explain.METHODS`, recorded for the baseline


def of_first_images(run: Run, dataset: Dataset, method: str = "grad-cam") -> np.ndarray:
    """Heatmaps of the first test image of each class, for that class.

    The layer is the default of `cifarcam.explain`. The heatmaps are read from the record where it
    holds those of these weights and this dataset, and otherwise computed.

    Parameters
    ----------
    run
        The run to explain.
    dataset
        The dataset whose test images are explained.
    method
        One of `explain.METHODS`.

    Returns
    -------
    numpy.ndarray
        Raw magnitudes, float32, classes x 32 x 32.

    Raises
    ------
    CifarcamError
        When the run has no weights and the record no heatmaps of these weights and this dataset.
    """
    if (recorded := _recorded(run, dataset, method)) is not None:
        return recorded
    if not run.has_weights:
        raise CifarcamError(
            f"{run.name}: there are neither its weights nor heatmaps made with them; make the "
            f"weights by `cifarcam train {run.name} --again`"
        )
    return _computed(run, dataset, method)


def are_at_hand(run: Run, dataset: Dataset) -> bool:
    """Whether a run's Grad-CAM heatmaps can be had: from its weights or from the record."""
    return run.has_weights or _recorded(run, dataset, "grad-cam") is not None


def measure() -> dict[str, Any]:
    """Explain the first test image of each class for the network of every run with seed 0.

    Heatmaps of runs without weights are copied from the earlier record, where it holds those of the
    layer that would be explained today; other runs without weights are left out.
    """
    dataset = data.load()
    first = [run for run in runs.every(dataset) if run.experiment.training.seed == 0]
    entries = {run.name: entry for run in first if (entry := _entry(run, dataset))}
    explained = [run for run in first if run.name in entries]
    return {"inputs": records.inputs(dataset, runs=explained), "heatmaps": entries}


def _entry(run: Run, dataset: Dataset) -> dict[str, Any] | None:
    """The record's entry of one run, None where there is none."""
    network = models.build(run.experiment.architecture, run.experiment.options)
    layer = explain.GradCAM(network).layer
    if not run.has_weights:
        recorded = _recorded_entry(run, dataset)
        return recorded if recorded and recorded.get("layer") == layer else None
    return {
        "weights": run.provenance["files"][_store.WEIGHTS],
        "layer": layer,
        "maps": {
            method: _packed(_computed(run, dataset, method))
            for method in ("grad-cam", *(SLOW if run.name == "baseline" else ()))
        },
    }


def first_of_each_class(labels: np.ndarray) -> np.ndarray:
    """Indices of the first image of each class, in the order of the classes, int64."""
    return np.unique(labels, return_index=True)[1].astype(np.int64)


def _computed(run: Run, dataset: Dataset, method: str) -> np.ndarray:
    indices = first_of_each_class(dataset.test.labels)
    explainer = explain.METHODS[method](run.model())
    return explainer(dataset.test.images[indices], dataset.test.labels[indices])


def _recorded(run: Run, dataset: Dataset, method: str) -> np.ndarray | None:
    """The record's heatmaps of a run's weights by a method, or None."""
    entry = _recorded_entry(run, dataset)
    return _unpacked(entry["maps"][method]) if entry and method in entry["maps"] else None


def _recorded_entry(run: Run, dataset: Dataset) -> dict[str, Any] | None:
    """The record's entry of these weights and this dataset, or None."""
    if not records.is_at_hand(RECORD):
        return None
    record = records.load(RECORD)
    entry = record["heatmaps"].get(run.name)
    if (
        entry is None
        or record["inputs"]["datasets"].get(dataset.name) != dataset.digest
        or entry["weights"] != run.provenance["files"][_store.WEIGHTS]
    ):
        return None
    return dict(entry)


def _packed(heatmaps: np.ndarray) -> str:
    return base64.b64encode(zlib.compress(heatmaps.astype("<f4").tobytes(), 9)).decode()


def _unpacked(text: str) -> np.ndarray:
    values = np.frombuffer(zlib.decompress(base64.b64decode(text)), "<f4")
    return values.reshape(-1, 32, 32).astype(np.float32)
