"""Eigen-CAM: Muhammad and Yeasin (2020), Eigen-CAM: Class Activation Map using Principal
Components.
"""

from __future__ import annotations

import tensorflow as tf

from cifarcam.explain.base import Batch, Explainer
from cifarcam.explain.graph import SplitModel


class EigenCAM(Explainer):
    r"""A layer's activations projected on their first principal direction; no class matters.

    Write the activations of one image as a matrix $O$ of positions x channels, with the singular
    value decomposition $O = U \Sigma V^T$. The map is $O V_1$. As in the paper, the
    activations are not centred. The sign of a singular vector is arbitrary; we choose the sign that
    makes the sum of the map positive.

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
    is_fast = True

    def _signed(self, part: SplitModel, batch: Batch) -> tf.Tensor:
        # One image at a time, because of the products in float64.
        return tf.map_fn(_projection, part.stem(batch.images)[0], fn_output_signature=tf.float32)


def _projection(activations: tf.Tensor) -> tf.Tensor:
    """The map of one image, float32, h x w, from activations, h x w x channels."""
    shape = tf.shape(activations)
    matrix = tf.reshape(tf.cast(activations, tf.float64), [shape[0] * shape[1], shape[2]])
    # The decomposition fails on values that are not finite; the map keeps them and is refused.
    finite = tf.where(tf.math.is_finite(matrix), matrix, tf.zeros_like(matrix))
    values = tf.matmul(matrix, _first_direction(finite))
    values = tf.where(tf.reduce_sum(values) < 0, -values, values)
    return tf.cast(tf.reshape(values, shape[:2]), tf.float32)


def _first_direction(matrix: tf.Tensor) -> tf.Tensor:
    """The first right singular vector of a matrix, float64, positions x channels: channels x 1.

    It is the last eigenvector of the smaller of the two Gram matrices: of O^T O itself, or of O O^T,
    whose eigenvector u gives O^T u / |O^T u|. A zero matrix gives zeros or any unit vector.
    """

    def of_channels() -> tf.Tensor:
        return tf.linalg.eigh(tf.matmul(matrix, matrix, transpose_a=True))[1][:, -1:]

    def of_positions() -> tf.Tensor:
        left = tf.linalg.eigh(tf.matmul(matrix, matrix, transpose_b=True))[1][:, -1:]
        direction = tf.matmul(matrix, left, transpose_a=True)
        return tf.math.divide_no_nan(direction, tf.norm(direction))

    # Float64, since the product squares the condition.
    return tf.cond(tf.shape(matrix)[0] < tf.shape(matrix)[1], of_positions, of_channels)
