"""A Keras classifier as a flat list of calls: opened, split at a layer, cut before its softmax.

Models used as layers are opened at any depth. A model or layer with a ``call`` of its own has no
graph; its ``call`` is followed once with symbolic tensors, which works as long as it is made of
Keras layers and ``keras.ops``. A layer that cannot be followed, or whose graph then does not run,
stays whole. Neither following nor running changes a variable.
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from cifarcam.errors import CifarcamError, first_line
from cifarcam.explain.ends import before_activation, is_keras, kind

Key = int  # a tensor of the flat list
_Symbol = Any  # a symbolic tensor; one that leads nowhere else is known by its id
_Node = Any  # one call of an operation in a Keras graph; Keras gives the class no public name

_PADDINGS = ("zeropadding2d", "cropping2d", "pad")  # of no interest by themselves
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
    path, node
        Its place in the model, and its call in the Keras graph; none for a cast.
    owner
        The layer without inner layers within which it is, whose weights it uses.
    """

    operation: Any
    inputs: tuple[Key, ...]
    outputs: tuple[Key, ...]
    run: Callable[[Sequence[Any]], Sequence[Any]]
    path: str = ""
    node: _Node = None
    owner: keras.Layer | None = None


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
    image_dtype
        The type that the model turns images into first.
    batch_size
        The number of images that the model is made for; None where any fits.
    output
        The index of the output explained among those of the model.
    outputs
        The number of units that the output has.
    activation
        ``"softmax"``, ``"sigmoid"`` or ``"linear"``: what follows the score.
    """

    image_shape: tuple[int | None, ...]
    image_dtype: str
    batch_size: int | None
    output: int
    outputs: int
    activation: str
    _input: Key
    _score: Key
    _calls: list[Call]
    _places: list[tuple[str, Key, tuple[int | None, ...]]]  # path, key, shape, in order
    _closed: Mapping[str, str] = field(default_factory=dict)  # what was not opened, and why

    def score(self, images: Any) -> Any:
        """Images (float32) -> scores before the softmax, N x outputs."""
        return self.split(INPUT).head([images])

    def weighted_layers(self) -> list[keras.Layer]:
        """The layers that have weights, each once, from the images to the score."""
        calls = self._leading_to([self._score])
        used = [operation for call in calls for operation in (call.owner, call.operation)]
        return list(dict.fromkeys(o for o in used if isinstance(o, keras.Layer) and o.weights))

    def precisions(self) -> set[str]:
        """The number formats that the layers up to the score compute in, such as ``"float16"``."""
        layers = [
            inner
            for call in self._leading_to([self._score])
            if isinstance(call.operation, keras.Layer)
            for inner in call.operation._flatten_layers()
        ]
        formats = {layer.compute_dtype for layer in layers}
        return formats | {layer.quantization_mode for layer in layers if layer.quantization_mode}

    def split(self, layer: str | None) -> SplitModel:
        """Split at a layer, or else at the last one with more than one spatial position.

        A padding or cropping is none by default: around one position it shows nothing.

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

    def _leading_to(self, keys: Iterable[Key]) -> list[Call]:
        needed = set(keys)
        found = []
        for call in reversed(self._calls):
            if needed.intersection(call.outputs):
                needed.update(call.inputs)
                found.append(call)
        return found[::-1]

    def _find(self, layer: str | None) -> tuple[str, Key]:
        spatial = [(path, key) for path, key, shape in self._places if len(shape) == 4]
        if layer is None:
            on_the_way = {
                key
                for call in self._leading_to([self._score])
                if call.operation is None or kind(call.operation) not in _PADDINGS
                for key in call.outputs
            }
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
        raise CifarcamError(f"{type(model).__name__} is not a Keras model{_keras_2(model)}")
    opened = Opener()
    inputs, outputs, nodes, names = _graph(model)
    _check_input(inputs)
    chosen = _choose_output(outputs, names, output)
    start = opened.key()
    ends = opened.add(inputs, outputs, nodes, [start], prefix="")
    score, activation = before_activation(opened, ends[chosen])
    return FlatModel(
        image_shape=tuple(inputs[0].shape[1:]),
        image_dtype=inputs[0].dtype,
        batch_size=inputs[0].shape[0],
        output=chosen,
        outputs=int(outputs[chosen].shape[-1]),
        activation=activation,
        _input=start,
        _score=score,
        _calls=opened.calls,
        _places=opened.places,
        _closed=opened.closed,
    )


def _keras_2(model: Any) -> str:
    modules = [each.__module__ for each in type(model).__mro__]
    is_keras_2 = any(m.startswith(("tf_keras", "tensorflow.python.keras")) for m in modules)
    return " of Keras 3 but of Keras 2; build it with Keras 3 and load its weights" * is_keras_2


def _check_input(inputs: Sequence[_Symbol]) -> None:
    if len(inputs) != 1:
        raise CifarcamError(
            f"the model has {len(inputs)} inputs; only a model with one can be explained"
        )
    shape = inputs[0].shape
    if len(shape) != 4:
        raise CifarcamError(f"the model's input has shape {shape}, not N x H x W x C")
    height, _, channels = shape[1:]
    # No image is 4 pixels high and of more than 4 channels, nor are weights made for any number.
    if channels is None or (height is not None and height <= 4 < channels):
        raise CifarcamError(
            f"the model's input has shape {shape}, as if channels came first; only images "
            "N x H x W x C can be explained"
        )


def _run(calls: Sequence[Call], known: Mapping[Key, Any], wanted: Sequence[Key]) -> list[Any]:
    values = dict(known)
    with keras.StatelessScope():  # what a layer assigns to a variable is forgotten
        for call in calls:
            results = call.run([values[key] for key in call.inputs])
            values.update(zip(call.outputs, results, strict=True))
    return [values[key] for key in wanted]


def _trace(
    calls: Sequence[Call], given: Sequence[Key], symbols: Sequence[_Symbol], wanted: Sequence[Key]
) -> None:
    """Raise what TensorFlow raises when calls cannot run on a batch of any size."""
    specs = [tf.TensorSpec(symbol.shape, symbol.dtype) for symbol in symbols]

    def run(*values: Any) -> list[Any]:
        return _run(calls, dict(zip(given, values, strict=True)), wanted)

    tf.function(run, autograph=False).get_concrete_function(*specs)


class Opener:
    """Collects the calls of a model and of the models used in it."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.places: list[tuple[str, Key, tuple[int | None, ...]]] = []
        self.closed: dict[str, str] = {}
        self._keys = itertools.count()

    def key(self) -> Key:
        """A new key for a tensor."""
        return next(self._keys)

    def maker(self, key: Key) -> Call | None:
        """The call that gives a tensor; None for the images."""
        return next((call for call in reversed(self.calls) if key in call.outputs), None)

    def add(
        self,
        inputs: Sequence[_Symbol],
        outputs: Sequence[_Symbol],
        nodes: Sequence[_Node],
        given: Sequence[Key],
        prefix: str,
    ) -> list[Key]:
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
            made = self._add_inner(node, sources, path) if _is_made_of_layers(operation) else None
            if made is None:
                made = [self.key() for _ in node.outputs]
                run = _runner(operation, node)
                self.calls.append(Call(operation, tuple(sources), tuple(made), run, path, node))
            keys.update(zip(map(id, node.outputs), made, strict=True))
            if len(made) == 1:
                self.places.append((path, made[0], tuple(node.outputs[0].shape)))
        return [keys[id(symbol)] for symbol in outputs]

    def open(self, call: Call) -> list[Key] | None:
        """Put the calls within a layer in its call's place; the keys of its outputs, if it opens."""
        if not isinstance(call.operation, keras.Layer):
            return None
        at = next(index for index, each in enumerate(self.calls) if each is call)
        place = next(
            (index for index, (path, *_) in enumerate(self.places) if path == call.path),
            len(self.places),
        )
        calls, places = self.calls[at + 1 :], self.places[place:]
        del self.calls[at:], self.places[place:]
        made = self._add_inner(call.node, call.inputs, call.path)
        if made is None:
            self.calls.append(call)
        else:  # others may take the layer's outputs
            self.calls[at:] = [
                dataclasses.replace(inner, owner=call.operation) for inner in self.calls[at:]
            ]
            self.calls.append(Call(None, tuple(made), call.outputs, lambda values: values))
        self.calls += calls
        self.places += places
        return made

    def why_closed(self, call: Call) -> str:
        """Why a layer could not be opened, in brackets, where that is known."""
        return f" ({self.closed[call.path]})" if call.path in self.closed else ""

    def repeat(self, call: Call, inputs: Sequence[Key], operation: Any) -> tuple[Key, ...]:
        """Add a call again, of other tensors or by another operation; the keys of its outputs."""
        outputs = tuple(self.key() for _ in call.outputs)
        run = _runner(operation, call.node)
        # Known by the operation that the model has, whose weights it uses.
        self.calls.append(dataclasses.replace(call, inputs=tuple(inputs), outputs=outputs, run=run))
        return outputs

    def _cast(self, source: Key, symbol: _Symbol) -> Key:
        made, dtype = self.key(), symbol.dtype
        call = Call(
            None, (source,), (made,), lambda values: [keras.ops.convert_to_tensor(values[0], dtype)]
        )
        self.calls.append(call)
        return made

    def _add_inner(self, node: _Node, sources: Sequence[Key], path: str) -> list[Key] | None:
        """Add the calls within a layer; None, and nothing added, where it cannot be opened."""
        operation = node.operation
        if _is_functional(operation):
            inputs, outputs, nodes, _ = _graph(operation)
            return self.add(inputs, outputs, nodes, sources, prefix=path + "/")
        calls, places = len(self.calls), len(self.places)
        try:
            inputs, outputs, nodes = _followed(operation, node.arguments, node.input_tensors)
            made = self.add(inputs, outputs, nodes, sources, prefix=path + "/")
            if len(made) != len(node.outputs):
                raise ValueError(f"its call gives {len(made)} tensors for {len(node.outputs)}")
            _trace(self.calls[calls:], sources, inputs, made)
        # A stranger's `call` may raise anything; the layer then stays whole.
        except Exception as error:
            del self.calls[calls:], self.places[places:]
            self.closed[path] = first_line(error)
            return None
        return made


def _runner(operation: Any, node: _Node) -> Callable[[Sequence[Any]], Sequence[Any]]:
    symbols = node.input_tensors
    shape = getattr(operation, "newshape", ())
    if kind(operation) == "reshape" and isinstance(shape, tuple | list) and None in shape:
        # ``ops.shape(x)[0]``, the size of the batch, which is not known while a call is followed.
        operation = type(operation)([-1 if size is None else size for size in shape])

    def run(values: Sequence[Any]) -> Sequence[Any]:
        known = dict(zip(map(id, symbols), values, strict=True))
        args, kwargs = node.arguments.fill_in(known)
        if isinstance(operation, keras.Layer):
            # As in prediction; some layers of augmentation are active unless they are told.
            kwargs = {**kwargs, "training": False}
        return keras.tree.flatten(operation(*args, **kwargs))

    return run


def _is_functional(model: keras.Layer) -> bool:
    """Whether a model is its graph: it has one, and no ``call`` of its own that does otherwise."""
    return isinstance(model, keras.Model) and is_keras(model.call) and _has_graph(model)


def _has_graph(model: keras.Model) -> bool:
    try:
        return bool(model.inputs) and bool(model.outputs)
    except AttributeError:
        return False


def _is_made_of_layers(operation: Any) -> bool:
    """Whether a layer is made of layers; Keras's own layers are units, its models are not."""
    if isinstance(operation, keras.Model):
        return True
    return (
        isinstance(operation, keras.Layer)
        and not is_keras(type(operation))
        and any(found is not operation for found in operation._flatten_layers())
    )


def _graph(
    model: keras.Model,
) -> tuple[Sequence[_Symbol], Sequence[_Symbol], Sequence[_Node], Sequence[str]]:
    """Inputs, outputs, calls and output names of a model."""
    if _is_functional(model):
        names = list(getattr(model, "output_names", [])) or [x.name for x in model.outputs]
        return model.inputs, model.outputs, _nodes_before(model.outputs), names
    if _has_graph(model):
        symbols = [keras.KerasTensor(x.shape, dtype=x.dtype) for x in model.inputs]
        _check_input(symbols)
    else:
        shape = (model.get_build_config() or {}).get("input_shape") if model.built else None
        if not isinstance(shape, tuple | list) or not all(
            n is None or isinstance(n, int) for n in shape
        ):
            raise CifarcamError(
                "the model's input shape is not known; give it a keras.Input, or call it once on "
                "images"
            )
        symbols = [keras.KerasTensor((None, *shape[1:]), dtype="float32")]
    try:
        inputs, outputs, nodes = _followed(model, None, symbols)
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

    The marks that this leaves on what is called within are removed.
    """
    graph = layer.operations if isinstance(layer, keras.Model) and _has_graph(layer) else []
    inner = [found for found in (*layer._flatten_layers(), *graph) if found is not layer]
    marks = [(found, len(found._inbound_nodes), len(found._outbound_nodes)) for found in inner]
    inputs = [keras.Input(batch_shape=s.shape, dtype=s.dtype) for s in symbols]
    try:
        args, kwargs = tuple(inputs), {}
        if arguments is not None:
            args, kwargs = arguments.fill_in(dict(zip(map(id, symbols), inputs, strict=True)))
        if "training" in inspect.signature(layer.call).parameters:
            kwargs = {**kwargs, "training": False}
        with keras.StatelessScope():  # what the call assigns to a variable is forgotten
            flat = keras.tree.flatten(layer.call(*args, **kwargs))
        return inputs, flat, _nodes_before(flat)
    finally:
        for found, inbound, outbound in marks:
            del found._inbound_nodes[inbound:], found._outbound_nodes[outbound:]


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
    elif str(output) in map(str, range(len(outputs))):
        chosen = int(output)
    else:
        raise CifarcamError(f"the model has no output {output!r}; there are {listed}")
    if len(outputs[chosen].shape) != 2 or outputs[chosen].shape[1] is None:
        raise CifarcamError(
            f"the model's output has shape {outputs[chosen].shape}, not N x classes"
        )
    return chosen
