"""The graphs of models and layers: the graph that Keras keeps, or a trace of a ``call``."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from cifarcam.errors import CifarcamError, first_line
from cifarcam.explain._keras import (
    Node,
    Symbol,
    built_shape,
    forgotten_calls,
    graph_operations,
    inner_layers,
    is_keras,
    nodes_before,
    output_names,
)


@dataclass(frozen=True)
class Graph:
    """Inputs and outputs of a model or layer, and the calls between them in order."""

    inputs: Sequence[Symbol]
    outputs: Sequence[Symbol]
    nodes: Sequence[Node]


def open_model(model: keras.Model) -> tuple[Graph, list[str]]:
    """The graph of a model and the names of its outputs.

    Raises
    ------
    CifarcamError
        When the model is not built, or is subclassed and its ``call`` fails on symbolic tensors.
    """
    if is_functional(model):
        return functional_graph(model), output_names(model)
    if _has_graph(model):
        symbols = [keras.KerasTensor(x.shape, dtype=x.dtype) for x in model.inputs]
        check_input(symbols)
    else:
        shape = built_shape(model)
        if shape is None:
            raise CifarcamError(
                "the model's input shape is not known; give it a keras.Input, or call it once on "
                "images"
            )
        symbols = [keras.KerasTensor((None, *shape[1:]), dtype="float32")]
    try:
        graph = traced_graph(model, symbols)
    except Exception as error:
        raise CifarcamError(
            f"the call of the subclassed model {model.name!r} fails on symbolic tensors: "
            f"{first_line(error)}; build it from Keras layers and keras.ops"
        ) from error
    return graph, [str(index) for index in range(len(graph.outputs))]


def check_input(inputs: Sequence[Symbol]) -> None:
    """Check that a model has one input, images N x H x W x C.

    Raises
    ------
    CifarcamError
        When it has another input.
    """
    if len(inputs) != 1:
        raise CifarcamError(
            f"the model has {len(inputs)} inputs; only a model with one input can be explained"
        )
    shape = inputs[0].shape
    if len(shape) != 4:
        raise CifarcamError(f"the model's input has shape {shape}; it has to be N x H x W x C")
    height, _, channels = shape[1:]
    # No image is 4 pixels high with more than 4 channels, and no weights fit an open number.
    if channels is None or (height is not None and height <= 4 < channels):
        raise CifarcamError(
            f"the model's input has shape {shape}, which looks like channels first; it has to be "
            "N x H x W x C"
        )


def is_functional(model: Any) -> bool:
    """Whether a model has a graph and runs it, without a ``call`` of its own."""
    return isinstance(model, keras.Model) and is_keras(model.call) and _has_graph(model)


def _has_graph(model: keras.Model) -> bool:
    try:
        return bool(model.inputs) and bool(model.outputs)
    except AttributeError:
        return False


def is_made_of_layers(operation: Any) -> bool:
    """Whether to open an operation: models, and layers of other authors that contain layers."""
    if isinstance(operation, keras.Model):
        return True
    return (
        isinstance(operation, keras.Layer)
        and not is_keras(type(operation))
        and bool(inner_layers(operation))
    )


def functional_graph(model: keras.Model) -> Graph:
    """The graph that Keras keeps of a functional or sequential model."""
    return Graph(model.inputs, model.outputs, nodes_before(model.outputs))


def traced_graph(layer: keras.Layer, symbols: Sequence[Symbol], node: Node | None = None) -> Graph:
    """The graph of a layer's ``call``, run on symbolic tensors like `symbols`.

    `node`, a call of the layer, gives the arguments; by default they are the tensors alone.
    """
    graph = graph_operations(layer) if isinstance(layer, keras.Model) and _has_graph(layer) else []
    inside = [operation for operation in (*inner_layers(layer), *graph) if operation is not layer]
    with forgotten_calls(inside):
        inputs = [keras.Input(batch_shape=s.shape, dtype=s.dtype) for s in symbols]
        args, kwargs = (tuple(inputs), {}) if node is None else node.arguments(inputs)
        if "training" in inspect.signature(layer.call).parameters:
            kwargs = {**kwargs, "training": False}
        with keras.StatelessScope():  # discards what the call assigns to a variable
            outputs = keras.tree.flatten(layer.call(*args, **kwargs))
        return Graph(inputs, outputs, nodes_before(outputs))
