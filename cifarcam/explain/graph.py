"""A Keras classifier as a flat list of calls: opened, split at a layer, cut before its softmax.

Models used as layers are opened at any depth. A subclassed model has no graph of its own; its
``call`` is followed once with symbolic tensors, which works as long as it is made of Keras layers
and ``keras.ops``.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from cifarcam.errors import CifarcamError, first_line

_Symbol = Any  # a symbolic tensor; one that leads nowhere else is known by its id
_Node = Any  # one call of an operation in a Keras graph; Keras gives the class no public name
_Key = int  # a tensor of the flat list

# Classes, in small letters, of layers and of ``keras.ops`` that are no part of a linear score.
# fmt: off
_NOT_LINEAR = {
    "relu", "relu6", "leakyrelu", "prelu", "elu", "celu", "selu", "gelu", "silu", "mish",
    "softplus", "softsign", "softshrink", "tanh", "tanhshrink", "hardtanh", "hardshrink",
    "hardsigmoid", "hardsilu", "logsoftmax", "logsigmoid", "sparsemax", "sparseplus",
    "squareplus", "threshold", "glu", "exp", "log", "lambda",
}
# fmt: on

INPUT = ""  # stands for the images themselves where a layer is named


@dataclass(frozen=True)
class Call:
    """One operation of the flat list.

    Attributes
    ----------
    operation
        The layer or operation.
    inputs, outputs
        Keys of the tensors that it takes and gives.
    run
        Tensors -> tensors.
    """

    operation: Any
    inputs: tuple[_Key, ...]
    outputs: tuple[_Key, ...]
    run: Callable[[Sequence[Any]], Sequence[Any]]


@dataclass(frozen=True)
class SplitModel:
    """A classifier in two parts that share its variables.

    Attributes
    ----------
    layer
        The path of the layer at which it is split, such as ``backbone/conv5``.
    stem
        Images (float32, N x H x W x C) -> list of tensors: the layer's activations (N x h x w x
        channels) first, then whatever else `head` needs because it passes the layer by.
    head
        That list -> scores before the softmax, N x outputs.
    """

    layer: str
    stem: Callable[[Any], list[Any]]
    head: Callable[[Sequence[Any]], Any]


@dataclass
class FlatModel:
    """A classifier's calls in order, from one input to one output.

    Attributes
    ----------
    image_shape
        Height, width and channels; None where any fits.
    outputs
        The number of units that the output has.
    activation
        ``"softmax"``, ``"sigmoid"`` or ``"linear"``: what follows the score.
    """

    image_shape: tuple[int | None, ...]
    outputs: int
    activation: str
    _input: _Key
    _score: _Key
    _calls: list[Call]
    _places: list[tuple[str, _Key, tuple[int | None, ...]]]  # path, key, shape, in order
    _closed: Mapping[str, str] = field(default_factory=dict)  # what was not opened, and why

    def score(self, images: Any) -> Any:
        """Images (float32) -> scores before the softmax, N x outputs."""
        return self.split(INPUT).head([images])

    def weighted_layers(self) -> list[keras.Layer]:
        """The layers that have weights, each once, from the images to the score."""
        used = [call.operation for call in self._leading_to([self._score])]
        return list(dict.fromkeys(o for o in used if isinstance(o, keras.Layer) and o.weights))

    def split(self, layer: str | None) -> SplitModel:
        """Split at a layer, or else at the last one with more than one spatial position.

        Raises
        ------
        CifarcamError
            When there is no such layer, its output is not 4-D, or the score does not depend on it.
        """
        path, key = (INPUT, self._input) if layer == INPUT else self._find(layer)
        after = {key}
        for call in self._calls:
            if any(needed in after for needed in call.inputs):
                after.update(call.outputs)
        if self._score not in after:
            raise CifarcamError(
                f"the score does not depend on layer {path!r}, so no gradient reaches it; "
                "give a layer on the way to the output"
            )
        head_calls = [
            call
            for call in self._leading_to([self._score])
            if after.intersection(call.outputs) and key not in call.outputs
        ]
        made = {made for call in head_calls for made in call.outputs}
        passing = dict.fromkeys(k for call in head_calls for k in call.inputs if k not in made)
        passing.pop(key, None)
        between = [key, *passing]
        stem_calls = self._leading_to(between)

        def stem(images: Any) -> list[Any]:
            return _run(stem_calls, {self._input: images}, between)

        def head(tensors: Sequence[Any]) -> Any:
            return _run(head_calls, dict(zip(between, tensors, strict=True)), [self._score])[0]

        return SplitModel(path, stem, head)

    def _leading_to(self, keys: Iterable[_Key]) -> list[Call]:
        needed = set(keys)
        found = []
        for call in reversed(self._calls):
            if needed.intersection(call.outputs):
                needed.update(call.inputs)
                found.append(call)
        return found[::-1]

    def _find(self, layer: str | None) -> tuple[str, _Key]:
        spatial = [(path, key) for path, key, shape in self._places if len(shape) == 4]
        if layer is None:
            on_the_way = {key for call in self._leading_to([self._score]) for key in call.outputs}
            wide = [
                (path, key)
                for path, key, shape in self._places
                if len(shape) == 4 and tuple(shape[1:3]) != (1, 1) and key in on_the_way
            ]
            if not wide:
                raise CifarcamError("the model has no layer with a spatial (4-D) output to explain")
            return wide[-1]
        exact = [found for found in self._places if found[0] == layer]
        found = exact or [place for place in self._places if place[0].endswith("/" + layer)]
        allowed = "layers with a 4-D output are " + ", ".join(path for path, _ in spatial)
        if not found:
            hidden = "".join(
                f"; {name} could not be opened: {why}" for name, why in self._closed.items()
            )
            raise CifarcamError(f"the model has no layer {layer!r}; {allowed}{hidden}")
        if len({path for path, *_ in found}) > 1:
            paths = ", ".join(path for path, *_ in found)
            raise CifarcamError(f"{layer!r} is the name of several layers; give one of {paths}")
        if len(found) > 1:
            raise CifarcamError(
                f"layer {layer!r} is used {len(found)} times in the model; {allowed}"
            )
        path, key, shape = found[0]
        if len(shape) != 4:
            raise CifarcamError(f"layer {layer!r} has no spatial (4-D) output; {allowed}")
        return path, key


def flatten(model: keras.Model, output: str | int | None = None) -> FlatModel:
    """Open a classifier into a flat list of calls that ends before its softmax or sigmoid.

    Parameters
    ----------
    model
        Sequential, functional or subclassed, with one input, N x H x W x C, and at least one
        output of N x units.
    output
        The name or index of the output to explain, of a model that has several.

    Raises
    ------
    CifarcamError
        When the model is of another kind, not built, or ends in an activation without a score.
    """
    if not isinstance(model, keras.Model):
        raise CifarcamError(f"{type(model).__name__} is not a Keras model")
    opened = _Opener()
    inputs, outputs, nodes, names = _graph(model)
    if len(inputs) != 1:
        raise CifarcamError(
            f"the model has {len(inputs)} inputs; only a model with one can be explained"
        )
    if len(inputs[0].shape) != 4:
        raise CifarcamError(f"the model's input has shape {inputs[0].shape}, not N x H x W x C")
    chosen = _choose_output(outputs, names, output)
    start = opened.key()
    ends = opened.add(inputs, outputs, nodes, [start], prefix="")
    score, activation = _before_activation(opened, ends[chosen])
    return FlatModel(
        image_shape=tuple(inputs[0].shape[1:]),
        outputs=int(outputs[chosen].shape[-1]),
        activation=activation,
        _input=start,
        _score=score,
        _calls=opened.calls,
        _places=opened.places,
        _closed=opened.closed,
    )


def _run(calls: Sequence[Call], known: Mapping[_Key, Any], wanted: Sequence[_Key]) -> list[Any]:
    values = dict(known)
    for call in calls:
        results = call.run([values[key] for key in call.inputs])
        values.update(zip(call.outputs, results, strict=True))
    return [values[key] for key in wanted]


class _Opener:
    """Collects the calls of a model and of the models used in it."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.places: list[tuple[str, _Key, tuple[int | None, ...]]] = []
        self.closed: dict[str, str] = {}
        self._keys = itertools.count()

    def key(self) -> _Key:
        """A new key for a tensor."""
        return next(self._keys)

    def add(
        self,
        inputs: Sequence[_Symbol],
        outputs: Sequence[_Symbol],
        nodes: Sequence[_Node],
        given: Sequence[_Key],
        prefix: str,
    ) -> list[_Key]:
        """Add a graph's calls, its inputs being `given`; return the keys of its outputs."""
        keys = {}
        for symbol, source in zip(inputs, given, strict=True):
            keys[id(symbol)] = self._cast(source, symbol)  # as a model does with its inputs
        for node in nodes:
            if node.is_input or any(id(symbol) in keys for symbol in node.outputs):
                continue
            operation = node.operation
            path = prefix + operation.name
            sources = [keys[id(symbol)] for symbol in node.input_tensors]
            inner = self._inner_graph(node, path)
            if inner is None:
                made = [self.key() for _ in node.outputs]
                run = _runner(operation, node)
                self.calls.append(Call(operation, tuple(sources), tuple(made), run))
            else:
                made = self.add(*inner, sources, prefix=path + "/")
            keys.update(zip(map(id, node.outputs), made, strict=True))
            if len(made) == 1:
                self.places.append((path, made[0], tuple(node.outputs[0].shape)))
        return [keys[id(symbol)] for symbol in outputs]

    def _cast(self, source: _Key, symbol: _Symbol) -> _Key:
        made, dtype = self.key(), symbol.dtype
        call = Call(
            None, (source,), (made,), lambda values: [keras.ops.convert_to_tensor(values[0], dtype)]
        )
        self.calls.append(call)
        return made

    def _inner_graph(
        self, node: _Node, path: str
    ) -> tuple[Sequence[_Symbol], Sequence[_Symbol], Sequence[_Node]] | None:
        """The graph of a model used as a layer; None for what cannot or need not be opened."""
        operation = node.operation
        if not isinstance(operation, keras.Layer) or not _has_inner_layers(operation):
            return None
        if isinstance(operation, keras.Model) and _is_functional(operation):
            inputs, outputs, nodes, _ = _graph(operation)
        else:
            try:
                inputs, outputs, nodes = _followed(operation, node.arguments, node.input_tensors)
            # A stranger's `call` may raise anything; the layer then stays whole.
            except Exception as error:
                self.closed[path] = first_line(error)
                return None
        fits = len(inputs) == len(node.input_tensors) and len(outputs) == len(node.outputs)
        return (inputs, outputs, nodes) if fits else None


def _runner(operation: Any, node: _Node) -> Callable[[Sequence[Any]], Sequence[Any]]:
    symbols = node.input_tensors

    def run(values: Sequence[Any]) -> Sequence[Any]:
        known = dict(zip(map(id, symbols), values, strict=True))
        args, kwargs = node.arguments.fill_in(known)
        if isinstance(operation, keras.Layer):
            # As in prediction; some layers of augmentation are active unless they are told.
            kwargs = {**kwargs, "training": False}
        return keras.tree.flatten(operation(*args, **kwargs))

    return run


def _is_functional(model: keras.Model) -> bool:
    try:
        return bool(model.inputs) and bool(model.outputs)
    except AttributeError:
        return False


def _has_inner_layers(layer: keras.Layer) -> bool:
    """Whether a layer is made of layers; Keras's own layers are units, its models are not."""
    if isinstance(layer, keras.Model):
        return True
    is_keras = type(layer).__module__.split(".")[0] == "keras"
    return not is_keras and any(found is not layer for found in layer._flatten_layers())


def _graph(
    model: keras.Model,
) -> tuple[Sequence[_Symbol], Sequence[_Symbol], Sequence[_Node], Sequence[str]]:
    """Inputs, outputs, calls and output names of a model."""
    if _is_functional(model):
        names = list(getattr(model, "output_names", [])) or [x.name for x in model.outputs]
        return model.inputs, model.outputs, _nodes_before(model.outputs), names
    shape = (model.get_build_config() or {}).get("input_shape") if model.built else None
    if not isinstance(shape, tuple | list) or not all(
        n is None or isinstance(n, int) for n in shape
    ):
        raise CifarcamError(
            "the model's input shape is not known; give it a keras.Input, or call it once on images"
        )
    symbol = keras.KerasTensor((None, *shape[1:]), dtype="float32")
    try:
        inputs, outputs, nodes = _followed(model, None, [symbol])
    except Exception as error:
        raise CifarcamError(
            f"the subclassed model {model.name!r} cannot be followed: {first_line(error)}; "
            "its call must be made of Keras layers and keras.ops"
        ) from error
    names = [str(k) for k in range(len(outputs))]
    return inputs, outputs, nodes, names


def _followed(
    layer: keras.Layer, arguments: Any, symbols: Sequence[_Symbol]
) -> tuple[list[_Symbol], list[_Symbol], list[_Node]]:
    """The graph of a layer's ``call``, made by calling it with symbolic tensors.

    The marks that this leaves on the inner layers are removed.
    """
    inner = [found for found in layer._flatten_layers() if found is not layer]
    marks = {id(found): len(found._inbound_nodes) for found in inner}
    inputs = [keras.Input(batch_shape=s.shape, dtype=s.dtype) for s in symbols]
    try:
        args, kwargs = tuple(inputs), {}
        if arguments is not None:
            args, kwargs = arguments.fill_in(dict(zip(map(id, symbols), inputs, strict=True)))
        if "training" in inspect.signature(layer.call).parameters:
            kwargs = {**kwargs, "training": False}
        flat = keras.tree.flatten(layer.call(*args, **kwargs))
        return inputs, flat, _nodes_before(flat)
    finally:
        for found in inner:
            del found._inbound_nodes[marks[id(found)] :]


def _node_of(symbol: _Symbol) -> _Node:
    """The call that made a symbolic tensor (a layer may be called in several models)."""
    history = symbol._keras_history
    return history.operation._inbound_nodes[history.node_index]


def _nodes_before(symbols: Sequence[_Symbol]) -> list[_Node]:
    """All calls that lead to some tensors, each after those that it needs."""
    ordered: list[_Node] = []
    seen: set[int] = set()
    waiting: list[tuple[_Node, bool]] = [(_node_of(symbol), False) for symbol in symbols]
    while waiting:
        node, is_complete = waiting.pop()
        if is_complete:
            ordered.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            waiting.append((node, True))
            waiting.extend((_node_of(needed), False) for needed in node.input_tensors)
    return ordered


def _choose_output(
    outputs: Sequence[_Symbol], names: Sequence[str], output: str | int | None
) -> int:
    listed = ", ".join(f"{index} ({name})" for index, name in enumerate(names))
    if output is None:
        if len(outputs) > 1:
            raise CifarcamError(
                f"the model has {len(outputs)} outputs; choose the one to explain by output=: {listed}"
            )
        chosen = 0
    elif isinstance(output, str) and output in names:
        chosen = list(names).index(output)
    elif str(output).isdecimal() and int(output) < len(outputs):
        chosen = int(output)
    else:
        raise CifarcamError(f"the model has no output {output!r}; there are {listed}")
    if len(outputs[chosen].shape) != 2:
        raise CifarcamError(
            f"the model's output has shape {outputs[chosen].shape}, not N x classes"
        )
    return chosen


def _before_activation(opened: _Opener, end: _Key) -> tuple[_Key, str]:
    """The key of the score before the softmax or sigmoid that ends a model, and its name."""
    makers = {key: call for call in opened.calls for key in call.outputs}

    def past_nothing(key: _Key) -> _Key:
        while key in makers and _does_nothing(makers[key].operation):
            key = makers[key].inputs[0]
        return key

    end = past_nothing(end)
    last = makers[end]
    name = _activation_name(last.operation)
    if name == "linear":
        return end, name
    if name not in ("softmax", "sigmoid"):
        raise CifarcamError(
            f"the model's scores come out of layer {last.operation.name!r} through {name}; only "
            "softmax, sigmoid and linear outputs can be explained"
        )
    if isinstance(last.operation, keras.layers.Dense):
        layer = last.operation
        score = opened.key()
        opened.calls.append(
            Call(layer, last.inputs, (score,), lambda values: [_linear_part(layer, values[0])])
        )
        return score, name
    if getattr(last.operation, "weights", []):
        raise CifarcamError(
            f"the model's scores come out of layer {last.operation.name!r} "
            f"({type(last.operation).__name__}) with a {name} of its own; end the model in a Dense "
            "layer, or in a linear layer and an activation after it"
        )
    before = past_nothing(last.inputs[0])
    inner = _activation_name(makers[before].operation)
    if inner != "linear":
        raise CifarcamError(
            f"the model's scores come out of layer {makers[before].operation.name!r} through "
            f"{inner} before {name}; only linear scores can be explained"
        )
    return before, name


def _does_nothing(operation: Any) -> bool:
    """Whether an operation only passes its input on: an identity, a cast, dropout."""
    units = (keras.layers.Identity, keras.layers.Dropout)
    is_linear = isinstance(operation, keras.layers.Activation) and (
        _activation_name(operation) == "linear"
    )
    return operation is None or is_linear or isinstance(operation, units)


def _activation_name(operation: Any) -> str:
    """The activation that an operation ends with, ``"linear"`` for one without."""
    # By the class's name, because ``keras.ops.softmax`` makes one that is not public.
    kind = type(operation).__name__.lower()
    if kind in ("softmax", "sigmoid") or kind in _NOT_LINEAR:
        return kind
    activation = getattr(operation, "activation", keras.activations.linear)
    name = str(getattr(activation, "__name__", getattr(activation, "name", activation)))
    return "softmax" if name == "softmax_v2" else name  # TensorFlow's name of its tf.nn.softmax


def _linear_part(layer: keras.layers.Dense, features: Any) -> Any:
    """A dense layer without its activation, in its compute precision."""
    dtype = layer.compute_dtype
    score = tf.linalg.matmul(tf.cast(features, dtype), tf.cast(layer.kernel, dtype))
    return score if layer.bias is None else score + tf.cast(layer.bias, dtype)
