"""RISE: Petsiuk et al. (2018), Randomized Input Sampling for Explanation of Black-box Models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import keras
import tensorflow as tf

from cifarcam.explain._draws import uniform
from cifarcam.explain._loops import iterate
from cifarcam.explain.base import Batch
from cifarcam.explain.classifier import Classifier, ClassifierOptions
from cifarcam.explain.methods._masks import RandomMaskExplainer, all_pairs

VISIBLE = 0.5  # the probability that a mask shows a cell


class RISE(RandomMaskExplainer):
    r"""The mean of random smooth masks, each weighted by the score of the image that it shows.

    The paper's Monte Carlo estimate, with $N$ masks $M_i$, the score $f$, and a pixel $\lambda$:

    $$S(\lambda) = \frac{1}{N E[M]} \sum_i (f(I \odot M_i) - \bar f) M_i(\lambda)$$

    The paper explains probabilities and has no $\bar f$, the mean score of the masked images of
    this image. A score before the softmax is only known up to a constant, and a constant would add
    the mean of the masks to the map. Without the mean, a positive value says that the score is
    above its average where a mask shows the pixel.

    Each mask shows every cell of a grid with probability 1/2, is enlarged bilinearly, and is
    shifted by a random part of a cell in both directions. Hidden pixels are black. The noise of the
    map falls with the square root of `samples`; the paper takes 4,000 to 8,000.

    The cost is `samples` forward passes, and one more.

    Parameters
    ----------
    grid
        The number of cells in each direction.
    samples
        The number of masks, $N$.
    seed
        Seed of the masks, combined with the image.

    Examples
    --------
    >>> explainer = RISE(model, samples=4000)
    >>> heatmaps = explainer(images)
    """

    name = "rise"
    title = "RISE"
    reference = "Petsiuk et al. (2018)"
    cost = "1001 forward passes"

    def __init__(
        self,
        model: keras.Model | Classifier,
        layer: str | Sequence[str] | None = None,
        *,
        grid: int = 8,
        samples: int = 1000,
        seed: int = 0,
        **options: Unpack[ClassifierOptions],
    ) -> None:
        super().__init__(model, layer, grid, samples, seed, **options)

    def _map(self, batch: Batch) -> tf.Tensor:
        """The map of a batch of one image, 1 x H x W."""
        # The shift needs one cell more in each direction.
        draws = uniform(batch.seeds, [self.samples, self.grid + 1, self.grid + 1])
        cells = tf.cast(draws < VISIBLE, tf.float32)
        shifts = uniform(batch.seeds, [self.samples, 2], stream=1)

        def masks(pair: tf.Tensor) -> tf.Tensor:
            height, width = tf.unstack(tf.shape(batch.images)[1:3])
            shift = tf.gather_nd(shifts, pair)
            rows = self._shares(height, shift[:, 0])
            columns = self._shares(width, shift[:, 1])
            return tf.matmul(tf.matmul(rows, tf.gather_nd(cells, pair)), columns, transpose_b=True)

        pairs = all_pairs(1, self.samples)
        scores = self._masked_scores(batch, masks, pairs)
        scores -= tf.reduce_mean(scores)

        def step(index: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor]:
            part = slice(index * batch.batch_size, (index + 1) * batch.batch_size)
            return (total + tf.einsum("k,kij->ij", scores[part], masks(pairs[part])),)

        steps = -(-self.samples // batch.batch_size)
        (total,) = iterate(step, steps, [tf.zeros_like(batch.images[..., 0])])
        return total / (self.samples * VISIBLE)

    def _shares(self, size: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
        """The share of each cell in each pixel of a row or column: k x `size` x (grid + 1)."""
        places = (tf.range(tf.cast(size, tf.float32)) + 0.5) * self.grid / tf.cast(size, tf.float32)
        places = tf.clip_by_value(places + shift[:, tf.newaxis] - 0.5, 0, self.grid)
        cells = tf.range(self.grid + 1, dtype=tf.float32)
        return tf.nn.relu(1 - tf.abs(places[..., tf.newaxis] - cells))
