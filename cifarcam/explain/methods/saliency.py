"""Saliency maps: Simonyan et al. (2014), Deep Inside Convolutional Networks."""

from __future__ import annotations

import tensorflow as tf

from cifarcam.explain.base import Batch
from cifarcam.explain.graph import SplitModel
from cifarcam.explain.methods._gradient_explainer import GradientExplainer


class Saliency(GradientExplainer):
    r"""The absolute gradient of the score with respect to each pixel, maximum over the channels.

    Section 3.1 of the paper: $M_{ij} = \max_c |\partial y / \partial x_{ijc}|$. The map shows where
    a change would matter, not in which direction. The gradient is not modified (no guided ReLU).
    Where the input range is known, it is the gradient per change from black to white, so that the
    range of a network changes neither the map nor its magnitude.

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
    is_fast = True
    takes_layer = False

    def _signed(self, part: SplitModel, batch: Batch) -> tf.Tensor:
        gradients = self._gradients(part, part.stem(batch.images), batch.targets)
        return tf.reduce_max(tf.abs(self._per_share(gradients)), axis=-1)
