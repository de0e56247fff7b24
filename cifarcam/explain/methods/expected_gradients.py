"""Expected gradients: Erion et al. (2021), Improving Performance of Deep Learning Models with
Axiomatic Attribution Priors and Expected Gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import keras
import numpy as np
import tensorflow as tf

from cifarcam.errors import CifarcamError
from cifarcam.explain._draws import uniform
from cifarcam.explain._loops import iterate
from cifarcam.explain._options import checked_count
from cifarcam.explain.base import Batch
from cifarcam.explain.classifier import Classifier, ClassifierOptions
from cifarcam.explain.graph import SplitModel
from cifarcam.explain.methods._gradient_explainer import GradientExplainer

GREYS = 5  # uniform images from black to white, the baselines by default


class ExpectedGradients(GradientExplainer):
    r"""Integrated gradients averaged over many baseline images, summed over channels.

    The definition of expected gradients in the paper, with $x'$ drawn from the baseline images $D$
    and $a$ uniform on [0, 1]:

    $$\mathbb{E}_{x' \sim D, a}\left[(x_i - x'_i)
    \frac{\partial y(x' + a (x - x'))}{\partial x_i}\right]$$

    One baseline image and one $a$ are drawn for each sample from the seed and the image. The $a$ of
    sample k lies in the k-th of `samples` equal parts of [0, 1], which lowers the variance and
    keeps the expectation. As `samples` grows, the sum of an image's values approaches $y(x)$ minus
    the mean of $y(x')$ over the baseline images. Negative values are evidence against the class;
    the ReLU that all explainers share removes them.

    The cost is `samples` forward and backward passes, and one forward pass more.

    Parameters
    ----------
    baselines
        The baseline images, N x H x W x C, in the model's range; the paper takes training images.
        By default five uniform images, black, three greys and white: they need no data, and no
        single colour counts as the absence of evidence.
    samples
        The number of draws.
    seed
        Seed of the draws.

    Examples
    --------
    >>> explainer = ExpectedGradients(model, baselines=train.images[:500], samples=128)
    >>> heatmaps = explainer(images)
    """

    name = "expected-gradients"
    title = "expected gradients"
    reference = "Erion et al. (2021)"
    cost = "33 forward and 32 backward passes"
    takes_layer = False

    def __init__(
        self,
        model: keras.Model | Classifier,
        layer: str | Sequence[str] | None = None,
        *,
        baselines: np.ndarray | None = None,
        samples: int = 32,
        seed: int = 0,
        **options: Unpack[ClassifierOptions],
    ) -> None:
        self.baselines = baselines
        self.samples, self.seed = checked_count("samples", samples, least=1), seed
        self.cost = f"{samples + 1} forward and {samples} backward passes"
        super().__init__(model, layer, **options)

    def _signed(self, part: SplitModel, batch: Batch) -> tf.Tensor:
        # The class is the prediction for the image itself, not for the points between.
        batch, _ = self._resolved(batch)
        images = batch.images
        with tf.init_scope():  # outside the graph, which has a limit of 2 GB for constants
            baselines = tf.constant(self._checked_baselines())
        count = tf.cast(tf.shape(baselines)[0], tf.float32)

        def step(index: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor]:
            draws = uniform(batch.seeds, [2], index)
            baseline = tf.gather(baselines, tf.cast(draws[:, 0] * count, tf.int32))
            share = (tf.cast(index, tf.float32) + draws[:, 1]) / self.samples
            difference = images - baseline
            point = baseline + tf.reshape(share, [-1, 1, 1, 1]) * difference
            point = tf.ensure_shape(point, images.shape)
            return (total + difference * self._gradients(part, [point], batch.targets),)

        (total,) = iterate(step, self.samples, [tf.zeros_like(images)])
        return tf.reduce_sum(total / self.samples, axis=-1)

    def _checked_baselines(self) -> np.ndarray:
        """The baseline images, float32; uniform images have one pixel."""
        if self.baselines is None:
            limits = self.classifier.needed_range(f"{self.title} without baselines")
            greys = np.linspace(0, 1, GREYS, dtype=np.float32).reshape(-1, 1, 1, 1)
            return limits.black + greys * limits.span
        try:
            return self.classifier.checked_images(self.baselines).astype(np.float32)
        except CifarcamError as error:
            raise CifarcamError(f"baselines of {self.title}: {error}") from error

    def _checked_images(self, images: np.ndarray, batch_size: int) -> np.ndarray:
        images = super()._checked_images(images, batch_size)
        if self.baselines is not None and images.shape[1:] != np.shape(self.baselines)[1:]:
            raise CifarcamError(
                f"baselines have shape {np.shape(self.baselines)[1:]} and images {images.shape[1:]}; "
                "give baselines of the images' size"
            )
        return images
