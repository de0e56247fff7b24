"""Optimisers, schedules of the learning rate, and averages of weights."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from cifarcam.training.experiment import Averaging, Schedule, TrainingSettings


def optimizer(
    training: TrainingSettings, schedule: Schedule | None, steps: int
) -> keras.optimizers.Optimizer:
    """The optimiser of an experiment that takes `steps` steps in all, not built yet.

    Weight decay is decoupled from the gradient (Loshchilov and Hutter 2019) and spares vectors:
    biases and the parameters of normalisation.
    """
    rate: Any = training.learning_rate
    if schedule is not None:
        rate = LearningRate(schedule, training.learning_rate, steps)
    decay = training.weight_decay or None
    match training.optimizer:
        case "adam" | "adamw":
            return keras.optimizers.Adam(rate, weight_decay=decay)
        case "sgd":
            return keras.optimizers.SGD(rate, training.momentum, nesterov=True, weight_decay=decay)
        case _:
            return Muon(
                rate,
                weight_decay=None,
                adam_weight_decay=None,
                momentum=training.momentum,
                adam_lr_ratio=training.vector_learning_rate / training.learning_rate,
                rms_rate=None,
            )


def build(chosen: keras.optimizers.Optimizer, model: keras.Model) -> None:
    """Make the optimiser's variables for a model."""
    chosen.build(model.trainable_variables)
    vectors = [variable for variable in model.trainable_variables if len(variable.shape) < 2]
    if vectors and chosen.weight_decay is not None:
        chosen.exclude_from_weight_decay(var_list=vectors)


class Muon(keras.optimizers.Muon):
    """Muon for the kernels of convolutions, AdamW for every other variable.

    A kernel is a matrix of h·w·inputs rows and a column for each output channel; its update is
    the orthogonalised momentum (Jordan et al. 2024). Before it the kernel is brought to the
    Frobenius norm of a semi-orthogonal matrix of its width, so that the learning rate is the
    relative size of a step: meant for convolutions whose outputs are normalised, where the norm
    does not change the network.
    """

    def _should_use_adamw(self, variable: Any) -> bool:
        return len(variable.shape) != 4

    def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
        shape = variable.shape
        matrix = (math.prod(shape[:-1]), shape[-1])
        m.assign(self.momentum * m + gradient)
        direction = gradient + self.momentum * m if self.nesterov else m
        update = self.zeropower_via_newtonschulz5(tf.reshape(direction, matrix), self.ns_steps)
        value = tf.convert_to_tensor(variable)
        value *= tf.sqrt(float(shape[-1])) / tf.norm(value)
        variable.assign(value - lr * tf.reshape(update, shape))

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> tf.Tensor:
        """The method of Keras, its iterations run on the smaller of the two Gram matrices.

        Every iterate is the matrix times a polynomial of its Gram matrix, so that the matrix
        itself, several times longer than wide for a kernel, is multiplied only twice.
        """
        wide = x.shape[0] < x.shape[1]
        x = x / (tf.norm(x) + 1e-7)
        gram = tf.matmul(x, x, transpose_a=not wide, transpose_b=wide)
        identity = tf.eye(gram.shape[0])
        product = identity
        for step in range(steps):
            factor = self.muon_a * identity + self.muon_b * gram + self.muon_c * gram @ gram
            product = product @ factor if step else factor
            if step < steps - 1:
                gram = factor @ gram @ factor
        return product @ x if wide else x @ product


class LearningRate(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate at a step: a rise over the warm-up, then a fall.

    ``"linear"`` and ``"cosine"`` rise linearly and fall in their shape; ``"one-cycle"`` rises
    and falls as a cosine (Smith and Topin 2019). The rise starts at `start` times the peak, the
    fall ends at `end` times it.
    """

    def __init__(self, schedule: Schedule, peak: float, steps: int) -> None:
        self.schedule, self.peak, self.steps = schedule, peak, steps

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate of the step after `step` steps, float32."""
        how = self.schedule
        done = tf.cast(step, tf.float32) / self.steps
        warmup = max(how.warmup, 1e-9)
        up = tf.clip_by_value(done / warmup, 0.0, 1.0)
        down = tf.clip_by_value((done - how.warmup) / max(1 - how.warmup, 1e-9), 0.0, 1.0)
        if how.shape == "one-cycle":
            up = _cosine(up)
        if how.shape != "linear":
            down = _cosine(down)
        rising = how.start + (1 - how.start) * up
        falling = 1 + (how.end - 1) * down
        return self.peak * tf.where(done < how.warmup, rising, falling)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"schedule": self.schedule, "peak": self.peak, "steps": self.steps}


def _cosine(share: tf.Tensor) -> tf.Tensor:
    return (1 - tf.cos(math.pi * share)) / 2


class Averages:
    """A second set of weights, slower than those that are trained.

    ``"ema"``: the exponential moving average of all weights, BN statistics included, with the
    decay given for a step; over the first steps it is shorter, so that the initial weights do
    not stay in it. ``"lookahead"`` (Zhang et al. 2019, algorithm 1): every `every` steps the
    slow weights go the share `1 - decay` of the way to the fast ones, which start again from
    there.
    """

    def __init__(self, how: Averaging, model: keras.Model) -> None:
        self.how, self.model = how, model
        watched = model.weights if how.method == "ema" else model.trainable_variables
        self.watched = [variable.value for variable in watched]
        self.variables = [tf.Variable(value, trainable=False) for value in self.watched]

    def update(self, step: tf.Tensor) -> None:
        """Take in the weights after `step` steps (a whole-number tensor, from 1), in a graph."""
        if step % self.how.every == 0:
            decay = tf.constant(self.how.decay)
            if self.how.method == "ema":
                times = tf.cast(step // self.how.every, tf.float32)
                decay = tf.minimum(decay**self.how.every, times / (times + 9))
            for slow, fast in zip(self.variables, self.watched, strict=True):
                slow.assign(decay * slow + (1 - decay) * fast)
                if self.how.method == "lookahead":
                    fast.assign(slow)

    def swap(self) -> None:
        """Exchange the model's weights and the averages."""
        for slow, fast in zip(self.variables, self.watched, strict=True):
            kept = fast.numpy()
            fast.assign(slow)
            slow.assign(kept)
