"""Score-CAM: Wang et al. (2020), Score-CAM: Score-Weighted Visual Explanations."""

from __future__ import annotations

import tensorflow as tf

from cifarcam.explain.base import Explainer, explained_classes, in_chunks, resized
from cifarcam.explain.graph import SplitModel

CHUNK = 256  # masked images at a time


class ScoreCAM(Explainer):
    r"""Feature maps, each weighted by the score of the image that it masks.

    Definition 3 and Algorithm 1 of the paper: each map is resized to the image and scaled to
    [0, 1] by its minimum and maximum, which gives $H^k$. Its increase of confidence is
    $C_k = y^c(X \odot H^k) - y^c(X_b)$, with $y^c$ the score before the softmax and $X_b$ a
    baseline image, here all zero (black). The weights are the softmax of $C$ over the channels. A
    constant map masks the whole image.

    The cost is two forward passes, and one for each channel that is not constant.

    Examples
    --------
    >>> explainer = ScoreCAM(model, "conv5")
    >>> heatmaps = explainer(images)
    """

    name = "score-cam"
    title = "Score-CAM"
    reference = "Wang et al. (2020)"
    cost = "1 forward pass for each channel that is not constant, 1 more"

    def _signed(
        self, part: SplitModel, images: tf.Tensor, targets: tf.Tensor, seeds: tf.Tensor
    ) -> tf.Tensor:
        between = part.stem(images)
        scores = self.classifier.as_scores(part.head(between))
        classes = explained_classes(scores, targets)
        activations = tf.cast(between[0], tf.float32)
        size = tf.shape(images)[1:3]
        maps = tf.transpose(activations, [0, 3, 1, 2])  # n x channels x h x w
        # A constant map gives the black image, which needs no forward pass of its own.
        spread = tf.reduce_max(maps, axis=(2, 3)) > tf.reduce_min(maps, axis=(2, 3))
        pairs = tf.cast(tf.where(spread), tf.int32)  # image, channel

        def masked_scores(at: tf.Tensor) -> tf.Tensor:
            pair = tf.gather(pairs, at)
            masks = resized(tf.gather_nd(maps, pair), size)
            low = tf.reduce_min(masks, axis=(1, 2), keepdims=True)
            high = tf.reduce_max(masks, axis=(1, 2), keepdims=True)
            masks = tf.math.divide_no_nan(masks - low, high - low)
            masked = tf.gather(images, pair[:, 0]) * masks[..., tf.newaxis]
            outputs = self.classifier.score_tensor(masked)
            return tf.gather(outputs, tf.gather(classes, pair[:, 0]), batch_dims=1)

        scores_of_pairs = in_chunks(masked_scores, tf.shape(pairs)[0], CHUNK)
        black = self.classifier.score_tensor(tf.zeros_like(images[:1]))
        base = tf.gather(black[0], classes)  # n
        confidence = tf.tensor_scatter_nd_update(
            tf.zeros(tf.shape(maps)[:2]), pairs, scores_of_pairs - tf.gather(base, pairs[:, 0])
        )
        weights = tf.nn.softmax(confidence, axis=1)
        return tf.einsum("nkij,nk->nij", maps, weights)
