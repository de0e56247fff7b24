"""What the explainers use of Keras and TensorFlow beyond their documented interfaces.

No other module of this package uses a private or undocumented name of Keras. Tried on Keras 3.13.0
with TensorFlow 2.20.0 and on Keras 3.15.1 with TensorFlow 2.21.0; `tests/test_keras.py` has a test
for each function.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

Symbol = Any  # a keras.KerasTensor; two of them are the same tensor if their ids are equal

# The kinds of layers that return what they take in prediction.
ONLY_IN_TRAINING = (
    *("identity", "activityregularization", "gaussiannoise"),
    *("dropout", "spatialdropout2d", "gaussiandropout", "alphadropout"),
)

# TensorFlow has one setting for all threads, which the last block that ends restores.
_tf32_lock = threading.Lock()
_tf32_before: list[bool] = []  # the setting at the start of each block that has not ended


@contextmanager
def float_32() -> Iterator[None]:
    """Keep a GPU from rounding float32 to TF32 within the block, and within blocks of other threads.

    TensorFlow rounds by default: a mantissa keeps 10 bits of 23, which changed Grad-CAM by 7% and
    saliency by 12% of their maximum on an H200.
    """
    with _tf32_lock:
        _tf32_before.append(tf.config.experimental.tensor_float_32_execution_enabled())
        tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        with _tf32_lock:
            tf.config.experimental.enable_tensor_float_32_execution(_tf32_before.pop())


def is_keras(thing: Any) -> bool:
    """Whether Keras itself defines a class or a method."""
    return thing.__module__.split(".")[0] == "keras"


def is_keras_2(thing: Any) -> bool:
    """Whether an object is a model or a layer of Keras 2."""
    modules = [each.__module__ for each in type(thing).__mro__]
    return any(name.startswith(("tf_keras", "tensorflow.python.keras")) for name in modules)


def kind(operation: keras.Operation) -> str:
    """The name, in small letters, of the class of Keras whose ``call`` an operation has.

    Empty for an operation with a ``call`` of its own. The name is compared instead of the class
    because `keras.ops` makes operations of classes that are not public.
    """
    if not is_keras(operation.call):
        return ""
    return next(each.__name__ for each in type(operation).__mro__ if is_keras(each)).lower()


def function_name(function: Any) -> str:
    """The public name of an activation function, such as ``"softmax"``."""
    name = str(getattr(function, "__name__", function))
    return "softmax" if name == "softmax_v2" else name  # how TensorFlow names tf.nn.softmax


def without_activation(layer: keras.Layer) -> keras.Layer:
    """A copy of a layer with a linear activation, which shares all variables with the layer.

    The copy runs the layer's own ``call``, so that scales of quantised weights and LoRA count. The
    layer itself does not change.
    """
    copy = object.__new__(type(layer))
    copy.__dict__.update(layer.__dict__)
    # An assignment to the attribute would note the activation in the trackers that both share.
    copy.__dict__["activation"] = keras.activations.linear
    return copy


def inner_layers(layer: keras.Layer) -> list[keras.Layer]:
    """The layers within a layer, at any depth, without the layer itself."""
    return [inner for inner in layer._flatten_layers() if inner is not layer]


def graph_operations(model: keras.Model) -> list[keras.Operation]:
    """The operations in the graph of a functional or sequential model."""
    return list(model.operations)


def output_names(model: keras.Model) -> list[str]:
    """The names of the outputs of a functional or sequential model."""
    return list(getattr(model, "output_names", [])) or [output.name for output in model.outputs]


def built_shape(model: keras.Model) -> tuple[int | None, ...] | None:
    """The shape of the input on which a model was built; None if it was not, or on several."""
    shape = (model.get_build_config() or {}).get("input_shape") if model.built else None
    if not isinstance(shape, tuple | list):
        return None
    return tuple(shape) if all(n is None or isinstance(n, int) for n in shape) else None


@dataclass(frozen=True)
class Node:
    """One call of an operation in a Keras graph.

    Attributes
    ----------
    operation
        The layer or operation.
    inputs, outputs
        The symbolic tensors that it takes and returns.
    is_input
        Whether it is an input of the graph.
    """

    operation: keras.Operation
    inputs: list[Symbol]
    outputs: list[Symbol]
    is_input: bool
    _arguments: Any

    def arguments(self, values: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and keyword arguments of the call, with `values` in place of the inputs."""
        return self._arguments.fill_in(dict(zip(map(id, self.inputs), values, strict=True)))


def nodes_before(symbols: Iterable[Symbol]) -> list[Node]:
    """All calls that symbolic tensors depend on, each after the calls that it depends on."""
    ordered: list[Node] = []
    ids: set[int] = set()
    stack: list[tuple[Any, bool]] = [(_node_of(symbol), False) for symbol in symbols]
    while stack:
        node, is_complete = stack.pop()
        if is_complete:
            inputs, outputs = list(node.input_tensors), list(node.outputs)
            ordered.append(Node(node.operation, inputs, outputs, node.is_input, node.arguments))
        elif id(node) not in ids:
            ids.add(id(node))
            stack.append((node, True))
            stack.extend((_node_of(needed), False) for needed in node.input_tensors)
    return ordered


def _node_of(symbol: Symbol) -> Any:
    """The call that made a symbolic tensor (several models may call the same layer)."""
    history = symbol._keras_history
    return history.operation._inbound_nodes[history.node_index]


def node_counts(operation: keras.Operation) -> tuple[int, int]:
    """The numbers of symbolic calls of an operation, and of other operations on its outputs."""
    return len(operation._inbound_nodes), len(operation._outbound_nodes)


@contextmanager
def forgotten_calls(operations: Iterable[keras.Operation]) -> Iterator[None]:
    """Forget the symbolic calls of operations within the block, so that ``.output`` still works."""
    counts = [(operation, *node_counts(operation)) for operation in operations]
    try:
        yield
    finally:
        for operation, inbound, outbound in counts:
            del operation._inbound_nodes[inbound:], operation._outbound_nodes[outbound:]


def with_open_batch(operation: keras.Operation) -> Callable[..., Any]:
    """A reshape with -1 for a size that is unknown while a call is traced symbolically.

    That size is ``ops.shape(x)[0]``, the number of images. Where a second size is open, as in
    ``ops.reshape(x, (ops.shape(x)[0], -1, 8))``, the first size is the tensor's own. Other
    operations are returned as they are.
    """
    shape = getattr(operation, "newshape", ())
    if kind(operation) != "reshape" or not isinstance(shape, tuple | list) or None not in shape:
        return operation
    sizes = [-1 if size is None else size for size in shape]
    if shape[0] is not None or sizes.count(-1) == 1:
        return type(operation)(sizes)
    return lambda x: keras.ops.reshape(x, (keras.ops.shape(x)[0], *sizes[1:]))
