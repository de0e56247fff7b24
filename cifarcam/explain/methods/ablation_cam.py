"""Ablation-CAM: Desai and Ramaswamy (2020), Ablation-CAM: Visual Explanations for Deep
Convolutional Network via Gradient-free Localization.
"""

from __future__ import annotations

import tensorflow as tf

from cifarcam.explain._loops import in_chunks
from cifarcam.explain.base import Batch, Explainer
from cifarcam.explain.graph import SplitModel


class AblationCAM(Explainer):
    r"""Feature maps, each weighted by the share of the score that the network loses without it.

    With $y_k^c$ the score when feature map $k$ is set to zero, the weight in the paper is
    $w_k^c = (y^c - y_k^c) / y^c$. We divide by $|y^c|$ instead. Both agree for the positive
    scores of the paper; for a negative score, which a class that is not predicted may have, $y^c$
    would turn evidence for the class into evidence against it. A score of 0 gives weights of 0.

    The cost is one forward pass, and one from the layer on for each channel that is not zero.

    Examples
    --------
    >>> explainer = AblationCAM(model, "conv5")
    >>> heatmaps = explainer(images)
    """

    name = "ablation-cam"
    title = "Ablation-CAM"
    reference = "Desai & Ramaswamy (2020)"
    cost = "1 forward pass, 1 from the layer on for each channel that is not zero"

    def _signed(self, part: SplitModel, batch: Batch) -> tf.Tensor:
        between = part.stem(batch.images)
        outputs = part.head(between)
        targets = self.classifier.resolved(outputs, batch.targets)
        whole = self.classifier.target_scores(outputs, targets)
        # A map that is already zero has weight 0 without a forward pass.
        alive = tf.reduce_any(between[0] != 0, axis=(1, 2))
        pairs = tf.cast(tf.where(alive), tf.int32)  # image, channel
        channels = tf.shape(between[0])[-1]

        def scores_without(at: tf.Tensor) -> tf.Tensor:
            pair = tf.gather(pairs, at)
            activations, *passing = (tf.gather(tensor, pair[:, 0]) for tensor in between)
            others = 1 - tf.one_hot(pair[:, 1], channels, dtype=activations.dtype)
            head_outputs = part.head([activations * others[:, tf.newaxis, tf.newaxis], *passing])
            return self.classifier.target_scores(head_outputs, tf.gather(targets, pair[:, 0]))

        scores = in_chunks(scores_without, tf.shape(pairs)[0], batch.batch_size)
        losses = tf.tensor_scatter_nd_update(
            tf.zeros(tf.shape(alive)), pairs, tf.gather(whole, pairs[:, 0]) - scores
        )
        weights = tf.math.divide_no_nan(losses, tf.abs(whole)[:, tf.newaxis])
        return tf.einsum("nijk,nk->nij", tf.cast(between[0], tf.float32), weights)
