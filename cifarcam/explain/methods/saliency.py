"""Saliency maps: Simonyan et al. (2014), Deep Inside Convolutional Networks."""

from __future__ import annotations

import tensorflow as tf

from cifarcam.explain.base import Explainer
from cifarcam.explain.graph import SplitModel


class Saliency(Explainer):
    r"""The absolute gradient of the score with respect to each pixel, maximum over the channels.

    Section 3.1 of the paper: $M_{ij} = \max_c |\partial y / \partial x_{ijc}|$. The map shows where
    a change would matter, not in which direction. The gradient is not modified (no guided ReLU).

    The cost is one forward and one backward pass.

    Examples
    --------
    >>> explainer = Saliency(model)
    >>> heatmaps = explainer(images)
    """

    name = "saliency"
    title = "saliency"
    reference = "Simonyan et al. (2014)"
    cost = "1 forward pass, 1 backward pass"
    takes_layer = False
    takes_pairs = True

    def _signed(
        self, part: SplitModel, images: tf.Tensor, targets: tf.Tensor, seeds: tf.Tensor
    ) -> tf.Tensor:
        gradients = self._gradients(part, part.stem(images), targets)
        return tf.reduce_max(tf.abs(gradients), axis=-1)
