"""Runs: finished trainings, made, found again and loaded; and records of long measurements."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
from filelock import FileLock, Timeout
from safetensors import numpy as safetensors
from tqdm import tqdm

from cifarcam import (
    closure,
    data,
    devices,
    evaluation,
    experiment,
    explain,
    files,
    models,
    prediction,
    store,
    training,
)
from cifarcam.data import Dataset, Split
from cifarcam.errors import CifarcamError
from cifarcam.experiment import Experiment

# Networks with more parameters than this keep their trained weights in half precision.
HALF_PRECISION_FROM = 1_000_000


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

    def heatmaps(self, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Grad-CAM of the first test image of each class, for that class.

        Taken at the last layer with more than one position; read from the run where they are
        kept with it and belong to `dataset`, else computed.

        Returns
        -------
        tuple of numpy.ndarray
            The images' places in the test split, int64, N; raw magnitudes, float32, N x 32 x 32.

        Raises
        ------
        CifarcamError
            When they have to be computed and the weights are not at hand.
        """
        digests = self.provenance["files"]
        if store.HEATMAPS in digests and dataset.digest == self.provenance["dataset_digest"]:
            content = store.read_file(self.directory, store.HEATMAPS, digests)
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                return stored["indices"], stored["grad_cam"]
        return _heatmaps(self.model(), dataset.test)

    def model(self) -> keras.Model:
        """The trained network in float32, its weights verified.

        Raises
        ------
        CifarcamError
            When the weights are not kept with the run, or differ from those that were evaluated.
        """
        devices.prepare()
        path = self.directory / store.WEIGHTS
        if not path.is_file():
            raise CifarcamError(
                f"{path}: these weights are too large to be handed on with the run; "
                f"`cifarcam train {self.name} --again` makes them"
            )
        weights = store.read_file(self.directory, store.WEIGHTS, self.provenance["files"])
        return _with_weights(self.experiment, weights)


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
    directory = store.find_run(fingerprint, place)
    if directory is not None:
        return read(directory)
    print(f"no run of {wanted.run_name} is at hand; it is trained now", file=sys.stderr)
    directory = files.cache_dir() / "runs" / wanted.run_name
    with _training_lock(wanted, fingerprint, wait=True):
        files.clear_leftovers(directory)
        ready = store.find_run(fingerprint, place)  # made by another process meanwhile
        if ready is not None:
            return read(ready)
        return make(wanted, directory, dataset=dataset, report=show_progress(wanted))


def read(directory: Path) -> Run:
    """The run in a directory, its files verified.

    Raises
    ------
    CifarcamError
        When the directory does not hold a whole run, or a file is damaged.
    """
    if not (directory / store.PROVENANCE).is_file():
        raise CifarcamError(f"{directory}: not a run, it has no {store.PROVENANCE}")
    provenance = store.read_provenance(directory)
    text, rows, predictions, metrics = (
        store.read_file(directory, name, provenance["files"])
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
    store.hand_out(
        "runs",
        run.fingerprint,
        name=run.name,
        digest=store.run_digest(directory),
        trained=f"{provenance['date']} on {provenance['device']} ({provenance['threads']} threads, "
        f"{provenance['precision']}, TensorFlow {provenance['versions']['tensorflow']})",
    )
    return run


def every(dataset: Dataset) -> list[Run]:
    """All runs at hand on a dataset, each fingerprint once, sorted by name."""
    store.hand_out("inventory", "all", names=store.inventory())
    at_hand: dict[str, Run] = {}
    for directory in store.run_directories():
        provenance = store.read_provenance(directory)
        if provenance["dataset_digest"] == dataset.digest:
            at_hand.setdefault(provenance["fingerprint"], read(directory))
    return sorted(at_hand.values(), key=lambda run: run.name)


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
    with _training_lock(wanted, fingerprint, wait=False) as checkpoint:
        with files.writing_to(directory.parent):
            files.clear_leftovers(directory)
            tempfile.TemporaryFile(dir=directory.parent).close()  # fails now, not after training
        started, commit = datetime.now(UTC), _git_commit()
        trained = training.train(wanted, dataset, checkpoint=checkpoint, report=report)
        with files.writing_to(directory.parent), files.atomic_directory(directory) as temporary:
            _write(temporary, wanted, dataset, trained, started, commit)
        checkpoint.unlink(missing_ok=True)  # a training of one epoch makes none
    return read(directory)


def show_progress(wanted: Experiment) -> Callable[[training.Progress], None]:
    """A reporter that prints a line an epoch to standard error, with a bar in a terminal."""
    epochs = wanted.training.epochs
    bar = tqdm(
        total=epochs,
        desc=wanted.run_name,
        disable=None,
        leave=False,
        bar_format="{desc} {percentage:3.0f}% |{bar}| {postfix}",
    )
    told: list[int] = []

    def report(progress: training.Progress) -> None:
        left = _duration(progress.seconds_left)
        if not told:
            tqdm.write(f"{wanted.run_name}: at most {epochs} epochs, {left} left", file=sys.stderr)
            told.append(len(progress.history) if progress.share else 0)
        if len(progress.history) > told[-1]:
            last = progress.history[-1]
            told.append(last.epoch)
            watched = ""
            if wanted.data.fit == "train":
                watched = (
                    f"validation loss {last.validation_loss:.3f} "
                    f"accuracy {last.validation_accuracy:.1%}  "
                )
            tqdm.write(
                f"epoch {last.epoch:3d}/{epochs}  "
                f"training loss {last.train_loss:.3f} accuracy {last.train_accuracy:.1%}  "
                f"{watched}{last.seconds:.1f} s  {left} left",
                file=sys.stderr,
            )
        bar.n = progress.epochs_done
        bar.set_postfix_str(f"epoch {min(progress.epoch, epochs)}/{epochs}, {left} left")

    return report


def load_record(name: str) -> dict[str, Any]:
    """A record of a long measurement, verified; what it was not made of is said on stderr.

    Raises
    ------
    CifarcamError
        When there is none of that name, or it is damaged.
    """
    path = store.find_record(name)
    if path is None:
        raise CifarcamError(f"no record of {name!r}; make it by `cifarcam measure {name}`")
    record = store.read_record(path)
    difference = outdated_by(record)
    if difference is not None:
        print(
            f"the record {name!r} was made by {difference}; `cifarcam measure {name}` makes it anew",
            file=sys.stderr,
        )
    store.hand_out(
        "records",
        name,
        digest=files.sha256(path),
        fingerprint=record["fingerprint"],
        outdated_by=difference,
    )
    return record


def outdated_by(record: Mapping[str, Any]) -> str | None:
    """What a record was made by that differs from what is at hand; None where nothing does.

    Its code is compared by `closure.code_digest`, its dataset and experiments by their digests,
    its runs by their weights, as far as they are at hand.

    Returns
    -------
    str or None
        Such as ``"other code"`` or ``"another run of baseline"``.
    """
    if closure.code_digest(record["module"]) != record["code"]:
        return "other code"
    inputs = record["inputs"]
    for name, digest in inputs.get("datasets", {}).items():
        if data.DIGESTS.get(name) != digest:
            return f"another dataset {name}"
    for name, fingerprint in inputs.get("experiments", {}).items():
        settings = experiment.find(name)
        if settings.fingerprint(data.DIGESTS[settings.data.dataset]) != fingerprint:
            return f"another experiment {name}"
    for name, weights in inputs.get("runs", {}).items():
        directory = store.find_run(inputs["experiments"][name])
        if directory is None:
            continue
        if store.read_provenance(directory)["files"][store.WEIGHTS] != weights:
            return f"another run of {name}"
    return None


def record_inputs(
    dataset: Dataset, experiments: Iterable[Experiment] = (), used: Iterable[Run] = ()
) -> dict[str, dict[str, str]]:
    """What a record rests on besides code, as `outdated_by` compares it.

    Parameters
    ----------
    dataset, used
        The dataset and the runs measured.
    experiments
        Experiments of ``experiments/`` whose settings the measurement takes.
    """
    used = list(used)
    named = {_settings_name(one): one for one in [*experiments, *(run.experiment for run in used)]}
    return {
        "datasets": {dataset.name: dataset.digest},
        "experiments": {name: one.fingerprint(dataset.digest) for name, one in named.items()},
        "runs": {
            _settings_name(run.experiment): run.provenance["files"][store.WEIGHTS] for run in used
        },
    }


def _settings_name(wanted: Experiment) -> str:
    """The name by which `experiment.find` gives these settings."""
    return wanted.run_name.removesuffix(f"-{wanted.data.dataset}")


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
    checkpoints = files.cache_dir() / "checkpoints"
    for name in sorted({_target(path) for path in checkpoints.glob("*.safetensors*")}):
        checkpoint = checkpoints / name
        try:
            with FileLock(checkpoint.with_suffix(".lock"), timeout=0):
                removed += files.clear_leftovers(checkpoint)
                if checkpoint.is_file():
                    checkpoint.unlink()
                    removed.append(checkpoint)
        except Timeout:
            under_way = True
    for directory in () if under_way else (place, files.cache_dir() / "runs"):
        for name in sorted({_target(path) for path in directory.glob(".*.*") if path.is_dir()}):
            removed += files.clear_leftovers(directory / name)
    return removed


def _target(path: Path) -> str:
    """The name that a temporary file or directory was to get (see `files`), or the file's own."""
    if not path.name.startswith("."):
        return path.name
    return path.name[1:].rpartition(".")[0].removesuffix(".old")


def checkpoint_path(fingerprint: str) -> Path:
    """Where an interrupted training of an experiment keeps its state, in the user's cache."""
    return files.cache_dir() / "checkpoints" / f"{fingerprint}.safetensors"


@contextmanager
def _training_lock(wanted: Experiment, fingerprint: str, *, wait: bool) -> Iterator[Path]:
    """Hold an experiment's lock, which its holder may take again, and yield its checkpoint."""
    checkpoint = checkpoint_path(fingerprint)
    with files.writing_to(checkpoint.parent):
        lock = FileLock(checkpoint.with_suffix(".lock"), is_singleton=True)
        try:
            lock.acquire(timeout=-1 if wait else 0)
        except Timeout as error:
            raise CifarcamError(
                f"{wanted.run_name} is being trained by another process; wait until it ends"
            ) from error
    try:
        files.clear_leftovers(checkpoint)
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
    path = directory / store.WEIGHTS
    _save_weights(trained.model, path)
    model = _with_weights(wanted, path.read_bytes())
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
        "precision": devices.resolve_precision(wanted.training.precision),
        "training_seconds": sum(epoch.seconds for epoch in trained.history),
        "evaluation_seconds": evaluation_seconds,
        "date": started.date().isoformat(),
        "git_commit": commit,
        "versions": devices.versions(),
        **devices.describe(),
    }
    (directory / "experiment.toml").write_text(experiment.serialize(wanted), encoding="utf-8")
    with (directory / "history.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(training.Epoch)])
        writer.writeheader()
        writer.writerows(asdict(epoch) for epoch in trained.history)
    np.savez_compressed(directory / "predictions.npz", **predictions)
    indices, grad_cam = _heatmaps(model, dataset.test)
    np.savez_compressed(directory / store.HEATMAPS, indices=indices, grad_cam=grad_cam)
    for name, content in (("metrics", metrics), ("provenance", provenance)):
        (directory / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    store.seal_run(directory)


def _save_weights(model: keras.Model, path: Path) -> None:
    """Write a network's weights by their paths, those of large networks rounded to float16.

    Statistics of normalisation stay float32.
    """
    half = model.count_params() > HALF_PRECISION_FROM
    weights = {
        name: variable.numpy().astype(np.float16 if half and variable.trainable else np.float32)
        for name, variable in _named_weights(model).items()
    }
    safetensors.save_file(weights, path)


def _named_weights(model: keras.Model) -> dict[str, keras.Variable]:
    """A network's weights by layer and name, in its own order.

    Keras puts the network's name before the layer's in a Sequential model, not in a functional one.
    """
    prefix = f"{model.name}/"
    return {variable.path.removeprefix(prefix): variable for variable in model.weights}


def _with_weights(wanted: Experiment, stored: bytes) -> keras.Model:
    """The network of an experiment in float32, with weights as safetensors stores them."""
    model = models.build(wanted.architecture, wanted.options)
    arrays = safetensors.load(stored)
    tensors = {name.removeprefix(f"{model.name}/"): array for name, array in arrays.items()}
    model.set_weights([tensors[name].astype(np.float32) for name in _named_weights(model)])
    return model


def _heatmaps(model: keras.Model, test: Split) -> tuple[np.ndarray, np.ndarray]:
    indices = explain.first_of_each_class(test.labels)
    return indices, explain.GradCAM(model)(test.images[indices], test.labels[indices])


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


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
