"""Gradients of scores, also through float16, whose small numbers vanish."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import tensorflow as tf

from cifarcam.errors import CifarcamError, first_line

# Factors of a float16 score before its backward pass.
GREATEST_SCALE, SCALE_STEP, LEAST_SCALE = 2.0**15, 2.0**3, 2.0**-9


def score_gradients(
    scores: Callable[[], tf.Tensor], tensor: tf.Tensor, scales: tf.Tensor | float
) -> tf.Tensor | None:
    """Gradients of each image's score times its scale, float32; None where none reaches `tensor`.

    `scores` computes the scores, n, from `tensor`, n x ....
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(tensor)
        # A score depends on its own image alone, so the sum has each score's gradient.
        total = tf.reduce_sum(scores() * scales)
    gradients = tape.gradient(total, tensor)
    return None if gradients is None else tf.cast(gradients, tf.float32)


def float16_gradients(
    gradients_of: Callable[[tf.Tensor], tf.Tensor], values: tf.Tensor
) -> tf.Tensor:
    """Gradients through float16, whose positive numbers range from 6e-8 to 65,504.

    We multiply each image's score before the backward pass by a power of two, at most 2^15, that
    keeps its gradients finite, and divide its gradients by the same power afterwards. Powers of two
    cause no rounding.

    Parameters
    ----------
    gradients_of
        Factors of the scores, n -> gradients of the shape of `values`, float32.
    values
        A tensor of n x ....
    """

    def unfinished(scales: tf.Tensor, finite: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
        return tf.reduce_any(~finite & (scales > LEAST_SCALE))

    def step(
        scales: tf.Tensor, finite: tf.Tensor, _: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        scales = tf.where(finite, scales, scales / SCALE_STEP)
        gradients = gradients_of(scales)
        axes = list(range(1, len(gradients.shape)))
        return scales, tf.reduce_all(tf.math.is_finite(gradients), axes), gradients

    count = tf.shape(values)[0]
    scales, _, gradients = tf.while_loop(
        unfinished,
        step,
        (
            tf.fill([count], GREATEST_SCALE * SCALE_STEP),
            tf.fill([count], False),
            tf.zeros(tf.shape(values)),
        ),
        shape_invariants=(tf.TensorShape([None]), tf.TensorShape([None]), values.shape),
        parallel_iterations=1,
    )
    return gradients / tf.reshape(scales, [-1] + [1] * (len(values.shape) - 1))


@contextmanager
def second_derivatives(needer: str, place: str, advice: str) -> Iterator[None]:
    """Name the operation of which a method called `needer` finds no second derivative.

    Raises
    ------
    CifarcamError
        When TensorFlow has none of an operation within the block.
    """
    try:
        yield
    except LookupError as error:
        raise CifarcamError(
            f"{needer} needs second derivatives, and TensorFlow has none of an operation {place} "
            f"({first_line(error)}); {advice}"
        ) from error
