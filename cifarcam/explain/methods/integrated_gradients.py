"""Integrated gradients, after Sundararajan et al. (2017), Axiomatic Attribution for Deep Networks."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from cifarcam.errors import CifarcamError
from cifarcam.explain.base import Explainer, chosen_classes
from cifarcam.explain.classifier import Classifier
from cifarcam.explain.graph import SplitModel


class IntegratedGradients(Explainer):
    r"""Each pixel's part in the score's rise from a baseline image, summed over its channels.

    Equation 1 of the paper, the integral taken by the midpoint rule on `steps` points (its
    equation 3 takes right ends):

    $$(x_i - x'_i) \int_0^1 \frac{\partial y(x' + a (x - x'))}{\partial x_i} da$$

    The values of an image sum to $y(x) - y(x')$ as `steps` grows (completeness). Negative ones
    speak against the class; the ReLU that all explainers share takes them away.

    Parameters
    ----------
    steps
        Points on the straight path.
    baseline
        The value of all pixels of the baseline image $x'$; 0, black, by default.
    """

    name = "integrated-gradients"
    reference = "Sundararajan et al. (2017)"
    cost = "33 forward and 32 backward passes"
    takes_layer = False

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
        chosen = chosen_classes(
            self.classifier.score_tensor(images), targets
        )  # of the image itself, not of points before it
        way = images - self.baseline

        def step(index: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            share = (tf.cast(index, tf.float32) + 0.5) / self.steps
            point = [self.baseline + share * way]
            return index + 1, total + self._gradients(part, point, chosen)

        _, total = tf.while_loop(
            lambda index, _: index < self.steps,
            step,
            (tf.constant(0), tf.zeros_like(images)),
            parallel_iterations=1,
        )
        return tf.reduce_sum(way * total / self.steps, axis=-1)
