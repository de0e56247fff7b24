"""LIME: Ribeiro et al. (2016), "Why Should I Trust You?": Explaining the Predictions of Any
Classifier.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import keras
import tensorflow as tf

from cifarcam.explain._draws import uniform
from cifarcam.explain.base import Batch
from cifarcam.explain.classifier import Classifier, ClassifierOptions
from cifarcam.explain.methods._masks import RandomMaskExplainer, all_pairs, cell_of_pixels

KERNEL_WIDTH = 0.25  # of the distances; this and the next as in the authors' library
RIDGE = 1.0


class LIME(RandomMaskExplainer):
    r"""Weights of a linear model of the score, fitted to images with black cells.

    Section 3 of the paper. Each sample hides every cell of a grid with probability 1/2; the first
    sample hides none. With $z$ the cells that a sample shows, 0 or 1 each, a ridge regression with
    an intercept fits the score, where a sample has the weight $\sqrt{\exp(-d^2 / 0.25^2)}$ and $d$
    is the cosine distance of $z$ from a vector of ones. Kernel and penalty are as in the
    authors' library. The cells of a grid take the place of segments, so that the map is about as
    fine as the maps of other methods.

    The cost is `samples` forward passes, and one more.

    Parameters
    ----------
    grid
        The number of cells in each direction.
    samples
        The number of perturbed images; at least ten for each cell are advisable.
    seed
        Seed of the perturbations, combined with the image.

    Examples
    --------
    >>> explainer = LIME(model, samples=1000)
    >>> heatmaps = explainer(images)
    """

    name = "lime"
    title = "LIME"
    reference = "Ribeiro et al. (2016)"
    cost = "513 forward passes"

    def __init__(
        self,
        model: keras.Model | Classifier,
        layer: str | Sequence[str] | None = None,
        *,
        grid: int = 8,
        samples: int = 512,
        seed: int = 0,
        **options: Unpack[ClassifierOptions],
    ) -> None:
        super().__init__(model, layer, grid, samples, seed, **options)

    def _map(self, batch: Batch) -> tf.Tensor:
        """The map of a batch of one image, 1 x H x W."""
        visible = uniform(batch.seeds, [self.samples - 1, self.grid**2]) < 0.5
        visible = tf.concat([tf.ones_like(visible[:, :1]), visible], axis=1)
        visible = tf.cast(visible, tf.float32)  # 1 x samples x cells
        cells = cell_of_pixels(self.grid, batch.images)

        def masks(pair: tf.Tensor) -> tf.Tensor:
            return tf.gather(tf.gather_nd(visible, pair), cells, axis=1)

        pairs = all_pairs(1, self.samples)
        scores = self._masked_scores(batch, masks, pairs)[tf.newaxis]
        weights = ridge_weights(tf.cast(visible, tf.float64), tf.cast(scores, tf.float64))
        return tf.gather(tf.cast(weights, tf.float32), cells, axis=1)


def ridge_weights(visible: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    """Weights of a linear model of the scores, fitted as `LIME` describes.

    Parameters
    ----------
    visible
        Float64, n x samples x cells: 1 where a sample shows a cell, else 0.
    scores
        Float64, n x samples.

    Returns
    -------
    tf.Tensor
        Float64, n x cells.
    """
    # The cosine of z with ones is the root of the share of cells that it shows.
    distances = 1 - tf.sqrt(tf.reduce_mean(visible, axis=-1))
    importance = tf.sqrt(tf.exp(-tf.square(distances / KERNEL_WIDTH)))[..., tf.newaxis]
    total = tf.reduce_sum(importance, axis=1, keepdims=True)
    # An intercept without a penalty is the same as subtracting the weighted means.
    visible -= tf.reduce_sum(importance * visible, axis=1, keepdims=True) / total
    scores = scores[..., tf.newaxis]
    scores -= tf.reduce_sum(importance * scores, axis=1, keepdims=True) / total
    products = tf.matmul(visible, importance * visible, transpose_a=True)
    penalty = RIDGE * tf.eye(tf.shape(products)[-1], dtype=tf.float64)
    sums = tf.matmul(visible, importance * scores, transpose_a=True)
    return tf.linalg.solve(products + penalty, sums)[..., 0]
