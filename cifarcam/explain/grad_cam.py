"""Grad-CAM: Selvaraju et al. (2017), Visual Explanations from Deep Networks, equations 1 and 2."""

from __future__ import annotations

import tensorflow as tf

from cifarcam.explain.base import Explainer


class GradCAM(Explainer):
    r"""Channels weighted by the mean gradient of the class score.

    Equation 1 gives the weights, with $Z$ the number of positions and $y^c$ the score of class
    $c$ before the softmax:

    $$\alpha_k^c = \frac{1}{Z} \sum_{i,j} \frac{\partial y^c}{\partial A_{ij}^k}$$

    Equation 2 gives the map, $\mathrm{ReLU}(\sum_k \alpha_k^c A^k)$; its ReLU is the stage that
    `Explainer` adds.
    """

    def _signed_maps(
        self, activations: tf.Tensor, gradients: tf.Tensor, score: tf.Tensor
    ) -> tf.Tensor:
        weights = tf.reduce_mean(gradients, axis=(1, 2))
        return tf.einsum("nhwk,nk->nhw", activations, weights)
