"""HiRes-CAM, after Draelos and Carin (2020), Use HiResCAM instead of Grad-CAM."""

from __future__ import annotations

import tensorflow as tf

from cifarcam.explain.base import GradientCAM


class HiResCAM(GradientCAM):
    r"""Feature maps times their own gradients, position by position.

    The method's defining equation (arXiv 2011.08891, Section 3) keeps the gradient at its place,
    where Grad-CAM averages it over the map:

    $$L^c = \sum_k \frac{\partial y^c}{\partial A^k} \odot A^k$$

    When only linear layers follow, the map sums to the score less the bias.
    """

    name = "hires-cam"
    reference = "Draelos & Carin (2020)"

    def _combine(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(activations * gradients, axis=-1)
