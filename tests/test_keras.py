"""What the explainers use of Keras beyond its documented interfaces, function by function."""

import ast
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import cifarcam
from cifarcam.explain import _keras

PACKAGE = Path(cifarcam.__file__).parent


def small_network():
    return keras.Sequential(
        [
            keras.Input((4, 4, 3), name="images"),
            layers.Conv2D(2, 3, name="conv"),
            layers.Flatten(name="flatten"),
            layers.Dense(3, activation="softmax", name="top"),
        ],
        name="network",
    )


class Own(layers.Dense):
    """A layer with a `call` of its own, and a layer within."""

    def __init__(self, units, **options):
        super().__init__(units, **options)
        self.inner = layers.Activation("relu", name="inner")

    def call(self, x):
        return self.inner(super().call(x))


class OnlyRenamed(layers.Dense):
    pass


def private_names(path):
    """Underscore attributes that a module reads and that this package does not define."""
    return {
        node.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
    }


def defined_names():
    names = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.attr if isinstance(node, ast.Attribute) else node.id)
            elif isinstance(node, ast.alias):
                names.add(node.asname or node.name)
    return names


def test_private_names_of_keras_are_in_one_module():
    own = defined_names() | {path.stem for path in PACKAGE.rglob("_*.py")}
    foreign = {
        path.relative_to(PACKAGE).as_posix(): names
        for path in PACKAGE.rglob("*.py")
        if (names := private_names(path) - own - {"_exit", "_replace"})  # of os, of tuples
    }
    names = {"_flatten_layers", "_inbound_nodes", "_keras_history", "_outbound_nodes"}
    assert foreign == {"explain/_keras.py": names}


@pytest.mark.slow
def test_explain_imports_without_the_packages_of_other_parts():
    code = """
import sys
others = "click matplotlib seaborn sklearn skimage pooch filelock safetensors lime shap pydantic grimp"
sys.modules.update(dict.fromkeys(others.split()))  # importing one of them now fails
import cifarcam.explain, cifarcam.explain.metrics
print(*{".".join(name.split(".")[:2]) for name in sys.modules if name.startswith("cifarcam.")})
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert set(done.stdout.split()) == {"cifarcam.errors", "cifarcam.explain"}


def test_float_32_switches_tf32_off_and_back():
    is_on = tf.config.experimental.tensor_float_32_execution_enabled
    before = is_on()
    with pytest.raises(KeyError), _keras.float_32():
        assert not is_on()
        raise KeyError
    assert is_on() == before


def test_tf32_is_off_until_the_last_thread_leaves():
    is_on = tf.config.experimental.tensor_float_32_execution_enabled
    before = is_on()
    tf.config.experimental.enable_tensor_float_32_execution(True)
    one, other = _keras.float_32(), _keras.float_32()
    try:
        with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
            first.submit(one.__enter__).result()
            second.submit(other.__enter__).result()
            first.submit(one.__exit__, None, None, None).result()
            assert not is_on()
            second.submit(other.__exit__, None, None, None).result()
        assert is_on()
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


def test_is_keras_knows_classes_and_methods():
    assert _keras.is_keras(layers.Dense) and _keras.is_keras(layers.Dense(2).call)
    assert not _keras.is_keras(Own) and not _keras.is_keras(Own(2).call)
    assert _keras.is_keras(OnlyRenamed(2).call)


def test_is_keras_2_knows_its_packages():
    class Model:
        pass

    assert not _keras.is_keras_2(Model()) and not _keras.is_keras_2(small_network())
    for module in ("tf_keras.src.engine.training", "tensorflow.python.keras.engine.training"):
        Model.__module__ = module
        assert _keras.is_keras_2(Model())


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (layers.Dense(2), "dense"),
        (OnlyRenamed(2), "dense"),
        (Own(2), ""),
        (layers.ZeroPadding2D(1), "zeropadding2d"),
        (layers.ReLU(), "relu"),
    ],
)
def test_kind_of_a_layer(operation, expected):
    assert _keras.kind(operation) == expected


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (ops.softmax, "softmax"),
        (ops.log_softmax, "logsoftmax"),
        (ops.sigmoid, "sigmoid"),
        (ops.relu, "relu"),
        (ops.exp, "exp"),
        (lambda x: ops.reshape(x, (-1, 2)), "reshape"),
        (lambda x: ops.mean(x, axis=1), "mean"),
        (lambda x: ops.matmul(x, np.ones((4, 2), "float32")), "matmul"),
        (lambda x: ops.concatenate([x, x]), "concatenate"),
        (lambda x: x + 1, "add"),
        (lambda x: x * 2, "multiply"),
        (lambda x: x / 2, "truedivide"),
        (lambda x: x[:, :2], "getitem"),
    ],
)
def test_kind_of_a_function(function, expected):
    symbol = function(keras.Input((4,)))
    assert _keras.kind(_keras.nodes_before([symbol])[-1].operation) == expected


def test_function_name_is_public():
    assert _keras.function_name(keras.activations.softmax) == "softmax"
    assert _keras.function_name(tf.nn.softmax) == "softmax"
    assert _keras.function_name(tf.nn.relu) == "relu"


def test_without_activation_shares_variables_and_leaves_the_layer():
    layer = layers.Dense(3, activation="relu")
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    layer.build(x.shape)
    attributes = dict(vars(layer))
    linear = _keras.without_activation(layer)
    assert vars(layer) == attributes
    assert linear.kernel is layer.kernel
    expected = x @ layer.kernel.numpy()
    assert expected.min() < 0
    np.testing.assert_allclose(linear(x), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer(x), np.maximum(expected, 0), rtol=1e-5, atol=1e-6)


def test_inner_layers_are_found_at_any_depth():
    inputs = keras.Input((4, 4, 3))
    outer = keras.Model(inputs, Own(2, name="own")(small_network()(inputs)))
    names = {layer.name for layer in _keras.inner_layers(outer)}
    assert {"network", "conv", "flatten", "top", "own", "inner"} <= names
    assert outer not in _keras.inner_layers(outer)
    assert _keras.inner_layers(layers.Dense(2)) == []


def test_graph_operations_contain_functions_of_keras():
    inputs = keras.Input((4,), name="images")
    model = keras.Model(inputs, ops.exp(layers.Dense(2, name="top")(inputs)))
    names = [operation.name for operation in _keras.graph_operations(model)]
    assert names[:2] == ["images", "top"] and len(names) == 3


def test_output_names_are_in_the_order_of_the_outputs():
    inputs = keras.Input((4,))
    first, second = layers.Dense(2, name="b")(inputs), layers.Dense(3, name="a")(inputs)
    assert _keras.output_names(keras.Model(inputs, [first, second])) == ["b", "a"]
    assert len(_keras.output_names(small_network())) == 1


def test_built_shape_is_the_input_of_the_first_call():
    class Subclass(keras.Model):
        def __init__(self):
            super().__init__()
            self.flat, self.top = layers.Flatten(), layers.Dense(2)

        def call(self, x):
            return self.top(self.flat(x))

    model = Subclass()
    assert _keras.built_shape(model) is None
    model(np.zeros((5, 4, 4, 3), np.float32))
    assert _keras.built_shape(model)[1:] == (4, 4, 3)


def test_nodes_before_are_in_the_order_of_computing():
    model = small_network()
    nodes = _keras.nodes_before(model.outputs)
    assert [node.operation.name for node in nodes] == ["images", "conv", "flatten", "top"]
    assert [node.is_input for node in nodes] == [True, False, False, False]
    for node, following in pairwise(nodes):
        assert node.outputs[0] is following.inputs[0]
    inputs = keras.Input((4,))
    shared = layers.Dense(4, name="shared")  # called twice: each output has its own node
    first = shared(inputs)
    nodes = _keras.nodes_before([shared(first)])
    assert [node.operation.name for node in nodes][1:] == ["shared", "shared"]
    assert nodes[1].outputs[0] is first and nodes[2].inputs[0] is first


def test_node_arguments_have_values_in_place_of_symbols():
    first, second = keras.Input((4,)), keras.Input((4,))
    joined = layers.Concatenate(axis=1)([first, second])
    args, kwargs = _keras.nodes_before([joined])[-1].arguments(["a", "b"])
    assert list(args[0]) == ["a", "b"] and kwargs.get("training") is None
    clipped = ops.clip(first, 0, x_max=3)
    node = _keras.nodes_before([clipped])[-1]
    args, kwargs = node.arguments([np.array([-1.0, 5.0])])
    np.testing.assert_array_equal(node.operation(*args, **kwargs), [0, 3])


def test_forgotten_calls_leave_no_node():
    model = small_network()
    conv, flatten = model.get_layer("conv"), model.get_layer("flatten")
    counts = [_keras.node_counts(layer) for layer in (conv, flatten)]
    assert counts == [(1, 1), (1, 1)]
    with pytest.raises(KeyError), _keras.forgotten_calls([conv, flatten]):
        flatten(conv(keras.Input((4, 4, 3))))
        assert _keras.node_counts(conv) == (2, 2)
        raise KeyError
    assert [_keras.node_counts(layer) for layer in (conv, flatten)] == counts
    assert conv.output.shape == (None, 2, 2, 2)


def test_with_open_batch_reshapes_any_number_of_images():
    inputs = keras.Input((4, 2))
    node = _keras.nodes_before([ops.reshape(inputs, (ops.shape(inputs)[0], 8))])[-1]
    assert None in node.operation.newshape  # the batch, unknown while it is traced
    opened = _keras.with_open_batch(node.operation)
    assert opened(np.zeros((3, 4, 2))).shape == (3, 8)
    node = _keras.nodes_before([ops.reshape(inputs, (ops.shape(inputs)[0], -1, 4))])[-1]
    values = np.arange(24.0).reshape(3, 4, 2)
    np.testing.assert_array_equal(
        _keras.with_open_batch(node.operation)(values), values.reshape(3, 2, 4)
    )
    fixed = _keras.nodes_before([ops.reshape(inputs, (-1, 8))])[-1].operation
    assert _keras.with_open_batch(fixed) is fixed
    dense = layers.Dense(2)
    assert _keras.with_open_batch(dense) is dense
