"""ShapleyCAM: Cai (2025), CAMs as Shapley Value-based Explainers."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from cifarcam.explain._gradients import second_derivatives
from cifarcam.explain._targets import NO_RIVAL, class_differences
from cifarcam.explain.graph import SplitModel
from cifarcam.explain.methods.grad_cam import GradCAM


class ShapleyCAM(GradCAM):
    r"""Feature maps weighted by Shapley values of a second-order expansion of the score.

    With $u$ the utility, $H$ its Hessian with respect to the activations $A$, and $Z$ the number of
    positions, the weights in arXiv 2501.06261 are

    $$\alpha_k = \frac{1}{Z} \sum_{i,j} \left(\frac{\partial u}{\partial A_{ij}^k}
    - \frac{1}{2} (H A)_{ij}^k\right)$$

    The utility is the paper's ReST, the score before the softmax plus the logarithm of the
    probability, $y^c + \log p^c$. The score of a network whose layers are linear or ReLUs has no
    second derivative, so that the score alone would give the map of Grad-CAM. With `against`, the
    utility is $d + \log \sigma(d)$, where $d$ is the difference of the two scores and $\sigma(d)$
    the probability of the class in a softmax over the two classes. The difference of two ReST
    utilities would not do: the logarithm of the softmax's sum cancels, and $2d$ is left. With a
    `score` of your own, the score itself is the utility.

    The cost is one forward pass, and three backward passes from the output to the layer: the
    product of Hessian and activations is the gradient of a gradient.

    Raises
    ------
    CifarcamError
        When TensorFlow has no second derivative of an operation after the layer, or for the reasons
        that `Explainer` lists.

    Examples
    --------
    >>> explainer = ShapleyCAM(model, "conv5")
    >>> heatmaps = explainer(images)
    """

    name = "shapley-cam"
    title = "ShapleyCAM"
    reference = "Cai (2025)"
    cost = "1 forward pass, 3 backward passes from the layer on"
    is_fast = True

    def _target_scores(
        self, part: SplitModel, between: Sequence[tf.Tensor], targets: tf.Tensor
    ) -> tf.Tensor:
        outputs = part.head(between)
        if self.classifier.score is not None:
            return self.classifier.target_scores(outputs, targets)
        scores = self.classifier.as_scores(outputs)
        is_sigmoid = self.classifier.activation == "sigmoid" or self.classifier.is_binary
        logarithm = tf.math.log_sigmoid if is_sigmoid else tf.nn.log_softmax
        of_class = class_differences(scores + logarithm(scores), targets)
        difference = class_differences(scores, targets)
        of_pair = difference + tf.math.log_sigmoid(difference)
        return tf.where(targets[:, 1] == NO_RIVAL, of_class, of_pair)

    def _scaled_gradients(
        self,
        part: SplitModel,
        between: Sequence[tf.Tensor],
        targets: tf.Tensor,
        scales: tf.Tensor | float,
    ) -> tf.Tensor:
        activations = between[0]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(activations)
            gradients = super()._scaled_gradients(part, between, targets, scales)
        with second_derivatives(self.title, f"after layer {part.layer!r}", "give a later layer"):
            products = tape.gradient(
                gradients,
                activations,
                output_gradients=tf.cast(activations, tf.float32),
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )
        return gradients - tf.cast(products, tf.float32) / 2
