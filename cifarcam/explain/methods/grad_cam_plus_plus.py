"""Grad-CAM++: Chattopadhay et al. (2018), Grad-CAM++: Generalized Gradient-Based Visual
Explanations for Deep Convolutional Networks.
"""

from __future__ import annotations

import tensorflow as tf

from cifarcam.explain.methods._gradient_explainer import GradientCAM


class GradCAMPlusPlus(GradientCAM):
    r"""Feature maps weighted by their positive gradients, each scaled by its share in the score.

    Implementations use three different formulas. This is the closed form of the paper (Section 3)
    for the score $Y^c = \exp(y^c)$ of a network that is piecewise linear after the layer. There the
    second and third derivatives of $Y^c$ are powers of the first derivative $g^k_{ij}$ of $y^c$:

    $$\alpha^{kc}_{ij} = \frac{(g^k_{ij})^2}{2 (g^k_{ij})^2 + \sum_{a,b} A^k_{ab} (g^k_{ij})^3},
    \qquad w^c_k = \sum_{i,j} \alpha^{kc}_{ij}\, \mathrm{ReLU}(g^k_{ij})$$

    with the sum over all positions $(a, b)$ of the map, and $\alpha = 0$ where the denominator is
    0. The other formulas are the general form, with automatic derivatives, and a form with
    $A^k_{ij}$ in place of the sum. We omit the factor $\exp(y^c)$ of the weights, which only scales
    the map of an image and overflows float32 for scores from 89.

    The cost is one forward pass, and one backward pass from the output to the layer.

    Examples
    --------
    >>> explainer = GradCAMPlusPlus(model, "conv5")
    >>> heatmaps = explainer(images)
    """

    name = "grad-cam++"
    title = "Grad-CAM++"
    reference = "Chattopadhay et al. (2018)"

    def _combine(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        sums = tf.reduce_sum(activations, axis=(1, 2), keepdims=True)
        # Numerator and denominator are divided by g^2, which would underflow.
        shares = tf.math.divide_no_nan(1.0, 2.0 + sums * gradients)
        weights = tf.reduce_sum(shares * tf.nn.relu(gradients), axis=(1, 2))
        return tf.einsum("nijk,nk->nij", activations, weights)
