"""Grad-CAM: Selvaraju et al. (2017), Grad-CAM: Visual Explanations from Deep Networks."""

from __future__ import annotations

import tensorflow as tf

from cifarcam.explain.methods._gradient_explainer import GradientCAM


class GradCAM(GradientCAM):
    r"""Feature maps weighted by the mean gradient of the class score.

    Equation 1 of the paper gives the weights, with $y^c$ the score of class $c$ before the
    softmax and $Z$ the number of positions in feature map $A^k$:

    $$\alpha_k^c = \frac{1}{Z} \sum_{i,j} \frac{\partial y^c}{\partial A_{ij}^k}$$

    Equation 2 gives the map, $\mathrm{ReLU}(\sum_k \alpha_k^c A^k)$; all explainers share the ReLU.

    The cost is one forward pass, and one backward pass from the output to the layer.

    Examples
    --------
    >>> explainer = GradCAM(model, "conv5")
    >>> heatmaps = explainer(images)
    """

    name = "grad-cam"
    title = "Grad-CAM"
    reference = "Selvaraju et al. (2017)"

    def _combine(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        weights = tf.reduce_mean(gradients, axis=(1, 2))
        return tf.einsum("nijk,nk->nij", activations, weights)
