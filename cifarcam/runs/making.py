"""Making runs: train, evaluate once on the test split, write as a whole or not at all."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
from filelock import FileLock, Timeout

from cifarcam import _devices, _files, _store, data, evaluation, training
from cifarcam.data import Dataset, Split
from cifarcam.errors import CifarcamError
from cifarcam.runs.progress import show_progress
from cifarcam.runs.run import Run, read
from cifarcam.runs.weights import save_weights, with_weights
from cifarcam.training import experiment as experiments
from cifarcam.training import prediction
from cifarcam.training.experiment import Experiment


def load(
    name: str,
    *,
    seed: int | None = None,
    dataset: Dataset | None = None,
    place: Path | None = None,
) -> Run:
    """Read the run of an experiment; train it where there is none.

    When another process is training the same experiment, this call waits for its run.

    Parameters
    ----------
    name
        The experiment's name (``"baseline"``, ``"baseline-seed1"``) or its TOML file.
    seed
        A seed that replaces the experiment's own.
    dataset
        A loaded dataset; by default the experiment's own is loaded.
    place
        A directory of runs to look in first.

    Raises
    ------
    CifarcamError
        When there is no experiment of that name, or it cannot be trained.
    """
    experiment = experiments.find(name).with_changes(
        seed=seed, dataset=dataset.name if dataset is not None else None
    )
    fingerprint = experiment.fingerprint(data.DIGESTS[experiment.data.dataset])
    directory = _store.find_run(fingerprint, place)
    if directory is not None:
        return read(directory)
    print(f"there is no run of {experiment.run_name}; it is trained now", file=sys.stderr)
    directory = _files.cache_dir() / "runs" / experiment.run_name
    with training_lock(experiment, fingerprint, wait=True):
        _files.clear_leftovers(directory)
        finished = _store.find_run(fingerprint, place)  # by another process in the meantime
        if finished is not None:
            return read(finished)
        return make(experiment, directory, dataset=dataset, report=show_progress(experiment))


def at_hand(name: str, *, dataset: Dataset | None = None, place: Path | None = None) -> list[Run]:
    """Read the runs of an experiment from all seeds at hand: 0, 1, 2, ... up to the first gap.

    Where there is no run of seed 0, that run is trained, see `load`.

    Raises
    ------
    CifarcamError
        As `load` does.
    """
    found = [load(name, seed=0, dataset=dataset, place=place)]
    while True:
        experiment = experiments.find(name).with_changes(
            seed=len(found), dataset=dataset.name if dataset is not None else None
        )
        fingerprint = experiment.fingerprint(data.DIGESTS[experiment.data.dataset])
        directory = _store.find_run(fingerprint, place)
        if directory is None:
            return found
        found.append(read(directory))


def make(
    experiment: Experiment,
    directory: Path,
    *,
    dataset: Dataset | None = None,
    report: Callable[[training.Progress], None] | None = None,
) -> Run:
    """Train an experiment, evaluate the test split once, and write the run.

    An interruption loses at most one epoch: the same call resumes from the checkpoint in the
    cache.

    Raises
    ------
    CifarcamError
        When another process is training the same experiment, or the run cannot be written.
    """
    if dataset is None or dataset.split_seed != experiment.data.split_seed:
        dataset = data.load(experiment.data.dataset, seed=experiment.data.split_seed)
    fingerprint = experiment.fingerprint(dataset.digest)
    with training_lock(experiment, fingerprint, wait=False) as checkpoint:
        with _files.writing_to(directory.parent):
            _files.clear_leftovers(directory)
            tempfile.TemporaryFile(dir=directory.parent).close()  # fails now, not after training
        started, commit = datetime.now(UTC), _git_commit()
        trained = training.train(experiment, dataset, checkpoint=checkpoint, report=report)
        with _files.writing_to(directory.parent), _files.atomic_directory(directory) as temporary:
            _write(temporary, experiment, dataset, trained, started, commit)
        checkpoint.unlink(missing_ok=True)  # a training run of one epoch has none
    return read(directory)


def clean(place: Path) -> list[Path]:
    """Remove checkpoints and unfinished runs of interrupted training; return what was removed.

    Files of a training run that is in progress stay.

    Parameters
    ----------
    place
        The directory of runs; the user's cache is cleaned as well.
    """
    removed = []
    in_progress = False
    checkpoints = _files.cache_dir() / "checkpoints"
    for name in sorted({_files.target_name(path) for path in checkpoints.glob("*.safetensors*")}):
        checkpoint = checkpoints / name
        try:
            with FileLock(checkpoint.with_suffix(".lock"), timeout=0):
                removed += _files.clear_leftovers(checkpoint)
                if checkpoint.is_file():
                    checkpoint.unlink()
                    removed.append(checkpoint)
        except Timeout:
            in_progress = True
    for directory in () if in_progress else (place, _files.cache_dir() / "runs"):
        unfinished = {_files.target_name(path) for path in directory.glob(".*.*") if path.is_dir()}
        for name in sorted(unfinished):
            removed += _files.clear_leftovers(directory / name)
    return removed


def checkpoint_path(fingerprint: str) -> Path:
    """The file in the user's cache that keeps the state of an experiment's training."""
    return _files.cache_dir() / "checkpoints" / f"{fingerprint}.safetensors"


@contextmanager
def training_lock(experiment: Experiment, fingerprint: str, *, wait: bool) -> Iterator[Path]:
    """Hold an experiment's lock and yield its checkpoint; the same thread may take it again.

    Raises
    ------
    CifarcamError
        When another process holds the lock and `wait` is false.
    """
    checkpoint = checkpoint_path(fingerprint)
    with _files.writing_to(checkpoint.parent):
        lock = FileLock(checkpoint.with_suffix(".lock"), is_singleton=True)
        try:
            lock.acquire(timeout=-1 if wait else 0)
        except Timeout as error:
            raise CifarcamError(
                f"{experiment.run_name} is being trained by another process; wait until it ends"
            ) from error
    try:
        _files.clear_leftovers(checkpoint)
        yield checkpoint
    finally:
        lock.release()


def _write(
    directory: Path,
    experiment: Experiment,
    dataset: Dataset,
    trained: training.Trained,
    started: datetime,
    commit: str | None,
) -> None:
    """Write all files of a run; the network evaluated is the network rebuilt from its weights."""
    path = directory / _store.WEIGHTS
    save_weights(trained.model, path)
    model = with_weights(experiment, path.read_bytes())
    predictions, evaluation_seconds = _predict(model, experiment, dataset.test)
    metrics = _metrics(model, experiment, dataset, trained, predictions)
    provenance = {
        "experiment": experiment.name,
        "fingerprint": experiment.fingerprint(dataset.digest),
        "dataset_digest": dataset.digest,
        "parameters": model.count_params(),
        "epochs": len(trained.history),
        "kept_epoch": trained.kept_epoch,
        "precision": _devices.resolve_precision(experiment.training.precision),
        "training_seconds": sum(epoch.seconds for epoch in trained.history),
        "evaluation_seconds": evaluation_seconds,
        "date": started.date().isoformat(),
        "git_commit": commit,
        "versions": _devices.versions(),
        **_devices.describe(),
    }
    (directory / "experiment.toml").write_text(experiments.serialize(experiment), encoding="utf-8")
    with (directory / "history.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(training.Epoch)])
        writer.writeheader()
        writer.writerows(asdict(epoch) for epoch in trained.history)
    np.savez_compressed(directory / "predictions.npz", **predictions)  # type: ignore[arg-type]
    for name, content in (("metrics", metrics), ("provenance", provenance)):
        (directory / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    _store.seal_run(directory)


def _predict(
    model: keras.Model, experiment: Experiment, test: Split
) -> tuple[dict[str, np.ndarray], float]:
    """Probabilities of the test images by predictor, and the seconds of one forward pass.

    Raises
    ------
    CifarcamError
        When one of them is not finite.
    """
    began = time.perf_counter()
    predictions = {"test": prediction.predict(model, test.images)}
    seconds = time.perf_counter() - began
    if experiment.prediction is not None:
        predictions["test_augmented"] = prediction.predict_augmented(
            model, test.images, experiment.prediction.augmentation
        )
    if not all(np.isfinite(probabilities).all() for probabilities in predictions.values()):
        raise CifarcamError(
            f"{experiment.name}: the trained network's output is not finite; lower "
            "training.learning_rate"
        )
    return predictions, seconds


def _metrics(
    model: keras.Model,
    experiment: Experiment,
    dataset: Dataset,
    trained: training.Trained,
    predictions: dict[str, np.ndarray],
) -> dict[str, Any]:
    """The content of ``metrics.json``, as `Run` describes it."""
    last, stored = trained.history[-1], trained.history[trained.kept_epoch - 1]
    metrics: dict[str, Any] = {
        name: evaluation.evaluate(probabilities, dataset.test.labels, dataset.class_names)
        for name, probabilities in predictions.items()
    }
    metrics["train"] = _summary(model, dataset.train, dataset.class_names)
    if experiment.data.fit == "train":
        metrics["validation"] = _summary(model, dataset.validation, dataset.class_names)
    metrics["train_logged"] = {"accuracy": last.train_accuracy, "loss": last.train_loss}
    metrics["train_kept_logged"] = {"accuracy": stored.train_accuracy, "loss": stored.train_loss}
    return metrics


def _summary(model: keras.Model, split: Split, class_names: tuple[str, ...]) -> dict[str, float]:
    probabilities = prediction.predict(model, split.images)
    metrics = evaluation.evaluate(probabilities, split.labels, class_names)
    return {key: metrics[key] for key in ("accuracy", "cross_entropy")}


def _git_commit() -> str | None:
    """The commit of the package's code; None where git does not track it."""
    here = Path(__file__).resolve()
    git = ["git", "-C", str(here.parent)]
    try:
        for arguments in (["ls-files", "--error-unmatch", here.name], ["rev-parse", "HEAD"]):
            done = subprocess.run([*git, *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
