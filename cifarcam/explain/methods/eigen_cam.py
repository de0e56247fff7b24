"""Eigen-CAM: Muhammad and Yeasin (2020), Eigen-CAM: Class Activation Map using Principal
Components.
"""

from __future__ import annotations

import tensorflow as tf

from cifarcam.explain.base import Explainer
from cifarcam.explain.graph import SplitModel


class EigenCAM(Explainer):
    r"""A layer's activations projected on their first principal direction; no class matters.

    Write the activations of one image as a matrix $O$ of positions x channels, with the singular
    value decomposition $O = U \Sigma V^T$. The map is $O V_1$ (Section III of the paper). As in the
    paper, the activations are not centred. The sign of a singular vector is arbitrary; we choose
    the sign that makes the sum of the map positive.

    The cost is one forward pass up to the layer and one eigenvector.

    Examples
    --------
    >>> explainer = EigenCAM(model, "conv5")
    >>> heatmaps = explainer(images)
    """

    name = "eigen-cam"
    title = "Eigen-CAM"
    reference = "Muhammad & Yeasin (2020)"
    cost = "1 forward pass up to the layer, 1 eigenvector"

    def _signed(
        self, part: SplitModel, images: tf.Tensor, targets: tf.Tensor, seeds: tf.Tensor
    ) -> tf.Tensor:
        activations = tf.cast(part.stem(images)[0], tf.float64)
        shape = tf.shape(activations)
        matrix = tf.reshape(activations, [shape[0], shape[1] * shape[2], shape[3]])
        # The decomposition fails on values that are not finite; the map keeps them and is refused.
        finite = tf.where(tf.math.is_finite(matrix), matrix, tf.zeros_like(matrix))
        # V_1 is the last eigenvector of O^T O; float64, since the product squares the condition.
        directions = tf.linalg.eigh(tf.matmul(finite, finite, transpose_a=True))[1][..., -1:]
        projected = tf.matmul(matrix, directions)
        projected *= tf.where(
            tf.reduce_sum(projected, axis=1, keepdims=True) < 0, tf.constant(-1, tf.float64), 1
        )
        return tf.cast(tf.reshape(projected, shape[:3]), tf.float32)
