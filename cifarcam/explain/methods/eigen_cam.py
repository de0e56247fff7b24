"""Eigen-CAM, after Muhammad and Yeasin (2020), Eigen-CAM: Class Activation Map using Principal
Components.
"""

from __future__ import annotations

import tensorflow as tf

from cifarcam.explain.base import Explainer
from cifarcam.explain.graph import SplitModel


class EigenCAM(Explainer):
    r"""A layer's activations projected on their first principal direction; no class enters.

    With the activations of one image as a matrix $O$ of positions x channels, and
    $O = U \Sigma V^T$, the map is $O V_1$ (the paper's Section III). The activations are not
    centred, as in the paper. A singular vector has no sign of its own: the one is taken for which
    the map's sum is positive.
    """

    name = "eigen-cam"
    reference = "Muhammad & Yeasin (2020)"
    cost = "1 forward pass up to the layer, 1 eigenvector"

    def _signed(
        self, part: SplitModel, images: tf.Tensor, targets: tf.Tensor, seeds: tf.Tensor
    ) -> tf.Tensor:
        activations = tf.cast(part.stem(images)[0], tf.float64)
        shape = tf.shape(activations)
        matrix = tf.reshape(activations, [shape[0], shape[1] * shape[2], shape[3]])
        # The decomposition takes no values that are not finite; the map then is not finite either.
        finite = tf.where(tf.math.is_finite(matrix), matrix, tf.zeros_like(matrix))
        # Float64, since the products square the condition; V_1 leads O^T O, sigma_1 U_1 = O V_1.
        directions = tf.linalg.eigh(tf.matmul(finite, finite, transpose_a=True))[1][..., -1:]
        projected = tf.matmul(matrix, directions)
        projected *= tf.where(
            tf.reduce_sum(projected, axis=1, keepdims=True) < 0, tf.constant(-1, tf.float64), 1
        )
        return tf.cast(tf.reshape(projected, shape[:3]), tf.float32)
