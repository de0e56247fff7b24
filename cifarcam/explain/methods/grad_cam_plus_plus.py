"""Grad-CAM++, after Chattopadhay et al. (2018), Grad-CAM++: Generalized Gradient-Based Visual
Explanations for Deep Convolutional Networks.
"""

from __future__ import annotations

import tensorflow as tf

from cifarcam.explain.base import GradientCAM


class GradCAMPlusPlus(GradientCAM):
    r"""Feature maps weighted by positive gradients, each by its share in the score.

    Three formulas circulate. This is the paper's closed form for the score $Y^c = \exp(y^c)$ of a
    network that is piecewise linear after the layer, where the second and third derivatives of
    $Y^c$ are powers of the first derivative $g^k_{ij}$ of $y^c$:

    $$\alpha^{kc}_{ij} = \frac{(g^k_{ij})^2}{2 (g^k_{ij})^2 + \sum_{a,b} A^k_{ab} (g^k_{ij})^3},
    \qquad w^c_k = \sum_{i,j} \alpha^{kc}_{ij}\, \mathrm{ReLU}(g^k_{ij})$$

    with the sum over all positions $(a, b)$ of the map, and $\alpha = 0$ where the denominator is
    0. The others are the general one, with derivatives taken by the machine, and one that takes
    $A^k_{ij}$ instead of the sum. The factor $\exp(y^c)$ of the weights, common to a whole image,
    is left out: it scales the map only, and overflows float32 from a score of 89 on.
    """

    name = "grad-cam++"
    reference = "Chattopadhay et al. (2018)"

    def _combine(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        sums = tf.reduce_sum(activations, axis=(1, 2), keepdims=True)
        # Numerator and denominator divided by g^2, which is exact and does not underflow.
        shares = tf.math.divide_no_nan(1.0, 2.0 + sums * gradients)
        weights = tf.reduce_sum(shares * tf.nn.relu(gradients), axis=(1, 2))
        return tf.einsum("nijk,nk->nij", activations, weights)
