"""The cost of a network: its multiplications and additions, and its depth."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import keras

Node = tuple[str, int]  # a call of a layer: the layer's name, and which of its calls
Shape = tuple[int, ...]  # the batch's axis, which is not counted, is None


def forward_flops(model: keras.Model, of: type[keras.layers.Layer] = keras.layers.Layer) -> int:
    """Floating-point operations of one image's forward pass in convolutions, dense layers, attention.

    A multiplication and the addition of its product count as two. Normalisation, activations and
    pooling, a few per cent of the sum, are left out, as is usual. A layer that is called several
    times is counted for each call.

    Parameters
    ----------
    model
        A network whose input has a fixed size.
    of
        Only layers of this class are counted.
    """
    return sum(
        _flops(layer, shapes[0])
        for layer, _, _, shapes in _calls(model)
        if shapes and isinstance(layer, of)
    )


def depth(model: keras.Model) -> int:
    """The largest number of convolutions and dense layers on a path from input to output.

    The names of ResNet-18 and DenseNet-100 count layers in this way.
    """
    longest: dict[Node, int] = {}
    for layer, node, before, _ in _calls(model):
        own = isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)
        longest[node] = max((longest.get(one, 0) for one in before), default=0) + own
    return longest[model.layers[-1].name, 0]


def _calls(
    model: keras.Model,
) -> Iterator[tuple[keras.layers.Layer, Node, list[Node], list[Shape]]]:
    """Every call of a layer, in the order of computing, from the model's serialised form.

    Yields the layer, the call, and the calls that made its inputs with the inputs' shapes.
    """
    functional = keras.Model(model.inputs, model.outputs)  # a Sequential's form has no calls
    for content in functional.get_config()["layers"]:
        layer = functional.get_layer(content["name"])
        for index, arguments in enumerate(content["inbound_nodes"]):
            tensors = list(_tensors([arguments["args"], arguments["kwargs"]]))
            before = [(name, node) for name, node, _ in (t["keras_history"] for t in tensors)]
            yield layer, (layer.name, index), before, [tuple(t["shape"]) for t in tensors]


def _tensors(value: Any) -> Iterator[dict[str, Any]]:
    """The descriptions of Keras tensors in the serialised arguments of a call."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            yield value["config"]
        else:
            yield from _tensors(list(value.values()))


def _flops(layer: keras.layers.Layer, shape: Shape) -> int:
    """Operations of a layer for one input of a shape, whose first axis is the batch."""
    if isinstance(layer, keras.layers.Conv2D):
        height, width, channels = layer.compute_output_shape(shape)[1:]
        taps = math.prod(layer.kernel_size) * shape[-1] // layer.groups
        return 2 * height * width * channels * taps
    if isinstance(layer, keras.layers.Dense):
        return 2 * math.prod(shape[1:]) * layer.units
    if isinstance(layer, keras.layers.MultiHeadAttention):
        tokens, width = shape[1:]
        inner = layer.num_heads * layer.key_dim
        # Queries, keys, values and the output; then scores and weighted sums.
        return 2 * (4 * tokens * width * inner + 2 * tokens**2 * inner)
    return 0
