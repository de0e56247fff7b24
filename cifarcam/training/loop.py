"""The training loop: an experiment and a dataset in, a trained network and its history out."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from cifarcam import _devices
from cifarcam.data import Dataset, Split
from cifarcam.errors import CifarcamError
from cifarcam.training import graphs
from cifarcam.training.experiment import Experiment
from cifarcam.training.history import Epoch, Progress
from cifarcam.training.state import State, initial_state, restore, save

Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Trained:
    """A trained model, its history, and the epoch (from 1) whose weights it has."""

    model: keras.Model
    history: tuple[Epoch, ...]
    kept_epoch: int


@_devices.own_settings()  # the optimiser's variables take Keras's number type
def train(
    experiment: Experiment,
    dataset: Dataset,
    *,
    checkpoint: Path | None = None,
    report: Report | None = None,
) -> Trained:
    """Train the experiment's network on the training split and evaluate it on the validation split.

    With ``data.fit = "train+validation"`` the network is trained on both splits, in the published
    order of the images before shuffling, and there is no validation.

    The same experiment with the same software versions and number of threads gives the same
    weights, bit for bit, also after an interruption.

    Parameters
    ----------
    experiment
        The network, and how it is trained.
    dataset
        Its `train` and `validation` splits are used, its `test` split is not.
    checkpoint
        A file that gets the whole state after each epoch except the last. Where it exists,
        training goes on from it.
    report
        Called with the progress, several times an epoch.

    Returns
    -------
    Trained
        With the weights of the last epoch or, with early stopping, of the epoch with the lowest
        validation loss.

    Raises
    ------
    CifarcamError
        When the checkpoint is damaged or belongs to another experiment, the loss is no longer
        finite, or the memory does not suffice.
    """
    _devices.prepare()
    precision = _devices.resolve_precision(experiment.training.precision)
    try:
        with _devices.tensor_float_32(precision == "tf32"):
            return _train(experiment, dataset, checkpoint, report or (lambda progress: None))
    except tf.errors.ResourceExhaustedError as error:
        raise CifarcamError(
            f"{experiment.name}: a step needs more memory than there is; lower "
            "training.batch_size or the network's size"
        ) from error


def _train(
    experiment: Experiment, dataset: Dataset, checkpoint: Path | None, report: Report
) -> Trained:
    train, validation = _splits(experiment, dataset)
    state = initial_state(experiment, train)
    fingerprint = experiment.fingerprint(dataset.digest)
    if checkpoint is not None and checkpoint.exists():
        restore(state, checkpoint, fingerprint)
    images, labels = tf.constant(train.images), tf.constant(train.labels)
    compiled = functools.cache(
        functools.partial(graphs.compile_steps, experiment, state, images, labels)
    )
    evaluate = graphs.compile_evaluation(state.model)
    epochs = experiment.training.epochs
    while len(state.history) < epochs and not _stopped(experiment, state):
        number = len(state.history) + 1
        started = time.perf_counter()
        run_steps = compiled(experiment.training.image_size(number))
        order = _order(experiment, state, number, len(train))
        loss, accuracy = _train_epoch(experiment, state, run_steps, order, report)
        results = loss, accuracy, *evaluate(validation)
        epoch = Epoch(number, *results, time.perf_counter() - started)
        _check_losses(experiment, epoch)
        state.finish_epoch(epoch, keep_best=experiment.early_stopping is not None)
        if checkpoint is not None and number < epochs:
            save(state, checkpoint, fingerprint)
        report(Progress(number + 1, 0.0, 0.0, epochs, tuple(state.history)))
    state.model.set_weights(state.kept_weights)
    return Trained(state.model, tuple(state.history), state.kept_epoch)


def _splits(experiment: Experiment, dataset: Dataset) -> tuple[Split, Split]:
    """The images to train on and the images for validation, which may be none."""
    if experiment.data.fit == "train":
        return dataset.train, dataset.validation
    order = np.argsort(np.concatenate([dataset.train_indices, dataset.validation_indices]))
    both = Split(
        np.concatenate([dataset.train.images, dataset.validation.images])[order],
        np.concatenate([dataset.train.labels, dataset.validation.labels])[order],
    )
    return both, Split(both.images[:0], both.labels[:0])


def _order(experiment: Experiment, state: State, epoch: int, images: int) -> np.ndarray:
    """The indices of the images that an epoch (from 1) trains on, shuffled."""
    order = np.random.default_rng([experiment.training.seed, epoch]).permutation(images)
    if state.losses is None:
        return order
    count = experiment.images_seen(epoch, images)
    hardest = np.argsort(-state.losses.numpy(), kind="stable")[:count]
    return order[np.isin(order, hardest)]


def _train_epoch(
    experiment: Experiment,
    state: State,
    run_steps: graphs.RunSteps,
    order: np.ndarray,
    report: Report,
) -> tuple[float, float]:
    """Train the next epoch, reporting its progress; return its mean loss and its accuracy."""
    settings, history = experiment.training, tuple(state.history)
    number, started = len(history) + 1, time.perf_counter()
    loss, accuracy = math.nan, math.nan
    for part in graphs.run_epoch(run_steps, order, settings.batch_size, number):
        share, loss, accuracy = part
        if share < 1.0:
            elapsed = time.perf_counter() - started
            report(Progress(number, share, elapsed, settings.epochs, history))
    return loss, accuracy


def _check_losses(experiment: Experiment, epoch: Epoch) -> None:
    """Refuse losses that are not finite, as far as training depends on them."""
    name, advice = experiment.name, "lower training.learning_rate"
    if not math.isfinite(epoch.train_loss):
        raise CifarcamError(
            f"{name}: the training loss of epoch {epoch.epoch} is {epoch.train_loss}; {advice}"
        )
    if experiment.early_stopping is not None and not math.isfinite(epoch.validation_loss):
        raise CifarcamError(
            f"{name}: the validation loss of epoch {epoch.epoch} is {epoch.validation_loss}, so "
            f"that early stopping cannot compare it; {advice}"
        )


def _stopped(experiment: Experiment, state: State) -> bool:
    if experiment.early_stopping is None or not state.history:
        return False
    return len(state.history) - state.kept_epoch >= experiment.early_stopping.patience
