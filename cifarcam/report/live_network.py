"""A network as the scripts of the live component compute it: steps, and weights as text."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np

from cifarcam.errors import CifarcamError

SIDE = 32  # pixels, of the pictures that the scripts take

Precision = Literal["float16", "float32"]


def packed(model: keras.Model, precision: Precision = "float16") -> dict[str, Any]:
    """A network's layers, and its weights as text.

    Parameters
    ----------
    model
        A network like those of `cifarcam.models.custom_cnn`: a chain of Rescaling, convolutions
        with odd kernels, batch normalisation, ReLU, squeeze-and-excitation, max pooling, Flatten,
        Dropout and Dense layers. The last Dense layer is linear, and a softmax follows it.
    precision
        Of the weights.

    Returns
    -------
    dict
        ``layers``: a table for each step. ``format``: the precision. ``weights``: the numbers in
        the order of the steps, of each step the kernel and then the bias; all lowest bytes, then
        all next bytes; deflated, in base64.

    Raises
    ------
    CifarcamError
        When the network has a part that the scripts do not compute, or a weight is not finite in
        the precision.
    """
    steps, weights = _Reader(model).read()
    values = np.concatenate([np.ravel(array) for array in weights]).astype(np.float32)
    with np.errstate(over="ignore"):
        rounded = values.astype("<f2" if precision == "float16" else "<f4")
    if not np.isfinite(rounded).all():
        raise CifarcamError(
            f"{model.name}: a weight is not finite in {precision}; give another network"
        )
    planes = rounded.view(np.uint8).reshape(len(rounded), -1).T.tobytes()
    # Weights hold no repeated strings of bytes; looking for them makes the result larger.
    deflate = zlib.compressobj(9, zlib.DEFLATED, 15, 9, zlib.Z_HUFFMAN_ONLY)
    content = deflate.compress(planes) + deflate.flush()
    return {
        "layers": steps,
        "format": precision,
        "weights": base64.b64encode(content).decode(),
    }


class _Reader:
    """Reads the layers of a model in their order.

    Each layer has to take what the layer before it returns; squeeze-and-excitation is one step of
    four layers.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._steps: list[dict[str, Any]] = []
        self._weights: list[np.ndarray] = []
        self._convolutions = 0

    def read(self) -> tuple[list[dict[str, Any]], list[np.ndarray]]:
        """The steps, and the weights in their order."""
        model = self._model
        inputs = model.inputs or []
        if [tuple(one.shape[1:]) for one in inputs] != [(SIDE, SIDE, 3)] or not model.layers:
            raise CifarcamError(
                f"{model.name}: the page runs networks that take one picture of {SIDE} x {SIDE} x 3; "
                "give such a network"
            )
        rest = [one for one in model.layers if not isinstance(one, keras.layers.InputLayer)]
        value = inputs[0]
        while rest:
            used = self._step(rest, value)
            value, rest = rest[used - 1].output, rest[used:]
        ends = [step["kind"] for step in self._steps[-2:]]
        if ends != ["dense", "softmax"] or self._steps[-2]["relu"] or not self._convolutions:
            raise CifarcamError(
                f"{model.name}: the page runs networks of convolutions that end in a Dense layer and "
                "a Softmax layer; give such a network"
            )
        return self._steps[:-1], self._weights

    def _step(self, layers: Sequence[keras.Layer], value: Any) -> int:
        """Note the step that begins with the first of the layers, and return how many it is of."""
        layer = layers[0]
        if layer.input is not value or (self._steps and self._steps[-1]["kind"] == "softmax"):
            raise self._refusal(layer)
        if isinstance(layer, keras.layers.GlobalAveragePooling2D):
            self._attention(layers[:4], value)
            return 4
        if isinstance(layer, keras.layers.Flatten | keras.layers.Dropout):
            return 1
        for family, note in (
            (keras.layers.Rescaling, self._rescaling),
            (keras.layers.Conv2D, self._convolution),
            (keras.layers.BatchNormalization, self._normalization),
            (keras.layers.ReLU, self._relu),
            (keras.layers.MaxPooling2D, self._pooling),
            (keras.layers.Dense, self._dense),
            (keras.layers.Softmax, self._softmax),
        ):
            if isinstance(layer, family):
                note(layer)
                return 1
        raise self._refusal(layer)

    def _refusal(self, layer: keras.Layer) -> CifarcamError:
        return CifarcamError(
            f"{self._model.name}: the page does not compute layer {layer.name!r} "
            f"({type(layer).__name__}) as it is used here; give a network of the custom_cnn family"
        )

    def _note(self, layer: keras.Layer, kind: str, **values: Any) -> None:
        self._steps.append({"kind": kind, "name": layer.name, **values})

    def _rescaling(self, layer: Any) -> None:
        if np.ndim(layer.scale) or np.ndim(layer.offset):
            raise self._refusal(layer)
        self._note(layer, "rescaling", scale=float(layer.scale), offset=float(layer.offset))

    def _convolution(self, layer: Any) -> None:
        side = layer.kernel_size[0]
        is_plain = (
            layer.kernel_size == (side, side)
            and side % 2 == 1
            and layer.padding == "same"
            and layer.strides == layer.dilation_rate == (1, 1)
            and layer.groups == 1
            and layer.data_format == "channels_last"
        )
        if not is_plain:
            raise self._refusal(layer)
        self._convolutions += 1
        inputs, outputs = layer.kernel.shape[2:]
        title = f"convolution {self._convolutions}"
        sizes = {"side": side, "inputs": inputs, "outputs": outputs}
        self._note(layer, "convolution", title=title, **sizes, relu=self._is_relu(layer))
        self._weights += _arrays(layer)

    def _normalization(self, layer: Any) -> None:
        """Fold a batch normalisation into the convolution before it."""
        last = self._steps[-1] if self._steps else {"kind": ""}
        is_of_channels = len(layer.input.shape) == 4 and layer.axis in (-1, 3)
        if last["kind"] != "convolution" or last["relu"] or not is_of_channels:
            raise self._refusal(layer)
        mean, variance = (
            keras.ops.convert_to_numpy(array).astype(np.float64)
            for array in (layer.moving_mean, layer.moving_variance)
        )
        scale = 1 / np.sqrt(variance + layer.epsilon)
        scale *= keras.ops.convert_to_numpy(layer.gamma) if layer.scale else 1
        shift = keras.ops.convert_to_numpy(layer.beta) if layer.center else 0
        kernel, bias = self._weights[-2:]
        self._weights[-2:] = [kernel * scale, (bias - mean) * scale + shift]
        last["name"] = layer.name

    def _relu(self, layer: Any) -> None:
        last = self._steps[-1] if self._steps else {}
        if layer.max_value is not None or layer.negative_slope or layer.threshold:
            raise self._refusal(layer)
        if last.get("relu") is not False:  # absent where the step is no sum of products
            raise self._refusal(layer)
        last |= {"relu": True, "name": layer.name}

    def _pooling(self, layer: Any) -> None:
        side = layer.pool_size[0]
        if layer.padding != "valid" or not layer.pool_size == layer.strides == (side, side):
            raise self._refusal(layer)
        self._note(layer, "pooling", side=side)

    def _dense(self, layer: Any) -> None:
        if len(layer.input.shape) != 2:
            raise self._refusal(layer)
        self._note(layer, "dense", outputs=layer.units, relu=self._is_relu(layer))
        self._weights += _arrays(layer)

    def _softmax(self, layer: Any) -> None:
        self._note(layer, "softmax")

    def _attention(self, layers: Sequence[Any], value: Any) -> None:
        """Squeeze-and-excitation: means, two dense layers, and the product."""
        types = [keras.layers.Dense, keras.layers.Dense, keras.layers.Multiply]
        if [type(one) for one in layers[1:]] != types:
            raise self._refusal(layers[0])
        squeeze, reduce, excite, product = layers
        is_plain = (
            squeeze.keepdims
            and reduce.input is squeeze.output
            and excite.input is reduce.output
            and len(product.input) == 2
            and all(one is value or one is excite.output for one in product.input)
            and [reduce.activation, excite.activation]
            == [keras.activations.relu, keras.activations.sigmoid]
        )
        if not is_plain:
            raise self._refusal(squeeze)
        title = f"attention {self._convolutions}"
        self._note(product, "attention", title=title, hidden=reduce.units)
        self._weights += [*_arrays(reduce), *_arrays(excite)]

    def _is_relu(self, layer: Any) -> bool:
        if layer.activation not in (keras.activations.relu, keras.activations.linear):
            raise self._refusal(layer)
        return bool(layer.activation is keras.activations.relu)


def _arrays(layer: Any) -> list[np.ndarray]:
    """Kernel and bias, float64; zeros where there is no bias."""
    kernel = keras.ops.convert_to_numpy(layer.kernel).astype(np.float64)
    if not layer.use_bias:
        return [kernel, np.zeros(kernel.shape[-1])]
    return [kernel, keras.ops.convert_to_numpy(layer.bias).astype(np.float64)]
