"""HiResCAM: Draelos and Carin (2020), Use HiResCAM instead of Grad-CAM."""

from __future__ import annotations

import tensorflow as tf

from cifarcam.explain.methods._gradient_explainer import GradientCAM


class HiResCAM(GradientCAM):
    r"""Feature maps times their own gradients, position by position.

    The defining equation (arXiv 2011.08891) uses the gradient at each position, where Grad-CAM uses
    its mean over the map:

    $$L^c = \sum_k \frac{\partial y^c}{\partial A^k} \odot A^k$$

    If only linear layers follow, the sum of the map is the score minus the bias.

    The cost is one forward pass, and one backward pass from the output to the layer.

    Examples
    --------
    >>> explainer = HiResCAM(model, "conv5")
    >>> heatmaps = explainer(images)
    """

    name = "hires-cam"
    title = "HiResCAM"
    reference = "Draelos & Carin (2020)"

    def _combine(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(activations * gradients, axis=-1)
