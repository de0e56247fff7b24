"""Runs read from their directories: every file verified, the network rebuilt."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cifarcam import _devices, _store
from cifarcam.data import Dataset
from cifarcam.errors import CifarcamError
from cifarcam.runs.weights import with_weights
from cifarcam.training import experiment as experiments
from cifarcam.training.experiment import Experiment


@dataclass(frozen=True)
class Run:
    """A finished training run.

    Attributes
    ----------
    directory
        The directory of its files.
    experiment
        The experiment that was trained.
    history
        Float64 arrays by name, one value for each epoch: ``epoch`` (from 1), ``train_loss`` and
        ``train_accuracy`` (logged during training, dropout on), ``validation_loss``,
        ``validation_accuracy``, ``seconds``.
    metrics
        ``test``: the result of `cifarcam.evaluation.evaluate`. ``test_augmented``: the same with
        test-time augmentation, where the experiment has it. ``train`` and, unless it was trained
        on, ``validation``: accuracy and cross-entropy with dropout off. ``train_logged``: at the
        last epoch. ``train_kept_logged``: at the epoch whose weights were stored.
    predictions
        Class probabilities of the test images by one forward pass, float32, N x 10.
    augmented_predictions
        Class probabilities with test-time augmentation, float32, N x 10, or None.
    provenance
        Fingerprint, versions, device, durations, and the SHA-256 of each file of the run.
    """

    directory: Path
    experiment: Experiment
    history: dict[str, np.ndarray]
    metrics: dict[str, Any]
    predictions: np.ndarray
    augmented_predictions: np.ndarray | None
    provenance: dict[str, Any]

    @property
    def name(self) -> str:
        """The experiment's name, with seed and dataset where they are not the usual ones."""
        return self.experiment.run_name

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the experiment's canonical form and the dataset's digest."""
        return str(self.provenance["fingerprint"])

    @property
    def has_weights(self) -> bool:
        """Whether the run holds its weights; runs of the largest networks come without."""
        return (self.directory / _store.WEIGHTS).is_file()

    def model(self) -> keras.Model:
        """Rebuild the trained network in float32 from its verified weights.

        Raises
        ------
        CifarcamError
            When the run comes without weights, or they differ from the evaluated weights.
        """
        _devices.prepare()
        path = self.directory / _store.WEIGHTS
        if not self.has_weights:
            raise CifarcamError(
                f"{path}: these weights are too large to come with the run; make them by "
                f"`cifarcam train {self.name} --again`"
            )
        content = _store.read_file(self.directory, _store.WEIGHTS, self.provenance["files"])
        return with_weights(self.experiment, content)


def read(directory: Path) -> Run:
    """Read the run in a directory and verify its files.

    Raises
    ------
    CifarcamError
        When the directory does not hold a whole run, or a file is damaged.
    """
    if not (directory / _store.PROVENANCE).is_file():
        raise CifarcamError(
            f"{directory}: not a run, it has no {_store.PROVENANCE}; give the directory of a run"
        )
    return _read(directory, _store.read_provenance(directory))


def _read(directory: Path, provenance: dict[str, Any]) -> Run:
    """Read a run whose provenance is verified."""
    text, rows, predictions, metrics = (
        _store.read_file(directory, name, provenance["files"])
        for name in ("experiment.toml", "history.csv", "predictions.npz", "metrics.json")
    )
    epochs = list(csv.DictReader(io.StringIO(rows.decode())))
    with np.load(io.BytesIO(predictions), allow_pickle=False) as stored:
        probabilities = {name: stored[name] for name in stored.files}
    run = Run(
        directory=directory,
        experiment=experiments.parse(text.decode(), provenance["experiment"], str(directory)),
        history={key: np.array([float(row[key]) for row in epochs]) for key in epochs[0]},
        metrics=json.loads(metrics),
        predictions=probabilities["test"],
        augmented_predictions=probabilities.get("test_augmented"),
        provenance=provenance,
    )
    _store.hand_out(
        "runs",
        run.fingerprint,
        name=run.name,
        digest=_store.run_digest(directory),
        trained=f"{provenance['date']} on {provenance['device']} ({provenance['threads']} threads, "
        f"{provenance['precision']}, TensorFlow {provenance['versions']['tensorflow']})",
    )
    return run


def every(dataset: Dataset) -> list[Run]:
    """Read all runs on a dataset, sorted by name; of equal fingerprints only the first run."""
    _store.hand_out("inventory", "all", names=_store.inventory())
    runs: dict[str, Run] = {}
    for directory in _store.run_directories():
        provenance = _store.read_provenance(directory)
        fingerprint = provenance["fingerprint"]
        if provenance["dataset_digest"] == dataset.digest and fingerprint not in runs:
            runs[fingerprint] = _read(directory, provenance)
    return sorted(runs.values(), key=lambda run: run.name)
