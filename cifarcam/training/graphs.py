"""The compiled graphs of a training run: its steps, and the evaluation of a split."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from cifarcam.data import Split
from cifarcam.errors import CifarcamError
from cifarcam.training.augment import augment, shrink
from cifarcam.training.experiment import Experiment
from cifarcam.training.state import State

STEPS_PER_CALL = 50  # at most, between two reports of progress and two chances to interrupt
IMAGES_PER_CALL = 3200  # the same limit for larger batches
EVALUATION_BATCH = 500

RunSteps = Callable[[np.ndarray, int], tuple[tf.Tensor, tf.Tensor]]


def compile_steps(
    experiment: Experiment, state: State, images: tf.Tensor, labels: tf.Tensor, size: int | None
) -> RunSteps:
    """Compile the training steps of the epochs that see images of one size.

    Parameters
    ----------
    experiment
        The experiment.
    state
        Its model, optimiser and losses are updated by the steps.
    images, labels
        The training images (uint8, N x H x W x 3) and their labels (int64, N).
    size
        The side in pixels that images are shrunk to after augmentation; None for full size.

    Returns
    -------
    Callable
        A function of batches (indices of images, int64, steps x batch size) and an epoch (from
        1). It takes a step for each batch and returns the summed loss and the number of images
        that were classified correctly.
    """
    model, optimizer, settings = state.model, state.optimizer, experiment.training
    to_logits = keras.Model(model.inputs, model.get_layer("logits").output)
    if size is not None:
        to_logits = _for_size(to_logits, size, experiment)

    def run_step(indices: tf.Tensor, epoch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        truth = tf.gather(labels, indices)
        step = tf.convert_to_tensor(optimizer.iterations)
        batch = augment(
            experiment.augmentation,
            tf.gather(images, indices),
            indices,
            epoch,
            settings.seed,
            step,
        )
        if size is not None:
            batch = shrink(batch, size)
        with tf.GradientTape() as tape:
            logits = to_logits(batch, training=True)
            losses = _cross_entropy(truth, logits, settings.label_smoothing)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        if state.losses is not None:
            state.losses.scatter_nd_update(indices[:, tf.newaxis], losses)
        correct = tf.math.count_nonzero(tf.argmax(logits, axis=1) == truth)
        return tf.reduce_sum(losses), correct

    @tf.function(
        input_signature=[tf.TensorSpec([None, None], tf.int64), tf.TensorSpec([], tf.int64)]
    )
    def run_steps(batches: tf.Tensor, epoch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        loss_sum, correct = tf.constant(0.0), tf.constant(0, tf.int64)
        for step in tf.range(tf.shape(batches)[0]):
            step_loss, step_correct = run_step(batches[step], epoch)
            loss_sum += step_loss
            correct += step_correct
        return loss_sum, correct

    return run_steps


def _cross_entropy(truth: tf.Tensor, logits: tf.Tensor, smoothing: float) -> tf.Tensor:
    """Each image's cross-entropy in nats, with label smoothing (Szegedy et al. 2016, section 7)."""
    if not smoothing:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)
    classes = logits.shape[-1]
    target = tf.one_hot(truth, classes) * (1 - smoothing) + smoothing / classes
    return tf.nn.softmax_cross_entropy_with_logits(target, logits)


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


def run_epoch(
    run_steps: RunSteps, order: np.ndarray, batch_size: int, epoch: int
) -> Iterator[tuple[float, float, float]]:
    """Train one epoch, some steps at a time.

    Parameters
    ----------
    run_steps
        As `compile_steps` returns it.
    order
        The indices of the images, in the order in which they are trained on.
    batch_size
        Images in a step; the last step may have fewer.
    epoch
        Its number, from 1.

    Yields
    ------
    tuple
        The finished fraction of the epoch, and the mean loss and the accuracy so far.
    """
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


def compile_evaluation(model: keras.Model) -> Callable[[Split], tuple[float, float]]:
    """Compile a function from a split to its mean cross-entropy (nats) and accuracy.

    Dropout is off. Both are NaN for a split without images.
    """
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
