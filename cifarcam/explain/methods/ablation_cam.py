"""Ablation-CAM, after Desai and Ramaswamy (2020), Ablation-CAM: Visual Explanations for Deep
Convolutional Network via Gradient-free Localization.
"""

from __future__ import annotations

import tensorflow as tf

from cifarcam.explain.base import Explainer, chosen_classes, in_chunks
from cifarcam.explain.graph import SplitModel

CHUNK = 256  # ablated activations at a time


class AblationCAM(Explainer):
    r"""Feature maps weighted by the share of the score that is lost without each.

    With $y_k^c$ the score when feature map $k$ is set to zero, the paper's weight is
    $w_k^c = (y^c - y_k^c) / y^c$ (Section 3). Here the divisor is $|y^c|$: the same for the
    positive scores that the paper treats, while for a negative score, as that of a class not
    predicted may be, $y^c$ itself would turn the evidence for the class into evidence against it.
    A score of exactly 0 gives weights of 0.
    """

    name = "ablation-cam"
    reference = "Desai & Ramaswamy (2020)"
    cost = "1 forward pass, 1 from the layer on for each channel that is not zero"

    def _signed(
        self, part: SplitModel, images: tf.Tensor, targets: tf.Tensor, seeds: tf.Tensor
    ) -> tf.Tensor:
        between = part.stem(images)
        scores = self.classifier.as_scores(part.head(between))
        chosen = chosen_classes(scores, targets)
        whole = tf.gather(scores, chosen, batch_dims=1)
        # Without a map that is zero already the score is the same: weight 0, no forward pass.
        alive = tf.reduce_any(between[0] != 0, axis=(1, 2))
        pairs = tf.cast(tf.where(alive), tf.int32)  # image, channel
        channels = tf.shape(between[0])[-1]

        def ablated_scores(at: tf.Tensor) -> tf.Tensor:
            pair = tf.gather(pairs, at)
            activations, *passing = (tf.gather(tensor, pair[:, 0]) for tensor in between)
            kept = 1 - tf.one_hot(pair[:, 1], channels, dtype=activations.dtype)
            outputs = part.head([activations * kept[:, tf.newaxis, tf.newaxis], *passing])
            classes = tf.gather(chosen, pair[:, 0])
            return tf.gather(self.classifier.as_scores(outputs), classes, batch_dims=1)

        found = in_chunks(ablated_scores, tf.shape(pairs)[0], CHUNK)
        lost = tf.tensor_scatter_nd_update(
            tf.zeros(tf.shape(alive)), pairs, tf.gather(whole, pairs[:, 0]) - found
        )
        weights = tf.math.divide_no_nan(lost, tf.abs(whole)[:, tf.newaxis])
        return tf.einsum("nijk,nk->nij", tf.cast(between[0], tf.float32), weights)
