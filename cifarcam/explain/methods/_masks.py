"""Methods that hide parts of images."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from cifarcam.explain._loops import in_chunks
from cifarcam.explain.base import Batch, Explainer


class MaskExplainer(Explainer):
    """Base class of methods that hide parts of images behind black.

    Predicted classes stand in the targets of its batches, as `_resolved` returns them.
    """

    needs_range = True

    def _masked_scores(
        self, batch: Batch, masks: Callable[[tf.Tensor], tf.Tensor], pairs: tf.Tensor
    ) -> tf.Tensor:
        """The explained score of masked images, whose hidden parts are black.

        Parameters
        ----------
        batch
            The images, and their targets.
        masks
            Pairs, int32, k x 2 -> masks, float32, k x H x W: 1 shows a pixel, and 0 hides it.
        pairs
            Int32, pairs x 2: an image, and the number of its mask. `batch.batch_size` pairs run at a
            time.

        Returns
        -------
        tf.Tensor
            Float32, pairs.
        """
        black = self._limits.black

        def scores(at: tf.Tensor) -> tf.Tensor:
            pair = tf.gather(pairs, at)
            visible = masks(pair)[..., tf.newaxis]
            visible_parts = black + visible * (tf.gather(batch.images, pair[:, 0]) - black)
            return self._scores(visible_parts, tf.gather(batch.targets, pair[:, 0]))

        return in_chunks(scores, tf.shape(pairs)[0], batch.batch_size)

    def _black_scores(self, batch: Batch) -> tf.Tensor:
        """The score of each image's target for the black image, float32, n."""
        return self._scores(tf.zeros_like(batch.images) + self._limits.black, batch.targets)

    def _scores(self, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        return self.classifier.target_scores(self.classifier.flat.outputs(images), targets)


def all_pairs(count: tf.Tensor, masks: int) -> tf.Tensor:
    """Each of `count` images with each of its masks: int32, (count masks) x 2."""
    numbers = tf.range(count * masks)
    return tf.stack([numbers // masks, numbers % masks], axis=1)


def cell_of_pixels(grid: int, images: tf.Tensor) -> tf.Tensor:
    """The cell of a `grid` x `grid` to which each pixel belongs: int32, H x W, row by row.

    Cells differ by at most one pixel in height and width. An image of fewer pixels than cells has
    cells without a pixel.
    """
    height, width = tf.unstack(tf.shape(images)[1:3])
    rows, columns = tf.range(height) * grid // height, tf.range(width) * grid // width
    return rows[:, tf.newaxis] * grid + columns
