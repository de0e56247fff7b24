"""Score-CAM: Wang et al. (2020), Score-CAM: Score-Weighted Visual Explanations."""

from __future__ import annotations

import tensorflow as tf

from cifarcam.explain.base import Batch, resized
from cifarcam.explain.graph import SplitModel
from cifarcam.explain.methods._masks import MaskExplainer


class ScoreCAM(MaskExplainer):
    r"""Feature maps, each weighted by the score of the image that it masks.

    Definition 4 and Algorithm 1 of the paper: each map is resized to the image and scaled to
    [0, 1] by its minimum and maximum, which gives $H^k$. Its increase of confidence is
    $C_k = y^c(X \odot H^k) - y^c(X_b)$, with $y^c$ the score before the softmax and $X_b$ a
    baseline image, here black; hidden pixels are black as well. The weights are the softmax of $C$
    over the channels. A constant map masks the whole image.

    The cost is two forward passes, and one for each channel that is not constant.

    Examples
    --------
    >>> explainer = ScoreCAM(model, "conv5")
    >>> heatmaps = explainer(images)
    """

    name = "score-cam"
    title = "Score-CAM"
    reference = "Wang et al. (2020)"
    cost = "1 forward pass for each channel that is not constant, 2 more"

    def _signed(self, part: SplitModel, batch: Batch) -> tf.Tensor:
        between = part.stem(batch.images)
        targets = self.classifier.resolved(part.head(between), batch.targets)
        batch = batch._replace(targets=targets)
        size = tf.shape(batch.images)[1:3]
        maps = tf.transpose(tf.cast(between[0], tf.float32), [0, 3, 1, 2])  # n x channels x h x w
        # A constant map gives the black image, which needs no forward pass of its own.
        spread = tf.reduce_max(maps, axis=(2, 3)) > tf.reduce_min(maps, axis=(2, 3))
        pairs = tf.cast(tf.where(spread), tf.int32)  # image, channel

        def masks(pair: tf.Tensor) -> tf.Tensor:
            mask = resized(tf.gather_nd(maps, pair), size)
            low = tf.reduce_min(mask, axis=(1, 2), keepdims=True)
            high = tf.reduce_max(mask, axis=(1, 2), keepdims=True)
            return tf.math.divide_no_nan(mask - low, high - low)

        scores = self._masked_scores(batch, masks, pairs)
        confidence = tf.tensor_scatter_nd_update(
            tf.zeros(tf.shape(maps)[:2]),
            pairs,
            scores - tf.gather(self._black_scores(batch), pairs[:, 0]),
        )
        weights = tf.nn.softmax(confidence, axis=1)
        return tf.einsum("nkij,nk->nij", maps, weights)
