"""FullGrad: Srinivas and Fleuret (2019), Full-Gradient Representation for Neural Network
Visualization.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras
import tensorflow as tf

from cifarcam.errors import CifarcamError
from cifarcam.explain._gradients import second_derivatives
from cifarcam.explain._keras import function_name, kind
from cifarcam.explain._layers import Layers
from cifarcam.explain._loops import one_by_one
from cifarcam.explain._opening import Call, Key, run_calls
from cifarcam.explain.base import Batch
from cifarcam.explain.graph import SplitModel
from cifarcam.explain.methods._gradient_explainer import GradientExplainer

# Operations that commute with a factor above 0, if they take nothing but what depends on the image.
_WITHOUT_BIAS = {
    *("relu", "leakyrelu", "dropout", "spatialdropout2d", "identity", "add", "concatenate"),
    *("flatten", "reshape", "permute", "transpose", "zeropadding2d", "cropping2d", "upsampling2d"),
    *("maxpooling2d", "averagepooling2d", "globalmaxpooling2d", "globalaveragepooling2d"),
}
# The bias of these is their value for a blank input, which is built faster than derivatives.
_AFFINE = {"conv2d", "depthwiseconv2d", "separableconv2d", "dense", "batchnormalization"}
# Before the first layer of the network, with one input.
_PREPROCESSING = {
    *("rescaling", "normalization", "identity", "dropout", "gaussiannoise"),
    *("add", "subtract", "multiply", "divide", "truedivide"),
}


class FullGrad(GradientExplainer):
    r"""The gradients of the score with respect to the image and to all biases, on one map.

    The paper shows that the score of a ReLU network is the sum of its full gradients,

    $$y(x) = \nabla_x y \cdot x + \sum_l \nabla_{b_l} y \cdot b_l.$$

    Here $l$ is every operation $v = h(u)$ of the network and $b = h(u) - J_h(u)\,u$, with $J_h$ the
    Jacobian matrix. For a convolution or Dense layer that is its bias, for a batch normalisation
    the paper's implicit bias, for a ReLU zero, and for another activation what its tangent
    has at 0, so that the sum holds for every network.

    The map is that of the paper, with the absolute values of each channel of the image and of every
    map, resized to the image and summed:

    $$S(x) = \sum_c \psi(\nabla_x y \odot x)_c + \sum_l \sum_c \psi(\nabla_{b_l} y \odot b_l)_c$$

    In the paper $\psi$ also scales each layer to [0, 1]. Here $\psi$ keeps the sum of a layer: a
    layer of $h \times w$ positions, resized to an image of $H \times W$, is multiplied by
    $hw / HW$. Each layer therefore has the weight that it has in the score. As in the paper, the
    map leaves out biases without a place in the image, such as the biases of Dense layers and of
    layers with a single position. $x$ is the image after a leading Rescaling or Normalization, so
    that the input range of a network does not change its map.

    The cost is about three forward passes and one backward pass. Images run one at a time, because
    every layer's values, gradients and biases are in memory at once.

    Raises
    ------
    CifarcamError
        When TensorFlow has no second derivative of an operation, which the bias of an operation
        other than a convolution, Dense layer or batch normalisation needs, or for the reasons that
        `Explainer` lists.

    Examples
    --------
    >>> explainer = FullGrad(model)
    >>> heatmaps = explainer(images)
    """

    name = "full-grad"
    title = "FullGrad"
    reference = "Srinivas & Fleuret (2019)"
    cost = "about 3 forward passes and 1 backward pass"
    is_fast = True
    takes_layer = False

    def _split(self, layer: str | Sequence[str] | None) -> list[SplitModel]:
        layers = self.classifier.flat.layers
        self._leading = _preprocessing(layers)
        self._start = self._leading[-1].outputs[0] if self._leading else layers.images
        self._steps = _steps(layers.calls[len(self._leading) :], self._start)
        return super()._split(layer)

    def _signed(self, part: SplitModel, batch: Batch) -> tf.Tensor:
        def map_of(image: Batch) -> tf.Tensor:
            return self._unscaled(
                lambda scales: self._map(self._terms(part, image, scales), image.images),
                tf.zeros_like(image.images[..., 0]),
            )

        # The values, gradients and biases of all layers take much memory.
        return one_by_one(map_of, batch)

    def _map(self, terms: Mapping[Key, tf.Tensor], image: tf.Tensor) -> tf.Tensor:
        """The absolute values of all terms with a place in the image, 1 x H x W."""
        layers, size = self.classifier.flat.layers, tf.shape(image)[1:3]
        maps = []
        for key, term in terms.items():
            grid = layers.grid(key)
            has_place = grid is not None or layers.is_map(key)
            if not has_place or layers.map_shape(key)[:2] == (1, 1):
                continue
            values = tf.abs(term if grid is None else grid.map_of(term))
            values = tf.reduce_sum(values, axis=-1, keepdims=True)
            # A network may enlarge its images: antialiasing keeps every position of its maps.
            resized = tf.image.resize(values, size, method="bilinear", antialias=True)
            # The pixels of a position add up to the position's own value.
            share = tf.reduce_prod(tf.shape(values)[1:]) / tf.reduce_prod(size)
            maps.append(resized * tf.cast(share, tf.float32))
        return tf.ensure_shape(tf.add_n(maps)[..., 0], image.shape[:-1])

    def _terms(
        self, part: SplitModel, batch: Batch, scales: tf.Tensor | float = 1.0
    ) -> dict[Key, tf.Tensor]:
        """The full gradients times the image or the biases: their sum is the score.

        All are multiplied by `scales`.
        """
        layers = self.classifier.flat.layers
        (start,) = run_calls(self._leading, {layers.images: batch.images}, [self._start])
        if not start.dtype.is_floating:
            raise CifarcamError(self._why_no_gradient(part))
        values = {self._start: start}
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(start)
            for call, inputs in self._steps:
                outputs = run_calls([call], values, call.outputs)
                if inputs:
                    tape.watch(outputs)
                values.update(zip(call.outputs, outputs, strict=True))
            # A score depends on its own image alone, so the sum has each score's gradient.
            scores = self.classifier.target_scores(values[layers.score], batch.targets)
            total = tf.reduce_sum(scores * scales)
        factors = {self._start: start, **self._biases(values)}
        gradients = tape.gradient(
            total,
            {key: values[key] for key in factors},
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        return {
            key: tf.cast(gradients[key], tf.float32) * tf.cast(factor, tf.float32)
            for key, factor in factors.items()
        }

    def _biases(self, values: Mapping[Key, tf.Tensor]) -> dict[Key, tf.Tensor]:
        """The biases of the operations that have any, in order, from the tensors of the network."""
        biases = {}
        for call, inputs in self._steps:
            if not inputs:
                continue
            if kind(call.operation) in _AFFINE and _activation(call) == "linear":
                blank = {call.inputs[0]: tf.zeros_like(values[call.inputs[0]])}
                biases[call.outputs[0]] = run_calls([call], blank, call.outputs)[0]
                continue
            primals = [values[key] for key in inputs]
            with (
                second_derivatives(self.title, f"in {call.path!r}", "give another method"),
                tf.autodiff.ForwardAccumulator(primals, primals) as tangents,
            ):
                outputs = run_calls([call], values, call.outputs)
            for key, output in zip(call.outputs, outputs, strict=True):
                biases[key] = output - tangents.jvp(output, tf.UnconnectedGradients.ZERO)
        return biases


def _preprocessing(layers: Layers) -> list[Call]:
    """The calls that only shift and scale the images, before all others."""
    leading: list[Call] = []
    key = layers.images
    for call in layers.calls:
        family = "identity" if call.operation is None else kind(call.operation)
        is_known = family in _PREPROCESSING or family.startswith("random")
        if call.inputs != (key,) or call.outputs[0] not in layers.choke_points or not is_known:
            break
        leading.append(call)
        key = call.outputs[0]
    return leading


def _steps(calls: Sequence[Call], start: Key) -> list[tuple[Call, list[Key]]]:
    """Calls, each with the inputs that depend on the image; without inputs if it has no bias."""
    depending, steps = {start}, []
    for call in calls:
        inputs = list(dict.fromkeys(key for key in call.inputs if key in depending))
        # No gradient passes whole numbers, such as the place of a maximum.
        symbols = [] if call.node is None else call.node.outputs
        if not all(keras.backend.is_float_dtype(symbol.dtype) for symbol in symbols):
            inputs = []
        if inputs:
            depending.update(call.outputs)
        has_constants = len(inputs) < len(set(call.inputs)) or _has_constants(call)
        steps.append((call, inputs if has_constants or _has_bias(call) else []))
    return steps


def _has_constants(call: Call) -> bool:
    """Whether a call takes numbers, arrays or weights, which Keras does not count as inputs."""
    if call.node is None:  # a cast
        return False
    arguments = call.node.arguments([None] * len(call.inputs))
    return not all(each is None or isinstance(each, bool) for each in keras.tree.flatten(arguments))


def _has_bias(call: Call) -> bool:
    """Whether an operation may have a bias: whether it may not commute with a factor above 0."""
    operation = call.operation
    if getattr(operation, "max_value", None) or getattr(operation, "threshold", None):
        return True  # a ReLU with limits
    family = "identity" if operation is None else kind(operation)
    if family in {"activation", *_AFFINE} and _activation(call) in ("linear", "relu"):
        return family != "activation" and getattr(operation, "use_bias", True)
    return family not in _WITHOUT_BIAS


def _activation(call: Call) -> str:
    return function_name(getattr(call.operation, "activation", keras.activations.linear))
