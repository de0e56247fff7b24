"""Attention relevance: Chefer, Gur and Wolf (2021), Generic Attention-model Explainability."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from cifarcam.errors import CifarcamError
from cifarcam.explain.base import Batch
from cifarcam.explain.methods._attention_explainer import AttentionExplainer
from cifarcam.explain.methods._gradient_explainer import GradientExplainer


class AttentionRelevance(AttentionExplainer, GradientExplainer):
    r"""Attention weighted by the gradient of the class score, added up over all layers.

    Equation 5 of the paper: of each layer's attention $A$ and its gradient, the positive products
    are averaged over the heads, $\bar A = E_h((\nabla A \odot A)^+)$. Equation 6 adds them up from
    the first layer to the last, $R \leftarrow R + \bar A R$, and $R$ begins as the identity. The
    map is the row of the class token in $R$, or the mean of the rows of the tokens that the
    network reads. A softmax that pools the tokens counts as the attention of a class token in one
    more layer: its $\bar A$, one row, times $R$.

    The identity is left out of the mean of rows: it is the same for every image and class. It
    does not reach the map of a class token.

    Only a model with self-attention has a map. Its values are at least 0, in units of the score.

    The cost is one forward and one backward pass.

    Examples
    --------
    >>> explainer = AttentionRelevance(model)
    >>> heatmaps = explainer(images)
    """

    name = "attention-relevance"
    title = "attention relevance"
    reference = "Chefer et al. (2021)"
    cost = "1 forward pass, 1 backward pass from the first attention on"
    is_fast = True

    def _matrices(self, batch: Batch) -> list[tf.Tensor]:
        attention = self._attention
        between = attention.stem(batch.images)
        sizes = [rows * columns for _, rows, columns in self._shapes]

        def scaled(scales: tf.Tensor | float) -> tf.Tensor:
            """The matrices of all layers, n x all values, multiplied by each image's scale."""
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch([tensor for tensor in between if tensor.dtype.is_floating])
                outputs, tensors = attention.head(between)
                # A score depends on its own image alone, so the sum has each score's gradient.
                scores = self.classifier.target_scores(outputs, batch.targets)
                total = tf.reduce_sum(scores * scales)
            gradients = tape.gradient(total, tensors)
            if all(gradient is None for gradient in gradients):
                raise CifarcamError("no gradient of the score reaches the model's attention")
            means = [
                self._mean_product(tensor, gradient, shape)
                for tensor, gradient, shape in zip(tensors, gradients, self._shapes, strict=True)
            ]
            flat = [tf.reshape(mean, [-1, n]) for mean, n in zip(means, sizes, strict=True)]
            return tf.concat(flat, axis=1)

        like = tf.zeros([tf.shape(batch.images)[0], sum(sizes)])
        flat = tf.split(self._unscaled(scaled, like), sizes, axis=1)
        return [
            tf.reshape(matrix, [-1, rows, columns])
            for matrix, (_, rows, columns) in zip(flat, self._shapes, strict=True)
        ]

    def _mean_product(
        self, tensor: tf.Tensor, gradient: tf.Tensor | None, shape: tuple[int, int, int]
    ) -> tf.Tensor:
        """The mean over the heads of positive products, n x rows x columns."""
        weights = self._heads(tensor, shape)
        if gradient is None:
            return tf.zeros_like(weights[:, 0])
        products = weights * self._heads(gradient, shape)
        # A ReLU alone would turn minus infinity, of a gradient that overflows, into 0.
        positive = tf.where(tf.math.is_finite(products), tf.nn.relu(products), np.nan)
        return tf.reduce_mean(positive, axis=1)

    def _step(self, shares: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
        return shares + shares @ matrix

    def _without_start(self, shares: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
        return shares if self._attention.pools else shares - start
