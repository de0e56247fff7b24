"""SmoothGrad: Smilkov et al. (2017), SmoothGrad: removing noise by adding noise."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from cifarcam.errors import CifarcamError
from cifarcam.explain.base import Explainer, explained_pairs
from cifarcam.explain.classifier import Classifier
from cifarcam.explain.graph import SplitModel


class SmoothGrad(Explainer):
    r"""The absolute mean gradient over noisy copies of the image, maximum over the channels.

    Section 2 of the paper: $\hat M(x) = \frac{1}{n} \sum_1^n M(x + \mathcal{N}(0, \sigma^2))$.
    Here $M$ is the gradient with respect to each channel of each pixel; the maximum over the
    channels, as in saliency maps, follows the mean. The noise of an image depends on the seed and
    on the image's values.

    The cost is `samples` forward and backward passes, and one forward pass more.

    Parameters
    ----------
    samples
        The number of noisy copies, $n$.
    noise
        $\sigma$ as a share of the image's range (maximum minus minimum); the paper recommends 0.1
        to 0.2.
    seed
        Seed of the noise.

    Examples
    --------
    >>> explainer = SmoothGrad(model, samples=64)
    >>> heatmaps = explainer(images)
    """

    name = "smoothgrad"
    title = "SmoothGrad"
    reference = "Smilkov et al. (2017)"
    cost = "33 forward and 32 backward passes"
    takes_layer = False
    takes_pairs = True

    def __init__(
        self,
        model: keras.Model | Classifier,
        layer: str | Sequence[str] | None = None,
        *,
        output: str | int | None = None,
        samples: int = 32,
        noise: float = 0.15,
        seed: int = 0,
    ) -> None:
        if samples < 1 or not noise >= 0:
            raise CifarcamError(
                f"samples is {samples} and noise {noise}; give at least 1 sample and noise >= 0"
            )
        self.samples, self.noise, self.seed = samples, noise, seed
        super().__init__(model, layer, output=output)

    def _signed(
        self, part: SplitModel, images: tf.Tensor, targets: tf.Tensor, seeds: tf.Tensor
    ) -> tf.Tensor:
        # The class is that of the image itself, not of its noisy copies.
        pairs = explained_pairs(self.classifier.score_tensor(images), targets)
        axes = (1, 2, 3)
        span = tf.reduce_max(images, axes, True) - tf.reduce_min(images, axes, True)

        def step(index: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            def draw(seed: tf.Tensor) -> tf.Tensor:
                return tf.random.stateless_normal(tf.shape(images)[1:], seed)

            offsets = tf.stack([index, tf.zeros_like(index)]) * 7919
            unit = tf.map_fn(draw, seeds + offsets, fn_output_signature=tf.float32)
            noisy = tf.ensure_shape(images + self.noise * span * unit, images.shape)
            return index + 1, total + self._gradients(part, [noisy], pairs)

        _, total = tf.while_loop(
            lambda index, _: index < self.samples,
            step,
            (tf.constant(0), tf.zeros_like(images)),
            parallel_iterations=1,
        )
        return tf.reduce_max(tf.abs(total / self.samples), axis=-1)
