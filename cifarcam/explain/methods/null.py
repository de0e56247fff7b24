"""Null baselines: maps that do not depend on the network, for comparison with the methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import keras
import tensorflow as tf

from cifarcam.explain._draws import uniform
from cifarcam.explain.base import Batch, Explainer
from cifarcam.explain.classifier import Classifier, ClassifierOptions
from cifarcam.explain.graph import SplitModel


class RandomMap(Explainer):
    """A random map, uniform on (0, 1), drawn on a grid of 8 x 8 from the seed and the image.

    It is as coarse as the map of a late layer in a small network, so that a comparison does not
    measure smoothness. It costs no pass of the network.

    Parameters
    ----------
    seed
        Seed of the random numbers.

    Examples
    --------
    >>> explainer = RandomMap(model, seed=1)
    >>> heatmaps = explainer(images)
    """

    name = "random"
    title = "random map"
    reference = "null baseline"
    cost = "none"
    takes_layer = False

    def __init__(
        self,
        model: keras.Model | Classifier,
        layer: str | Sequence[str] | None = None,
        *,
        seed: int = 0,
        **options: Unpack[ClassifierOptions],
    ) -> None:
        self.seed = seed
        super().__init__(model, layer, **options)

    def _signed(self, part: SplitModel, batch: Batch) -> tf.Tensor:
        return uniform(batch.seeds, [8, 8])


class CentreBlob(Explainer):
    """The same blob in the centre of every image, where photographs often show their object.

    A Gaussian with a standard deviation of a quarter of the image's height and width. It costs no
    pass of the network.

    Examples
    --------
    >>> explainer = CentreBlob(model)
    >>> heatmaps = explainer(images)
    """

    name = "centre"
    title = "centre blob"
    reference = "null baseline"
    cost = "none"
    takes_layer = False

    def _signed(self, part: SplitModel, batch: Batch) -> tf.Tensor:
        def profile(size: tf.Tensor) -> tf.Tensor:
            length = tf.cast(size, tf.float32)
            place = (tf.range(length) + 0.5) / length - 0.5  # -1/2 to 1/2
            return tf.exp(-0.5 * tf.square(place / 0.25))

        shape = tf.shape(batch.images)
        blob = profile(shape[1])[:, tf.newaxis] * profile(shape[2])
        return tf.tile(blob[tf.newaxis], [shape[0], 1, 1])
