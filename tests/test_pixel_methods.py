"""Methods that explain pixels by gradients: closed forms, completeness, and a check that one fails."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import ROOT
from keras import layers, ops

from cifarcam import data, explain, runs
from cifarcam.errors import CifarcamError
from cifarcam.explain import metrics
from cifarcam.explain._draws import image_digests, normal, uniform
from cifarcam.explain.base import Batch

CLASSES = 4
SHAPE = (8, 12, 3)
IMAGES = np.random.default_rng(3).integers(0, 256, (5, *SHAPE)).astype(np.uint8)
NOISY = {
    "smoothgrad": explain.SmoothGrad,
    "smoothgrad-squared": explain.SmoothGradSquared,
    "vargrad": explain.VarGrad,
}


def cnn(activation="relu", preprocessing=(), head=()):
    """A small network with biases, batch normalisation and a residual connection."""
    keras.utils.set_random_seed(11)
    conv = functools.partial(layers.Conv2D, padding="same", bias_initializer="normal")
    image = keras.Input(SHAPE)
    x = image
    for layer in preprocessing or [layers.Rescaling(1 / 255)]:
        x = layer(x)
    x = conv(5, 3, activation=activation)(x)
    before = x = layers.MaxPooling2D(2)(x)
    x = conv(5, 3, use_bias=False)(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Activation(activation)(x)
    x = layers.Add()([x, before])
    x = conv(6, 3, activation=activation)(x)
    for layer in head:
        x = layer(x)
    x = layers.Flatten()(x)
    x = layers.Dense(7, activation=activation, bias_initializer="normal")(x)
    model = keras.Model(image, layers.Dense(CLASSES, "softmax", bias_initializer="normal")(x))
    rng = np.random.default_rng(5)
    for variable in model.get_layer("norm").weights:
        variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return model


@functools.cache
def classifier():
    return explain.Classifier(cnn())


def of_images(score, shape=(4, 6, 1), **options):
    """A classifier whose explained score is a function of the images themselves."""
    image = keras.Input(shape)
    model = keras.Model(image, layers.Identity()(image))
    options = {"input_range": (0, 1)} | options
    return explain.Classifier(model, score=lambda images, _: score(images), **options)


def total(terms):
    return tf.reduce_sum(terms, axis=(1, 2, 3))


def seeds_of(images, seed):
    first = np.full(len(images), seed, np.uint32)
    return tf.constant(np.stack([first, image_digests(images)], axis=1).view(np.int32))


# --- SmoothGrad, SmoothGrad-Squared, VarGrad ---------------------------------------------------


@pytest.mark.parametrize("name", NOISY)
def test_noisy_gradients_agree_with_numpy(name):
    samples, target = 6, 2
    images = IMAGES.astype(np.float32)
    maps = NOISY[name](classifier(), samples=samples, noise=0.1, seed=4)(images, target)
    spread = np.ptp(images.reshape(len(images), -1), axis=1).reshape(-1, 1, 1, 1)
    scores = keras.Model(classifier().model.input, classifier().model.layers[-1].output)
    scores.layers[-1].activation = keras.activations.linear
    gradients = []
    for index in range(samples):
        unit = normal(seeds_of(images, 4), SHAPE, index).numpy()
        noisy = tf.constant(images + 0.1 * spread * unit)
        with tf.GradientTape() as tape:
            tape.watch(noisy)
            score = scores(noisy)[:, target]
        gradients.append(255 * tape.gradient(score, noisy).numpy().astype(np.float64))
    scores.layers[-1].activation = keras.activations.softmax
    formula = {
        "smoothgrad": lambda g: np.abs(np.mean(g, axis=0)),
        "smoothgrad-squared": lambda g: np.mean(np.square(g), axis=0),
        "vargrad": lambda g: np.var(g, axis=0),
    }[name]
    expected = formula(gradients).max(axis=-1)
    assert expected.max() > 0
    np.testing.assert_allclose(maps, expected, rtol=1e-3, atol=1e-5 * expected.max())


def test_vargrad_keeps_its_digits_where_gradients_are_large():
    """The score 1000 x + x^2 / 200 has the gradient 1000 + x / 100, whose mean square is 10^6."""
    network = of_images(lambda x: total(1000 * x + x**2 / 200))
    images = np.random.default_rng(0).random((3, 4, 6, 1)).astype(np.float32)
    maps = explain.VarGrad(network, samples=40, noise=0.2, seed=7)(images)
    spread = np.ptp(images.reshape(3, -1), axis=1).reshape(-1, 1, 1)
    units = [normal(seeds_of(images, 7), (4, 6, 1), i).numpy()[..., 0] for i in range(40)]
    deviations = 0.01 * 0.2 * spread * np.std(np.float64(units), axis=0)
    # The gradients themselves are rounded to 6e-5, a thirtieth of a deviation.
    np.testing.assert_allclose(np.sqrt(maps), deviations, rtol=0.02)


def test_a_linear_score_has_squared_gradients_and_no_variance():
    weights = np.random.default_rng(1).normal(size=(4, 6, 1)).astype(np.float32)
    network = of_images(lambda x: total(weights * x))
    images = np.random.default_rng(2).random((2, 4, 6, 1))
    squared = explain.SmoothGradSquared(network)(images)
    np.testing.assert_allclose(squared, np.tile(weights[..., 0] ** 2, (2, 1, 1)), rtol=1e-5)
    assert explain.VarGrad(network)(images).max() < 1e-10 * squared.max()


@pytest.mark.slow
def test_without_noise_the_squared_gradient_is_the_square_of_saliency():
    saliency = explain.Saliency(classifier())(IMAGES, 1)
    squared = explain.SmoothGradSquared(classifier(), samples=3, noise=0)(IMAGES, 1)
    np.testing.assert_allclose(squared, saliency**2, rtol=1e-4, atol=1e-7 * squared.max())
    assert not explain.VarGrad(classifier(), samples=3, noise=0)(IMAGES, 1).any()


@pytest.mark.slow
@pytest.mark.parametrize("name", NOISY)
@pytest.mark.parametrize("option", [{"samples": 9}, {"noise": 0.3}, {"seed": 1}])
def test_options_of_noisy_gradients_change_the_map(name, option):
    before = NOISY[name](classifier(), samples=4)(IMAGES, 1)
    after = NOISY[name](classifier(), **{"samples": 4} | option)(IMAGES, 1)
    assert np.abs(after - before).max() > 0.05 * before.max()


# --- Expected gradients ------------------------------------------------------------------------


def test_expected_gradients_of_a_linear_score_from_one_baseline():
    weights = np.random.default_rng(1).normal(size=(4, 6, 1)).astype(np.float32)
    images, baseline = np.random.default_rng(2).random((2, 3, 4, 6, 1)).astype(np.float32)
    network = of_images(lambda x: total(weights * x))
    explainer = explain.ExpectedGradients(network, baselines=baseline[:1], samples=3)
    expected = (weights * (images - baseline[:1]))[..., 0]
    np.testing.assert_allclose(explainer.signed_maps(images), expected, rtol=1e-4, atol=1e-6)


def test_expected_gradients_of_cubes_are_differences_of_cubes():
    images, baseline = np.random.default_rng(2).random((2, 3, 4, 6, 1)).astype(np.float32)
    network = of_images(lambda x: total(x**3))
    explainer = explain.ExpectedGradients(network, baselines=baseline[:1], samples=200)
    expected = (images**3 - baseline[:1] ** 3)[..., 0]
    np.testing.assert_allclose(explainer.signed_maps(images), expected, atol=2e-3)


def test_expected_gradients_take_a_list_of_baselines():
    network = of_images(total)
    images = np.random.default_rng(2).random((2, 4, 6, 1)).astype(np.float32)
    whole = explain.ExpectedGradients(network, baselines=images)(images)
    listed = explain.ExpectedGradients(network, baselines=[image.tolist() for image in images])
    np.testing.assert_array_equal(listed(images), whole)


def test_expected_gradients_draw_each_baseline_equally_often():
    """Of a linear score the map is w times the image minus the mean of the drawn baselines."""
    levels = np.float32([0, 0.25, 0.5, 1])
    baselines = np.ones((4, 4, 6, 1), np.float32) * levels.reshape(4, 1, 1, 1)
    network = of_images(total)
    image = np.full((1, 4, 6, 1), 2.0)
    image[0, 0, 0] = 3
    explainer = explain.ExpectedGradients(network, baselines=baselines, samples=400)
    mean = image[0, ..., 0] - explainer.signed_maps(image)[0]
    assert np.ptp(mean) < 1e-5
    assert mean.mean() == pytest.approx(levels.mean(), abs=4 * levels.std() / np.sqrt(400))
    draw = tf.function(lambda stream: uniform(seeds_of(image, 0), [2], stream))
    draws = [draw(tf.constant(index)).numpy()[0, 0] for index in range(400)]
    assert mean.mean() == pytest.approx(levels[(4 * np.array(draws)).astype(int)].mean(), abs=1e-4)


@pytest.mark.slow
def test_expected_gradients_sum_to_the_score_minus_the_mean_score_of_the_baselines():
    baselines = np.random.default_rng(8).integers(0, 256, (10, *SHAPE)).astype(np.uint8)
    baselines[::2] //= 4
    samples = 2000
    explainer = explain.ExpectedGradients(classifier(), baselines=baselines, samples=samples)
    sums = explainer.signed_maps(IMAGES, 1).sum(axis=(1, 2))
    scores, theirs = (classifier().scores(x)[:, 1] for x in (IMAGES, baselines))
    error = sums - (scores - theirs.mean())
    assert np.abs(error).max() < 5 * theirs.std() / np.sqrt(samples)
    assert np.abs(scores - theirs.mean()).max() > 20 * np.abs(error).max()


def test_default_baselines_are_black_greys_and_white():
    network = of_images(total, input_range=(-1, 3))
    explainer = explain.ExpectedGradients(network, samples=2000)
    image = np.linspace(-1, 3, 24).reshape(1, 4, 6, 1)
    mean = image[0, ..., 0] - explainer.signed_maps(image)[0]
    assert mean.mean() == pytest.approx(1, abs=4 * np.std([-1, 0, 1, 2, 3]) / np.sqrt(2000))
    once = explain.ExpectedGradients(network, samples=1)
    value = (image[0, ..., 0] - once.signed_maps(image)[0]).mean()
    assert min(abs(value - np.array([-1, 0, 1, 2, 3]))) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(
    "option", [{"samples": 9}, {"seed": 1}, {"baselines": IMAGES[::-1]}, {"baselines": IMAGES[:1]}]
)
def test_options_of_expected_gradients_change_the_map(option):
    before = explain.ExpectedGradients(classifier(), samples=4)(IMAGES, 1)
    after = explain.ExpectedGradients(classifier(), **{"samples": 4} | option)(IMAGES, 1)
    assert np.abs(after - before).max() > 0.05 * before.max()


def test_expected_gradients_refuse_what_does_not_fit():
    with pytest.raises(CifarcamError, match=r"baselines of expected gradients: .* 8 x 12"):
        explain.ExpectedGradients(classifier(), baselines=IMAGES[:, :4])
    with pytest.raises(CifarcamError, match="samples is 0"):
        explain.ExpectedGradients(classifier(), samples=0)
    image = keras.Input((None, None, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image))
    any_size = explain.Classifier(keras.Model(image, layers.Dense(3)(pooled)))
    explainer = explain.ExpectedGradients(any_size, baselines=IMAGES, samples=2)
    assert explainer(IMAGES).shape == (5, 8, 12)  # no range is needed
    with pytest.raises(CifarcamError, match=r"baselines have shape \(8, 12, 3\)"):
        explainer(IMAGES[:, :6])
    with pytest.raises(CifarcamError, match="without baselines needs to know"):
        explain.ExpectedGradients(any_size)


# --- Integrated gradients ---------------------------------------------------------------------


@pytest.mark.parametrize("baseline", [127.5, -0.1, float("nan")])
def test_integrated_gradients_refuse_a_baseline_outside_the_range(baseline):
    with pytest.raises(CifarcamError, match=r"baseline is .*; give a number from 0 to 1"):
        explain.IntegratedGradients(classifier(), baseline=baseline)
    explain.IntegratedGradients(classifier(), baseline=1)


# --- Guided backpropagation --------------------------------------------------------------------


def dense_network(relu):
    """Two hidden layers, each a function of a Dense layer's output, and the matrices."""
    keras.utils.set_random_seed(7)
    image = keras.Input((2, 3, 1))
    x = layers.Flatten()(image)
    x = relu(x, 8)
    x = relu(x, 6)
    model = keras.Model(image, layers.Dense(3)(x))
    return model, [v.numpy() for v in model.trainable_variables if v.path.endswith("kernel")]


def after_dense(function):
    return lambda x, units: function(layers.Dense(units)(x))


def in_dense(activation):
    return lambda x, units: layers.Dense(units, activation=activation)(x)


RELUS = {
    "an activation by name": in_dense("relu"),
    "TensorFlow's function": in_dense(tf.nn.relu),
    "a layer as activation": lambda x, units: in_dense(layers.ReLU())(x, units),
    "a layer": lambda x, units: after_dense(layers.ReLU())(x, units),
    "a layer with a limit": lambda x, units: after_dense(layers.ReLU(max_value=1e6))(x, units),
    "an Activation layer": lambda x, units: after_dense(layers.Activation("relu"))(x, units),
    "keras.ops": after_dense(ops.relu),
    "keras.activations": after_dense(keras.activations.relu),
}


def guided_by_hand(matrices, image, target):
    """Forward and backward in NumPy; at both ReLUs the gradient is cut below zero."""
    x, inputs = image.ravel().astype(np.float64), []
    for matrix in matrices[:-1]:
        inputs.append(x @ matrix)
        x = np.maximum(inputs[-1], 0)
    gradient = matrices[-1][:, target].astype(np.float64)
    for matrix, z in zip(matrices[-2::-1], inputs[::-1], strict=True):
        gradient = matrix @ ((z > 0) * np.maximum(gradient, 0))
    return np.abs(gradient).reshape(image.shape[:2])


@pytest.mark.parametrize("name", RELUS)
def test_guided_backpropagation_by_hand(name):
    model, matrices = dense_network(RELUS[name])
    images = np.random.default_rng(0).random((4, 2, 3, 1)).astype(np.float32)
    network = explain.Classifier(model)
    maps = explain.GuidedBackpropagation(network)(images, 1)
    expected = [guided_by_hand(matrices, image, 1) for image in images]
    np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-6)
    assert np.abs(maps - explain.Saliency(network)(images, 1)).max() > 0.1 * maps.max()


def test_relu6_stops_gradients_above_its_limit():
    network, _ = dense_network(after_dense(ops.relu6))
    same = explain.GuidedBackpropagation(network)(np.full((1, 2, 3, 1), 0.1), 0)
    assert same.any()
    assert not explain.GuidedBackpropagation(network)(np.full((1, 2, 3, 1), 1e4), 0).any()


@pytest.mark.parametrize(
    "relu",
    [
        in_dense("tanh"),
        in_dense("leaky_relu"),
        lambda x, units: after_dense(layers.ReLU(negative_slope=0.1))(x, units),
        lambda x, units: after_dense(layers.ReLU(threshold=0.1))(x, units),
    ],
)
def test_a_model_without_relu_is_refused(relu):
    with pytest.raises(CifarcamError, match="the model has none that can be found; take saliency"):
        explain.GuidedBackpropagation(dense_network(relu)[0])


def test_the_model_keeps_its_own_gradient_and_scores():
    scores = classifier().scores(IMAGES)
    before = explain.Saliency(classifier())(IMAGES, 2)
    explain.GuidedBackpropagation(classifier())(IMAGES, 2)
    np.testing.assert_array_equal(explain.Saliency(classifier())(IMAGES, 2), before)
    np.testing.assert_array_equal(classifier().scores(IMAGES), scores)


# --- FullGrad ----------------------------------------------------------------------------------


def all_terms(network, images, target, against=None):
    """The full gradients times the image and the biases, each n x ...."""
    explainer = explain.FullGrad(network)
    pairs = tf.constant(network.checked_targets(target, against, len(images)))
    batch = Batch(tf.constant(images, tf.float32), pairs, seeds_of(images, 0), tf.constant(32))
    terms = explainer._terms(explainer._parts[0], batch)
    return [term.numpy() for term in terms.values()]


def full_gradients(*arguments, **options):
    """The sums of the terms, n each."""
    return [term.reshape(len(term), -1).sum(axis=1) for term in all_terms(*arguments, **options)]


@pytest.mark.parametrize("target", [0, 3])
def test_full_gradients_sum_to_the_score_of_a_relu_network(target):
    terms = full_gradients(classifier(), IMAGES, target)
    scores = classifier().scores(IMAGES)[:, target]
    np.testing.assert_allclose(sum(terms), scores, rtol=1e-4, atol=1e-5)
    # The image; biases of two convolutions, of the normalisation and of two Dense layers.
    assert len(terms) == 6
    assert min(np.abs(term).max() for term in terms) > 1e-3


def test_full_gradients_sum_to_a_difference_of_scores():
    terms = full_gradients(classifier(), IMAGES, 1, against=2)
    scores = classifier().scores(IMAGES)
    np.testing.assert_allclose(sum(terms), scores[:, 1] - scores[:, 2], rtol=1e-4, atol=1e-5)


class Gate(layers.Layer):
    """Channels multiplied by a sigmoid of their means, as in squeeze-and-excitation."""

    def call(self, x):
        return x * ops.sigmoid(ops.mean(x, axis=(1, 2), keepdims=True))


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["gelu", "tanh", "leaky_relu", "relu6"])
def test_full_gradients_sum_to_the_score_with_other_activations(activation):
    network = explain.Classifier(cnn(activation, head=[Gate(), layers.LayerNormalization()]))
    terms = full_gradients(network, IMAGES, 1)
    np.testing.assert_allclose(sum(terms), network.scores(IMAGES)[:, 1], rtol=1e-3, atol=1e-4)


class Constant(layers.Layer):
    """A weight that joins the maps, and counts as a bias: Keras does not count it as an input."""

    def __init__(self, join):
        super().__init__()
        self.join = join

    def build(self, shape):
        self.weight = self.add_weight(shape=(1, *shape[1:]), initializer="ones")

    def call(self, x):
        return self.join(x, self.weight)


CONSTANTS = {
    "a number": lambda x: x + 3.0,
    "a number first": lambda x: 3.0 + x,
    "an array": lambda x: ops.add(x, np.linspace(-1, 2, x.shape[2]).reshape(1, 1, -1, 1)),
    "a weight": Constant(lambda x, weight: x + weight),
    "a tensor in a layer": lambda x: layers.Add()([x, ops.ones((1, *x.shape[1:]))]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CONSTANTS)
def test_full_gradients_count_constants_as_biases(name):
    """The head is linear: the constant is its only bias."""
    network = explain.Classifier(cnn(head=[CONSTANTS[name]]))
    terms = full_gradients(network, IMAGES, 1)
    np.testing.assert_allclose(sum(terms), network.scores(IMAGES)[:, 1], rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_full_gradients_sum_to_the_score_through_a_comparison():
    """A ReLU made of a comparison, whose result is no number with a gradient."""
    head = [lambda x: (x - 0.01) * ops.cast(ops.greater(x, 0.01), x.dtype)]
    network = explain.Classifier(cnn(head=head))
    terms = full_gradients(network, IMAGES, 1)
    np.testing.assert_allclose(sum(terms), network.scores(IMAGES)[:, 1], rtol=1e-3, atol=1e-4)


def test_full_grad_by_hand():
    """A convolution with a stride, a ReLU, the mean, a Dense layer: the map in NumPy."""
    keras.utils.set_random_seed(3)
    image = keras.Input((6, 6, 2))
    conv = layers.Conv2D(3, 2, strides=2, activation="relu", bias_initializer="normal")
    model = keras.Model(
        image,
        layers.Dense(2, bias_initializer="normal")(layers.GlobalAveragePooling2D()(conv(image))),
    )
    images = np.random.default_rng(0).random((3, 6, 6, 2)).astype(np.float32)
    kernel, bias = (v.numpy().astype(np.float64) for v in conv.weights)
    weights = model.layers[-1].kernel.numpy()[:, 1].astype(np.float64)
    patches = images.reshape(3, 3, 2, 3, 2, 2).transpose(0, 1, 3, 2, 4, 5)  # n, i, j, 2, 2, c
    inputs = np.einsum("nijabc,abck->nijk", patches, kernel) + bias
    gradients = (inputs > 0) * weights / 9
    of_bias = np.abs(gradients * bias).sum(axis=-1)
    of_pixels = np.einsum("nijk,abck->nijabc", gradients, kernel)
    of_pixels = of_pixels.transpose(0, 1, 3, 2, 4, 5).reshape(3, 6, 6, 2)
    enlarged = tf.image.resize(of_bias[..., None], (6, 6)).numpy()[..., 0] / 4
    expected = np.abs(of_pixels * images).sum(axis=-1) + enlarged
    np.testing.assert_allclose(explain.FullGrad(model)(images, 1), expected, rtol=1e-4, atol=1e-6)


def coarse(keepdims=False):
    """Maps of 16 x 16, 4 x 4 and, with a gate, 1 x 1, all with biases."""
    keras.utils.set_random_seed(3)
    conv = functools.partial(layers.Conv2D, activation="relu", bias_initializer="normal")
    image = keras.Input((16, 16, 3))
    x = conv(6, 4, strides=4)(conv(4, 3, padding="same")(image))
    if keepdims:
        gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
        x = x * layers.Conv2D(6, 1, activation="sigmoid", bias_initializer="normal")(gate)
    x = layers.Dense(3, bias_initializer="normal")(layers.GlobalAveragePooling2D()(x))
    return explain.Classifier(keras.Model(image, x))


def test_the_sum_of_full_grad_is_the_sum_of_all_terms_with_a_place():
    """A coarse layer has the weight of its terms, not of the pixels that its positions cover."""
    network = coarse()
    images = np.random.default_rng(0).random((3, 16, 16, 3)).astype(np.float32)
    terms = [term for term in all_terms(network, images, 1) if term.ndim == 4]
    sums = [np.abs(term).sum(axis=(1, 2, 3)) for term in terms]
    assert [term.shape[1] for term in terms] == [16, 16, 4] and np.min(sums) > 1e-4
    maps = explain.FullGrad(network)(images, 1)
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), sum(sums), rtol=1e-4)


@pytest.mark.parametrize("row", [12, 13])
def test_full_grad_keeps_every_position_of_a_map_larger_than_the_image(row):
    """The only bias that reaches the score is at one position of 32 x 32, of an image of 8 x 8."""
    keras.utils.set_random_seed(3)
    image = keras.Input((8, 8, 1))
    mask = np.zeros((1, 32, 32, 1), np.float32)
    mask[0, row, 15] = 1
    conv = layers.Conv2D(2, 1, bias_initializer="ones")
    x = conv(layers.UpSampling2D(4)(image)) * mask
    model = keras.Model(image, layers.Dense(2, use_bias=False)(layers.Flatten()(x)))
    network = explain.Classifier(model)
    images = np.random.default_rng(0).random((2, 8, 8, 1)).astype(np.float32)
    sums = [np.abs(term).sum(axis=(1, 2, 3)) for term in all_terms(network, images, 1)[:2]]
    assert np.min(sums) > 1e-4
    maps = explain.FullGrad(network)(images, 1)
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), sum(sums), rtol=1e-4)


def test_full_grad_leaves_out_a_layer_with_a_single_position():
    """The biases of a gate, 1 x 1, would add the same to every pixel."""
    network = coarse(keepdims=True)
    images = np.random.default_rng(0).random((3, 16, 16, 3)).astype(np.float32)
    images[:, 8:] = 0
    terms = [term for term in all_terms(network, images, 1) if term.ndim == 4]
    single, places = (
        sum(np.abs(t).sum(axis=(1, 2, 3)) for t in terms if (t.shape[1] == 1) == is_single)
        for is_single in (True, False)
    )
    assert (single > 0.01 * places).all()
    maps = explain.FullGrad(network)(images, 1)
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), places, rtol=1e-4)


def test_full_grad_names_the_lack_of_a_second_derivative():
    odd = layers.Lambda(tf.nn.local_response_normalization, name="odd")
    with pytest.raises(
        CifarcamError,
        match=r"FullGrad needs second derivatives, .* in 'odd' .*; give another method",
    ):
        explain.FullGrad(cnn(head=[odd]))


def test_full_grad_does_not_change_with_the_batch():
    explainer = explain.FullGrad(classifier())
    whole = explainer(IMAGES, 1)
    np.testing.assert_allclose(explainer(IMAGES[::-1], 1, batch_size=2)[::-1], whole, rtol=1e-5)


@pytest.mark.slow
def test_full_gradients_sum_to_the_score_through_a_stopped_gradient():
    """A part of the network that no gradient of the image reaches counts as biases."""
    head = [lambda x: x + ops.stop_gradient(2 * x), layers.Conv2D(6, 1, bias_initializer="normal")]
    network = explain.Classifier(cnn(head=head))
    terms = full_gradients(network, IMAGES, 1)
    np.testing.assert_allclose(sum(terms), network.scores(IMAGES)[:, 1], rtol=1e-3, atol=1e-4)


def test_without_biases_full_grad_is_image_times_gradient():
    keras.utils.set_random_seed(3)
    bare = {"use_bias": False, "activation": "relu"}
    stack = [layers.Conv2D(4, 3, **bare), layers.MaxPooling2D(2), layers.Flatten()]
    model = keras.Sequential([keras.Input(SHAPE), *stack, layers.Dense(3, use_bias=False)])
    images = IMAGES.astype(np.float32)
    pixels = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        score = model(pixels)[:, 1]
    expected = np.abs(images * tape.gradient(score, pixels)).sum(axis=-1)
    maps = explain.FullGrad(model)(IMAGES, 1)
    np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-5 * maps.max())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preprocessing", "images"),
    [
        ([layers.Rescaling(255), layers.Rescaling(1 / 255)], IMAGES / 255),
        ([layers.Rescaling(0.5, 0.5)], IMAGES / 127.5 - 1),
        ([layers.Normalization(mean=0, variance=255**2)], IMAGES),
        ([lambda x: x / 255.0 + 0.5, lambda x: x - 0.5], IMAGES),
    ],
)
def test_preprocessing_does_not_change_full_grad(preprocessing, images):
    expected = explain.FullGrad(classifier())(IMAGES, 1)
    maps = explain.FullGrad(cnn(preprocessing=preprocessing))(images, 1)
    np.testing.assert_allclose(maps, expected, rtol=1e-3, atol=1e-4 * expected.max())


def test_full_gradients_in_float16():
    """Gradients below the least number of float16 still reach the image."""
    keras.utils.set_random_seed(3)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        small = layers.Dense(3, kernel_initializer=keras.initializers.RandomNormal(stddev=1e-5))
        stack = [layers.Conv2D(4, 3, bias_initializer="normal"), layers.GlobalAveragePooling2D()]
        model = keras.Sequential([keras.Input((32, 32, 3)), *stack, small])
    finally:
        keras.config.set_dtype_policy(before)
    explainer = explain.FullGrad(model)
    images = np.random.default_rng(0).random((2, 32, 32, 3)).astype(np.float32)
    kernel, bias = (v.numpy().astype(np.float64) for v in model.layers[0].weights)
    weights = np.float64(np.float16(model.layers[-1].kernel.numpy()[:, 1]))
    # Of a convolution the gradient is the kernel's sum, except at the edges of the image.
    slopes = np.abs(np.einsum("abck,k->c", kernel, weights)) / 30**2
    expected = (images * slopes).sum(axis=-1)[:, 2:-2, 2:-2]
    # The term of each bias is the same at each position.
    expected += np.abs(bias * weights).sum() / 30**2 * (30 / 32) ** 2
    maps = explainer(images, 1)[:, 2:-2, 2:-2]
    np.testing.assert_allclose(maps, expected, rtol=0.02)


@pytest.mark.parametrize("name", ["guided-backpropagation", "full-grad", "expected-gradients"])
def test_no_layer_is_taken(name):
    with pytest.raises(CifarcamError, match="explains the pixels; it takes no layer"):
        explain.METHODS[name](classifier(), "norm")


# --- The sanity check on a trained network -----------------------------------------------------


@functools.cache
def cascade(name):
    """The baseline's rank correlations under cascading randomisation from the output."""
    model = runs.read(ROOT / "runs" / "baseline").model()
    images = data.load("sample").test.images[:16]
    explainer = explain.METHODS[name](explain.Classifier(model))
    return metrics.cascading_randomisation(explainer, images)


@pytest.mark.slow
def test_guided_backpropagation_survives_randomisation_and_saliency_does_not():
    """Adebayo et al. (2018): without what the layers learnt, its maps hardly change."""
    guided, saliency = cascade("guided-backpropagation"), cascade("saliency")
    assert guided.layers == ("logits", "dense", "conv3", "conv2", "conv1")
    # Seen: 0.93, 0.80, 0.65 and 0.31, 0.26, 0.13 after one, two and three layers.
    survives = np.nanmean(guided.rank_correlation[:3], axis=1)
    changes = np.nanmean(saliency.rank_correlation[:3], axis=1)
    assert (survives > [0.85, 0.7, 0.5]).all()
    assert (changes < [0.4, 0.35, 0.25]).all()
    assert (np.nanmean(guided.ssim[:3], axis=1) > 3 * np.nanmean(saliency.ssim[:3], axis=1)).all()


@pytest.mark.slow
def test_guided_backpropagation_hardly_depends_on_the_class():
    model = runs.read(ROOT / "runs" / "baseline").model()
    network, images = explain.Classifier(model), data.load("sample").test.images[:16]

    def likeness(name):
        explainer = explain.METHODS[name](network)
        return np.nanmean(metrics.rank_correlation(explainer(images, 0), explainer(images, 3)))

    # Seen: 0.86 and 0.37, the mean over all classes.
    assert likeness("guided-backpropagation") > 0.75
    assert likeness("saliency") < 0.5


# --- Blurred copies ----------------------------------------------------------------------------


def test_blurred_maps_keep_their_sum_and_spread_by_the_stated_share():
    point = np.zeros((1, 65, 97))
    point[0, 32, 48] = 1
    (spread,) = explain.blurred(point, 1 / 16)
    assert spread.sum() == pytest.approx(1)
    for axis, size in ((1, 65), (0, 97)):
        distance = np.arange(size) - size // 2
        variance = (spread.sum(axis=axis) * distance**2).sum()
        assert np.sqrt(variance) == pytest.approx(size / 16, rel=0.01)


def test_a_map_of_twice_the_size_is_blurred_alike():
    small = np.random.default_rng(0).random((2, 32, 32))
    large = explain.blurred(small.repeat(2, axis=1).repeat(2, axis=2))
    halved = large.reshape(2, 32, 2, 32, 2).mean(axis=(2, 4))
    assert np.abs(halved - explain.blurred(small)).max() < 0.01
    assert np.ptp(explain.blurred(small)) < 0.3 * np.ptp(small)


def test_blurred_maps_of_float16_are_those_of_float32():
    maps = np.random.default_rng(0).random((2, 16, 16)).astype(np.float16)
    expected = explain.blurred(maps.astype(np.float32)).astype(np.float16)
    result = explain.blurred(maps)
    assert result.dtype == np.float16
    np.testing.assert_array_equal(result, expected)


def test_blurred_refuses_what_is_no_heatmap():
    with pytest.raises(CifarcamError, match="give finite floats, N x H x W"):
        explain.blurred(np.zeros((4, 4)))
    with pytest.raises(CifarcamError, match="give finite floats, N x H x W"):
        explain.blurred(np.full((1, 4, 4), np.nan))
    with pytest.raises(CifarcamError, match="share is 0"):
        explain.blurred(np.zeros((1, 4, 4)), 0)
