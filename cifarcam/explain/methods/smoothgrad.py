"""SmoothGrad and its two relatives: statistics of the gradients at noisy copies of the image.

Smilkov et al. (2017), SmoothGrad: removing noise by adding noise; Hooker et al. (2019), A Benchmark
for Interpretability Methods in Deep Neural Networks; Adebayo et al. (2018), Local Explanation
Methods for Deep Neural Networks Lack Sensitivity to Parameter Values.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Unpack

import keras
import tensorflow as tf

from cifarcam.explain._draws import normal
from cifarcam.explain._loops import iterate
from cifarcam.explain._options import checked_count, checked_number
from cifarcam.explain.base import Batch
from cifarcam.explain.classifier import Classifier, ClassifierOptions
from cifarcam.explain.graph import SplitModel
from cifarcam.explain.methods._gradient_explainer import GradientExplainer


class NoisyGradients(GradientExplainer):
    """Base class of methods that summarise the gradients at noisy copies of the image.

    A method defines `_combine`. Its parameters are explained at `SmoothGrad`.
    """

    cost = "33 forward and 32 backward passes"
    takes_layer = False
    needs_range = True

    def __init__(
        self,
        model: keras.Model | Classifier,
        layer: str | Sequence[str] | None = None,
        *,
        samples: int = 32,
        noise: float = 0.15,
        seed: int = 0,
        **options: Unpack[ClassifierOptions],
    ) -> None:
        self.samples = checked_count("samples", samples, least=1)
        self.noise, self.seed = checked_number("noise", noise, least=0), seed
        self.cost = f"{samples + 1} forward and {samples} backward passes"
        super().__init__(model, layer, **options)

    @abstractmethod
    def _combine(self, mean: tf.Tensor, variance: tf.Tensor) -> tf.Tensor:
        """A value, at least 0, for each channel of each pixel from the moments of its gradient."""

    def _signed(self, part: SplitModel, batch: Batch) -> tf.Tensor:
        # The class is the prediction for the image itself, not for its noisy copies.
        batch, _ = self._resolved(batch)
        images = batch.images
        # The image's range is measured in shares of the model's, which may differ by channel.
        limits = self._limits
        shares = (images - limits.black) / limits.span
        axes = (1, 2, 3)
        spread = tf.reduce_max(shares, axes, True) - tf.reduce_min(shares, axes, True)
        deviation = self.noise * spread * limits.span

        def step(
            index: tf.Tensor, mean: tf.Tensor, total: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor]:
            unit = normal(batch.seeds, tf.unstack(tf.shape(images)[1:]), index)
            noisy = tf.ensure_shape(images + deviation * unit, images.shape)
            gradients = self._per_share(self._gradients(part, [noisy], batch.targets))
            # Welford (1962): a difference of means of squares would lose the digits of float32.
            before = gradients - mean
            mean += before / tf.cast(index + 1, tf.float32)
            return mean, total + before * (gradients - mean)

        mean, total = iterate(step, self.samples, [tf.zeros_like(images), tf.zeros_like(images)])
        return tf.reduce_max(self._combine(mean, total / self.samples), axis=-1)


class SmoothGrad(NoisyGradients):
    r"""The absolute mean gradient over noisy copies of the image, maximum over the channels.

    Section 2 of the paper: $\hat M(x) = \frac{1}{n} \sum_1^n M(x + \mathcal{N}(0, \sigma^2))$.
    Here $M$ is the gradient with respect to each channel of each pixel; the maximum over the
    channels, as in saliency maps, follows the mean. The noise of an image depends on the seed and
    on the image.

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

    def _combine(self, mean: tf.Tensor, variance: tf.Tensor) -> tf.Tensor:
        return tf.abs(mean)


class SmoothGradSquared(NoisyGradients):
    r"""The mean squared gradient over noisy copies of the image, maximum over the channels.

    Section 4.1 of Hooker et al. (2019), SmoothGrad-Squared:
    $\frac{1}{n} \sum_1^n g(x + \eta_i)^2$ with $\eta_i \sim \mathcal{N}(0, \sigma^2)$ and $g$ the
    gradient of `SmoothGrad`. The same seed gives the same noise. Cost and parameters are as for
    `SmoothGrad`.

    Examples
    --------
    >>> explainer = SmoothGradSquared(model, samples=64)
    >>> heatmaps = explainer(images)
    """

    name = "smoothgrad-squared"
    title = "SmoothGrad-Squared"
    reference = "Hooker et al. (2019)"

    def _combine(self, mean: tf.Tensor, variance: tf.Tensor) -> tf.Tensor:
        return tf.square(mean) + variance


class VarGrad(NoisyGradients):
    r"""The variance of the gradient over noisy copies of the image, maximum over the channels.

    Adebayo et al. (2018), Local Explanation Methods; written out in Appendix A.7 of their Sanity
    Checks for Saliency Maps and in Section 4.1 of Hooker et al. (2019):
    $\operatorname{Var}_i[g(x + \eta_i)]$ with $\eta_i \sim \mathcal{N}(0, \sigma^2)$, divided by
    $n$. The map shows where the gradient changes from copy to copy, not where it is large. It is
    zero for a linear score. The same seed gives the noise of `SmoothGrad`. Cost, gradient and
    parameters are as for `SmoothGrad`.

    Examples
    --------
    >>> explainer = VarGrad(model, samples=64)
    >>> heatmaps = explainer(images)
    """

    name = "vargrad"
    title = "VarGrad"
    reference = "Adebayo et al. (2018)"

    def _combine(self, mean: tf.Tensor, variance: tf.Tensor) -> tf.Tensor:
        return variance
