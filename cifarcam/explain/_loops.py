"""Loops within a graph that save memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from cifarcam.explain.base import Batch


def iterate(
    step: Callable[..., Sequence[tf.Tensor]], count: int, start: Sequence[tf.Tensor]
) -> Sequence[tf.Tensor]:
    """The state after `count` steps, one at a time to save memory.

    ``step(index, *state)`` returns the next state, tensors of the shapes of `start`.
    """
    _, *state = tf.while_loop(
        lambda index, *_: index < count,
        lambda index, *state: (index + 1, *step(index, *state)),
        (tf.constant(0), *start),
        parallel_iterations=1,
    )
    return state


def in_chunks(score: Callable[[tf.Tensor], tf.Tensor], count: tf.Tensor, chunk: int) -> tf.Tensor:
    """``score(range(count))``, computed for `chunk` numbers at a time to save memory.

    `score` returns a float32 value for each number of a range.
    """

    def step(start: tf.Tensor, values: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        stop = tf.minimum(start + chunk, count)
        return stop, values.write(start // chunk, score(tf.range(start, stop)))

    values = tf.TensorArray(tf.float32, -(-count // chunk), element_shape=[None], infer_shape=False)
    _, values = tf.while_loop(
        lambda start, _: start < count, step, (tf.zeros_like(count), values), parallel_iterations=1
    )
    return tf.cond(count > 0, values.concat, lambda: tf.zeros([0]))


def one_by_one(map_of: Callable[[Batch], tf.Tensor], batch: Batch) -> tf.Tensor:
    """The maps of a batch, float32, n x H x W, one image at a time to save memory.

    `map_of` computes the map, 1 x H x W, of a batch of one image.
    """

    def of_image(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        images, targets, seeds = (tensor[tf.newaxis] for tensor in tensors)
        return map_of(Batch(images, targets, seeds, batch.batch_size))[0]

    return tf.map_fn(
        of_image,
        (batch.images, batch.targets, batch.seeds),
        fn_output_signature=tf.TensorSpec(batch.images.shape[1:3], tf.float32),
        parallel_iterations=1,
    )
