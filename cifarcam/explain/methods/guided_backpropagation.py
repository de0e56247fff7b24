"""Guided backpropagation: Springenberg et al. (2015), Striving for Simplicity: The All
Convolutional Net.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from cifarcam.errors import CifarcamError
from cifarcam.explain._keras import function_name, kind
from cifarcam.explain._opening import Call, run_calls
from cifarcam.explain.graph import INPUT, SplitModel
from cifarcam.explain.methods.saliency import Saliency

_RELUS = ("relu", "relu6")


class GuidedBackpropagation(Saliency):
    r"""The gradient of the score through positive parts only, maximum over the channels.

    As in the paper, the backward pass of a ReLU with input $f$ gives
    $R' = [f > 0]\,[R > 0]\,R$ for the gradient $R$ that reaches its output; the gradient itself
    would be $[f > 0]\,R$. The map is the absolute value of what arrives at each pixel, as in
    `Saliency`.

    Do not take the map for an explanation: it hardly depends on the class or on the weights of the
    late layers (Adebayo et al. 2018, Sanity Checks for Saliency Maps; Nie et al. 2018, A
    Theoretical Explanation for Perplexing Behaviors of Backpropagation-based Visualizations). It is
    here because it is widely used, and as an example of a method that fails a test.

    ReLUs are found as layers, as the activation of a layer of Keras, and as functions of
    `keras.ops` and `keras.activations`. Other activations keep their gradient, and so do ReLUs
    within a layer of another author that contains no layers.

    The cost is one forward and one backward pass.

    Raises
    ------
    CifarcamError
        When the model has no ReLU that can be found.

    Examples
    --------
    >>> explainer = GuidedBackpropagation(model)
    >>> heatmaps = explainer(images)
    """

    name = "guided-backpropagation"
    title = "guided backpropagation"
    reference = "Springenberg et al. (2015)"

    def _split(self, layer: str | Sequence[str] | None) -> list[SplitModel]:
        super()._split(layer)  # refuses a layer
        layers = self.classifier.flat.layers
        if not any(_ends_in_relu(call.operation) for call in layers.calls):
            raise CifarcamError(
                f"{self.title} changes the backward pass of ReLUs, and the model has none that can "
                "be found; take saliency instead"
            )
        calls = [_guided(call) if _ends_in_relu(call.operation) else call for call in layers.calls]

        def head(tensors: Sequence[Any]) -> Any:
            return run_calls(calls, {layers.images: tensors[0]}, [layers.score])[0]

        return [SplitModel(INPUT, lambda pixels: [pixels], head)]


def _guided(call: Call) -> Call:
    """The call with a backward pass that lets positive gradients through only."""

    def run(values: Sequence[Any]) -> list[Any]:
        return [_positive_backward(output) for output in call.run(values)]

    return dataclasses.replace(call, run=run)


@tf.custom_gradient
def _positive_backward(values: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """The values themselves; backward, only positive gradients pass."""
    return tf.identity(values), tf.nn.relu


def _ends_in_relu(operation: Any) -> bool:
    """Whether a ReLU, with or without an upper limit, is the last thing that an operation does."""
    # The activation of a recurrent layer acts at every step within the layer.
    if operation is None or isinstance(operation, keras.layers.RNN) or not kind(operation):
        return False
    return _is_relu(operation) or _is_relu(getattr(operation, "activation", None))


def _is_relu(function: Any) -> bool:
    if not isinstance(function, keras.Operation):
        return function_name(function) in _RELUS
    # With a slope below zero, or above a threshold only, it is another activation.
    is_plain = not getattr(function, "negative_slope", 0) and not getattr(function, "threshold", 0)
    return kind(function) in _RELUS and is_plain
