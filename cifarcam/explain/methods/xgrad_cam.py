"""XGrad-CAM: Fu et al. (2020), Axiom-based Grad-CAM."""

from __future__ import annotations

import tensorflow as tf

from cifarcam.explain.methods._gradient_explainer import GradientCAM


class XGradCAM(GradientCAM):
    r"""Feature maps weighted by the mean of their gradients, weighted by the activations.

    The paper (arXiv 2008.02312) derives the weights from the axioms of sensitivity and
    conservation:

    $$\alpha_k^c = \sum_{i,j} \frac{A_{ij}^k}{\sum_{a,b} A_{ab}^k}
    \frac{\partial y^c}{\partial A_{ij}^k}$$

    A map with the sum 0 has weight 0.

    The cost is one forward pass, and one backward pass from the output to the layer.

    Examples
    --------
    >>> explainer = XGradCAM(model, "conv5")
    >>> heatmaps = explainer(images)
    """

    name = "xgrad-cam"
    title = "XGrad-CAM"
    reference = "Fu et al. (2020)"

    def _combine(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        sums = tf.reduce_sum(activations, axis=(1, 2))
        weights = tf.math.divide_no_nan(tf.reduce_sum(activations * gradients, axis=(1, 2)), sums)
        return tf.einsum("nijk,nk->nij", activations, weights)
