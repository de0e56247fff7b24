"""The base classes of methods that look at gradients of the score.

Methods that look at gradients of pixels count a pixel's change in shares of the model's input range
(`GradientExplainer._per_share`). A network that takes 0-255 and the same network behind another
range, such as [0, 1] or ImageNet's means and deviations, therefore have equal maps, magnitudes
included.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence

import tensorflow as tf

from cifarcam.errors import CifarcamError
from cifarcam.explain._gradients import float16_gradients, score_gradients
from cifarcam.explain.base import Batch, Explainer
from cifarcam.explain.graph import SplitModel


class GradientExplainer(Explainer):
    """Base class of methods that look at gradients of the score."""

    def _target_scores(
        self, part: SplitModel, between: Sequence[tf.Tensor], targets: tf.Tensor
    ) -> tf.Tensor:
        """What is explained of each image, float32, n, from the tensors at the split."""
        return self.classifier.target_scores(part.head(between), targets)

    def _gradients(
        self, part: SplitModel, between: Sequence[tf.Tensor], targets: tf.Tensor
    ) -> tf.Tensor:
        """Gradients of the target score with respect to the first tensor of `between`, float32."""

        def scaled(scales: tf.Tensor | float) -> tf.Tensor:
            return self._scaled_gradients(part, between, targets, scales)

        return self._unscaled(scaled, between[0])

    def _unscaled(
        self, gradients_of: Callable[[tf.Tensor | float], tf.Tensor], values: tf.Tensor
    ) -> tf.Tensor:
        """Gradients from a function of each score's factor; only float16 needs another than 1.

        They have the shape of `values`.
        """
        if "float16" not in self.classifier.precisions:
            return gradients_of(1.0)
        return float16_gradients(gradients_of, values)

    def _scaled_gradients(
        self,
        part: SplitModel,
        between: Sequence[tf.Tensor],
        targets: tf.Tensor,
        scales: tf.Tensor | float,
    ) -> tf.Tensor:
        """Gradients of each image's target score times its scale."""
        gradients = score_gradients(
            lambda: self._target_scores(part, between, targets), between[0], scales
        )
        if gradients is None:
            raise CifarcamError(self._why_no_gradient(part))
        return gradients

    def _per_share(self, gradients: tf.Tensor) -> tf.Tensor:
        """Gradients of pixels, per change from black to white instead of per unit of a value.

        The range may differ by channel, so that methods call this before they compare or combine
        channels. Where the range is unknown, gradients stay per unit.
        """
        limits = self.classifier.input_range
        return gradients if limits is None else gradients * limits.span

    def _why_no_gradient(self, part: SplitModel) -> str:
        if part.layer:
            return f"no gradient of the score reaches layer {part.layer!r}"
        dtype = self.classifier.flat.image_dtype
        if tf.as_dtype(dtype).is_floating:
            return "no gradient of the score reaches the image"
        return (
            f"no gradient of the score reaches the image, which the model casts to {dtype}; build "
            "it with a keras.Input of float32"
        )


class GradientCAM(GradientExplainer):
    """Base class of methods that combine a layer's activations with the gradients of the score.

    A method defines `_combine`. Only the part of the network after the layer runs backward.
    """

    cost = "1 forward pass, 1 backward pass from the layer on"
    is_fast = True

    @abstractmethod
    def _combine(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Signed maps, n x h x w, from activations and gradients, n x h x w x channels, float32."""

    def _signed(self, part: SplitModel, batch: Batch) -> tf.Tensor:
        between = part.stem(batch.images)
        gradients = self._gradients(part, between, batch.targets)
        return self._combine(tf.cast(between[0], tf.float32), gradients)
