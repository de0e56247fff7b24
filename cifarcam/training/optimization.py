"""Optimisers and learning-rate schedules."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from cifarcam.training.settings import Schedule, TrainingSettings


def optimizer(
    training: TrainingSettings, schedule: Schedule | None, steps: int, variables: list[Any]
) -> keras.Optimizer:
    """The optimiser of a training run of `steps` steps, built for a model's trained variables.

    Weight decay is decoupled from the gradient (Loshchilov and Hutter 2019). It leaves out
    vectors: biases and the parameters of normalisation.
    """
    rate: Any = training.learning_rate
    if schedule is not None:
        rate = LearningRate(schedule, training.learning_rate, steps)
    result: keras.Optimizer
    if training.optimizer == "muon":
        ratio = training.vector_learning_rate / training.learning_rate
        result = Muon(rate, momentum=training.momentum, vector_ratio=ratio)
    else:
        result = keras.optimizers.Adam(rate, weight_decay=training.weight_decay or None)
        result.exclude_from_weight_decay([v for v in variables if len(v.shape) < 2])
    result.build(variables)
    return result


class Muon(keras.Optimizer):
    """Muon for the kernels of convolutions, Adam for every other variable.

    A kernel h x w x inputs x outputs is a matrix of h·w·inputs rows and a column for each output
    channel. Its update is the orthogonalised Nesterov momentum (Jordan et al. 2024). Before the
    update the kernel is scaled to the Frobenius norm of a semi-orthogonal matrix of its width, so
    that the learning rate is the relative size of a step. This suits convolutions whose outputs
    are normalised: there the kernel's norm does not change the network.

    Parameters
    ----------
    learning_rate
        Of the kernels: a number, or a schedule.
    momentum
        The share of the momentum that a step keeps, 0-1.
    vector_ratio
        Adam's learning rate, divided by `learning_rate`.
    """

    BETAS = (0.9, 0.999)  # Adam's shares of its two moments that a step keeps
    EPSILON = 1e-7

    def __init__(self, learning_rate: Any, *, momentum: float, vector_ratio: float) -> None:
        super().__init__(learning_rate)
        self.momentum, self.vector_ratio = momentum, vector_ratio

    def build(self, variables: list[Any]) -> None:
        """Make the moments: one for each kernel, two for every other variable."""
        if self.built:
            return
        super().build(variables)
        # Keys are TensorFlow's variables, as `update_step` gets them.
        self.first_moments, self.second_moments = {}, {}
        for variable in variables:
            key = variable.value.ref()
            self.first_moments[key] = self.add_variable_from_reference(variable, "momentum")
            if len(variable.shape) != 4:
                self.second_moments[key] = self.add_variable_from_reference(variable, "velocity")

    def update_step(self, gradient: Any, variable: tf.Variable, learning_rate: Any) -> None:
        """Update one variable and its moments."""
        first = self.first_moments[variable.ref()]
        if len(variable.shape) == 4:
            self._update_kernel(gradient, variable, learning_rate, first)
        else:
            second = self.second_moments[variable.ref()]
            rate = learning_rate * self.vector_ratio
            self._update_vector(gradient, variable, rate, first, second)

    def _update_kernel(
        self, gradient: Any, kernel: tf.Variable, rate: Any, momentum: keras.Variable
    ) -> None:
        shape = kernel.shape
        momentum.assign(self.momentum * momentum + gradient)
        direction = gradient + self.momentum * momentum
        update = orthogonalize(tf.reshape(direction, (math.prod(shape[:-1]), shape[-1])))
        value = tf.convert_to_tensor(kernel)
        value *= tf.sqrt(float(shape[-1])) / tf.norm(value)
        kernel.assign(value - rate * tf.reshape(update, shape))

    def _update_vector(
        self,
        gradient: Any,
        variable: tf.Variable,
        rate: Any,
        first: keras.Variable,
        second: keras.Variable,
    ) -> None:
        """Adam (Kingma and Ba 2015, algorithm 1), with the bias corrections in the rate."""
        rate, gradient = ops.cast(rate, variable.dtype), ops.cast(gradient, variable.dtype)
        step = ops.cast(self.iterations + 1, variable.dtype)
        powers = [ops.power(ops.cast(beta, variable.dtype), step) for beta in self.BETAS]
        rate = rate * ops.sqrt(1 - powers[1]) / (1 - powers[0])
        change = ops.multiply(ops.subtract(gradient, first), 1 - self.BETAS[0])
        self.assign_add(first, change)
        change = ops.multiply(ops.subtract(ops.square(gradient), second), 1 - self.BETAS[1])
        self.assign_add(second, change)
        update = ops.divide(ops.multiply(first, rate), ops.add(ops.sqrt(second), self.EPSILON))
        self.assign_sub(variable, update)


def orthogonalize(matrix: tf.Tensor, steps: int = 5) -> tf.Tensor:
    """A matrix with the same singular vectors, its singular values brought near 1.

    The Newton-Schulz iteration of Jordan et al. (2024), run on the smaller of the two Gram
    matrices: every iterate is the matrix times a polynomial of its Gram matrix. So the matrix
    itself, several times longer than wide for a kernel, is multiplied only twice.

    Parameters
    ----------
    matrix
        float32, rows x columns.
    steps
        The number of iterations.
    """
    a, b, c = 3.4445, -4.7750, 2.0315  # the paper's coefficients, steepest at zero
    wide = matrix.shape[0] < matrix.shape[1]
    matrix = matrix / (tf.norm(matrix) + 1e-7)
    gram = tf.matmul(matrix, matrix, transpose_a=not wide, transpose_b=wide)
    identity = tf.eye(gram.shape[0])
    product = identity
    for step in range(steps):
        factor = a * identity + b * gram + c * gram @ gram
        product = product @ factor if step else factor
        if step < steps - 1:
            gram = factor @ gram @ factor
    return product @ matrix if wide else matrix @ product


class LearningRate(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate at a step: a rise over the warm-up, then a fall.

    ``"linear"`` and ``"cosine"`` rise linearly and fall in their shape; ``"one-cycle"`` rises
    and falls as a cosine (Smith and Topin 2019). The rise starts at `start` times the peak, the
    fall ends at `end` times the peak.
    """

    def __init__(self, schedule: Schedule, peak: float, steps: int) -> None:
        self.schedule, self.peak, self.steps = schedule, peak, steps

    def __call__(self, step: Any) -> tf.Tensor:
        """The learning rate after `step` steps, float32."""
        schedule = self.schedule
        done = tf.cast(step, tf.float32) / self.steps
        warmup = max(schedule.warmup, 1e-9)
        up = tf.clip_by_value(done / warmup, 0.0, 1.0)
        fall = max(1 - schedule.warmup, 1e-9)
        down = tf.clip_by_value((done - schedule.warmup) / fall, 0.0, 1.0)
        if schedule.shape == "one-cycle":
            up = _cosine(up)
        if schedule.shape != "linear":
            down = _cosine(down)
        rising = schedule.start + (1 - schedule.start) * up
        falling = 1 + (schedule.end - 1) * down
        return self.peak * tf.where(done < schedule.warmup, rising, falling)


def _cosine(share: tf.Tensor) -> tf.Tensor:
    return (1 - tf.cos(math.pi * share)) / 2
