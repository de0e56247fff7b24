"""Occlusion: Zeiler and Fergus (2014), Visualizing and Understanding Convolutional Networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import keras
import numpy as np
import tensorflow as tf

from cifarcam.explain._options import checked_count
from cifarcam.explain.base import Batch
from cifarcam.explain.classifier import Classifier, ClassifierOptions
from cifarcam.explain.graph import SplitModel
from cifarcam.explain.methods._masks import MaskExplainer, all_pairs, cell_of_pixels


class Occlusion(MaskExplainer):
    """The fall of the score as a black window hides each part of the image.

    Section 4.2 of the paper, whose window is grey: a square slides over the image, and the map
    shows the score at each place of the square. Here the window is `window` x `window` cells of a
    grid and moves by one cell. A cell's value is the mean fall of the score over the windows that
    hide the cell.

    The cost is (`grid` - `window` + 1)² forward passes, and one more.

    Parameters
    ----------
    grid
        The number of cells in each direction.
    window
        The number of cells that the window hides in each direction.

    Examples
    --------
    >>> explainer = Occlusion(model, grid=14, window=3)
    >>> heatmaps = explainer(images)
    """

    name = "occlusion"
    title = "occlusion"
    reference = "Zeiler & Fergus (2014)"
    cost = "50 forward passes"
    takes_layer = False

    def __init__(
        self,
        model: keras.Model | Classifier,
        layer: str | Sequence[str] | None = None,
        *,
        grid: int = 8,
        window: int = 2,
        **options: Unpack[ClassifierOptions],
    ) -> None:
        self.grid = checked_count("grid", grid, least=2)
        self.window = checked_count("window", window, least=1, most=grid)
        self._hidden = _windows(grid, window)
        self.cost = f"{len(self._hidden) + 1} forward passes"
        super().__init__(model, layer, **options)

    def _signed(self, part: SplitModel, batch: Batch) -> tf.Tensor:
        batch, whole = self._resolved(batch)
        cells = cell_of_pixels(self.grid, batch.images)

        def masks(pair: tf.Tensor) -> tf.Tensor:
            return tf.gather(tf.gather(1 - self._hidden, pair[:, 1]), cells, axis=1)

        pairs = all_pairs(tf.shape(batch.images)[0], len(self._hidden))
        scores = self._masked_scores(batch, masks, pairs)
        falls = whole[:, tf.newaxis] - tf.reshape(scores, [-1, len(self._hidden)])
        values = tf.matmul(falls, self._hidden / self._hidden.sum(axis=0))
        return tf.gather(values, cells, axis=1)


def _windows(grid: int, window: int) -> np.ndarray:
    """Whether each window hides each cell, 0 or 1: float32, windows x cells, row by row."""
    places = np.arange(grid - window + 1)[:, np.newaxis]
    along = (places <= np.arange(grid)) & (np.arange(grid) < places + window)
    return np.kron(along, along).astype(np.float32)
