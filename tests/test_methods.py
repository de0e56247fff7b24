"""Every method against an independent computation; every kind of model; invariances."""

import functools
import importlib
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from cifarcam import explain
from cifarcam.errors import CifarcamError
from cifarcam.explain import methods
from cifarcam.explain._draws import uniform

CLASSES = 4
# Methods of attention have tests of their own, with networks that have attention.
METHODS = {
    name: method
    for name, method in explain.METHODS.items()
    if not getattr(method, "needs_attention", False)
}
CAMS = [name for name, method in METHODS.items() if method.takes_layer]
PIXELS = [name for name, method in METHODS.items() if not method.takes_layer]
CLASS_BLIND = {"eigen-cam", "random", "centre"}
GRADIENTS = ("grad-cam", "hires-cam", "grad-cam++", "xgrad-cam", "layer-cam")


IMAGES = np.random.default_rng(3).integers(0, 256, (5, 8, 12, 3)).astype(np.uint8)


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(11)


@pytest.fixture
def images():
    return IMAGES.copy()


def some_fast(cases, *fast):
    """Cases of a parametrised test, all slow except some."""
    return [case if case in fast else pytest.param(case, marks=pytest.mark.slow) for case in cases]


def body(activation="relu"):
    return [
        layers.Rescaling(1 / 255, name="rescaling"),
        layers.Conv2D(5, 3, padding="same", activation="relu", name="conv1"),
        layers.MaxPooling2D(2, name="pool1"),
        layers.Conv2D(6, 3, padding="same", activation=activation, name="conv2"),
    ]


def top(end="softmax"):
    dense = layers.Dense(CLASSES, bias_initializer="normal", name="logits")
    flat = [layers.Flatten(name="flatten"), layers.Dense(7, activation="relu", name="dense")]
    ends = {"softmax": [dense, layers.Softmax()], "logits": [dense]}
    return [*flat, *ends[end]]


def cnn(end="softmax", shape=(8, 12, 3)):
    return keras.Sequential([keras.Input(shape), *body(), *top(end)])


@functools.cache
def classifier(network):
    """The first network of a test, as a classifier; made once, as are its explainers."""
    keras.utils.set_random_seed(11)
    return explain.Classifier(network())


@functools.lru_cache(None, typed=True)  # 4.0 is not 4
def explainer(name, network=cnn, **options):
    return explain.METHODS[name](classifier(network), **options)


@functools.cache
def maps_of_cnn(name):
    return explainer(name).signed_maps(IMAGES, 1)


def parts(model, images, target):
    """Activations of conv2, gradients by them and scores, with Keras and a tape alone."""
    stem = keras.Model(model.inputs[0], model.get_layer("conv2").output)
    head = keras.Model(model.get_layer("conv2").output, model.get_layer("logits").output)
    activations = stem(images)
    with tf.GradientTape() as tape:
        tape.watch(activations)
        scores = head(activations)
        score = scores[:, target]
    gradients = tape.gradient(score, activations)
    return (np.asarray(x, np.float64) for x in (activations, gradients, scores)), head


def by_definition(name, a, g):
    """A method's formula in NumPy, image by image, channel by channel."""
    maps = np.zeros(a.shape[:3])
    for n in range(len(a)):
        for k in range(a.shape[-1]):
            activation, gradient = a[n, ..., k], g[n, ..., k]
            if name == "grad-cam":
                weight = gradient.mean()
            elif name == "hires-cam":
                weight = gradient
            elif name == "layer-cam":
                weight = np.maximum(gradient, 0)
            elif name == "xgrad-cam":
                total = activation.sum()
                weight = (activation / total * gradient).sum() if total else 0.0
            else:
                below = 2 * gradient**2 + activation.sum() * gradient**3
                alpha = np.divide(gradient**2, below, out=np.zeros_like(below), where=below != 0)
                weight = (alpha * np.maximum(gradient, 0)).sum()
            maps[n] += weight * activation
    return maps


@pytest.mark.parametrize("name", some_fast(GRADIENTS, "grad-cam++", "layer-cam"))
def test_gradient_methods_agree_with_their_formula(name, images):
    assert explainer(name).layer == "conv2"
    for target in range(CLASSES):
        (a, g, _), _ = parts(classifier(cnn).model, images, target)
        expected = by_definition(name, a, g)
        assert np.abs(expected).max() > 0
        maps = explainer(name).signed_maps(images, target)
        np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())


@pytest.mark.slow
def test_gradient_methods_differ_from_each_other():
    maps = [maps_of_cnn(name) for name in GRADIENTS]
    for first in range(len(maps)):
        for second in range(first):
            assert np.abs(maps[first] - maps[second]).max() > 1e-3 * np.abs(maps[first]).max()


@pytest.mark.slow
def test_hires_cam_sums_to_the_score_of_a_linear_head(images):
    model = keras.Sequential(
        [keras.Input((8, 12, 3)), *body(), layers.Flatten(), layers.Dense(CLASSES, name="logits")]
    )
    model.get_layer("logits").bias.assign([1.0, -2.0, 3.0, 0.5])
    scores = model.predict(images, verbose=0)
    maps = explain.METHODS["hires-cam"](model, "conv2").signed_maps(images, 2)
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), scores[:, 2] - 3.0, rtol=1e-4, atol=1e-5)


def with_dead_channels():
    """One channel of conv2 is zero everywhere and one constant."""
    model = cnn()
    kernel, bias = model.get_layer("conv2").get_weights()
    kernel[..., 0], bias[0] = 0, -1  # dead behind its ReLU
    kernel[..., 1], bias[1] = 0, 2
    model.get_layer("conv2").set_weights([kernel, bias])
    return model


@pytest.mark.slow
@pytest.mark.parametrize("network", [cnn, with_dead_channels])
def test_score_cam_agrees_with_one_mask_at_a_time(images, network):
    scores = classifier(network).scores
    (activations, _, _), _ = parts(classifier(network).model, images, 1)
    for n, image in enumerate(images.astype(np.float32)):
        gains = []
        black = scores(np.zeros_like(image)[np.newaxis])[0, 1]
        for k in range(activations.shape[-1]):
            mask = tf.image.resize(activations[n, ..., k, None], (8, 12)).numpy()[..., 0]
            span = mask.max() - mask.min()
            mask = (mask - mask.min()) / span if span else np.zeros_like(mask)
            masked = (image * mask[..., None])[np.newaxis].astype(np.float32)
            gains.append(scores(masked)[0, 1] - black)
        weights = np.exp(gains) / np.exp(gains).sum()
        expected = activations[n] @ weights
        result = explainer("score-cam", network).signed_maps(images[n : n + 1], 1)[0]
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("network", [cnn, with_dead_channels])
@pytest.mark.parametrize("target", [0, 3])
def test_ablation_cam_agrees_with_one_channel_at_a_time(images, target, network):
    (activations, _, scores), head = parts(classifier(network).model, images, target)
    weights = np.zeros((len(images), 6))
    for k in range(6):
        ablated = activations.copy()
        ablated[..., k] = 0
        without = head(ablated.astype(np.float32)).numpy()[:, target]
        weights[:, k] = (scores[:, target] - without) / np.abs(scores[:, target])
    expected = np.einsum("nijk,nk->nij", activations, weights)
    result = explainer("ablation-cam", network).signed_maps(images, target)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=2e-6 * np.abs(weights).max())


@pytest.mark.slow
def test_dead_channels_make_no_map_infinite(images):
    for name in CAMS:
        assert np.isfinite(explainer(name, with_dead_channels)(images)).all(), name


def test_eigen_cam_is_the_first_singular_projection(images):
    (activations, _, _), _ = parts(classifier(cnn).model, images, 0)
    result = explainer("eigen-cam").signed_maps(images)
    for n, each in enumerate(activations):
        _, _, v = np.linalg.svd(each.reshape(-1, each.shape[-1]), full_matrices=False)
        expected = each @ v[0]
        expected *= np.sign(expected.sum())
        np.testing.assert_allclose(result[n], expected, rtol=1e-4, atol=1e-6)


def smooth_network():
    """Linear up to its logits, so that gradients are the weights themselves."""
    return keras.Sequential(
        [keras.Input((8, 12, 3)), layers.Flatten(), layers.Dense(CLASSES, name="logits")]
    )


@pytest.mark.parametrize("name", some_fast(("saliency", "smoothgrad"), "saliency"))
def test_saliency_of_a_linear_model_is_its_weights(images, name):
    model = smooth_network()
    kernel = model.get_layer("logits").kernel.numpy().reshape(8, 12, 3, CLASSES)
    result = explain.METHODS[name](model, input_range=(0, 1)).signed_maps(images / 255, 2)
    expected = np.abs(kernel[..., 2]).max(axis=-1)
    np.testing.assert_allclose(result, np.broadcast_to(expected, result.shape), rtol=1e-4)


@pytest.mark.slow
def test_integrated_gradients_are_complete(images):
    fine = explainer("integrated-gradients", steps=256)
    signed = fine.signed_maps(images, 1).astype(np.float64)
    scores = fine.classifier.scores(images)[:, 1]
    black = fine.classifier.scores(np.zeros_like(images[:1]))[0, 1]
    np.testing.assert_allclose(signed.sum(axis=(1, 2)), scores - black, rtol=1e-2, atol=2e-3)
    linear = smooth_network()
    kernel = linear.get_layer("logits").kernel.numpy().reshape(8, 12, 3, CLASSES)[..., 1]
    limited = explain.Classifier(linear, input_range=(5, 55))
    for baseline, start in ((0.0, 5), (0.1, 10), (1.0, 55)):  # shares of the range
        own = explain.IntegratedGradients(limited, steps=3, baseline=baseline)
        expected = ((images.astype(np.float64) - start) * kernel).sum(axis=-1)
        np.testing.assert_allclose(own.signed_maps(images, 1), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lime", "shap", "occlusion"])
def test_hidden_cells_lose_every_channel_of_images_that_are_not_pictures(name):
    """Four channels, of which the third alone counts."""
    images = np.random.default_rng(4).integers(0, 256, (2, 8, 8, 4)).astype(np.uint8)
    model = keras.Sequential(
        [keras.Input((8, 8, 4)), layers.Flatten(), layers.Dense(2, name="logits")]
    )
    kernel = np.zeros((8, 8, 4, 2), np.float32)
    kernel[:, :, 2, 0] = np.random.default_rng(5).normal(size=(8, 8))
    model.get_layer("logits").set_weights([kernel.reshape(-1, 2), np.zeros(2)])
    weighed = (images * kernel[..., 0]).sum(axis=-1)
    expected = weighed.reshape(2, 2, 4, 2, 4).sum(axis=(2, 4))
    limited = explain.Classifier(model, input_range=(0, 255))
    options = {"window": 1} if name == "occlusion" else {}
    result = explain.METHODS[name](limited, grid=2, **options).signed_maps(images, 0)[:, ::4, ::4]
    np.testing.assert_allclose(result, expected, atol=0.05 * np.abs(expected).max())


@pytest.mark.parametrize("name", some_fast(METHODS, "grad-cam"))
def test_methods_do_not_depend_on_batches(name, images):
    explained = explainer(name)
    whole = explained(images)
    order = np.random.default_rng(0).permutation(len(images))
    assert whole.shape == images.shape[:3] and whole.dtype == np.float32 and whole.min() >= 0
    for other in (
        explained(images, batch_size=2),
        explained(images[order], batch_size=3)[np.argsort(order)],
        explained(images.astype(np.float64)),
    ):
        np.testing.assert_allclose(other, whole, rtol=2e-5, atol=1e-6 * whole.max())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lime", "rise"])
def test_samples_are_drawn_for_one_image_at_a_time(name, images, monkeypatch):
    """The numbers of all images, n x samples x cells, would fill the memory."""
    module = importlib.import_module(f"cifarcam.explain.methods.{name}")
    counts = []

    def counted(seeds, *arguments, **options):
        counts.append(seeds.shape[0])
        return uniform(seeds, *arguments, **options)

    monkeypatch.setattr(module, "uniform", counted)
    explained = explain.METHODS[name](classifier(cnn), samples=20)
    maps = explained(images, 1, batch_size=8)
    assert set(counts) == {1}
    singles = [explained(images[n : n + 1], 1)[0] for n in range(len(images))]
    np.testing.assert_allclose(maps, singles, rtol=1e-4, atol=1e-5 * maps.max())


@pytest.mark.parametrize("name", some_fast(METHODS, "grad-cam"))
def test_methods_follow_their_target(name, images):
    maps = [explainer(name).signed_maps(images, k) for k in range(CLASSES)]
    changed = [np.abs(maps[0] - other).max() > 1e-4 * np.abs(maps[0]).max() for other in maps[1:]]
    assert not any(changed) if name in CLASS_BLIND else all(changed)
    predicted = classifier(cnn).scores(images).argmax(axis=1)
    np.testing.assert_allclose(
        explainer(name).signed_maps(images),
        [maps[k][n] for n, k in enumerate(predicted)],
        rtol=1e-4,
        atol=1e-6,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "usual", "changes"),
    [
        # From black a network without biases is linear along the path; from grey it is not.
        ("integrated-gradients", {"steps": 1, "baseline": 0.4}, [{"steps": 9}, {"baseline": 1}]),
        ("smoothgrad", {"samples": 5}, [{"samples": 3}, {"noise": 0.5}, {"seed": 1}]),
        ("random", {}, [{"seed": 1}]),
        ("lime", {"samples": 40}, [{"samples": 80}, {"grid": 2}, {"seed": 1}]),
        ("shap", {}, [{"grid": 2}, {"permutations": 1}, {"seed": 1}]),
        ("occlusion", {}, [{"grid": 4}, {"window": 1}]),
        ("rise", {"samples": 40}, [{"samples": 80}, {"grid": 2}, {"seed": 1}]),
        ("finer-cam", {}, [{"similar": 1}, {"strength": 0.5}]),
    ],
)
def test_options_have_an_effect(images, name, usual, changes):
    one = explainer(name, **usual).signed_maps(images[:2], 0)
    for change in changes:
        other = explainer(name, **usual | change).signed_maps(images[:2], 0)
        assert one.shape != other.shape or np.abs(one - other).max() > 1e-6 * np.abs(one).max()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda m: explain.IntegratedGradients(m, steps=0), "steps is 0"),
        (lambda m: explain.SmoothGrad(m, samples=0), "samples is 0"),
        (lambda m: explain.SmoothGrad(m, noise=-1), "noise is -1"),
        (lambda m: explain.Saliency(m, "conv2"), "saliency explains the pixels"),
        (lambda m: explain.GradCAM(m, []), "list of layers is empty"),
        (lambda m: explain.GradCAM(m, output="other"), "no output 'other'"),
        (lambda m: explain.GradCAM("model"), "str is not a Keras model"),
        (
            lambda m: explain.GradCAM(m, m.get_layer("conv2")),
            "layer is a Conv2D; give the layer's name, 'conv2'",
        ),
        (
            lambda m: explain.GradCAM(m, ["conv1", m.get_layer("conv2")]),
            "layer is a Conv2D; give the layer's name, 'conv2'",
        ),
        (lambda m: explain.GradCAM(m, 2), "layer is a int; give the layer's name"),
    ],
)
def test_options_out_of_range_are_refused(make, message):
    with pytest.raises(CifarcamError, match=message):
        make(cnn())


COUNTS = [
    ("integrated-gradients", "steps"),
    ("smoothgrad", "samples"),
    ("expected-gradients", "samples"),
    ("occlusion", "grid"),
    ("occlusion", "window"),
    ("rise", "grid"),
    ("rise", "samples"),
    ("lime", "grid"),
    ("lime", "samples"),
    ("shap", "grid"),
    ("shap", "permutations"),
    ("finer-cam", "similar"),
]


@pytest.mark.parametrize(("name", "option"), COUNTS)
def test_counts_are_whole_numbers(name, option):
    for value in (2.5, 4.0, "4", None, True, -1, float("nan")):
        with pytest.raises(CifarcamError, match=rf"{option} is {re.escape(repr(value))}; give"):
            explainer(name, **{option: value})
    assert getattr(explainer(name, **{option: np.int64(4)}), option) == 4


@pytest.mark.parametrize(("name", "option"), [("smoothgrad", "noise"), ("finer-cam", "strength")])
def test_measures_are_finite_numbers(name, option):
    for value in ("0.1", None, float("nan"), float("inf"), -0.1):
        with pytest.raises(CifarcamError, match=f"{option} is .*; give a finite number"):
            explainer(name, **{option: value})
    assert getattr(explainer(name, **{option: np.float32(0.5)}), option) == 0.5


@pytest.mark.parametrize("size", [2.0, "8", 0, None])
def test_batch_size_is_a_whole_number(images, size):
    with pytest.raises(CifarcamError, match=r"batch_size is .*; give a whole number, at least 1"):
        explainer("grad-cam")(images, batch_size=size)


def test_images_of_different_sizes_are_refused(images):
    pair = [images[0], images[1][:-2]]
    for call in (explainer("grad-cam"), explainer("grad-cam").classifier.scores):
        with pytest.raises(CifarcamError, match="the images differ in shape") as refusal:
            call(pair)
        assert "\n" not in str(refusal.value)


def test_methods_are_listed_once():
    """The order of `METHODS` is that of its module, and all names are exported."""
    classes = {method.__name__ for method in explain.METHODS.values()}
    assert set(methods.__all__) == classes | {"METHODS"}
    assert set(methods.__all__) < set(explain.__all__)
    assert explain.METHODS is methods.METHODS
    assert all(name == method.name for name, method in explain.METHODS.items())


@pytest.mark.slow
def test_layers_are_averaged_after_scaling(images):
    model = classifier(cnn)
    both = explain.GradCAM(model, ["conv1", "conv2"])
    assert both.layers == ("conv1", "conv2")
    single = [explain.GradCAM(model, name)(images, 0) for name in both.layers]
    peaks = [np.maximum(m.max(axis=(1, 2), keepdims=True), 1e-30) for m in single]
    expected = sum(m / peak for m, peak in zip(single, peaks, strict=True)) / 2
    np.testing.assert_allclose(both(images, 0), expected, rtol=1e-4, atol=1e-6)
    with pytest.raises(CifarcamError, match="several"):
        both.signed_maps(images)


def same_maps(model, images, layer="conv2", rtol=1e-4, except_for=(), **options):
    """Check that all methods explain a model of `cnn`'s weights as they explain `cnn`."""
    shared = explain.Classifier(model, **options)
    for name in set(CAMS) - set(except_for):
        result = explain.METHODS[name](shared, layer).signed_maps(images, 1)
        expected = maps_of_cnn(name)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(result, expected, rtol=rtol, atol=rtol * scale, err_msg=name)


@pytest.mark.slow
def test_backbone_is_opened_at_two_depths(images):
    flat = cnn()
    inner = keras.Sequential([keras.Input((8, 12, 3)), *flat.layers[:3]], name="inner")
    source = keras.Input((8, 12, 3))
    backbone = keras.Model(source, flat.layers[3](inner(source)), name="backbone")
    inputs = keras.Input((8, 12, 3))
    x = backbone(inputs)
    for layer in flat.layers[4:]:
        x = layer(x)
    nested = keras.Model(inputs, x)
    same_maps(nested, images)
    nested = explain.Classifier(nested)
    assert explain.GradCAM(nested).layer == "backbone"  # its output is conv2's
    assert explain.GradCAM(nested, "backbone/conv2").layer == "backbone/conv2"
    assert explain.GradCAM(nested, "conv1").layer == "backbone/inner/conv1"
    np.testing.assert_allclose(
        explain.GradCAM(nested, "conv1").signed_maps(images, 0),
        explain.GradCAM(classifier(cnn), "conv1").signed_maps(images, 0),
        rtol=1e-4,
        atol=1e-7,
    )


class Augmented(layers.Layer):
    """Does not pass `training` on to its inner layer, which is active by default."""

    def __init__(self, **options):
        super().__init__(**options)
        self.flip = layers.RandomFlip("horizontal", seed=1)

    def call(self, x):
        return self.flip(x)


@pytest.mark.slow
@pytest.mark.parametrize("make", [lambda: layers.RandomFlip("horizontal", seed=1), Augmented])
def test_augmentation_within_the_model_is_off(make, images):
    reference = cnn()
    model = keras.Sequential([keras.Input((8, 12, 3)), make(), *reference.layers])
    assert np.abs(model(images, training=True) - model(images, training=False)).max() > 1e-3
    many = np.concatenate([images] * 4)
    shared = explain.Classifier(model)
    np.testing.assert_allclose(
        shared.probabilities(many), model.predict(many, verbose=0), rtol=1e-4
    )
    np.testing.assert_allclose(
        explain.GradCAM(shared, "conv2")(many, 1),
        explainer("grad-cam")(many, 1),
        rtol=1e-4,
        atol=1e-7,
    )


class Block(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.conv = layers.Conv2D(6, 3, padding="same", activation="relu", name="conv2")

    def build(self, shape):
        self.conv.build(shape)

    def call(self, x):
        return self.conv(x)


class Subclassed(keras.Model):
    """A model with a ``call``, a block of layers and an operation of Keras."""

    def __init__(self, followable=True):
        super().__init__()
        self.stem = body()[:3]
        self.block = Block(name="block")
        self.drop = layers.Dropout(0.5)
        self.top = top()
        self.followable = followable

    def call(self, x, training=False):
        for layer in self.stem:
            x = layer(x)
        x = self.block(x)
        x = keras.ops.maximum(x, 0) if self.followable else tf.nn.relu(x)
        x = self.drop(x, training=training)
        for layer in self.top:
            x = layer(x)
        return x


@pytest.mark.slow
def test_subclassed_model_is_explained_like_its_graph(images):
    model = Subclassed()
    with pytest.raises(CifarcamError, match="call it once on images"):
        explain.GradCAM(model, "conv2")
    model(images)
    reference = classifier(cnn).model
    model.set_weights(reference.get_weights())
    before = model(images).numpy()
    np.testing.assert_allclose(reference(images).numpy(), before, rtol=1e-5)
    same_maps(model, images)
    assert explain.GradCAM(model, "conv2").layer == "block/conv2"
    assert not model.block.conv._inbound_nodes  # no call is left on its layers
    np.testing.assert_array_equal(model(images).numpy(), before)
    inputs = keras.Input((8, 12, 3))
    same_maps(keras.Model(inputs, model(inputs)), images)


@pytest.mark.slow
def test_subclassed_model_of_other_functions_is_refused(images):
    model = Subclassed(followable=False)
    model(images)
    with pytest.raises(
        CifarcamError, match=r"fails on symbolic tensors: .*; build it from Keras layers"
    ):
        explain.GradCAM(model, "conv2")


@pytest.mark.slow
def test_outputs_are_explained_by_name_or_index(images):
    base = cnn("logits")
    inputs = base.inputs[0]
    other = layers.Dense(2, activation="softmax", name="other")(base.get_layer("dense").output)
    model = keras.Model(inputs, [other, layers.Softmax(name="main")(base.outputs[0])])
    same_maps(model, images, output="main")
    np.testing.assert_allclose(
        explain.GradCAM(model, output=1).signed_maps(images, 1),
        maps_of_cnn("grad-cam"),
        rtol=1e-4,
        atol=1e-7,
    )
    assert explain.GradCAM(model, output="other").classifier.classes == 2
    with pytest.raises(CifarcamError, match=r"name the output to explain: 0 \(other\), 1 \(main\)"):
        explain.GradCAM(model)


def ends(dense, end):
    softmax = {"softmax": keras.activations.softmax, "sigmoid": keras.activations.sigmoid}
    if end == "separate softmax":
        return [dense, layers.Activation("softmax")]
    if end == "separate sigmoid":
        return [dense, layers.Activation("sigmoid")]
    if end == "softmax, then a linear layer":
        dense.activation = softmax["softmax"]
        return [dense, layers.Activation("linear", dtype="float32")]
    dense.activation = tf.nn.softmax if end == "TensorFlow's softmax" else softmax[end]
    return [dense]


@pytest.mark.slow
@pytest.mark.parametrize(
    "end",
    [
        "softmax",
        "sigmoid",
        "separate softmax",
        "separate sigmoid",
        "softmax, then a linear layer",
        "TensorFlow's softmax",
    ],
)
def test_ends_of_a_model_give_the_same_maps(end, images):
    reference = cnn("logits")
    dense = layers.Dense(CLASSES, name="end")
    model = keras.Sequential([keras.Input((8, 12, 3)), *reference.layers[:-1], *ends(dense, end)])
    dense.set_weights(reference.layers[-1].get_weights())
    # ShapleyCAM explains the logarithm of the probability as well.
    same_maps(model, images, except_for=["shapley-cam"] if "sigmoid" in end else [])
    ended = explain.Classifier(model)
    np.testing.assert_allclose(
        ended.scores(images), reference.predict(images, verbose=0), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        ended.probabilities(images), model.predict(images, verbose=0), rtol=1e-4, atol=1e-6
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "words"),
    [
        ([layers.ReLU(name="end")], "'end' through relu"),
        ([layers.Lambda(keras.ops.softmax, name="end")], "'end' through lambda"),
        ([layers.Activation("log_softmax", name="end")], "'end' through log_softmax"),
        ([layers.Activation("hard_sigmoid", name="end")], "'end' through hard_sigmoid"),
    ],
)
def test_ends_without_a_known_score_are_refused(end, words):
    with pytest.raises(CifarcamError) as refusal:
        explain.GradCAM(keras.Sequential([keras.Input((8, 12, 3)), *body(), *top("logits"), *end]))
    assert words in str(refusal.value)


@pytest.mark.slow
def test_function_at_the_end_is_removed_or_refused(images):
    reference = cnn("logits")
    ended = {
        name: keras.Model(reference.inputs, end(reference.outputs[0]))
        for name, end in (("softmax", keras.ops.softmax), ("log", keras.ops.log_softmax))
    }
    same_maps(ended["softmax"], images)
    with pytest.raises(CifarcamError, match="through logsoftmax"):
        explain.GradCAM(ended["log"])


@pytest.mark.slow
def test_call_that_fails_without_a_message_is_named_by_its_error():
    class Unfinished(keras.Model):
        def call(self, x):
            raise NotImplementedError

    model = Unfinished()
    model.build((None, 8, 12, 3))
    with pytest.raises(CifarcamError, match="fails on symbolic tensors: NotImplementedError"):
        explain.GradCAM(model)


@pytest.mark.slow
def test_sigmoid_unit_stands_for_two_classes(images):
    model = keras.Sequential(
        [
            keras.Input((8, 12, 3)),
            *body(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    binary = explain.GradCAM(model, "conv2")
    assert binary.classifier.classes == 2
    first, second = (binary.signed_maps(images, k) for k in (0, 1))
    np.testing.assert_allclose(first, -second, rtol=1e-6)
    probability = model.predict(images, verbose=0)[:, 0]
    np.testing.assert_allclose(
        binary.classifier.probabilities(images),
        np.stack([1 - probability, probability], axis=1),
        rtol=1e-4,
    )
    with pytest.raises(CifarcamError, match="classes are 0 to 1"):
        binary(images, 2)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_hardly_changes_the_maps(policy, images):
    keras.config.set_dtype_policy(policy)
    try:
        model = cnn()
    finally:
        keras.config.set_dtype_policy("float32")
    model.set_weights(classifier(cnn).model.get_weights())
    same_maps(model, images, rtol=0.15 if policy == "mixed_bfloat16" else 0.02)
    shared = explain.Classifier(model)
    for name in PIXELS:
        assert np.isfinite(explain.METHODS[name](shared)(images[:2])).all()


@pytest.mark.slow
def test_reloaded_model_gives_the_same_maps(images, tmp_path):
    model = cnn()
    model.save(tmp_path / "m.keras")
    same_maps(keras.saving.load_model(tmp_path / "m.keras"), images, rtol=1e-6)


@pytest.mark.slow
def test_methods_explain_grey_images_of_any_size():
    model = keras.Sequential(
        [
            keras.Input((None, None, 1)),
            *body(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(CLASSES, name="logits"),
        ]
    )
    shared = explain.Classifier(model)
    for name, method in METHODS.items():
        of_any_size = method(shared)
        for shape in ((2, 8, 8, 1), (2, 12, 20, 1)):
            grey = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
            maps = of_any_size(grey)
            assert maps.shape == shape[:3] and maps.any(), name


@pytest.mark.slow
def test_heatmap_without_evidence_is_zero(images):
    """A score that falls with every activation, for every method with signed maps."""
    model = keras.Sequential(
        [
            keras.Input((8, 12, 3)),
            layers.Conv2D(2, 1, activation="relu", use_bias=False, name="conv2"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, use_bias=False, name="logits"),
        ]
    )
    model.set_weights([np.ones((1, 1, 3, 2)), np.array([[-1.0, 1.0], [-2.0, 1.0]])])
    shared = explain.Classifier(model, input_range=(0, 255))
    dark = np.zeros_like(images)
    for name, method in METHODS.items():
        explained = method(shared)
        if name in (*GRADIENTS, "ablation-cam"):
            np.testing.assert_array_equal(explained(images, 0), 0)
            assert (explained(images, 1) > 0).any()
        assert np.isfinite(explained(dark)).all(), name


def test_null_maps_are_symmetric_or_decided_by_the_image(images):
    blob = explainer("centre")(images)
    np.testing.assert_allclose(blob, blob[:, ::-1, ::-1], rtol=1e-5)
    assert blob[0].argmax() in (3 * 12 + 5, 3 * 12 + 6, 4 * 12 + 5, 4 * 12 + 6)
    np.testing.assert_allclose(blob[0, 0, 0], np.exp(-8 * ((3.5 / 8) ** 2 + (5.5 / 12) ** 2)), 1e-5)
    random = explainer("random").signed_maps(np.concatenate([images, images]))
    np.testing.assert_array_equal(random[:5], random[5:])
    assert len(np.unique(random[:5])) == 5 * 64


def test_registry_has_paper_cost_and_example():
    for name, method in explain.METHODS.items():
        assert method.name == name
        assert method.reference and method.cost and method.__doc__
        assert f">>> explainer = {method.__name__}(model" in method.__doc__
