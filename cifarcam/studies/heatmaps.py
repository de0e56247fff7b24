"""Heatmaps of the first test image of each class, as a record.

The record holds Grad-CAM for every network, because runs of the largest networks come without
weights, and the methods that need seconds for an image for the baseline.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np

from cifarcam import _store, data, explain, runs
from cifarcam.data import Dataset
from cifarcam.errors import CifarcamError
from cifarcam.runs import Run
from cifarcam.studies import records

RECORD = "heatmaps"
SLOW = ("lime", "shap")  # of `explain.METHODS`, recorded for the baseline


def of_first_images(run: Run, dataset: Dataset, method: str = "grad-cam") -> np.ndarray:
    """Heatmaps of the first test image of each class, for that class.

    The layer is the last layer with more than one position. The heatmaps are read from the record
    where it holds those of these weights and this dataset, and otherwise computed.

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

    Heatmaps of runs without weights are copied from the earlier record; runs that it does not hold
    are left out.
    """
    dataset = data.load()
    first = [run for run in runs.every(dataset) if run.experiment.training.seed == 0]
    explained = [run for run in first if are_at_hand(run, dataset)]
    return {
        "inputs": records.inputs(dataset, runs=explained),
        "heatmaps": {
            run.name: {
                "weights": run.provenance["files"][_store.WEIGHTS],
                "maps": {
                    method: _packed(
                        _computed(run, dataset, method)
                        if run.has_weights
                        else of_first_images(run, dataset, method)
                    )
                    for method in ("grad-cam", *(SLOW if run.name == "baseline" else ()))
                },
            }
            for run in explained
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
    if not records.is_at_hand(RECORD):
        return None
    record = records.load(RECORD)
    entry = record["heatmaps"].get(run.name)
    if (
        entry is None
        or method not in entry["maps"]
        or record["inputs"]["datasets"].get(dataset.name) != dataset.digest
        or entry["weights"] != run.provenance["files"][_store.WEIGHTS]
    ):
        return None
    return _unpacked(entry["maps"][method])


def _packed(heatmaps: np.ndarray) -> str:
    return base64.b64encode(zlib.compress(heatmaps.astype("<f4").tobytes(), 9)).decode()


def _unpacked(text: str) -> np.ndarray:
    values = np.frombuffer(zlib.decompress(base64.b64decode(text)), "<f4")
    return values.reshape(-1, 32, 32).astype(np.float32)
