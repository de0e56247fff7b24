"""LayerCAM: Jiang et al. (2021), LayerCAM: Exploring Hierarchical Class Activation Maps."""

from __future__ import annotations

import tensorflow as tf

from cifarcam.explain.methods._gradient_explainer import GradientCAM


class LayerCAM(GradientCAM):
    r"""Feature maps times their own positive gradients, position by position.

    The paper gives the weights
    $w_{ij}^{kc} = \mathrm{ReLU}(\partial y^c / \partial A_{ij}^k)$ and the map

    $$L^c = \mathrm{ReLU}\Big(\sum_k w^{kc} \odot A^k\Big)$$

    All explainers share the outer ReLU.

    The cost is one forward pass, and one backward pass from the output to the layer.

    Examples
    --------
    >>> explainer = LayerCAM(model, "conv5")
    >>> heatmaps = explainer(images)
    """

    name = "layer-cam"
    title = "LayerCAM"
    reference = "Jiang et al. (2021)"

    def _combine(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(activations * tf.nn.relu(gradients), axis=-1)
