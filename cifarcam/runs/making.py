"""Making a run: training, evaluating once on the test split, writing it whole or not at all."""

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
from cifarcam.training import experiment, prediction
from cifarcam.training.experiment import Experiment


def load(
    name: str,
    *,
    seed: int | None = None,
    dataset: Dataset | None = None,
    place: Path | None = None,
) -> Run:
    """The run of an experiment; trained now where none is found.

    Where another process is training it already, as when two notebooks need it at once, that
    one's end is waited for.

    Parameters
    ----------
    name
        The experiment's name (``"baseline"``, ``"baseline-seed1"``) or its TOML file.
    seed
        Another seed than the experiment's own.
    dataset
        The dataset at hand; without it the experiment's own is used.
    place
        A directory of runs to look in first.

    Raises
    ------
    CifarcamError
        When there is no such experiment, or it cannot be trained.
    """
    wanted = experiment.find(name).with_changes(
        seed=seed, dataset=dataset.name if dataset is not None else None
    )
    fingerprint = wanted.fingerprint(data.DIGESTS[wanted.data.dataset])
    directory = _store.find_run(fingerprint, place)
    if directory is not None:
        return read(directory)
    print(f"no run of {wanted.run_name} is at hand; it is trained now", file=sys.stderr)
    directory = _files.cache_dir() / "runs" / wanted.run_name
    with training_lock(wanted, fingerprint, wait=True):
        _files.clear_leftovers(directory)
        ready = _store.find_run(fingerprint, place)  # made by another process meanwhile
        if ready is not None:
            return read(ready)
        return make(wanted, directory, dataset=dataset, report=show_progress(wanted))


def make(
    wanted: Experiment,
    directory: Path,
    *,
    dataset: Dataset | None = None,
    report: Callable[[training.Progress], None] | None = None,
) -> Run:
    """Train an experiment, evaluate the test split once, and write the run.

    Interrupted, it loses at most one epoch: the same call goes on from the checkpoint that it
    keeps in the cache.

    Raises
    ------
    CifarcamError
        When the same experiment is being trained by another process, or nothing can be written.
    """
    if dataset is None or dataset.split_seed != wanted.data.split_seed:
        dataset = data.load(wanted.data.dataset, seed=wanted.data.split_seed)
    fingerprint = wanted.fingerprint(dataset.digest)
    with training_lock(wanted, fingerprint, wait=False) as checkpoint:
        with _files.writing_to(directory.parent):
            _files.clear_leftovers(directory)
            tempfile.TemporaryFile(dir=directory.parent).close()  # fails now, not after training
        started, commit = datetime.now(UTC), _git_commit()
        trained = training.train(wanted, dataset, checkpoint=checkpoint, report=report)
        with _files.writing_to(directory.parent), _files.atomic_directory(directory) as temporary:
            _write(temporary, wanted, dataset, trained, started, commit)
        checkpoint.unlink(missing_ok=True)  # a training of one epoch makes none
    return read(directory)


def clean(place: Path) -> list[Path]:
    """Remove what interrupted trainings left behind, and return what was removed.

    Checkpoints, from which the trainings could go on, and half-written runs. What belongs to a
    training that is under way stays.

    Parameters
    ----------
    place
        The directory of runs; the user's cache is cleaned as well.
    """
    removed = []
    under_way = False
    checkpoints = _files.cache_dir() / "checkpoints"
    for name in sorted({_target(path) for path in checkpoints.glob("*.safetensors*")}):
        checkpoint = checkpoints / name
        try:
            with FileLock(checkpoint.with_suffix(".lock"), timeout=0):
                removed += _files.clear_leftovers(checkpoint)
                if checkpoint.is_file():
                    checkpoint.unlink()
                    removed.append(checkpoint)
        except Timeout:
            under_way = True
    for directory in () if under_way else (place, _files.cache_dir() / "runs"):
        for name in sorted({_target(path) for path in directory.glob(".*.*") if path.is_dir()}):
            removed += _files.clear_leftovers(directory / name)
    return removed


def _target(path: Path) -> str:
    """The name that a temporary file or directory was to get (see `files`), or the file's own."""
    if not path.name.startswith("."):
        return path.name
    return path.name[1:].rpartition(".")[0].removesuffix(".old")


def checkpoint_path(fingerprint: str) -> Path:
    """Where an interrupted training of an experiment keeps its state, in the user's cache."""
    return _files.cache_dir() / "checkpoints" / f"{fingerprint}.safetensors"


@contextmanager
def training_lock(wanted: Experiment, fingerprint: str, *, wait: bool) -> Iterator[Path]:
    """Hold an experiment's lock, which its holder may take again, and yield its checkpoint."""
    checkpoint = checkpoint_path(fingerprint)
    with _files.writing_to(checkpoint.parent):
        lock = FileLock(checkpoint.with_suffix(".lock"), is_singleton=True)
        try:
            lock.acquire(timeout=-1 if wait else 0)
        except Timeout as error:
            raise CifarcamError(
                f"{wanted.run_name} is being trained by another process; wait until it ends"
            ) from error
    try:
        _files.clear_leftovers(checkpoint)
        yield checkpoint
    finally:
        lock.release()


def _write(
    directory: Path,
    wanted: Experiment,
    dataset: Dataset,
    trained: training.Trained,
    started: datetime,
    commit: str | None,
) -> None:
    path = directory / _store.WEIGHTS
    save_weights(trained.model, path)
    model = with_weights(wanted, path.read_bytes())
    began = time.perf_counter()
    predictions: dict[str, Any] = {"test": prediction.predict(model, dataset.test.images)}
    evaluation_seconds = time.perf_counter() - began
    if wanted.prediction is not None:
        predictions["test_augmented"] = prediction.predict_augmented(
            model, dataset.test.images, wanted.prediction.augmentation
        )
    if not all(np.isfinite(found).all() for found in predictions.values()):
        raise CifarcamError(
            f"{wanted.name}: the trained network's output is not finite; lower "
            "training.learning_rate"
        )
    last, kept = trained.history[-1], trained.history[trained.kept_epoch - 1]
    metrics: dict[str, Any] = {
        name: evaluation.evaluate(probabilities, dataset.test.labels)
        for name, probabilities in predictions.items()
    }
    metrics["train"] = _summary(model, dataset.train)
    if wanted.data.fit == "train":
        metrics["validation"] = _summary(model, dataset.validation)
    metrics["train_logged"] = {"accuracy": last.train_accuracy, "loss": last.train_loss}
    metrics["train_kept_logged"] = {"accuracy": kept.train_accuracy, "loss": kept.train_loss}
    provenance = {
        "experiment": wanted.name,
        "fingerprint": wanted.fingerprint(dataset.digest),
        "dataset_digest": dataset.digest,
        "parameters": model.count_params(),
        "epochs": len(trained.history),
        "kept_epoch": trained.kept_epoch,
        "precision": _devices.resolve_precision(wanted.training.precision),
        "training_seconds": sum(epoch.seconds for epoch in trained.history),
        "evaluation_seconds": evaluation_seconds,
        "date": started.date().isoformat(),
        "git_commit": commit,
        "versions": _devices.versions(),
        **_devices.describe(),
    }
    (directory / "experiment.toml").write_text(experiment.serialize(wanted), encoding="utf-8")
    with (directory / "history.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(training.Epoch)])
        writer.writeheader()
        writer.writerows(asdict(epoch) for epoch in trained.history)
    np.savez_compressed(directory / "predictions.npz", **predictions)
    for name, content in (("metrics", metrics), ("provenance", provenance)):
        (directory / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    _store.seal_run(directory)


def _summary(model: keras.Model, split: Split) -> dict[str, float]:
    whole = evaluation.evaluate(prediction.predict(model, split.images), split.labels)
    return {key: whole[key] for key in ("accuracy", "cross_entropy")}


def _git_commit() -> str | None:
    """The commit that the package's code stands at; None where git does not hold that code."""
    here = Path(__file__).resolve()
    git = ["git", "-C", str(here.parent)]
    try:
        for asked in (["ls-files", "--error-unmatch", here.name], ["rev-parse", "HEAD"]):
            answer = subprocess.run([*git, *asked], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()
