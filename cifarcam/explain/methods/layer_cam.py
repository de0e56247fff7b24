"""LayerCAM, after Jiang et al. (2021), LayerCAM: Exploring Hierarchical Class Activation Maps."""

from __future__ import annotations

import tensorflow as tf

from cifarcam.explain.base import GradientCAM


class LayerCAM(GradientCAM):
    r"""Feature maps times their own positive gradients, position by position.

    The paper's weights $w_{ij}^{kc} = \mathrm{ReLU}(\partial y^c / \partial A_{ij}^k)$ and map

    $$L^c = \mathrm{ReLU}\Big(\sum_k w^{kc} \odot A^k\Big)$$

    (IEEE TIP 30, Section III); the outer ReLU is a stage that all explainers share.
    """

    name = "layer-cam"
    reference = "Jiang et al. (2021)"

    def _combine(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(activations * tf.nn.relu(gradients), axis=-1)
