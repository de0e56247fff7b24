"""ShapleyCAM, Finer-CAM and Eigen-CAM against closed forms, and where they are refused."""

import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from cifarcam import explain
from cifarcam.errors import CifarcamError
from cifarcam.explain.methods.eigen_cam import _first_direction

CLASSES = 6
IMAGES = np.random.default_rng(3).integers(0, 256, (7, 8, 12, 3)).astype(np.uint8)
EVERYONE = np.arange(len(IMAGES))


def network(*end, activation="relu"):
    keras.utils.set_random_seed(11)
    return keras.Sequential(
        [
            keras.Input((8, 12, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(5, 3, padding="same", activation=activation, name="conv"),
            *end,
        ]
    )


def pooled(end="softmax", units=CLASSES):
    dense = layers.Dense(units, bias_initializer="normal", name="logits")
    return network(layers.GlobalAveragePooling2D(), dense, layers.Activation(end))


def hidden():
    return network(
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(9, activation="tanh"),
        layers.Dense(CLASSES, bias_initializer="normal", name="logits"),
        layers.Softmax(),
    )


def features(model):
    return keras.Model(model.inputs[0], model.get_layer("conv").output)(IMAGES).numpy()


def weights(model):
    kernel, bias = model.get_layer("logits").get_weights()
    return kernel.astype(np.float64), bias.astype(np.float64)


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def assert_maps(maps, expected, rtol=1e-4):
    assert np.abs(expected).max() > 1e-6
    np.testing.assert_allclose(maps, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


def test_shapley_cam_has_a_closed_form_before_global_average_pooling():
    """With y = W' mean(A) + b the Hessian of log p is -W (diag(p) - p p') W' / Z^2."""
    model = pooled()
    a, (kernel, bias) = features(model).astype(np.float64), weights(model)
    targets, positions = EVERYONE % CLASSES, 8 * 12
    evidence = a.mean(axis=(1, 2)) @ kernel  # the scores without the bias
    p = softmax(evidence + bias)
    first = 2 * kernel[:, targets].T - p @ kernel.T
    curved = p * (evidence - (p * evidence).sum(axis=1, keepdims=True))
    alpha = (first + curved @ kernel.T / 2) / positions
    explainer = explain.ShapleyCAM(model)
    assert explainer.layer == "conv"
    assert_maps(explainer.signed_maps(IMAGES, targets), np.einsum("nijk,nk->nij", a, alpha))


@pytest.mark.slow
@pytest.mark.parametrize("end", ["sigmoid", "linear"])
def test_shapley_cam_takes_the_logarithm_of_the_model_s_own_probability(end):
    """Of sigmoids the score s has the second derivative -q (1 - q), q = sigmoid(s)."""
    model = pooled(end)
    a, (kernel, bias) = features(model).astype(np.float64), weights(model)
    evidence = a.mean(axis=(1, 2)) @ kernel
    if end == "sigmoid":
        q = 1 / (1 + np.exp(-(evidence + bias)[:, 2]))
        slope = (1 + (1 - q)) + q * (1 - q) * evidence[:, 2] / 2
        alpha = slope[:, np.newaxis] * kernel[:, 2] / (8 * 12)
        expected = np.einsum("nijk,nk->nij", a, alpha)
    else:  # the scores count as logits of a softmax
        twin = pooled()
        twin.set_weights(model.get_weights())
        expected = explain.ShapleyCAM(twin).signed_maps(IMAGES, 2)
    assert_maps(explain.ShapleyCAM(model).signed_maps(IMAGES, 2), expected)


@pytest.mark.slow
def test_shapley_cam_of_one_sigmoid_unit_explains_both_classes():
    model = pooled("sigmoid", 1)
    a, (kernel, bias) = features(model).astype(np.float64), weights(model)
    evidence = (a.mean(axis=(1, 2)) @ kernel)[:, 0]
    for target, sign in ((0, -1), (1, 1)):
        q = 1 / (1 + np.exp(-sign * (evidence + bias)))
        slope = (2 - q) + q * (1 - q) * sign * evidence / 2
        expected = sign * np.einsum("nijk,k->nij", a, kernel[:, 0]) * slope[:, None, None] / 96
        assert_maps(explain.ShapleyCAM(model).signed_maps(IMAGES, target), expected)


def test_shapley_cam_of_a_quadratic_score_has_half_of_its_gradient():
    """With u = a' Q a / 2 + l' a the weights are the means of Q a - Q a / 2 + l."""
    rng = np.random.default_rng(0)
    form = rng.normal(size=(8 * 12 * 5, 8 * 12 * 5)) / 5
    form, slope = form + form.T, rng.normal(size=8 * 12 * 5)
    tensors = tf.constant(form, tf.float32), tf.constant(slope, tf.float32)

    def score(outputs, targets):
        product = tf.matmul(outputs, tensors[0])
        return tf.reduce_sum(outputs * (product / 2 + tensors[1]), axis=1)

    model = network(layers.Flatten())
    a = features(model).astype(np.float64)
    flat = a.reshape(len(a), -1)
    alpha = (flat @ form / 2 + slope).reshape(a.shape).mean(axis=(1, 2))
    expected = np.einsum("nijk,nk->nij", a, alpha)
    maps = explain.ShapleyCAM(model, "conv", score=score).signed_maps(IMAGES)
    assert_maps(maps, expected)
    plain = explain.GradCAM(model, "conv", score=score).signed_maps(IMAGES)
    assert np.abs(plain - maps).max() > 0.1 * np.abs(maps).max()


def test_shapley_cam_of_a_linear_score_is_grad_cam():
    def score(outputs, targets):
        return outputs[:, 2] - 3 * outputs[:, 0]

    model = pooled("linear")
    assert_maps(
        explain.ShapleyCAM(model, score=score).signed_maps(IMAGES),
        explain.GradCAM(model, score=score).signed_maps(IMAGES),
    )


@pytest.mark.slow
def test_shapley_cam_agrees_with_differences_of_gradients():
    """Through max pooling, a hidden layer and the softmax: H A is the slope of gradients along A."""
    model = hidden()
    head = keras.Model(model.get_layer("conv").output, model.get_layer("logits").output)

    def gradients(activations):
        at = tf.constant(activations)
        with tf.GradientTape() as tape:
            tape.watch(at)
            scores = head(at)
            utility = scores[:, 1] + tf.nn.log_softmax(scores)[:, 1]
        return tape.gradient(utility, at).numpy().astype(np.float64)

    a, step = features(model), 0.02
    products = (gradients(a * (1 + step)) - gradients(a * (1 - step))) / (2 * step)
    first = gradients(a)
    assert np.abs(products).max() > 0.02 * np.abs(first).max()
    alpha = (first - products / 2).mean(axis=(1, 2))
    expected = np.einsum("nijk,nk->nij", a, alpha)
    assert_maps(explain.ShapleyCAM(model, "conv").signed_maps(IMAGES, 1), expected, rtol=1e-3)
    without = np.einsum("nijk,nk->nij", a, first.mean(axis=(1, 2)))
    assert np.abs(expected - without).max() > 0.01 * np.abs(expected).max()


def test_shapley_cam_of_a_contrast_has_a_closed_form_before_global_average_pooling():
    """With d = v' mean(A) + b the utility d + log q, q = sigmoid(d), has the slope 2 - q in d."""
    model = pooled()
    a, (kernel, bias) = features(model).astype(np.float64), weights(model)
    slope = kernel[:, 1] - kernel[:, 4]
    evidence = a.mean(axis=(1, 2)) @ slope  # the difference without the biases
    q = 1 / (1 + np.exp(-(evidence + bias[1] - bias[4])))
    factors = (2 - q) + q * (1 - q) * evidence / 2
    expected = np.einsum("nijk,k->nij", a, slope) * factors[:, None, None] / 96
    both = explain.ShapleyCAM(model).signed_maps(IMAGES, 1, against=4)
    assert_maps(both, expected)
    plain = explain.GradCAM(model).signed_maps(IMAGES, 1, against=4)
    ratios = both.sum(axis=(1, 2)) / plain.sum(axis=(1, 2))
    np.testing.assert_allclose(ratios, factors, rtol=1e-3)
    assert np.abs(ratios - 2).min() > 0.1  # as a difference of two utilities would be


def test_shapley_cam_of_a_contrast_takes_one_class_after_each_image():
    """The pair of classes decides per image, with predicted classes and given ones."""
    explainer = explain.ShapleyCAM(hidden(), "conv")
    rivals = (EVERYONE + 1) % CLASSES
    maps = explainer.signed_maps(IMAGES, EVERYONE % CLASSES, against=rivals)
    for n in EVERYONE:
        own = explainer.signed_maps(IMAGES[n : n + 1], n % CLASSES, against=int(rivals[n]))
        assert_maps(maps[n : n + 1], own)


@pytest.mark.slow
def test_shapley_cam_of_a_float16_network_is_that_of_its_float32_twin():
    twin = hidden()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half = hidden()
    finally:
        keras.config.set_dtype_policy("float32")
    half.set_weights(twin.get_weights())
    expected = explain.ShapleyCAM(twin, "conv").signed_maps(IMAGES, 1)
    assert_maps(explain.ShapleyCAM(half, "conv").signed_maps(IMAGES, 1), expected, rtol=0.02)


def test_shapley_cam_names_the_lack_of_a_second_derivative():
    model = network(
        layers.Lambda(tf.nn.local_response_normalization, name="normalization"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(CLASSES),
    )
    explain.GradCAM(model, "conv")
    with pytest.raises(CifarcamError, match=r"after layer 'conv'.*; give a later layer"):
        explain.ShapleyCAM(model, "conv")


def nearest(scores, targets, count):
    """The classes whose scores differ least from the target's, by hand."""
    return [
        sorted(set(range(CLASSES)) - {target}, key=lambda k, s=row, t=target: abs(s[k] - s[t]))[
            :count
        ]
        for row, target in zip(scores, targets, strict=True)
    ]


@pytest.mark.parametrize(
    ("similar", "strength"), [(3, 1.0), (1, 1.0), (2, 0.6), (5, 1.0), (99, 2.0), (3, 0.0)]
)
def test_finer_cam_is_a_combination_of_grad_cams(similar, strength):
    """Through a hidden layer: gradients, and so the signed maps, are linear in the score."""
    classifier = explain.Classifier(hidden())
    grad_cam = explain.GradCAM(classifier, "conv")
    maps = np.stack([grad_cam.signed_maps(IMAGES, k) for k in range(CLASSES)]).astype(np.float64)
    targets = EVERYONE % CLASSES
    others = nearest(classifier.scores(IMAGES), targets, similar)
    expected = [
        maps[target, n] - strength * maps[others[n], n].mean(axis=0)
        for n, target in enumerate(targets)
    ]
    finer = explain.FinerCAM(classifier, "conv", similar=similar, strength=strength)
    assert_maps(finer.signed_maps(IMAGES, targets), np.array(expected), rtol=1e-3)


def test_finer_cam_has_a_closed_form_before_global_average_pooling():
    model = pooled()
    a, (kernel, bias) = features(model).astype(np.float64), weights(model)
    scores = a.mean(axis=(1, 2)) @ kernel + bias
    predicted = scores.argmax(axis=1)
    others = np.argsort(-scores, axis=1)[:, 1:4]  # of the first class the next three
    alpha = kernel.T[predicted] - kernel.T[others].mean(axis=1)
    expected = np.einsum("nijk,nk->nij", a, alpha) / 96
    assert_maps(explain.FinerCAM(model).signed_maps(IMAGES), expected)


def test_finer_cam_against_a_class_compares_with_that_class_alone():
    classifier = explain.Classifier(hidden())
    finer = explain.FinerCAM(classifier, "conv", strength=0.6)
    grad_cam = explain.GradCAM(classifier, "conv")
    one, other = (grad_cam.signed_maps(IMAGES, k) for k in (0, 5))
    assert_maps(finer.signed_maps(IMAGES, 0, against=5), one - 0.6 * other, rtol=1e-3)
    whole = explain.FinerCAM(classifier, "conv").signed_maps(IMAGES, 0, against=5)
    assert_maps(whole, grad_cam.signed_maps(IMAGES, 0, against=5))


def test_finer_cam_of_two_classes_compares_with_the_other():
    binary = explain.Classifier(pooled("sigmoid", 1))
    plain = explain.GradCAM(binary).signed_maps(IMAGES, 1)
    assert_maps(explain.FinerCAM(binary).signed_maps(IMAGES, 1), 2 * plain)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"similar": 0}, "similar is 0"),
        ({"strength": -1}, "strength is -1"),
        ({"strength": float("nan")}, "strength is nan"),
        ({"score": lambda outputs, targets: outputs[:, 0]}, "compares classes"),
    ],
)
def test_finer_cam_refuses_other_options(options, message):
    with pytest.raises(CifarcamError, match=message):
        explain.FinerCAM(pooled(), **options)


@pytest.mark.parametrize(("positions", "channels"), [(49, 96), (96, 49), (30, 30), (1, 8), (8, 1)])
def test_first_direction_is_that_of_the_singular_value_decomposition(positions, channels):
    rng = np.random.default_rng(0)
    for matrix in rng.normal(size=(3, positions, channels)) + 0.3:
        direction = _first_direction(tf.constant(matrix)).numpy()[:, 0]
        expected = np.linalg.svd(matrix)[2][0]
        expected *= np.sign(expected @ direction)
        np.testing.assert_allclose(direction, expected, atol=1e-9)
    zeros = _first_direction(tf.zeros((positions, channels), tf.float64)).numpy()
    assert np.isfinite(zeros).all()


def wide(size, channels):
    inputs = keras.Input((size, size, 3))
    x = layers.Conv2D(channels, 3, padding="same", activation="relu", name="conv")(inputs)
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


@pytest.mark.parametrize("channels", [4, 80])
def test_eigen_cam_is_the_first_singular_projection(channels):
    """With fewer channels than the 49 positions, and with more."""
    keras.utils.set_random_seed(2)
    model = wide(7, channels)
    images = np.random.default_rng(1).random((3, 7, 7, 3)).astype(np.float32)
    a = keras.Model(model.inputs, model.get_layer("conv").output)(images).numpy()
    maps = explain.EigenCAM(model, "conv").signed_maps(images)
    for n, matrix in enumerate(a.reshape(3, 49, channels).astype(np.float64)):
        expected = matrix @ np.linalg.svd(matrix)[2][0]
        expected *= np.sign(expected.sum())
        assert_maps(maps[n].ravel(), expected, rtol=1e-5)


@pytest.mark.slow
def test_eigen_cam_of_2048_channels_takes_no_decomposition_of_their_gram_matrix():
    """One of 2,048 x 2,048 took 2 s for an image and more; of 49 x 49 it takes milliseconds."""
    explainer = explain.EigenCAM(wide(7, 2048), "conv")
    images = np.random.default_rng(1).random((4, 7, 7, 3)).astype(np.float32)
    explainer(images)
    start = time.process_time()
    explainer(images)
    assert time.process_time() - start < 4
