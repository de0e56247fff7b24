"""Methods that hide parts of images."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Unpack

import keras
import tensorflow as tf

from cifarcam.explain._loops import in_chunks, one_by_one
from cifarcam.explain._options import checked_count
from cifarcam.explain.base import Batch, Explainer
from cifarcam.explain.classifier import Classifier, ClassifierOptions
from cifarcam.explain.graph import SplitModel


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


class RandomMaskExplainer(MaskExplainer):
    """Base class of methods that hide random cells of a grid, other cells in each image.

    Parameters
    ----------
    grid
        The number of cells in each direction.
    samples
        The number of perturbed images.
    seed
        Seed of the perturbations, combined with the image.
    """

    takes_layer = False

    def __init__(
        self,
        model: keras.Model | Classifier,
        layer: str | Sequence[str] | None,
        grid: int,
        samples: int,
        seed: int,
        **options: Unpack[ClassifierOptions],
    ) -> None:
        self.grid, self.seed = checked_count("grid", grid, least=2), seed
        self.samples = checked_count("samples", samples, least=2)
        self.cost = f"{samples + 1} forward passes"
        super().__init__(model, layer, **options)

    def _signed(self, part: SplitModel, batch: Batch) -> tf.Tensor:
        batch, _ = self._resolved(batch)
        # What the samples of all images show would take much memory.
        return one_by_one(self._map, batch)

    @abstractmethod
    def _map(self, batch: Batch) -> tf.Tensor:
        """The map of a batch of one image, 1 x H x W."""


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
