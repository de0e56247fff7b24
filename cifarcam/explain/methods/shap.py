"""SHAP: Lundberg and Lee (2017), A Unified Approach to Interpreting Model Predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import keras
import tensorflow as tf

from cifarcam.explain._draws import uniform
from cifarcam.explain._options import checked_count
from cifarcam.explain.base import Batch
from cifarcam.explain.classifier import Classifier, ClassifierOptions
from cifarcam.explain.graph import SplitModel
from cifarcam.explain.methods._masks import MaskExplainer, all_pairs, cell_of_pixels


class SHAP(MaskExplainer):
    """Shapley values of the cells of a grid, estimated over permutations; hidden cells are black.

    Section 3 of the paper defines the values. Castro et al. (2009), Polynomial Calculation of the
    Shapley Value Based on Sampling, estimates them: a cell's value is the mean rise of the score
    as the cell is added, over random orders of the cells. As in the library of the paper's
    authors, each order is used twice: its cells are added in turn, and then removed in turn. The
    sum of an image's values is its score minus the score of the black image.

    The cost is two forward passes per permutation for each cell but one, and two more.

    Parameters
    ----------
    grid
        The number of cells in each direction.
    permutations
        The number of random orders.
    seed
        Seed of the orders, combined with the image.

    Examples
    --------
    >>> explainer = SHAP(model, permutations=8)
    >>> heatmaps = explainer(images)
    """

    name = "shap"
    title = "SHAP"
    reference = "Lundberg & Lee (2017)"
    takes_layer = False
    cost = "506 forward passes"

    def __init__(
        self,
        model: keras.Model | Classifier,
        layer: str | Sequence[str] | None = None,
        *,
        grid: int = 8,
        permutations: int = 4,
        seed: int = 0,
        **options: Unpack[ClassifierOptions],
    ) -> None:
        self.grid, self.seed = checked_count("grid", grid, least=2), seed
        self.permutations = checked_count("permutations", permutations, least=1)
        self.cost = f"{2 * permutations * (grid**2 - 1) + 2} forward passes"
        super().__init__(model, layer, **options)

    def _signed(self, part: SplitModel, batch: Batch) -> tf.Tensor:
        batch, whole = self._resolved(batch)
        count = self.grid**2
        draws = uniform(batch.seeds, [self.permutations, count])
        # n x permutations x cells: the place of each cell in the order.
        places = tf.argsort(tf.argsort(draws))
        cells = cell_of_pixels(self.grid, batch.images)
        steps = count - 1  # of adding cells; as many of removing them

        def masks(pair: tf.Tensor) -> tf.Tensor:
            order, step = pair[:, 1] // (2 * steps), pair[:, 1] % (2 * steps)
            own = tf.gather_nd(places, tf.stack([pair[:, 0], order], axis=1))
            step = step[:, tf.newaxis]
            visible = tf.where(step < steps, own <= step, own > step - steps)
            return tf.gather(tf.cast(visible, tf.float32), cells, axis=1)

        pairs = all_pairs(tf.shape(batch.images)[0], self.permutations * 2 * steps)
        scores = self._masked_scores(batch, masks, pairs)
        scores = tf.reshape(scores, [-1, self.permutations, 2, steps])
        none, whole = (
            tf.tile(end[:, tf.newaxis, tf.newaxis], [1, self.permutations, 1])
            for end in (self._black_scores(batch), whole)
        )
        additions = tf.concat([none, scores[:, :, 0], whole], axis=-1)
        removals = tf.concat([whole, scores[:, :, 1], none], axis=-1)
        rises = additions[..., 1:] - additions[..., :-1] + removals[..., :-1] - removals[..., 1:]
        rises /= 2
        values = tf.reduce_mean(tf.gather(rises, places, batch_dims=2), axis=1)
        return tf.gather(values, cells, axis=1)
