"""Attention rollout: Abnar and Zuidema (2020), Quantifying Attention Flow in Transformers."""

from __future__ import annotations

import tensorflow as tf

from cifarcam.explain.base import Batch
from cifarcam.explain.methods._attention_explainer import AttentionExplainer


class AttentionRollout(AttentionExplainer):
    r"""The product of the attention of all layers: where the tokens that are read come from.

    Section 3 of the paper: the attention of a layer, averaged over its heads, is mixed with the
    residual connection, $A = 0.5 W_{att} + 0.5 I$. Equation 1 multiplies these from the last layer
    to the first, $\tilde A(l_i) = A(l_i) \tilde A(l_{i-1})$. The map is the row of the class token
    in the product, or the mean of the rows of the tokens that the network reads. The weights of a
    softmax that pools the tokens weight the rows.

    The map does not depend on the class. Its values are shares, at least 0, and their sum is at
    most 1. Only a model with self-attention has a map.

    The cost is one forward pass.

    Examples
    --------
    >>> explainer = AttentionRollout(model)
    >>> heatmaps = explainer(images)
    """

    name = "attention-rollout"
    title = "attention rollout"
    reference = "Abnar & Zuidema (2020)"
    cost = "1 forward pass"
    is_fast = True

    def _matrices(self, batch: Batch) -> list[tf.Tensor]:
        _, tensors = self._attention.head(self._attention.stem(batch.images))
        return [
            tf.reduce_mean(self._heads(tensor, shape), axis=1)
            for tensor, shape in zip(tensors, self._shapes, strict=True)
        ]

    def _step(self, shares: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
        return (shares + shares @ matrix) / 2
