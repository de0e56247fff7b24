"""Integrated gradients: Sundararajan et al. (2017), Axiomatic Attribution for Deep Networks."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from cifarcam.errors import CifarcamError
from cifarcam.explain.base import Explainer, explained_pairs
from cifarcam.explain.classifier import Classifier
from cifarcam.explain.graph import SplitModel


class IntegratedGradients(Explainer):
    r"""Each pixel's share in the rise of the score from a baseline image, summed over channels.

    Equation 1 of the paper, with the integral computed by the midpoint rule on `steps` points
    (equation 3 of the paper uses right end points):

    $$(x_i - x'_i) \int_0^1 \frac{\partial y(x' + a (x - x'))}{\partial x_i} da$$

    As `steps` grows, the sum of an image's values approaches $y(x) - y(x')$ (completeness).
    Negative values are evidence against the class; the ReLU that all explainers share removes them.

    The cost is `steps` forward and backward passes, and one forward pass more.

    Parameters
    ----------
    steps
        The number of points on the straight path.
    baseline
        The value of all pixels of the baseline image $x'$; by default 0, black.

    Examples
    --------
    >>> explainer = IntegratedGradients(model, steps=64)
    >>> heatmaps = explainer(images)
    """

    name = "integrated-gradients"
    title = "integrated gradients"
    reference = "Sundararajan et al. (2017)"
    cost = "33 forward and 32 backward passes"
    takes_layer = False
    takes_pairs = True

    def __init__(
        self,
        model: keras.Model | Classifier,
        layer: str | Sequence[str] | None = None,
        *,
        output: str | int | None = None,
        steps: int = 32,
        baseline: float = 0.0,
    ) -> None:
        if steps < 1:
            raise CifarcamError(f"steps is {steps}; give at least 1")
        self.steps, self.baseline = steps, float(baseline)
        super().__init__(model, layer, output=output)

    def _signed(
        self, part: SplitModel, images: tf.Tensor, targets: tf.Tensor, seeds: tf.Tensor
    ) -> tf.Tensor:
        # The class is that of the image itself, not of the points on the path.
        pairs = explained_pairs(self.classifier.score_tensor(images), targets)
        difference = images - self.baseline

        def step(index: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            share = (tf.cast(index, tf.float32) + 0.5) / self.steps
            point = [self.baseline + share * difference]
            return index + 1, total + self._gradients(part, point, pairs)

        _, total = tf.while_loop(
            lambda index, _: index < self.steps,
            step,
            (tf.constant(0), tf.zeros_like(images)),
            parallel_iterations=1,
        )
        return tf.reduce_sum(difference * total / self.steps, axis=-1)
