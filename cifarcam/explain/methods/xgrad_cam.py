"""XGrad-CAM, after Fu et al. (2020), Axiom-based Grad-CAM."""

from __future__ import annotations

import tensorflow as tf

from cifarcam.explain.base import GradientCAM


class XGradCAM(GradientCAM):
    r"""Feature maps weighted by their gradients' mean, each position by its share of the map.

    The weights that the paper derives from the axioms of sensitivity and conservation
    (arXiv 2008.02312, Section 3):

    $$\alpha_k^c = \sum_{i,j} \frac{A_{ij}^k}{\sum_{a,b} A_{ab}^k}
    \frac{\partial y^c}{\partial A_{ij}^k}$$

    A map whose values sum to 0 has weight 0.
    """

    name = "xgrad-cam"
    reference = "Fu et al. (2020)"

    def _combine(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        sums = tf.reduce_sum(activations, axis=(1, 2))
        weights = tf.math.divide_no_nan(tf.reduce_sum(activations * gradients, axis=(1, 2)), sums)
        return tf.einsum("nijk,nk->nij", activations, weights)
