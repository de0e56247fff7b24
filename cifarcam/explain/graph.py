"""Splitting a Keras classifier at the layer to explain, and finding its pre-softmax score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from cifarcam.errors import CifarcamError

_Node = Any  # one call of a layer in a Keras graph; Keras gives the class no public name


@dataclass(frozen=True)
class SplitModel:
    """A classifier in two parts.

    Attributes
    ----------
    layer
        The name of the layer at which it is split.
    stem
        Images -> list of tensors: the layer's activations (N x h x w x channels) first, then
        whatever else `head` needs because it passes the layer by (a residual connection).
    head
        That list -> scores before the softmax, N x classes.
    """

    layer: str
    stem: keras.Function
    head: keras.Function


def split(model: keras.Model, layer: str | None = None) -> SplitModel:
    """Split a model at a layer, or else at the last one with more than one spatial position.

    Both parts share the model's variables. They are functions, not models: making a model from
    inner tensors would leave marks on the layers, so that ``layer.output`` no longer works.

    Raises
    ------
    CifarcamError
        When the model is not a built single-input classifier made of layers, when there is no
        such layer or its output is not 4-D, or when the score does not depend on it.
    """
    _check(model)
    nodes = _nodes_before(model.outputs[0])
    activations = _find_output(nodes, layer)
    name = activations._keras_history.operation.name
    score = _pre_softmax(model.outputs[0])
    nodes = _nodes_before(score)
    after = {id(activations)}
    passing: dict[int, Any] = {}
    for node in nodes:
        if any(id(tensor) in after for tensor in node.input_tensors):
            after.update(id(tensor) for tensor in node.outputs)
            passing |= {id(t): t for t in node.input_tensors if id(t) not in after}
    if id(score) not in after:
        raise CifarcamError(
            f"the score does not depend on layer {name!r}, so no gradient reaches it; "
            "give a layer on the way to the output"
        )
    between = [activations, *passing.values()]
    return SplitModel(
        name, keras.Function(model.inputs[0], between), keras.Function(between, score)
    )


def _check(model: keras.Model) -> None:
    try:
        inputs, outputs = model.inputs, model.outputs
    except AttributeError:
        inputs = outputs = None
    if not inputs or not outputs:
        raise CifarcamError(
            "only a Sequential or functional model whose input shape is known can be explained; "
            "give it a keras.Input"
        )
    if len(inputs) != 1 or len(outputs) != 1:
        raise CifarcamError(
            f"the model has {len(inputs)} inputs and {len(outputs)} outputs; "
            "only a model with one of each can be explained"
        )
    if len(inputs[0].shape) != 4:
        raise CifarcamError(f"the model's input has shape {inputs[0].shape}, not N x H x W x C")
    if len(outputs[0].shape) != 2:
        raise CifarcamError(f"the model's output has shape {outputs[0].shape}, not N x classes")


def _node_of(tensor: Any) -> _Node:
    """The call that made a symbolic tensor (a layer may be called in several models)."""
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def _nodes_before(tensor: Any) -> list[_Node]:
    """All calls that lead to a tensor, each after those that it needs."""
    ordered: list[_Node] = []
    seen: set[int] = set()
    waiting: list[tuple[_Node, bool]] = [(_node_of(tensor), False)]
    while waiting:
        node, is_complete = waiting.pop()
        if is_complete:
            ordered.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            waiting.append((node, True))
            waiting.extend((_node_of(needed), False) for needed in node.input_tensors)
    return ordered


def _find_output(nodes: Sequence[_Node], layer: str | None) -> Any:
    """The symbolic output of the layer to explain."""
    called = [node for node in nodes if not node.is_input]
    spatial = [node for node in called if _is_spatial(node)]
    if layer is None:
        wide = [node for node in spatial if tuple(node.outputs[0].shape[1:3]) != (1, 1)]
        if not wide:
            raise CifarcamError("the model has no layer with a spatial (4-D) output to explain")
        return wide[-1].outputs[0]
    found = [node for node in called if node.operation.name == layer]
    allowed = "layers with a 4-D output are " + ", ".join(n.operation.name for n in spatial)
    if not found:
        raise CifarcamError(f"the model has no layer {layer!r}; {allowed}")
    if len(found) > 1:
        raise CifarcamError(f"layer {layer!r} is used {len(found)} times in the model; {allowed}")
    if not _is_spatial(found[0]):
        raise CifarcamError(f"layer {layer!r} has no spatial (4-D) output; {allowed}")
    return found[0].outputs[0]


def _is_spatial(node: _Node) -> bool:
    return len(node.outputs) == 1 and len(node.outputs[0].shape) == 4


def _pre_softmax(output: Any) -> Any:
    """The symbolic scores before the softmax that ends a model, if one does."""
    last = output._keras_history.operation
    activation = getattr(last, "activation", keras.activations.linear)
    # By its name, because ``keras.ops.softmax`` makes an operation of a class that is not public.
    if type(last).__name__ == "Softmax" or (
        isinstance(last, keras.layers.Activation) and activation is keras.activations.softmax
    ):
        before = _node_of(output).input_tensors[0]
        _check_linear(before._keras_history.operation)
        return before
    if isinstance(last, keras.layers.Dense) and activation is keras.activations.softmax:
        score = keras.ops.matmul(_node_of(output).input_tensors[0], last.kernel)
        return score if last.bias is None else keras.ops.add(score, last.bias)
    _check_linear(last)
    return output


def _check_linear(layer: Any) -> None:
    activation = getattr(layer, "activation", keras.activations.linear)
    if activation is not keras.activations.linear:
        name = getattr(activation, "__name__", str(activation))
        raise CifarcamError(
            f"the model's scores come out of layer {layer.name!r} through {name}; only softmax "
            "and linear outputs can be explained"
        )
