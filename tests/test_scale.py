"""A network and its twins in other input ranges have equal maps and equal metrics."""

import functools

import keras
import numpy as np
import pytest
from keras import layers

from cifarcam import explain
from cifarcam.explain import metrics

SIDE, CLASSES = 16, 4
MEANS, DEVIATIONS = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
TOLERANCE = 1e-4


def network(activation):
    """Two convolutions; softplus has no kinks, so that rounding errors of gradients stay small."""
    keras.utils.set_random_seed(1)
    top = keras.initializers.RandomNormal(stddev=2)
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.Conv2D(6, 3, padding="same", bias_initializer="normal"),
            layers.Activation(activation),
            layers.AveragePooling2D(2),
            layers.Conv2D(8, 3, padding="same", bias_initializer="normal"),
            layers.Activation(activation),
            layers.GlobalAveragePooling2D(),
            layers.Dense(CLASSES, kernel_initializer=top),
        ]
    )


def transformer():
    """One layer of attention between patches."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(8, 4, strides=4, bias_initializer="normal")(inputs)
    tokens = layers.Reshape((16, 8))(x)
    x = tokens + layers.MultiHeadAttention(2, 4, kernel_initializer="normal")(tokens, tokens)
    x = layers.Dense(8, activation="gelu")(x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(CLASSES)(x))


# The network that a method needs, if not the first.
NETWORKS = {
    "guided-backpropagation": "relu",
    "attention-rollout": "transformer",
    "attention-relevance": "transformer",
}
# Few samples: twins have equal maps whatever their number.
OPTIONS = {
    "integrated-gradients": {"steps": 4},
    "smoothgrad": {"samples": 4},
    "smoothgrad-squared": {"samples": 4},
    "vargrad": {"samples": 4},
    "expected-gradients": {"samples": 4},
    "occlusion": {"grid": 4},
    "rise": {"samples": 64, "grid": 4},
    "lime": {"samples": 64, "grid": 4},
    "shap": {"permutations": 1, "grid": 4},
}
# Class 1, or a class for which these methods find evidence in all images.
TARGETS = {"ablation-cam": 0, "shapley-cam": 0, "finer-cam": 0}


# What each network takes, and the layer that turns it into shares of the range.
RANGES = {
    "0 to 255": ((0, 255), {"scale": 1 / 255}),
    "0 to 1": ((0, 1), {"scale": 1.0}),
    "-1 to 1": ((-1, 1), {"scale": 0.5, "offset": 0.5}),
    "ImageNet": (
        tuple(
            [(end - m) / d for m, d in zip(MEANS, DEVIATIONS, strict=True)] for end in (0.0, 1.0)
        ),
        {"scale": DEVIATIONS, "offset": MEANS},
    ),
}


def twin(body, name):
    """The network `body`, which takes shares of the range, behind another range."""
    limits, options = RANGES[name]
    inputs = keras.Input((SIDE, SIDE, 3))
    model = keras.Model(inputs, body(layers.Rescaling(**options)(inputs)))
    return explain.Classifier(model, input_range=limits)


@pytest.fixture(scope="module")
def pixels():
    """Images of few frequencies, not noise, with differences between the channels."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    waves = [
        np.sin(2 * np.pi * (a * x + b * y + c))
        for a, b, c in zip(*rng.uniform(0, 2, (3, 2 * 3)), strict=True)
    ]
    images = np.stack(waves).reshape(2, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    return np.round(127 + 100 * images + rng.uniform(-20, 20, images.shape)).astype(np.float32)


@functools.cache
def twins(name="softplus"):
    body = transformer() if name == "transformer" else network(name)
    return {limits: twin(body, limits) for limits in RANGES}


def images_of(classifier, pixels):
    return classifier.input_range.of_pixels(pixels)


@pytest.mark.slow
@pytest.mark.parametrize("method", explain.METHODS)
def test_maps_of_twins_are_equal(method, pixels):
    maps = {}
    classifiers = twins(NETWORKS.get(method, "softplus"))
    for name in RANGES:
        explainer = explain.METHODS[method](classifiers[name], **OPTIONS.get(method, {}))
        images = images_of(classifiers[name], pixels)
        maps[name] = explainer(images, TARGETS.get(method, 1))
    expected = maps.pop("0 to 255")
    peaks = expected.max(axis=(1, 2), keepdims=True)
    assert (peaks > 0).all()
    for name, own in maps.items():
        np.testing.assert_allclose(own / peaks, expected / peaks, atol=TOLERANCE, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["random", "smoothgrad"])
def test_draws_are_equal_where_white_lies_below_black(method, pixels):
    first = twins()["0 to 255"]
    inputs = keras.Input((SIDE, SIDE, 3))
    body = first.model.layers[-1]
    negative = keras.Model(inputs, body(layers.Rescaling(-1.0, 1.0)(inputs)))
    negative = explain.Classifier(negative, input_range=(1, 0))
    expected, own = (
        explain.METHODS[method](each, **OPTIONS.get(method, {}))(images_of(each, pixels), 1)
        for each in (first, negative)
    )
    assert np.abs(expected[0] - expected[1]).max() > 0.1 * expected.max()
    np.testing.assert_allclose(own, expected, atol=TOLERANCE * expected.max())


def grids(classifier, images):
    labels = np.arange(len(images)) % CLASSES
    return metrics.make_grids(images, labels, tiles=2, count=3)


def randomised(classifier, images):
    return metrics.cascading_randomisation(explain.GradCAM(classifier), images).ssim


# Each metric that sees images or a model, as an array for a classifier, images and heatmaps.
METRICS = {
    "cascading_randomisation": lambda c, x, m: randomised(c, x),
    "confidence_change": lambda c, x, m: metrics.confidence_change(c, x, m).drop,
    "deletion": lambda c, x, m: metrics.deletion(c, x, m).probabilities,
    "efficient_mprt": lambda c, x, m: metrics.efficient_mprt(explain.GradCAM(c), x),
    "faithfulness_correlation": lambda c, x, m: metrics.faithfulness_correlation(c, x, m),
    "imputed_images": lambda c, x, m: (
        (metrics.imputed_images(c, x, m, 0.5) - c.input_range.black) / c.input_range.span
    ),
    "infidelity": lambda c, x, m: metrics.infidelity(c, x, m),
    "insertion": lambda c, x, m: metrics.insertion(c, x, m).probabilities,
    "local_lipschitz_estimate": lambda c, x, m: metrics.local_lipschitz_estimate(
        explain.GradCAM(c), x
    ),
    "make_grids": lambda c, x, m: (grids(c, x).images - c.input_range.black) / c.input_range.span,
    "max_sensitivity": lambda c, x, m: metrics.max_sensitivity(explain.Saliency(c), x),
    "mu_fidelity": lambda c, x, m: metrics.mu_fidelity(c, x, m),
    "patch_removals": lambda c, x, m: metrics.patch_removals(c, x).falls,
    "pixel_flipping": lambda c, x, m: metrics.pixel_flipping(c, x, m).probabilities,
    "probability_without": lambda c, x, m: metrics.probability_without(c, x, m > m.mean()),
    "recognised": lambda c, x, m: metrics.recognised(c, grids(c, x)),
    "road": lambda c, x, m: metrics.road(c, x, m).probabilities,
    "scorecard": lambda c, x, m: np.stack([*metrics.scorecard(explain.Saliency(c), x).values()]),
}
# These take heatmaps, pictures of 0-255 or the values of metrics, and no model.
OF_MAPS = {
    *("bootstrap_mean", "border_area", "border_share"),
    *("discrete_entropy", "effective_complexity", "energy_inside", "foreground", "gini"),
    *("pointing_game", "rank_correlation", "ssim", "upper_half"),
}


def test_every_metric_is_compared():
    functions = {name for name in metrics.__all__ if name[0].islower()}
    assert functions == METRICS.keys() | OF_MAPS


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
def test_metrics_of_twins_are_equal(metric, pixels):
    first = twins()["0 to 255"]
    # The pixels' order must not hang on a rounding error, so that all twins get the same maps.
    maps = explain.Saliency(first)(images_of(first, pixels), 1)
    expected, *others = (
        np.asarray(METRICS[metric](classifier, images_of(classifier, pixels), maps), np.float64)
        for classifier in twins().values()
    )
    assert np.isfinite(expected).any()
    for own in others:
        np.testing.assert_allclose(own, expected, atol=TOLERANCE)
