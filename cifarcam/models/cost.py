"""What a network costs: multiplications and additions of a forward pass."""

from __future__ import annotations

import math

import keras


def forward_flops(model: keras.Model, of: type[keras.layers.Layer] = keras.layers.Layer) -> int:
    """Floating-point operations of one image's forward pass in convolutions, dense layers, attention.

    A multiplication and the addition of its product count as two. Normalisation, activations and
    pooling, a few per cent of these, are left out, as is usual. A layer that is called several
    times counts as often.

    Parameters
    ----------
    model
        A network whose input has a fixed size.
    of
        Only layers of this class are counted.
    """
    return sum(
        _flops(layer, node.input_tensors, node.output_tensors)
        for layer in model.layers
        if isinstance(layer, of)
        for node in layer._inbound_nodes
    )


def _flops(
    operation: keras.layers.Layer,
    inputs: list[keras.KerasTensor],
    outputs: list[keras.KerasTensor],
) -> int:
    if isinstance(operation, keras.layers.Conv2D):
        height, width, channels = outputs[0].shape[1:]
        taps = math.prod(operation.kernel_size) * inputs[0].shape[-1] // operation.groups
        return 2 * height * width * channels * taps
    if isinstance(operation, keras.layers.Dense):
        return 2 * math.prod(outputs[0].shape[1:]) * inputs[0].shape[-1]
    if isinstance(operation, keras.layers.MultiHeadAttention):
        tokens, width = inputs[0].shape[1:]
        inner = operation.num_heads * operation.key_dim
        # Queries, keys, values and the output; then scores and weighted sums.
        return 2 * (4 * tokens * width * inner + 2 * tokens**2 * inner)
    return 0


def depth(model: keras.Model) -> int:
    """The most convolutions and dense layers that lie on one way from the input to the output.

    So are layers counted in the names of ResNet-18 or DenseNet-100.
    """
    longest: dict[int, int] = {}
    for layer in model.layers:  # in the order of computing
        own = isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)
        for node in layer._inbound_nodes:
            before = [longest.get(id(tensor), 0) for tensor in node.input_tensors]
            for tensor in node.output_tensors:
                longest[id(tensor)] = max(before, default=0) + own
    return longest[id(model.outputs[0])]
