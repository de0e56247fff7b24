"""One run: read from its directory, every file verified, and its network rebuilt."""

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
from cifarcam.training import experiment
from cifarcam.training.experiment import Experiment


@dataclass(frozen=True)
class Run:
    """One finished training.

    Attributes
    ----------
    directory
        Where its files are.
    experiment
        What was trained.
    history
        Arrays by name, an entry an epoch: ``epoch`` (from 1), ``train_loss``,
        ``train_accuracy`` (as logged, dropout on), ``validation_loss``, ``validation_accuracy``,
        ``seconds``.
    metrics
        ``test`` as `cifarcam.evaluation.evaluate` gives it; ``test_augmented`` the same of the
        second predictor, where the experiment has one; ``train`` and, unless trained on,
        ``validation`` re-evaluated with dropout off; ``train_logged`` at the last epoch and
        ``train_kept_logged`` at the epoch whose weights were kept.
    predictions
        Class probabilities of the test images by one forward pass, float32, N x 10.
    augmented_predictions
        Those of the second predictor, or None.
    provenance
        Fingerprint, versions, device, durations, and the SHA-256 of each of the run's files.
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
        """The run's name: the experiment's, with seed and dataset where they are not usual."""
        return self.experiment.run_name

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the experiment's canonical form and the dataset's digest."""
        return str(self.provenance["fingerprint"])

    @property
    def has_weights(self) -> bool:
        """Whether its weights are at hand: those of the largest networks are not handed on."""
        return (self.directory / _store.WEIGHTS).is_file()

    def model(self) -> keras.Model:
        """The trained network in float32, its weights verified.

        Raises
        ------
        CifarcamError
            When the weights are not kept with the run, or differ from those that were evaluated.
        """
        _devices.prepare()
        path = self.directory / _store.WEIGHTS
        if not self.has_weights:
            raise CifarcamError(
                f"{path}: these weights are too large to be handed on with the run; "
                f"`cifarcam train {self.name} --again` makes them"
            )
        content = _store.read_file(self.directory, _store.WEIGHTS, self.provenance["files"])
        return with_weights(self.experiment, content)


def read(directory: Path) -> Run:
    """The run in a directory, its files verified.

    Raises
    ------
    CifarcamError
        When the directory does not hold a whole run, or a file is damaged.
    """
    if not (directory / _store.PROVENANCE).is_file():
        raise CifarcamError(f"{directory}: not a run, it has no {_store.PROVENANCE}")
    provenance = _store.read_provenance(directory)
    text, rows, predictions, metrics = (
        _store.read_file(directory, name, provenance["files"])
        for name in ("experiment.toml", "history.csv", "predictions.npz", "metrics.json")
    )
    epochs = list(csv.DictReader(io.StringIO(rows.decode())))
    with np.load(io.BytesIO(predictions), allow_pickle=False) as stored:
        probabilities = {name: stored[name] for name in stored.files}
    run = Run(
        directory=directory,
        experiment=experiment.parse(text.decode(), provenance["experiment"], str(directory)),
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
    """All runs at hand on a dataset, each fingerprint once, sorted by name."""
    _store.hand_out("inventory", "all", names=_store.inventory())
    at_hand: dict[str, Run] = {}
    for directory in _store.run_directories():
        provenance = _store.read_provenance(directory)
        if provenance["dataset_digest"] == dataset.digest:
            at_hand.setdefault(provenance["fingerprint"], read(directory))
    return sorted(at_hand.values(), key=lambda run: run.name)
