"""Integrated gradients: Sundararajan et al. (2017), Axiomatic Attribution for Deep Networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import keras
import tensorflow as tf

from cifarcam.explain._loops import iterate
from cifarcam.explain._options import checked_count, checked_number
from cifarcam.explain.base import Batch
from cifarcam.explain.classifier import Classifier, ClassifierOptions
from cifarcam.explain.graph import SplitModel
from cifarcam.explain.methods._gradient_explainer import GradientExplainer


class IntegratedGradients(GradientExplainer):
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
        The value of all pixels of the baseline image $x'$, from 0, black, to 1, white.

    Examples
    --------
    >>> explainer = IntegratedGradients(model, steps=64)
    >>> heatmaps = explainer(images)
    """

    name = "integrated-gradients"
    title = "integrated gradients"
    reference = "Sundararajan et al. (2017)"
    takes_layer = False
    needs_range = True
    cost = "33 forward and 32 backward passes"

    def __init__(
        self,
        model: keras.Model | Classifier,
        layer: str | Sequence[str] | None = None,
        *,
        steps: int = 32,
        baseline: float = 0.0,
        **options: Unpack[ClassifierOptions],
    ) -> None:
        steps = checked_count("steps", steps, least=1)
        self.steps = steps
        self.baseline = checked_number("baseline", baseline, least=0, most=1)
        self.cost = f"{steps + 1} forward and {steps} backward passes"
        super().__init__(model, layer, **options)

    def _signed(self, part: SplitModel, batch: Batch) -> tf.Tensor:
        # The class is the prediction for the image itself, not for the points on the path.
        batch, _ = self._resolved(batch)
        baseline = self._limits.black + self.baseline * self._limits.span
        difference = batch.images - baseline

        def step(index: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor]:
            share = (tf.cast(index, tf.float32) + 0.5) / self.steps
            point = [baseline + share * difference]
            return (total + self._gradients(part, point, batch.targets),)

        (total,) = iterate(step, self.steps, [tf.zeros_like(batch.images)])
        return tf.reduce_sum(difference * total / self.steps, axis=-1)
