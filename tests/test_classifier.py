"""A classifier gives the output of its model, or refuses the model: ends, precision, state."""

import contextlib
import json
import os
import random
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import ROOT, write_tiny_experiments
from keras import layers, ops

from cifarcam import explain, models
from cifarcam.errors import CifarcamError
from cifarcam.explain.graph import flatten
from cifarcam.training import experiment

CLASSES = 5
SHAPE = (16, 16, 3)


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(1)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (6, *SHAPE)).astype(np.uint8)


def wide():
    """Weights that make probabilities differ."""
    return keras.initializers.RandomNormal(stddev=6)


def dense(activation=None, units=CLASSES, of=layers.Dense, **options):
    return of(units, activation=activation, kernel_initializer=wide(), **options)


def conv(activation=None):
    return layers.Conv2D(CLASSES, 1, activation=activation, kernel_initializer=wide())


def maps(**options):
    inputs = keras.Input(SHAPE, **options)
    x = layers.Rescaling(1 / 255)(inputs)
    return inputs, layers.Conv2D(8, 3, activation="relu", name="conv")(x)


def ending(*end, pooled=True, kind=keras.Model, **options):
    """A network that ends in layers or functions."""
    inputs, x = maps(**options)
    x = layers.GlobalAveragePooling2D(keepdims=not pooled)(x)
    for layer in end:
        x = layer(x)
    return kind(inputs, x)


def member():
    return ending(dense("softmax"))


def ensemble():
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, layers.Average()([member()(inputs), member()(inputs)]))


def nested():
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, layers.Identity()(member()(inputs)))


def nested_call():
    """A functional model with a `call` of its own, used as a layer."""
    inputs = keras.Input(SHAPE)
    features = ending(layers.Dense(6), kind=HalfBefore)(inputs)
    return keras.Model(inputs, dense("softmax")(features))


def joined(*activations):
    inputs, x = maps()
    x = layers.GlobalAveragePooling2D()(x)
    heads = [dense(activation, 2)(x) for activation in activations]
    return keras.Model(inputs, layers.Concatenate()(heads))


class TensorFlowHead(layers.Layer):
    """Weights and functions of TensorFlow, as in older code: the layer cannot be opened."""

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], CLASSES), initializer=wide())

    def call(self, x):
        return tf.nn.softmax(tf.matmul(x, self.w))


class Head(TensorFlowHead):
    """The same with functions of Keras."""

    def call(self, x):
        return ops.softmax(ops.matmul(x, self.w))


class LinearHead(TensorFlowHead):
    def call(self, x):
        return ops.matmul(x, self.w)


class Cosine(layers.Dense):
    """Scores are cosines: its `call` differs from the `call` of Dense."""

    def call(self, x, training=None):
        x = x / ops.norm(x, axis=-1, keepdims=True)
        kernel = self.kernel / ops.norm(self.kernel, axis=0, keepdims=True)
        return self.activation(10 * ops.matmul(x, kernel))


class TensorFlowCosine(layers.Dense):
    def call(self, x, training=None):
        kernel = tf.math.l2_normalize(tf.convert_to_tensor(self.kernel), 0)
        return self.activation(10 * tf.matmul(tf.math.l2_normalize(x, -1), kernel))


class Temperature(layers.Dense):
    def call(self, x, training=None):
        return ops.softmax(super().call(x) / 3.0)


class Pruned(layers.Dense):
    def call(self, x, training=None):
        mask = ops.cast(ops.abs(self.kernel) > 4, x.dtype)
        return self.activation(ops.matmul(x, self.kernel * mask))


class Smoothed(layers.Dense):
    def call(self, x, training=None):
        return 0.9 * super().call(x) + 0.1 / CLASSES


class AlwaysDropout(layers.Dropout):
    """Active in prediction as well, so that no two predictions agree."""

    def call(self, x, training=None):
        return super().call(x, training=True)


class HalfBefore(keras.Model):
    """A functional model whose own `call` scales the images before its graph."""

    def call(self, x, training=None):
        return super().call(0.5 * x, training=training)


class HalfAfter(keras.Model):
    def call(self, x, training=None):
        return 0.5 * super().call(x, training=training)


def softmax(x):
    """Another function of that name."""
    return ops.softmax(x / 2)


def quotient(z):
    return ops.exp(z) / ops.sum(ops.exp(z), axis=-1, keepdims=True)


def with_lora(mode=None):
    layer = dense("softmax")
    model = ending(layer)
    if mode:
        model.quantize(mode)
    layer.enable_lora(2)
    values = np.random.default_rng(0).normal(size=layer.lora_kernel_b.shape)
    layer.lora_kernel_b.assign(values)
    return model


def quantised(mode, *end):
    model = ending(*end)
    model.quantize(mode)
    return model


RIGHT = {
    "Dense(softmax)": lambda: ending(dense("softmax")),
    "Dense(sigmoid)": lambda: ending(dense("sigmoid")),
    "one sigmoid": lambda: ending(dense("sigmoid", 1)),
    "Dense, Softmax": lambda: ending(dense(), layers.Softmax()),
    "Dense, softmax of a scaled score": lambda: ending(dense(), lambda z: ops.softmax(z / 3.0)),
    "Dense(softmax), ActivityRegularization": lambda: ending(
        dense("softmax"), layers.ActivityRegularization(l1=1e-4)
    ),
    "Dense(softmax), GaussianNoise": lambda: ending(dense("softmax"), layers.GaussianNoise(0.1)),
    "Dense(softmax), Rescaling(1)": lambda: ending(dense("softmax"), layers.Rescaling(1.0)),
    "Dense(sigmoid), Flatten": lambda: ending(dense("sigmoid"), layers.Flatten()),
    "Conv2D(softmax), Flatten": lambda: ending(conv("softmax"), layers.Flatten(), pooled=False),
    "Conv2D(softmax), Reshape": lambda: ending(
        conv("softmax"), layers.Reshape((CLASSES,)), pooled=False
    ),
    "Conv2D(sigmoid), squeeze": lambda: ending(
        conv("sigmoid"), lambda p: ops.squeeze(p, (1, 2)), pooled=False
    ),
    "Conv2D(softmax) of one position, pooled": lambda: ending(
        conv("softmax"), layers.GlobalAveragePooling2D(), pooled=False
    ),
    "Dense(Softmax())": lambda: ending(dense(layers.Softmax())),
    "Dense(Softmax()) of another name": lambda: ending(dense(layers.Softmax(name="other"))),
    "SpectralNormalization(Dense(softmax))": lambda: ending(
        layers.SpectralNormalization(dense("softmax"))
    ),
    "EinsumDense(softmax)": lambda: ending(
        layers.EinsumDense("ab,bc->ac", CLASSES, activation="softmax")
    ),
    "sigmoids joined": lambda: joined("sigmoid", "sigmoid"),
    "a layer of functions of Keras": lambda: ending(Head()),
    "cosines": lambda: ending(dense("softmax", of=Cosine)),
    "cosines by TensorFlow": lambda: ending(dense("softmax", of=TensorFlowCosine)),
    "temperature": lambda: ending(dense(of=Temperature)),
    "pruned": lambda: ending(dense("softmax", of=Pruned)),
    "call before a graph": lambda: ending(dense("softmax"), kind=HalfBefore),
    "nested": nested,
    "call before a nested graph": nested_call,
    "LoRA": with_lora,
}
RIGHT_SCORES = {
    "Dense": lambda: ending(dense()),
    "one unit": lambda: ending(dense(units=1)),
    "Conv2D, pooled": lambda: ending(conv(), layers.GlobalMaxPooling2D(), pooled=False),
    "linear heads joined": lambda: joined(None, None),
    "SpectralNormalization(Dense)": lambda: ending(layers.SpectralNormalization(dense())),
    "cosines as scores": lambda: ending(dense(of=Cosine)),
    "a linear layer of functions of Keras": lambda: ending(LinearHead()),
    "a call after a graph": lambda: ending(dense(), kind=HalfAfter),
    "rectified maps, pooled": lambda: ending(
        layers.Conv2D(CLASSES, 1, activation="relu", bias_initializer="ones"),
        layers.GlobalAveragePooling2D(),
        pooled=False,
    ),
}
REFUSED = {
    "mean of two softmaxes": ensemble,
    "Conv2D(softmax), pooled": lambda: keras.Sequential(
        [keras.Input(SHAPE), conv("softmax"), layers.GlobalAveragePooling2D()]
    ),
    "Conv2D(softmax) of many positions, Flatten": lambda: keras.Sequential(
        [keras.Input(SHAPE), layers.AveragePooling2D(8), conv("softmax"), layers.Flatten()]
    ),
    "softmaxes joined": lambda: joined("softmax", "softmax"),
    "a softmax and a sigmoid joined": lambda: joined("softmax", "sigmoid"),
    "1 - p beside p": lambda: ending(
        dense("sigmoid", 1), lambda p: ops.concatenate([1 - p, p], axis=-1)
    ),
    "exponentials by their sum": lambda: ending(dense(), quotient),
    "smoothed labels": lambda: ending(dense("softmax"), lambda p: p * 0.9 + 0.02),
    "a softmax times a matrix": lambda: ending(
        dense("softmax"), lambda p: ops.matmul(p, np.eye(CLASSES, dtype="float32")[::-1])
    ),
    "a layer of functions of TensorFlow": lambda: ending(TensorFlowHead()),
    "cosines by TensorFlow as scores": lambda: ending(dense(of=TensorFlowCosine)),
    "smoothed within Dense": lambda: ending(dense("softmax", of=Smoothed)),
    "call after a graph": lambda: ending(dense("softmax"), kind=HalfAfter),
    "another softmax": lambda: ending(dense(), layers.Activation(softmax)),
    "dropout in prediction": lambda: ending(dense(), AlwaysDropout(0.5), layers.Softmax()),
    "softmax of one unit": lambda: ending(dense("softmax", 1)),
    "softmax over positions": lambda: keras.Sequential(
        [
            keras.Input((16, 1, 3)),
            layers.Reshape((16, 3)),
            dense(),
            layers.Softmax(axis=1),
            layers.Flatten(),
        ]
    ),
}
QUANTISED = {
    "int8": lambda: quantised("int8", dense("softmax")),
    "int8, sigmoid": lambda: quantised("int8", dense("sigmoid")),
    "int8, Softmax": lambda: quantised("int8", dense(), layers.Softmax()),
    "int8, LoRA": lambda: with_lora("int8"),
    "int4": lambda: quantised("int4", dense("softmax")),
    "float8": lambda: quantised("float8", dense("softmax")),
}


def some_fast(cases, *fast):
    """Cases of a parametrised test, all slow except some."""
    return [case if case in fast else pytest.param(case, marks=pytest.mark.slow) for case in cases]


def predicted(model, images):
    return model.predict(images.astype(np.float32), verbose=0).astype(np.float64)


def assert_equal_to_prediction(model, images, atol):
    classifier = explain.Classifier(model)
    assert classifier.activation in ("softmax", "sigmoid")
    computed = classifier.probabilities(images)
    own = predicted(model, images)
    np.testing.assert_allclose(computed[:, -own.shape[1] :], own, atol=atol)


@pytest.mark.parametrize("end", some_fast(RIGHT, "Dense(softmax)", "one sigmoid", "Dense, Softmax"))
def test_probabilities_are_the_models_own(end, images):
    assert_equal_to_prediction(RIGHT[end](), images, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("end", QUANTISED)
def test_probabilities_of_quantised_heads(end, images):
    assert_equal_to_prediction(QUANTISED[end](), images, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "tolerance"), [("int8", 0.03), ("int4", 0.3), ("float8", 0.1)])
def test_heatmaps_of_quantised_models_hardly_change(mode, tolerance, images):
    model = ending(dense("softmax"))
    expected = explain.GradCAM(model).signed_maps(images, 1)
    model.quantize(mode)
    result = explain.GradCAM(model).signed_maps(images, 1)
    np.testing.assert_allclose(result, expected, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("end", some_fast(RIGHT_SCORES, "Dense"))
def test_scores_without_activation_are_the_models_own(end, images):
    model = RIGHT_SCORES[end]()
    classifier = explain.Classifier(model)
    assert classifier.activation == "linear"
    own = predicted(model, images)
    scores = classifier.scores(images)[:, -own.shape[1] :]
    np.testing.assert_allclose(scores, own, rtol=1e-5, atol=1e-5)
    assert explain.Saliency(model)(images).any()


@pytest.mark.parametrize("end", some_fast(REFUSED, "mean of two softmaxes", "smoothed labels"))
def test_scores_that_differ_from_the_model_are_refused(end):
    with pytest.raises(CifarcamError) as refusal:
        explain.Classifier(REFUSED[end]())
    assert "\n" not in str(refusal.value)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("end", ["Dense(softmax)", "Conv2D(softmax), Flatten", "sigmoids joined"])
def test_probabilities_in_half_precision(policy, end, images):
    atol = {"mixed_float16": 2e-3, "mixed_bfloat16": 2e-2}[policy]
    assert_equal_to_prediction(under(policy, RIGHT[end]), images, atol)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("end", ["mean of two softmaxes", "1 - p beside p", "smoothed labels"])
def test_scores_that_differ_are_refused_in_half_precision(policy, end):
    with pytest.raises(CifarcamError):
        explain.Classifier(under(policy, REFUSED[end]))


def under(policy, make):
    keras.config.set_dtype_policy(policy)
    try:
        return make()
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.slow
def test_outputs_are_compared_with_their_own_scores(images):
    inputs, x = maps()
    x = layers.GlobalAveragePooling2D()(x)
    first, second = dense("softmax", name="a")(x), dense("softmax", 3, name="b")(x)
    smooth = layers.Rescaling(0.9, 0.02, name="smooth")(first)
    model = keras.Model(inputs, {"b": second, "a": first, "smooth": smooth})
    own = model.predict(images, verbose=0)
    for name, output in (("a", "a"), ("b", "b")):
        result = explain.Classifier(model, output).probabilities(images)
        np.testing.assert_allclose(result, own[name], atol=1e-5)
    with pytest.raises(CifarcamError, match="differ"):
        explain.Classifier(model, "smooth")


@pytest.mark.slow
def test_layers_keep_their_activation(images):
    model = ending(dense("softmax", name="top"))
    layer, before = model.get_layer("top"), predicted(model, images)
    held = dict(vars(layer))
    explain.GradCAM(model)(images)
    assert vars(layer) == held
    np.testing.assert_array_equal(predicted(model, images), before)


def test_weighted_layers_include_a_head_of_functions():
    """The randomisation test uses them, from the images to the score."""
    model = ending(Head(name="head"))
    named = [layer.name for layer in explain.Classifier(model).flat.weighted_layers()]
    assert named == ["conv", "head"]


def global_numbers():
    return str(np.random.get_state()), random.getstate()  # noqa: NPY002


class Counting(layers.Layer):
    """Counts its calls, draws from a seed and keeps a metric, in prediction as well."""

    def __init__(self, within=None, **options):
        super().__init__(**options)
        self.within = within
        self.seeds = keras.random.SeedGenerator(3)
        self.mean = keras.metrics.Mean()

    def build(self, shape):
        self.count = self.add_weight(shape=(), initializer="ones", trainable=False)

    def call(self, x):
        self.count.assign_add(1.0)
        self.mean.update_state(ops.mean(x))
        keras.random.uniform((1,), seed=self.seeds)
        return x if self.within is None else self.within(x)


class CountingModel(keras.Model):
    def __init__(self):
        super().__init__()
        self.count = Counting(layers.Conv2D(4, 3, activation="relu"), name="count")
        self.top = layers.Dense(CLASSES, activation="softmax")

    def call(self, x):
        return self.top(ops.mean(self.count(x), axis=(1, 2)))


def counting_subclass():
    model = CountingModel()
    model(np.zeros((1, *SHAPE), np.float32))
    return model


def compiled():
    model = ending(layers.BatchNormalization(), layers.Dropout(0.5), dense("softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(np.zeros((4, *SHAPE)), np.zeros(4), verbose=0)
    return model


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        compiled,
        counting_subclass,
        lambda: ending(Counting(), dense("softmax")),
        lambda: ending(Counting(layers.Dense(6)), dense("softmax")),
        lambda: ending(Counting(dense("softmax"))),
        lambda: ending(dense(), AlwaysDropout(0.5), layers.Softmax()),
    ],
)
def test_explainers_change_no_state(make, images):
    model = make()
    variables = [*model.variables, *model.metrics_variables]
    before = [np.array(variable) for variable in variables]
    drawn = global_numbers()
    nodes = [(len(o._inbound_nodes), len(o._outbound_nodes)) for o in model._flatten_layers()]
    with contextlib.suppress(CifarcamError):  # some are refused in the end
        explain.GradCAM(model)(images[:2])
        explain.Saliency(model)(images[:2])
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(np.array(variable), value, err_msg=variable.path)
    assert global_numbers() == drawn
    assert nodes == [
        (len(o._inbound_nodes), len(o._outbound_nodes)) for o in model._flatten_layers()
    ]
    assert not model.losses


class Tokens(layers.Layer):
    """Works on positions as tokens and uses the size of its batch in one of several ways."""

    def __init__(self, way, **options):
        super().__init__(**options)
        self.way = way
        self.inner = layers.Dense(8, activation="relu", name="inner")

    def build(self, shape):
        self.inner.build((None, 8))

    def call(self, x):
        _, height, width, channels = x.shape
        if self.way == "cond":
            return ops.cond(ops.mean(x) > -1, lambda: self.inner(x), lambda: x)
        batch = ops.shape(x)[0] if self.way in ("shape", "two open sizes") else -1
        if self.way == "two open sizes":
            x = self.inner(ops.reshape(x, (batch, -1, channels)))
            return ops.reshape(x, (batch, height, width, channels))
        if self.way == "windows":
            count = ops.shape(x)[0] * 2
            parts = self.inner(ops.reshape(x, (count, height // 2, width, channels)))
            return ops.reshape(parts, (count // 2, height, width, channels))
        x = self.inner(ops.reshape(x, (batch, height * width, channels)))
        return ops.reshape(x, (batch, height, width, channels))


class TokenModel(keras.Model):
    def __init__(self, way):
        super().__init__()
        self.conv = layers.Conv2D(8, 3, activation="relu", name="conv")
        self.tokens = Tokens(way, name="tokens")
        self.top = dense("softmax")
        self.way = way

    def call(self, x):
        x = self.tokens(self.conv(x / 255))
        batch = ops.shape(x)[0] if self.way == "shape" else -1
        return self.top(ops.mean(ops.reshape(x, (batch, 14 * 14, 8)), axis=1))


def token_layer(way):
    inputs, x = maps()
    x = layers.GlobalAveragePooling2D()(Tokens(way, name="tokens")(x))
    return keras.Model(inputs, dense("softmax")(x))


def token_model(way):
    model = TokenModel(way)
    model(np.zeros((1, *SHAPE), np.float32))
    return model


@pytest.mark.slow
@pytest.mark.parametrize("make", [token_layer, token_model])
@pytest.mark.parametrize(
    ("way", "opens"),
    [("shape", True), ("two open sizes", True), ("windows", False), ("cond", False)],
)
def test_layers_that_use_the_batch_size_are_opened_or_stay_whole(make, way, opens, images):
    model = make(way)
    assert_equal_to_prediction(model, images, 1e-5)
    for method in (explain.GradCAM, explain.Saliency, explain.AblationCAM):
        assert method(model)(images, 1).any()
    if opens:
        explainer = explain.GradCAM(model, "tokens/inner" if way == "cond" else "conv")
        twin = make("-1")
        twin.set_weights(model.get_weights())
        expected = explain.GradCAM(twin, "conv").signed_maps(images, 1)
        np.testing.assert_allclose(explainer.signed_maps(images, 1), expected, rtol=1e-4, atol=1e-7)
    else:
        with pytest.raises(CifarcamError, match="tokens could not be opened"):
            explain.GradCAM(model, "tokens/inner")


class Undecided(keras.Model):
    """A model that decides by its images what it computes."""

    def __init__(self):
        super().__init__()
        self.flat, self.top = layers.Flatten(), layers.Dense(CLASSES)

    def call(self, x):
        scores = self.top(self.flat(x))
        return ops.cond(ops.mean(x) > 1, lambda: scores, lambda: -scores)


def test_model_that_fails_on_symbolic_tensors_is_refused():
    model = Undecided()
    model(np.zeros((1, *SHAPE), np.float32))
    with pytest.raises(CifarcamError, match="Cond"):
        explain.Classifier(model)


def flat_network(side, deviation=0.02):
    """A network with gradients through a mean over all positions: the larger, the smaller they are."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((side, side, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, activation="tanh", name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(
                CLASSES, kernel_initializer=keras.initializers.RandomNormal(stddev=deviation)
            ),
            layers.Softmax(),
        ]
    )


@pytest.mark.slow
@pytest.mark.parametrize(("side", "deviation"), [(16, 0.02), (256, 0.02), (512, 0.02), (64, 3e3)])
def test_float16_keeps_small_gradients_and_does_not_overflow(side, deviation):
    twin = flat_network(side, deviation)
    half = under("mixed_float16", lambda: flat_network(side, deviation))
    half.set_weights(twin.get_weights())
    pixels = np.random.default_rng(0).integers(0, 256, (2, side, side, 3)).astype(np.uint8)
    twin, half = explain.Classifier(twin), explain.Classifier(half)
    for method in ("grad-cam", "saliency", "integrated-gradients"):
        options = {"steps": 2} if method == "integrated-gradients" else {}
        expected = explain.METHODS[method](twin, **options).signed_maps(pixels, 1)
        result = explain.METHODS[method](half, **options).signed_maps(pixels, 1)
        np.testing.assert_allclose(
            result, expected, atol=0.02 * np.abs(expected).max(), err_msg=method
        )


@pytest.mark.slow
def test_float16_scale_does_not_depend_on_the_batch():
    half = under("mixed_float16", lambda: flat_network(32, 3e3))
    pixels = np.random.default_rng(0).random((3, 32, 32, 3)).astype(np.float32)
    pixels *= np.array([255, 2, 0])[:, np.newaxis, np.newaxis, np.newaxis]
    explainer = explain.Saliency(half)
    alone = [explainer.signed_maps(pixels[n : n + 1], 0)[0] for n in range(3)]
    np.testing.assert_allclose(explainer.signed_maps(pixels, 0), alone, rtol=1e-5)


def padded():
    """A convolution to one position and a padding around it, which shows nothing new."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, strides=4, activation="relu", name="conv")(inputs)
    x = layers.Conv2D(4, 2, activation="relu", name="one")(x)
    x = layers.ZeroPadding2D(1, name="padding")(x)
    x = layers.Cropping2D(((0, 1), (0, 1)), name="crop")(x)
    x = ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    x = layers.Conv2D(4, 4, name="top")(x)
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))


def padded_within():
    inner = padded()
    backbone = keras.Model(inner.inputs, inner.get_layer("padding").output, name="backbone")
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(backbone(inputs))))


@pytest.mark.slow
def test_default_layer_is_no_padding():
    assert explain.GradCAM(padded()).layer == "conv"
    assert explain.GradCAM(padded_within()).layer == "backbone/conv"
    assert explain.GradCAM(padded(), "padding").layer == "padding"


@pytest.mark.parametrize(
    "last",
    [
        layers.Dropout(0.3),
        layers.SpatialDropout2D(0.3),
        layers.GaussianNoise(1.0),
        layers.Identity(),
    ],
    ids=lambda layer: layer.name,
)
def test_default_layer_is_none_that_only_acts_in_training(last, images):
    """Behind a pooling it would show the pooled map."""
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(layers.Rescaling(1 / 255)(inputs))
    x = layers.Flatten()(last(layers.MaxPooling2D()(x)))
    explainer = explain.GradCAM(keras.Model(inputs, layers.Dense(3)(x)))
    assert explainer.layer == "conv"
    assert explainer.signed_maps(images).shape == (len(images), SHAPE[0] - 2, SHAPE[1] - 2)


def test_default_layer_of_a_network_that_reads_along_an_open_width():
    """The columns of its last map are a sequence, and no tokens of a vision transformer."""
    inputs = keras.Input((16, None, 1))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(layers.Rescaling(1 / 255)(inputs))
    x = layers.Conv2D(4, (16, 3), activation="relu", name="columns")(x)
    x = layers.Dense(5, activation="relu")(layers.Reshape((-1, 4))(x))
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))
    assert explain.GradCAM(model).layer == "columns"


def branched(stem=(), side=None):
    """The means of two maps of the same images, joined; `side` takes the place of the second."""
    inputs = keras.Input(SHAPE)
    x = layers.Rescaling(1 / 255)(inputs)
    for layer in stem:
        x = layer(x)
    first = layers.Conv2D(3, 3, activation="relu", name="first")(x)
    second = layers.Conv2D(3, 5, activation="relu", name="second")(x) if side is None else side(x)
    means = [layers.GlobalAveragePooling2D()(each) for each in (first, second)]
    return keras.Model(inputs, layers.Dense(2, name="top")(layers.Concatenate()(means)))


@pytest.mark.slow
def test_default_layer_has_all_evidence_or_none_is_the_default(images):
    """Where two maps lead to the score, each map of its own shows half of the evidence."""
    model = branched()
    with pytest.raises(CifarcamError, match=r"made of 2 maps.*give layer=\['\w+', '\w+'\]") as e:
        explain.GradCAM(model)
    assert "'first'" in str(e.value) and "'second'" in str(e.value)
    assert explain.GradCAM(model, ["first", "second"])(images).shape == (6, 16, 16)
    assert explain.Saliency(model)(images).any()
    stem = [layers.Conv2D(4, 3, activation="relu", name="stem"), layers.MaxPooling2D(name="pool")]
    assert explain.GradCAM(branched(stem)).layer == "stem"
    # What bypasses the only map is no map.
    assert explain.GradCAM(branched(side=lambda x: x)).layer == "first"
    # Images that are only normalised are no evidence.
    assert explain.GradCAM(branched([layers.BatchNormalization()], lambda x: x)).layer == "first"


def test_default_layer_is_a_cut_though_a_later_map_is_none(images):
    """Weights of an attention pooling come last, and are no evidence."""
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(layers.Rescaling(1 / 255)(inputs))
    weights = layers.Softmax(axis=1)(layers.Flatten()(layers.Conv2D(1, 1, name="weights")(x)))
    pooled = layers.Dot(axes=1)([weights, layers.Reshape((-1, 4))(x)])
    model = keras.Model(inputs, layers.Dense(2, name="top")(pooled))
    assert explain.GradCAM(model).layer == "conv"


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        pytest.param("alexnet", "conv5", marks=pytest.mark.slow),
        ("baseline", "conv3"),
        pytest.param("custom-cnn-attention", "attention3_scale", marks=pytest.mark.slow),
        pytest.param("densenet-bc", "final_relu", marks=pytest.mark.slow),
        pytest.param("resnet18", "stage4_block2_relu2", marks=pytest.mark.slow),
        pytest.param("speedrun", "relu3b", marks=pytest.mark.slow),
        pytest.param("transformer", "encoder2_add2", marks=pytest.mark.slow),
        pytest.param("vgg19", "block5_relu4", marks=pytest.mark.slow),
    ],
)
def test_default_layer_of_each_network(name, layer):
    network = experiment.find(name)
    model = models.build(network.architecture, network.options)
    assert flatten(model).split(None).layer == layer


def of_fixed_batch(size, shape):
    inputs = keras.Input(batch_shape=(size, *SHAPE))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, dense("softmax")(ops.reshape(x, shape)))


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 4])
def test_models_of_one_batch_size_are_explained_or_refused(size, images):
    """A model that works with any batch size is explained; a model that does not is refused."""
    model = of_fixed_batch(size, (-1, 14 * 14 * 4))
    own = np.concatenate([model(images[n : n + size] * 1.0) for n in range(0, 4, size)])
    np.testing.assert_allclose(explain.Classifier(model).probabilities(images)[:4], own, atol=1e-5)
    message = rf"only takes batches of {size}.*batch size open \([Mm]atrix.*\)"
    with pytest.raises(CifarcamError, match=message) as refusal:
        explain.Classifier(of_fixed_batch(size, (size, -1)))
    assert "\n" not in str(refusal.value)


def channels_first(shape=(3, 16, 24)):
    inputs = keras.Input(shape)
    x = layers.Conv2D(4, 3)(layers.Permute((2, 3, 1))(inputs))
    return keras.Model(inputs, dense()(layers.GlobalAveragePooling2D()(x)))


def with_nan():
    model = ending(dense("softmax", name="top"))
    kernel, bias = model.get_layer("top").get_weights()
    model.get_layer("top").set_weights([np.full_like(kernel, np.nan), bias])
    return model


class Keras2:
    """Stands for a model of the package tf_keras."""


Keras2.__module__ = "tf_keras.src.engine.functional"


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        channels_first,
        lambda: channels_first((3, None, None)),
        lambda: channels_first((1, 32, 32)),
        lambda: ending(layers.Reshape((-1,)), layers.Lambda(lambda x: x)),
        lambda: keras.Model(
            (i := keras.Input((None, None, 3))), layers.Reshape((-1,))(i)
        ),  # any number of units
        with_nan,
        Keras2,
        object,
        lambda: np.zeros(3),
    ],
)
def test_models_of_other_kinds_are_refused(make):
    for method in ("grad-cam", "eigen-cam", "lime", "saliency"):
        with pytest.raises(CifarcamError) as refusal:
            explain.METHODS[method](make())
        assert "\n" not in str(refusal.value)


@pytest.mark.slow
def test_saliency_refuses_integer_images(images):
    model = ending(dense("softmax"), dtype="uint8")
    assert_equal_to_prediction(model, images, 1e-5)
    assert explain.GradCAM(model)(images).any()
    with pytest.raises(CifarcamError, match="casts to uint8"):
        explain.Saliency(model)


@pytest.mark.slow
def test_models_of_any_size_are_compared_at_a_fitting_size():
    def network(end):
        layer = [layers.Conv2D(4, 3, strides=3, activation="relu") for _ in range(4)]
        body = [keras.Input((None, None, 3)), layers.Rescaling(1 / 255), *layer]
        return keras.Sequential([*body, layers.GlobalAveragePooling2D(), *end])

    pixels = np.random.default_rng(0).integers(0, 256, (2, 130, 150, 3)).astype(np.uint8)
    assert_equal_to_prediction(network([dense("softmax")]), pixels, 1e-5)
    with pytest.raises(CifarcamError, match="differ"):
        explain.Classifier(network([dense("softmax"), layers.Rescaling(0.9, 0.02)]))
    for small in (
        pixels[:, :32, :40],
        pixels[:, :, :60],
    ):  # for which TensorFlow returns arbitrary values
        with pytest.raises(CifarcamError, match="fails on images of shape"):
            explain.GradCAM(network([dense("softmax")]))(small)


def of_any_size():
    """Half the size and back, joined: an odd size does not fit."""
    inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(layers.Rescaling(1 / 255)(inputs))
    down = layers.Conv2D(4, 3, strides=2, padding="same", name="down")(x)
    x = layers.Concatenate()([x, layers.UpSampling2D()(down)])
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="conv")(x))
    return keras.Model(inputs, dense("softmax")(x))


def test_pictures_of_many_sizes_need_no_graph_of_their_own(monkeypatch):
    model = of_any_size()
    explainer = explain.GradCAM(model, "conv")
    traces, own = [], type(explainer.classifier.flat).outputs
    monkeypatch.setattr(
        type(explainer.classifier.flat),
        "outputs",
        lambda flat, images: traces.append(images.shape) or own(flat, images),
    )
    rng = np.random.default_rng(0)
    for height, width in ((32, 40), (64, 32), (20, 48), (22, 50)):
        pixels = rng.integers(0, 256, (2, height, width, 3)).astype(np.uint8)
        assert explainer(pixels).shape == (2, height, width)
        np.testing.assert_allclose(
            explainer.classifier.probabilities(pixels), predicted(model, pixels), atol=1e-5
        )
    assert traces == [(1, 20, 48, 3)]  # the one size that is smaller than those before


def test_size_that_does_not_fit_is_named():
    explainer = explain.GradCAM(of_any_size(), "conv")
    for size in ((33, 40), (21, 21)):
        for call in (explainer, explainer.classifier.scores):
            message = rf"the model fails on images of shape \({size[0]}, {size[1]}, 3\): "
            with pytest.raises(CifarcamError, match=message) as refusal:
                call(np.zeros((1, *size, 3)))
            assert "\n" not in str(refusal.value)


def test_class_count_says_that_one_unit_counts_as_two():
    one, two = (explain.Classifier(ending(dense(units=n))).class_count for n in (1, 2))
    assert two == "2 classes"
    assert one.startswith("2 classes (its one output unit") and "give a score" in one


@pytest.mark.slow
def test_saved_model_of_tensorflow_is_refused(tmp_path, images):
    ending(dense("softmax")).export(tmp_path / "saved", verbose=False)
    saved = layers.TFSMLayer(tmp_path / "saved", call_endpoint="serve")
    with pytest.raises(CifarcamError, match="cannot be seen"):
        explain.Classifier(keras.Sequential([keras.Input(SHAPE), saved]))


def in_process(code, home=None, **environment):
    if home is not None:
        environment["KERAS_HOME"] = str(home)
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""} | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


COMMAND = "from cifarcam.cli import main; main(['explain', 'README.md'])"


@pytest.mark.slow
@pytest.mark.parametrize("by", ["environment", "configuration"])
def test_backend_other_than_tensorflow_is_refused(by, tmp_path):
    options = {"KERAS_BACKEND": "torch"}
    if by == "configuration":
        (tmp_path / "keras.json").write_text(json.dumps({"backend": "torch"}))
        options = {"home": tmp_path}
    stderr = in_process("import cifarcam.explain", **options).stderr
    assert stderr.splitlines()[-1].startswith("cifarcam.errors.CifarcamError: Keras ")
    if by == "environment":
        done = in_process(COMMAND, **options)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert "KERAS_BACKEND" in done.stderr
        assert in_process("import cifarcam.figures, cifarcam.data", **options).returncode == 0


@pytest.mark.slow
def test_backend_of_imported_keras_is_checked():
    code = (
        "import keras; keras.backend.backend = lambda: 'jax'\n"
        "from cifarcam.errors import CifarcamError\n"
        "try:\n    import cifarcam.explain\n"
        "except CifarcamError as error:\n    print(error)\n"
    )
    assert "jax" in in_process(code).stdout


@pytest.mark.slow
def test_settings_of_keras_change_no_network(tmp_path):
    """First weights and those after training, and heatmaps, to the bit."""
    (tmp_path / "keras.json").write_text(
        json.dumps({"image_data_format": "channels_first", "floatx": "float16"})
    )
    code = """
import hashlib, keras, numpy as np
from cifarcam import _devices, data, explain, models, training
from cifarcam.training import experiment
_devices.prepare()

def show(name, model):
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    arrays = [*model.get_weights(), explain.GradCAM(model)(images, 1)]
    print(name, {a.dtype.name for a in arrays}, hashlib.sha256(b"".join(map(bytes, arrays))).hexdigest())

for name in ("baseline", "transformer"):
    network = experiment.find(name)
    keras.utils.set_random_seed(0)
    show(name, models.build(network.architecture, network.options))
tiny = experiment.find(TINY).with_changes(dataset="sample")
show("trained", training.train(tiny, data.load("sample")).model)
print(keras.config.floatx(), keras.config.image_data_format())
""".replace("TINY", repr(str(tmp_path / "tiny.toml")))
    write_tiny_experiments(tmp_path)
    usual, changed = in_process(code), in_process(code, home=tmp_path)
    assert changed.returncode == 0, changed.stderr[-2000:]
    *networks, settings = changed.stdout.splitlines()
    assert networks == usual.stdout.splitlines()[:-1]
    assert settings == "float16 channels_first"  # the user's own, as they were
