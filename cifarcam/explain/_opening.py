"""The calls of a Keras model in one flat list, models and layers within it opened.

Models used as layers are opened at any depth. A model or layer with a ``call`` of its own has no
graph: its ``call`` runs once on symbolic tensors, which works if it is made of Keras layers and
`keras.ops`. A layer for which this fails, or whose graph then does not run, stays one call. Neither
opening nor running changes a variable.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from cifarcam.errors import first_line
from cifarcam.explain._keras import Node, Symbol, with_open_batch
from cifarcam.explain._tracing import (
    Graph,
    functional_graph,
    is_functional,
    is_made_of_layers,
    traced_graph,
)

Key = int  # identifies a tensor of the flat list


@dataclass(frozen=True)
class Call:
    """One operation of the flat list.

    Attributes
    ----------
    operation
        The layer or operation; None for a cast.
    inputs, outputs
        Keys of the tensors that it takes and returns.
    run
        Tensors -> tensors.
    path, node
        Its place in the model, and its call in the Keras graph; empty and None for a cast.
    owner
        The opened layer that contains it and owns its weights.
    """

    operation: Any
    inputs: tuple[Key, ...]
    outputs: tuple[Key, ...]
    run: Callable[[Sequence[Any]], Sequence[Any]]
    path: str = ""
    node: Node | None = None
    owner: keras.Layer | None = None


def run_calls(
    calls: Sequence[Call], tensors: Mapping[Key, Any], outputs: Sequence[Key]
) -> list[Any]:
    """Run calls in order on `tensors`; return the tensors that `outputs` name."""
    values = dict(tensors)
    with keras.StatelessScope():  # discards what a layer assigns to a variable
        for call in calls:
            results = call.run([values[key] for key in call.inputs])
            values.update(zip(call.outputs, results, strict=True))
    return [values[key] for key in outputs]


def leading_to(calls: Sequence[Call], keys: Iterable[Key]) -> list[Call]:
    """The calls on which tensors depend, in order."""
    needed = set(keys)
    leading = []
    for call in reversed(calls):
        if needed.intersection(call.outputs):
            needed.update(call.inputs)
            leading.append(call)
    return leading[::-1]


class Opener:
    """Builds the flat list of calls of a model and of the models within it.

    Attributes
    ----------
    calls
        The flat list.
    places
        Path, key and shape of the output of each operation that has one output.
    closed
        Paths of the layers that could not be opened, with the reason.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.places: list[tuple[str, Key, tuple[int | None, ...]]] = []
        self.closed: dict[str, str] = {}
        self._keys = itertools.count()

    def key(self) -> Key:
        """A new key for a tensor."""
        return next(self._keys)

    def maker(self, key: Key) -> Call | None:
        """The call that returns a tensor; None for the images."""
        return next((call for call in reversed(self.calls) if key in call.outputs), None)

    def add(self, graph: Graph, sources: Sequence[Key], prefix: str) -> list[Key]:
        """Add the calls of a graph with `sources` as its inputs; return the keys of its outputs."""
        keys = {}
        for symbol, source in zip(graph.inputs, sources, strict=True):
            keys[id(symbol)] = self._cast(source, symbol)  # as a model casts its inputs
        for node in graph.nodes:
            if node.is_input or any(id(symbol) in keys for symbol in node.outputs):
                continue
            outputs = self._add_node(node, [keys[id(symbol)] for symbol in node.inputs], prefix)
            keys.update(zip(map(id, node.outputs), outputs, strict=True))
        return [keys[id(symbol)] for symbol in graph.outputs]

    def open(self, call: Call) -> list[Key] | None:
        """Replace the call of a layer by the calls within it.

        Returns the keys of their outputs, or None, with nothing changed, if the layer cannot be
        opened.
        """
        if not isinstance(call.operation, keras.Layer):
            return None
        index = next(index for index, each in enumerate(self.calls) if each is call)
        place = next(
            (index for index, (path, *_) in enumerate(self.places) if path == call.path),
            len(self.places),
        )
        later_calls, later_places = self.calls[index + 1 :], self.places[place:]
        del self.calls[index:], self.places[place:]
        assert call.node is not None  # only a cast has none
        outputs = self._add_inner(call.node, call.inputs, call.path)
        if outputs is None:
            self.calls.append(call)
        else:
            self.calls[index:] = [
                dataclasses.replace(inner, owner=call.operation) for inner in self.calls[index:]
            ]
            # Later calls take the layer's outputs by their old keys.
            self.calls.append(Call(None, tuple(outputs), call.outputs, lambda values: values))
        self.calls += later_calls
        self.places += later_places
        return outputs

    def why_closed(self, call: Call) -> str:
        """Why a layer could not be opened, in brackets; empty if there is no reason on record."""
        return f" ({self.closed[call.path]})" if call.path in self.closed else ""

    def repeat(self, call: Call, inputs: Sequence[Key], operation: Any) -> tuple[Key, ...]:
        """Add a call again, with other inputs or another operation; return its outputs' keys."""
        outputs = tuple(self.key() for _ in call.outputs)
        assert call.node is not None  # only a cast has none
        run = _runner(operation, call.node)
        # It keeps the model's own operation, whose weights the new one uses.
        self.calls.append(dataclasses.replace(call, inputs=tuple(inputs), outputs=outputs, run=run))
        return outputs

    def _cast(self, source: Key, symbol: Symbol) -> Key:
        key, dtype = self.key(), symbol.dtype
        call = Call(
            None, (source,), (key,), lambda values: [keras.ops.convert_to_tensor(values[0], dtype)]
        )
        self.calls.append(call)
        return key

    def _add_node(self, node: Node, sources: Sequence[Key], prefix: str) -> list[Key]:
        """Add one call of a graph, opened if possible; return the keys of its outputs."""
        operation = node.operation
        path = prefix + operation.name
        outputs = self._add_inner(node, sources, path) if is_made_of_layers(operation) else None
        if outputs is None:
            outputs = [self.key() for _ in node.outputs]
            run = _runner(operation, node)
            self.calls.append(Call(operation, tuple(sources), tuple(outputs), run, path, node))
        if len(outputs) == 1:
            self.places.append((path, outputs[0], tuple(node.outputs[0].shape)))
        return outputs

    def _add_inner(self, node: Node, sources: Sequence[Key], path: str) -> list[Key] | None:
        """Add the calls within a layer; None, with nothing added, if it cannot be opened."""
        operation = node.operation
        if is_functional(operation):
            return self.add(functional_graph(operation), sources, prefix=path + "/")
        calls, places = len(self.calls), len(self.places)
        try:
            graph = traced_graph(operation, node.inputs, node)
            outputs = self.add(graph, sources, prefix=path + "/")
            if len(outputs) != len(node.outputs):
                raise ValueError(
                    f"its call returns {len(outputs)} tensors, not {len(node.outputs)}"
                )
            _check_calls(self.calls[calls:], sources, graph.inputs, outputs)
        # The code of another author may raise anything; the layer then stays one call.
        except Exception as error:
            del self.calls[calls:], self.places[places:]
            self.closed[path] = first_line(error)
            return None
        return outputs


def _runner(operation: Any, node: Node) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Tensors -> tensors: the call of a node, made with `operation`."""
    operation = with_open_batch(operation)

    def run(values: Sequence[Any]) -> Sequence[Any]:
        args, kwargs = node.arguments(values)
        if isinstance(operation, keras.Layer):
            # As in prediction; some layers of augmentation are active by default.
            kwargs = {**kwargs, "training": False}
        return keras.tree.flatten(operation(*args, **kwargs))

    return run


def _check_calls(
    calls: Sequence[Call], sources: Sequence[Key], symbols: Sequence[Symbol], outputs: Sequence[Key]
) -> None:
    """Raise what TensorFlow raises if calls cannot run on a batch of any size."""
    specs = [tf.TensorSpec(symbol.shape, symbol.dtype) for symbol in symbols]

    def run(*values: Any) -> list[Any]:
        return run_calls(calls, dict(zip(sources, values, strict=True)), outputs)

    tf.function(run, autograph=False).get_concrete_function(*specs)
