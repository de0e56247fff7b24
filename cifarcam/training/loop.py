"""Experiment + Dataset -> trained model and history, resumable to the bit."""

from __future__ import annotations

import functools
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from safetensors import numpy as safetensors

from cifarcam import _devices, _files, models
from cifarcam.data import Dataset, Split
from cifarcam.errors import CifarcamError
from cifarcam.training import optimization
from cifarcam.training.augment import augment, shrink
from cifarcam.training.experiment import Experiment

STEPS_PER_CALL = 50  # at most, between two reports of progress and two chances to interrupt
IMAGES_PER_CALL = 3200  # the same for larger batches
ADAPTING_IMAGES = 5000  # of the training split, the first ones, for layers that learn from pixels
EVALUATION_BATCH = 500


@dataclass(frozen=True)
class Epoch:
    """One line of the history. Losses are cross-entropies in nats, accuracies 0-1.

    The training figures are as logged: means over the images that the epoch saw, while the
    weights move, with dropout, augmentation and label smoothing. Those of validation are NaN
    where the validation images are trained on.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float


@dataclass(frozen=True)
class Progress:
    """What is told during training: the epoch at hand (from 1), its finished share (0-1), the
    seconds it took so far, the number of epochs, and the history of the finished ones.
    """

    epoch: int
    share: float
    elapsed: float
    epochs: int
    history: tuple[Epoch, ...]

    @property
    def epochs_done(self) -> float:
        """Finished epochs, with the finished share of the one at hand."""
        return self.epoch - 1 + self.share

    @property
    def seconds_left(self) -> float:
        """Estimated from the pace of the epoch at hand and of the last finished ones."""
        recent = self.history[-5:]
        seconds = self.elapsed + sum(epoch.seconds for epoch in recent)
        return seconds / (self.share + len(recent)) * (self.epochs - self.epochs_done)


@dataclass(frozen=True)
class Trained:
    """A trained model, its history, and the epoch (from 1) whose weights it holds."""

    model: keras.Model
    history: tuple[Epoch, ...]
    kept_epoch: int


@dataclass
class _State:
    """All that decides how a training goes on, besides the experiment and the dataset."""

    model: keras.Model
    optimizer: keras.Optimizer
    averages: optimization.Averages | None
    losses: tf.Variable | None  # each image's when last seen; where the experiment selects by it
    history: list[Epoch] = field(default_factory=list)
    kept_epoch: int = 0
    kept_weights: list[np.ndarray] = field(default_factory=list)

    @property
    def variables(self) -> list[Any]:
        # `model.variables`, not `model.weights`: the latter leave out dropout's seeds.
        slow = self.averages.variables if self.averages else []
        seen = [self.losses] if self.losses is not None else []
        return [*self.model.variables, *self.optimizer.variables, *slow, *seen]

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within it the model has the averaged weights, where there are such."""
        if self.averages is None:
            yield
            return
        self.averages.swap()
        try:
            yield
        finally:
            self.averages.swap()

    def keep(self) -> None:
        self.kept_epoch = len(self.history)
        self.kept_weights = self.model.get_weights()


@_devices.own_settings()  # the optimiser has numbers of its own
def train(
    experiment: Experiment,
    dataset: Dataset,
    *,
    checkpoint: Path | None = None,
    report: Callable[[Progress], None] | None = None,
) -> Trained:
    """Train the experiment's network on the training split, watching the validation split.

    With ``data.fit = "train+validation"`` it is trained on both, in the published order of the
    images before shuffling, and nothing is watched.

    The same experiment with the same versions and thread count gives the same weights, bit for
    bit, whether or not it was interrupted in between.

    Parameters
    ----------
    experiment
        What to train and how.
    dataset
        Its `train` and `validation` are used, its `test` is not.
    checkpoint
        A file that holds all state after each epoch but the last. Where it exists, training goes
        on from it.
    report
        Called several times an epoch.

    Returns
    -------
    Trained
        The weights of the last epoch or, with early stopping, of the lowest validation loss.

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
            return _train(experiment, dataset, checkpoint, report)
    except tf.errors.ResourceExhaustedError as error:
        raise CifarcamError(
            f"{experiment.name}: a step needs more memory than there is; lower "
            "training.batch_size or the network's size"
        ) from error


def _train(
    experiment: Experiment,
    dataset: Dataset,
    checkpoint: Path | None,
    report: Callable[[Progress], None] | None,
) -> Trained:
    train, watched = _splits(experiment, dataset)
    state = _fresh_state(experiment, train)
    fingerprint = experiment.fingerprint(dataset.digest)
    if checkpoint is not None and checkpoint.exists():
        _restore(state, checkpoint, fingerprint)
    images, labels = tf.constant(train.images), tf.constant(train.labels)
    compiled = functools.cache(functools.partial(_compile_steps, experiment, state, images, labels))
    evaluate = _compile_evaluation(state.model)
    settings, epochs = experiment.training, experiment.training.epochs
    while len(state.history) < epochs and not _stopped(experiment, state):
        number = len(state.history) + 1
        started = time.perf_counter()
        loss, accuracy = math.nan, math.nan
        run_steps = compiled(settings.image_size(number))
        order = _order(experiment, state, number, len(train))
        for part in _train_epoch(run_steps, order, settings.batch_size, number):
            share, loss, accuracy = part
            if report is not None and share < 1.0:
                elapsed = time.perf_counter() - started
                report(Progress(number, share, elapsed, epochs, tuple(state.history)))
        if not math.isfinite(loss):
            raise CifarcamError(
                f"{experiment.name}: the training loss of epoch {number} is {loss}; "
                "lower training.learning_rate"
            )
        with state.averaged():
            validation_loss, validation_accuracy = evaluate(watched)
            if experiment.early_stopping is not None and not math.isfinite(validation_loss):
                raise CifarcamError(
                    f"{experiment.name}: the validation loss of epoch {number} is "
                    f"{validation_loss}, so that early stopping cannot go by it; "
                    "lower training.learning_rate"
                )
            seconds = time.perf_counter() - started
            state.history.append(
                Epoch(number, loss, accuracy, validation_loss, validation_accuracy, seconds)
            )
            lowest = _lowest_loss(state.history[:-1])
            if experiment.early_stopping is None or validation_loss < lowest:
                state.keep()
        if checkpoint is not None and number < epochs:
            _save(state, checkpoint, fingerprint)
        if report is not None:
            report(Progress(number + 1, 0.0, 0.0, epochs, tuple(state.history)))
    state.model.set_weights(state.kept_weights)
    return Trained(state.model, tuple(state.history), state.kept_epoch)


def _splits(experiment: Experiment, dataset: Dataset) -> tuple[Split, Split]:
    """The images to train on and those to watch."""
    if experiment.data.fit == "train":
        return dataset.train, dataset.validation
    order = np.argsort(np.concatenate([dataset.train_indices, dataset.validation_indices]))
    both = Split(
        np.concatenate([dataset.train.images, dataset.validation.images])[order],
        np.concatenate([dataset.train.labels, dataset.validation.labels])[order],
    )
    return both, Split(both.images[:0], both.labels[:0])


def _fresh_state(experiment: Experiment, train: Split) -> _State:
    settings = experiment.training
    keras.utils.set_random_seed(settings.seed)
    precision = _devices.resolve_precision(settings.precision)
    model = models.build(experiment.architecture, experiment.options, precision)
    models.adapt(model, train.images[:ADAPTING_IMAGES])
    counts = [experiment.images_seen(n, len(train)) for n in range(1, settings.epochs + 1)]
    steps = sum(math.ceil(count / settings.batch_size) for count in counts)
    optimizer = optimization.optimizer(settings, experiment.schedule, steps)
    optimization.build(optimizer, model)
    averaging = experiment.averaging
    averages = optimization.Averages(averaging, model) if averaging is not None else None
    losses = None
    if experiment.selection is not None:
        losses = tf.Variable(tf.zeros(len(train)), trainable=False)
    return _State(model, optimizer, averages, losses)


def _order(experiment: Experiment, state: _State, epoch: int, images: int) -> np.ndarray:
    """The images that an epoch (from 1) trains on, shuffled: those of highest loss, or all."""
    order = np.random.default_rng([experiment.training.seed, epoch]).permutation(images)
    if state.losses is None:
        return order
    count = experiment.images_seen(epoch, images)
    hardest = np.argsort(-state.losses.numpy(), kind="stable")[:count]
    return order[np.isin(order, hardest)]


def _lowest_loss(history: list[Epoch]) -> float:
    return min((epoch.validation_loss for epoch in history), default=np.inf)


def _stopped(experiment: Experiment, state: _State) -> bool:
    if experiment.early_stopping is None or not state.history:
        return False
    return len(state.history) - state.kept_epoch >= experiment.early_stopping.patience


def _compile_steps(
    experiment: Experiment,
    state: _State,
    images: tf.Tensor,
    labels: tf.Tensor,
    size: int | None,
) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
    """A graph that runs a range of steps and returns the summed loss and the number correct.

    Images are shrunk to `size` pixels a side after augmentation; None leaves them as they are.
    """
    model, optimizer, settings = state.model, state.optimizer, experiment.training
    to_logits = keras.Model(model.inputs, model.get_layer("logits").output)
    if size is not None:
        to_logits = _for_size(to_logits, size, experiment)
    classes = model.output_shape[-1]

    def cross_entropy(truth: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        if not settings.label_smoothing:
            return tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)
        smooth = settings.label_smoothing
        target = tf.one_hot(truth, classes) * (1 - smooth) + smooth / classes
        return tf.nn.softmax_cross_entropy_with_logits(target, logits)

    @tf.function(
        input_signature=[tf.TensorSpec([None, None], tf.int64), tf.TensorSpec([], tf.int64)]
    )
    def run_steps(batches: tf.Tensor, epoch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        loss_sum, correct = tf.constant(0.0), tf.constant(0, tf.int64)
        for step in tf.range(tf.shape(batches)[0]):
            chosen = batches[step]
            batch = augment(
                experiment.augmentation,
                tf.gather(images, chosen),
                tf.gather(labels, chosen),
                chosen,
                epoch,
                settings.seed,
                tf.convert_to_tensor(optimizer.iterations),
            )
            shown = batch.images if size is None else shrink(batch.images, size)
            with tf.GradientTape() as tape:
                logits = to_logits(shown, training=True)
                losses = cross_entropy(batch.labels, logits)
                if experiment.augmentation is not None and experiment.augmentation.mixup:
                    others = cross_entropy(batch.others, logits)
                    losses = batch.share * losses + (1 - batch.share) * others
                loss = tf.reduce_mean(losses)
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply(gradients, model.trainable_variables)
            if state.averages is not None:
                state.averages.update(tf.convert_to_tensor(optimizer.iterations))
            if state.losses is not None:
                state.losses.scatter_nd_update(chosen[:, tf.newaxis], losses)
            loss_sum += tf.reduce_sum(losses)
            correct += tf.math.count_nonzero(tf.argmax(logits, axis=1) == batch.labels)
        return loss_sum, correct

    return run_steps


def _for_size(model: keras.Model, size: int, experiment: Experiment) -> keras.Model:
    """A model for images of another size, made of the same layers."""
    image = keras.Input((size, size, model.input_shape[-1]))
    try:
        return keras.models.clone_model(
            model, input_tensors=[image], clone_function=lambda layer: layer
        )
    except ValueError as error:
        raise CifarcamError(
            f"{experiment.name}: training.image_sizes: {experiment.architecture} does not take "
            f"images of {size} x {size} pixels; leave image_sizes out"
        ) from error


def _train_epoch(
    run_steps: Callable[..., tuple[tf.Tensor, tf.Tensor]],
    order: np.ndarray,
    batch_size: int,
    epoch: int,
) -> Iterator[tuple[float, float, float]]:
    """Run one epoch; yield its finished share, and the mean loss and accuracy so far."""
    chunk = min(STEPS_PER_CALL, max(1, IMAGES_PER_CALL // batch_size)) * batch_size
    loss_sum, correct = 0.0, 0
    for start in range(0, len(order), chunk):
        part = order[start : start + chunk]
        whole = len(part) // batch_size * batch_size
        for batches in (part[:whole].reshape(-1, batch_size), part[whole:][np.newaxis]):
            if batches.size:
                part_loss, part_correct = run_steps(batches, epoch)
                loss_sum += float(part_loss)
                correct += int(part_correct)
        done = start + len(part)
        yield done / len(order), loss_sum / done, correct / done


def _compile_evaluation(model: keras.Model) -> Callable[[Split], tuple[float, float]]:
    """A function from a split to its mean cross-entropy and its accuracy, dropout off."""
    to_logits = keras.Model(model.inputs, model.get_layer("logits").output)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, *model.input_shape[1:]], tf.uint8),
            tf.TensorSpec([None], tf.int64),
        ]
    )
    def on_batch(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        logits = to_logits(images, training=False)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        correct = tf.math.count_nonzero(tf.argmax(logits, axis=1) == labels)
        return tf.reduce_sum(losses), correct

    def evaluate(split: Split) -> tuple[float, float]:
        loss_sum, correct = 0.0, 0
        for start in range(0, len(split), EVALUATION_BATCH):
            part = slice(start, start + EVALUATION_BATCH)
            batch_loss, batch_correct = on_batch(split.images[part], split.labels[part])
            loss_sum += float(batch_loss)
            correct += int(batch_correct)
        count = len(split) or math.nan
        return loss_sum / count, correct / count

    return evaluate


def _save(state: _State, path: Path, fingerprint: str) -> None:
    tensors = {f"variable.{i}": v.numpy() for i, v in enumerate(state.variables)}
    tensors |= {f"kept.{i}": array for i, array in enumerate(state.kept_weights)}
    tensors = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    metadata = {
        "sha256": _files.UNSEALED,
        "fingerprint": fingerprint,
        "history": json.dumps([asdict(epoch) for epoch in state.history]),
        "kept_epoch": str(state.kept_epoch),
        "made_with": _software(state),
    }
    with _files.writing_to(path.parent), _files.atomic_file(path) as temporary:
        safetensors.save_file(tensors, temporary, metadata)
        _files.seal(temporary)


def _software(state: _State) -> str:
    return json.dumps([_devices.versions(), state.model.dtype_policy.name], sort_keys=True)


def _restore(state: _State, path: Path, fingerprint: str) -> None:
    content = _files.read_sealed(path, "delete it to begin the training anew")
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    metadata = header["__metadata__"]
    if metadata["fingerprint"] != fingerprint:
        raise CifarcamError(f"{path}: the checkpoint of another experiment; delete it")
    if metadata.get("made_with") != _software(state):
        raise CifarcamError(
            f"{path}: the checkpoint of other versions or another precision, with which this "
            "training cannot go on; delete it to begin anew"
        )
    stored = safetensors.load(content)
    for index, variable in enumerate(state.variables):
        variable.assign(stored[f"variable.{index}"])
    count = len(state.model.get_weights())
    state.kept_weights = [stored[f"kept.{i}"] for i in range(count)]
    state.history = [Epoch(**epoch) for epoch in json.loads(metadata["history"])]
    state.kept_epoch = int(metadata["kept_epoch"])
