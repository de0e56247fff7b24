"""A model's layers, grouped into the blocks of a drawing."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import groupby

import keras

KINDS = {
    keras.layers.InputLayer: "input",
    keras.layers.Conv2D: "convolution",
    keras.layers.MaxPooling2D: "pooling",
    keras.layers.AveragePooling2D: "pooling",
    keras.layers.GlobalAveragePooling2D: "pooling",
    keras.layers.Dense: "dense",
    keras.layers.Dropout: "dropout",
}

# The stages of the networks in keras.applications, by their layers' names.
STAGES = (
    re.compile(r"(block\d)_conv\d$"),  # VGG: a stage is a run of convolutions
    re.compile(r"(conv\d)_block\d+_"),  # ResNet and DenseNet: a stage is a run of blocks
)


@dataclass(frozen=True)
class Block:
    """One box of a drawing.

    Attributes
    ----------
    kind
        ``"input"``, ``"convolution"``, ``"pooling"``, ``"block"``, ``"dense"`` or ``"dropout"``.
    label, detail
        Its name, and the kind of its layers.
    output_shape
        Without the batch: height, width, channels; or units.
    parameters
        The number of parameters of all its layers.
    repeat
        The number of its consecutive layers, or blocks of layers.
    """

    kind: str
    label: str
    detail: str
    output_shape: tuple[int, ...]
    parameters: int
    repeat: int = 1


def blocks(model: keras.Model) -> list[Block]:
    """A model's blocks in order; the sum of their parameters is ``model.count_params()``.

    A layer without a box of its own (activation, padding, normalisation, reshaping) belongs to
    the box before it.
    """
    layers = list(model.layers)
    if not isinstance(layers[0], keras.layers.InputLayer):
        layers.insert(0, keras.layers.InputLayer(batch_shape=model.input_shape))
    result: list[Block] = []
    for stage, members in groupby(layers, key=_stage_of):
        if stage is not None:
            result.append(_stage_block(stage, list(members)))
            continue
        for layer in members:
            kind = KINDS.get(type(layer))
            if kind is not None:
                result.append(_layer_block(layer, kind))
            else:
                result[-1] = _with_more(result[-1], layer)
    return result


def weighted_layers(model: keras.Model) -> dict[str, int]:
    """The numbers of a model's convolutions and dense layers."""
    return {
        "convolution": sum(isinstance(layer, keras.layers.Conv2D) for layer in model.layers),
        "dense": sum(isinstance(layer, keras.layers.Dense) for layer in model.layers),
    }


def _stage_of(layer: keras.layers.Layer) -> str | None:
    for pattern in STAGES:
        if match := pattern.match(layer.name):
            return match.group(1)
    return None


def _stage_block(stage: str, members: list[keras.layers.Layer]) -> Block:
    convolutions = [layer for layer in members if isinstance(layer, keras.layers.Conv2D)]
    inner = {match.group(0) for layer in members if (match := STAGES[1].match(layer.name))}
    if inner:
        kind, repeat = "block", len(inner)
        first = f"{stage}_block1_"
        sizes = [
            layer.kernel_size[0]
            for layer in convolutions
            if layer.name.startswith(first) and not layer.name.startswith(f"{first}0_conv")
        ]
        detail = " + ".join(f"{size}×{size}" for size in sizes)
    else:
        kind, repeat = "convolution", len(convolutions)
        size = convolutions[0].kernel_size[0]
        detail = f"{size}×{size}, {convolutions[0].filters}"
    return Block(
        kind,
        stage,
        detail,
        tuple(members[-1].output.shape[1:]),
        sum(layer.count_params() for layer in members),
        repeat,
    )


def _layer_block(layer: keras.layers.Layer, kind: str) -> Block:
    detail = ""
    if isinstance(layer, keras.layers.Conv2D):
        detail = f"{layer.kernel_size[0]}×{layer.kernel_size[1]}, {layer.filters}"
    elif isinstance(layer, keras.layers.Dense):
        detail = f"{layer.units} units"
    elif isinstance(layer, keras.layers.Dropout):
        detail = f"rate {layer.rate:g}"
    elif isinstance(layer, keras.layers.GlobalAveragePooling2D):
        detail = "mean over all"
    elif kind == "pooling":
        word = "max" if isinstance(layer, keras.layers.MaxPooling2D) else "mean"
        detail = f"{word} {layer.pool_size[0]}×{layer.pool_size[1]}"
    label = "input" if kind == "input" else layer.name
    return Block(kind, label, detail, tuple(layer.output.shape[1:]), layer.count_params())


def _with_more(block: Block, layer: keras.layers.Layer) -> Block:
    return replace(block, parameters=block.parameters + layer.count_params())
