"""Metrics off 32 x 32 pixels and 0-255, in small batches, and the metrics of other libraries."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from scipy import ndimage

from cifarcam import explain
from cifarcam.errors import CifarcamError
from cifarcam.explain import metrics

MEANS, DEVIATIONS = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def linear(weights, input_range=(0, 1), bias=0.0):
    """A classifier whose class 1 has the score sum(weights x) + bias, and class 0 zero."""
    shape = weights.shape
    model = keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(2)])
    kernel = np.stack([np.zeros(weights.size), weights.ravel()], axis=1)
    model.set_weights([kernel, np.array([0.0, bias])])
    return explain.Classifier(model, input_range=input_range)


def logistic(z):
    return 1 / (1 + np.exp(-z))


def draw(*shape, seed=0):
    return np.random.default_rng(seed).uniform(size=shape).astype(np.float32)


@pytest.fixture(scope="module")
def network():
    """A convolutional network for unit images of any size."""
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.Conv2D(6, 3, padding="same", activation="tanh"),
            layers.Conv2D(6, 3, strides=2, padding="same", activation="tanh"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, kernel_initializer="random_normal"),
        ]
    )


# The metrics that run the network, each with its result as an array.
METRICS = {
    "deletion": lambda c, x, m, **o: metrics.deletion(c, x, m, **o).probabilities,
    "pixel flipping": lambda c, x, m, **o: metrics.pixel_flipping(c, x, m, **o).probabilities,
    "insertion": lambda c, x, m, **o: metrics.insertion(c, x, m, **o).probabilities,
    "road": lambda c, x, m, **o: metrics.road(c, x, m, **o).probabilities,
    "drop": lambda c, x, m, **o: metrics.confidence_change(c, x, m, **o).drop,
    "without": lambda c, x, m, **o: metrics.probability_without(c, x, m > 0.5, **o),
    "mu-fidelity": metrics.mu_fidelity,
    "faithfulness correlation": metrics.faithfulness_correlation,
    "infidelity": metrics.infidelity,
    "max-sensitivity": lambda c, x, m, **o: metrics.max_sensitivity(explain.Saliency(c), x, **o),
    "lipschitz": lambda c, x, m, **o: metrics.local_lipschitz_estimate(explain.Saliency(c), x, **o),
    "mprt": lambda c, x, m, **o: metrics.efficient_mprt(explain.Saliency(c), x, **o),
    "cascade": lambda c, x, m, **o: (
        metrics.cascading_randomisation(explain.Saliency(c), x, **o).rank_correlation
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", METRICS)
def test_no_metric_depends_on_the_batch_size(name, network, monkeypatch):
    """Nor does it run the network on more images at a time."""
    classifier = explain.Classifier(network, input_range=(0, 1))
    images, maps = draw(5, 12, 10, 3), draw(5, 12, 10, seed=1)
    sizes = []
    outputs, in_batches = classifier.scores, explain.Explainer._in_batches

    def recorded_batches(explainer, explain_batch, *arguments):
        def recorded(pixels, *others):
            sizes.append(len(pixels))
            return explain_batch(pixels, *others)

        return in_batches(explainer, recorded, *arguments)

    monkeypatch.setattr(
        classifier, "scores", lambda x, *a: (sizes.append(len(x)), outputs(x, *a))[1]
    )
    monkeypatch.setattr(explain.Explainer, "_in_batches", recorded_batches)
    one = METRICS[name](classifier, images, maps, batch_size=3)
    # The first call asks for the predicted classes of all images.
    assert sizes[0] == 5 and max(sizes[1:]) == 3
    other = METRICS[name](classifier, images, maps, batch_size=64)
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def of_size(image, maps, network, times):
    """Metrics of an image enlarged by whole times, and of a network that shrinks it again."""
    side = 32 * times
    pooled = keras.Sequential(
        [keras.Input((side, side, 3)), layers.AveragePooling2D(times), *network.layers]
    )
    explainer = explain.Saliency(pooled, input_range=(0, 1))
    classifier, options = explainer.classifier, {"samples": 8}
    image, maps = (array.repeat(times, axis=1).repeat(times, axis=2) for array in (image, maps))
    card = metrics.scorecard(explainer, image, 1)
    return card | {
        "pixel flipping": metrics.pixel_flipping(classifier, image, maps, 1).areas,
        "infidelity": metrics.infidelity(classifier, image, maps, 1),
        "lipschitz": metrics.local_lipschitz_estimate(explainer, image, 1, **options),
        "mprt": metrics.efficient_mprt(explainer, image, 1),
        "complexity": metrics.effective_complexity(maps, 0.3),
        "border": metrics.border_share(maps),
    }


@pytest.mark.slow
def test_metrics_do_not_depend_on_the_size_of_the_image(network):
    rng = np.random.default_rng(0)
    image = ndimage.gaussian_filter(rng.uniform(-2, 3, (1, 32, 32, 3)), (0, 3, 3, 0))
    image, maps = image.clip(0, 1).astype(np.float32), rng.uniform(size=(1, 32, 32))
    # Large weights, and scores of 0, 1 and 0 for the image.
    steep = keras.models.clone_model(network)
    *weights, kernel, _ = network.get_weights()
    steep.set_weights([*weights, -200 * kernel, np.zeros(3)])
    steep.layers[-1].bias.assign([0, 1, 0] - steep.predict(image, verbose=0)[0])
    expected = of_size(image, maps, steep, 1)
    assert abs(expected["road"][0]) > 0.03 and expected["drop"][0] > 0.1
    # A discrete Gaussian differs a little by size, and pixels are imputed with their neighbours.
    near = {"insertion": 1e-3, "road": 5e-3}
    for times in (2, 4):
        values = of_size(image, maps, steep, times)
        for name, value in values.items():
            np.testing.assert_allclose(
                value, expected[name], rtol=1e-3, atol=near.get(name, 1e-5), err_msg=name
            )


@pytest.mark.slow
@pytest.mark.parametrize("side", [9, 75])
def test_scorecard_of_sizes_that_no_grid_divides(side, network):
    explainer = explain.Saliency(network, input_range=(0, 1))
    card = metrics.scorecard(explainer, draw(1, side, side, 3), sensitivity_images=1)
    assert all(np.isfinite(values).all() for values in card.values())


def test_metrics_that_need_a_range_ask_for_it():
    classifier = linear(draw(4, 4, 1))
    classifier = explain.Classifier(classifier.model)
    images, maps = draw(1, 4, 4, 1), draw(1, 4, 4)
    for metric in (
        metrics.road,
        metrics.confidence_change,
        metrics.pixel_flipping,
        metrics.faithfulness_correlation,
        metrics.infidelity,
    ):
        with pytest.raises(CifarcamError, match="what black and white are"):
            metric(classifier, images, maps)
    assert metrics.deletion(classifier, images, maps).probabilities.shape == (1, 17)
    blob = explain.CentreBlob(classifier)
    for metric in (metrics.max_sensitivity, metrics.local_lipschitz_estimate):
        with pytest.raises(CifarcamError, match="what black and white are"):
            metric(blob, images)


@pytest.mark.slow
@pytest.mark.parametrize("name", METRICS)
def test_metrics_of_a_score_that_is_a_class_are_those_of_the_class(name, network):
    """Its probability where the metric takes the probability of a class, else its logit."""
    is_probability = name in ("deletion", "pixel flipping", "insertion", "road", "drop", "without")

    def score(outputs, targets):
        values = tf.nn.softmax(outputs) if is_probability else outputs
        return tf.gather(values, tf.cast(targets, tf.int32), batch_dims=1)

    images, maps = draw(5, 12, 10, 3), draw(5, 12, 10, seed=1)
    of_class, own = (
        METRICS[name](classifier, images, maps, targets=[2, 1, 0, 1, 2])
        for classifier in (
            explain.Classifier(network, input_range=(0, 1)),
            explain.Classifier(network, input_range=(0, 1), score=score),
        )
    )
    np.testing.assert_allclose(own, of_class, rtol=1e-4, atol=1e-5)


def test_metrics_of_a_segmentation():
    """The score is the sum of an output map, -2 times the image, over a mask of its own."""
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.Conv2D(1, 1, use_bias=False)])
    model.set_weights([np.full((1, 1, 1, 1), -2)])

    def score(outputs, masks):
        return tf.reduce_sum(outputs[..., 0] * masks, axis=(1, 2))

    classifier = explain.Classifier(model, input_range=(0, 1), score=score)
    images = draw(3, 4, 4, 1, seed=1)
    masks = draw(3, 4, 4, seed=2) < 0.5
    parts = -2 * images[..., 0] * masks
    # Black pixels, the darkest within the mask first.
    order = np.argsort(-parts.reshape(3, -1), axis=1)
    left = parts.sum(axis=(1, 2))[:, None] - np.take_along_axis(
        parts.reshape(3, -1), order, axis=1
    ).cumsum(axis=1)
    curve = metrics.pixel_flipping(classifier, images, parts, masks, steps=16)
    np.testing.assert_allclose(curve.probabilities[:, 1:], left, atol=1e-5)
    np.testing.assert_allclose(
        metrics.faithfulness_correlation(classifier, images, parts, masks), 1
    )
    # A score below 0 has no share to lose. Only the last pixel remains.
    heatmaps = np.zeros((3, 4, 4))
    heatmaps[:, -1, -1] = 1
    change = metrics.confidence_change(classifier, images, heatmaps, masks)
    assert np.isnan(change.drop).all()
    np.testing.assert_array_equal(change.increase, 1)
    # The negative score minus 1 is above 0, and below 0 for a black image: more than all is lost.
    negative = explain.Classifier(
        model, input_range=(0, 1), score=lambda outputs, masks: -1 - score(outputs, masks)
    )
    before, after = -1 - parts.sum(axis=(1, 2)), -1 - parts[:, -1, -1]
    change = metrics.confidence_change(negative, images, heatmaps, masks)
    np.testing.assert_allclose(change.drop, (before - after) / before, rtol=1e-5)
    assert (before > 0).all() and change.drop.max() > 1
    with pytest.raises(CifarcamError, match="for 3 images"):
        metrics.deletion(classifier, images, heatmaps, masks[:2])


def test_cells_of_mu_fidelity_cover_any_size():
    """As the masks of occlusion and of SHAP do: cells differ by one pixel at most."""
    weights = draw(13, 11, 1) - 0.5
    classifier = linear(weights)
    images = draw(2, 13, 11, 1, seed=1)
    removals = metrics.patch_removals(classifier, images, 1, grid=4, share=0.1, samples=40)
    assert removals.masks.any(axis=0).all()
    assert set(removals.masks.sum(axis=(1, 2))) <= {
        rows * columns + other for rows in (3, 4) for columns in (2, 3) for other in (6, 8, 9, 12)
    }
    contribution = (images - images.mean(axis=(1, 2), keepdims=True))[..., 0] * weights[..., 0]
    falls = contribution.reshape(2, -1) @ removals.masks.reshape(40, -1).T
    np.testing.assert_allclose(removals.falls, falls, atol=1e-5)


def test_pixel_flipping_of_perfect_and_worst_maps():
    """Of a linear model, each step takes the highest contribution away."""
    weights = draw(4, 4, 2) - 0.3
    classifier = linear(weights)
    image = draw(1, 4, 4, 2, seed=1)
    contribution = (image[0] * weights).sum(axis=-1).ravel()
    for maps, order in ((1, np.argsort(-contribution)), (-1, np.argsort(contribution))):
        left = contribution.sum() - np.append(0, np.cumsum(contribution[order]))
        curve = metrics.pixel_flipping(
            classifier, image, maps * contribution.reshape(1, 4, 4), 1, steps=16
        )
        np.testing.assert_allclose(curve.probabilities[0], logistic(left), rtol=1e-5)
    white = metrics.pixel_flipping(classifier, image, np.ones((1, 4, 4)), 1, baseline=1.0)
    np.testing.assert_allclose(white.probabilities[0, -1], logistic(weights.sum()), rtol=1e-5)
    zero, other = (
        metrics.pixel_flipping(classifier, image, np.zeros((1, 4, 4)), 1, seed=seed).probabilities
        for seed in (0, 1)
    )
    np.testing.assert_allclose(zero[:, [0, -1]], other[:, [0, -1]])
    assert np.abs(zero - other).max() > 1e-3
    coarse = metrics.pixel_flipping(classifier, image, np.zeros((1, 4, 4)), 1, steps=4)
    np.testing.assert_allclose(coarse.probabilities, zero[:, ::4])


def test_faithfulness_correlation_is_one_for_the_true_attribution():
    weights = draw(6, 6, 3) - 0.5
    classifier = linear(weights)
    images = draw(3, 6, 6, 3, seed=1)
    for baseline in (0.0, 0.5):
        true = ((images - baseline) * weights).sum(axis=-1)
        both = [
            metrics.faithfulness_correlation(classifier, images, sign * true, 1, baseline=baseline)
            for sign in (1, -1)
        ]
        np.testing.assert_allclose(both, [[1, 1, 1], [-1, -1, -1]], atol=1e-5)
    for constant in (np.zeros_like(true), np.ones_like(true)):
        assert np.isnan(metrics.faithfulness_correlation(classifier, images, constant, 1)).all()
    maps = draw(3, 6, 6, seed=2)
    usual, *others = (
        metrics.faithfulness_correlation(classifier, images, maps, 1, **options)
        for options in ({}, {"share": 0.5}, {"samples": 9}, {"seed": 1}, {"baseline": 1.0})
    )
    assert all(np.abs(other - usual).max() > 1e-3 for other in others)


def test_infidelity_of_perfect_worst_and_zero_maps():
    weights = draw(8, 8, 1) - 0.5
    classifier = linear(weights)
    images = draw(2, 8, 8, 1, seed=1)
    own = np.broadcast_to(weights[..., 0], (2, 8, 8))
    falls = metrics.infidelity(classifier, images, np.zeros((2, 8, 8)), 1)
    assert (falls > 0.01).all()
    # The gradient predicts every fall, whatever its scale; its negative predicts none.
    for factor, expected in ((1, 0 * falls), (1e-3, 0 * falls), (-7, falls)):
        result = metrics.infidelity(classifier, images, factor * own, 1)
        np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-9)
    constant = metrics.infidelity(classifier, images, np.ones((2, 8, 8)), 1)
    assert (constant > 0).all() and (constant <= falls).all()
    usual, *others = (
        metrics.infidelity(classifier, images, draw(2, 8, 8, seed=2), 1, **options)
        for options in ({}, {"grid": 4}, {"share": 0.5}, {"samples": 9}, {"seed": 1})
    )
    assert all(np.abs(other - usual).max() > 1e-6 for other in others)


def test_infidelity_takes_the_sum_over_channels_and_the_best_factor():
    """Against the definition, one random subset after another."""
    weights = draw(4, 4, 3) - 0.5
    classifier = linear(weights)
    image, heatmap = draw(1, 4, 4, 3, seed=1), draw(1, 4, 4, seed=2)
    masks = metrics.patch_removals(classifier, image, 1, grid=4, share=0.25, samples=20).masks
    perturbations = masks[..., None] * image  # black is zero
    dots = np.array([(p * heatmap[0, ..., None]).sum() for p in perturbations])
    falls = np.array([(p * weights).sum() for p in perturbations])
    factor = (dots * falls).sum() / (dots**2).sum()
    assert factor > 0
    expected = ((factor * dots - falls) ** 2).mean()
    result = metrics.infidelity(classifier, image, heatmap, 1, grid=4, share=0.25, samples=20)
    np.testing.assert_allclose(result, expected, rtol=1e-4)


def test_local_lipschitz_estimate_of_constant_and_of_proportional_maps():
    weights = np.zeros((4, 4, 1), np.float32)
    weights[0, 0], weights[1, 1] = 1, 2
    classifier = linear(weights, (0, 255))
    image = np.full((1, 4, 4, 1), 100, np.float32)
    blob = explain.CentreBlob(classifier)
    np.testing.assert_array_equal(metrics.local_lipschitz_estimate(blob, image), 0)
    # Integrated gradients are w x. Divided by their maximum, they are 1 and x0 / (2 x1).
    attribution = explain.IntegratedGradients(classifier)
    rng = np.random.default_rng(0)
    changes = [rng.uniform(-0.1, 0.1, (4, 4, 1)).astype(np.float32)[..., 0] for _ in range(5)]
    values = [image[0, ..., 0] / 255 + change for change in changes]
    ratios = [
        abs(0.5 - value[0, 0] / (2 * value[1, 1])) / np.linalg.norm(change)
        for value, change in zip(values, changes, strict=True)
    ]
    result = metrics.local_lipschitz_estimate(attribution, image, 1, radius=0.1, samples=5)
    np.testing.assert_allclose(result, max(ratios), rtol=1e-4)
    assert np.isnan(metrics.local_lipschitz_estimate(attribution, 0 * image, 1)).all()
    other = metrics.local_lipschitz_estimate(attribution, image, 1, radius=0.1, samples=5, seed=1)
    assert abs(other[0] - result[0]) > 1e-6
    with pytest.raises(CifarcamError, match="above 0"):
        metrics.local_lipschitz_estimate(blob, image, radius=0)


def test_changes_of_large_images_are_equal_in_squares():
    """Of a network that sees the mean of an image, 64 x 96 pixels change it as 32 x 32 do."""
    rng = np.random.default_rng(5)
    changes = [rng.uniform(-0.1, 0.1, (32, 32, 1)).astype(np.float32) for _ in range(3)]
    weights = np.zeros((64, 96, 1), np.float32)
    weights[2, 3] = 1  # in the square of the second row and column
    attribution = explain.IntegratedGradients(linear(weights))
    image = np.full((1, 64, 96, 1), 0.5, np.float32)
    result = metrics.max_sensitivity(attribution, image, 1, radius=0.1, samples=3, seed=5)
    np.testing.assert_allclose(result, max(abs(c[1, 1, 0]) for c in changes) / 0.5, rtol=1e-4)


def test_falls_that_are_rounding_errors_have_no_correlation():
    """The score is 5 whatever is removed, to seven digits, or falls alike for all patches."""
    weights, maps = draw(8, 8, 1) - 0.5, draw(2, 8, 8, seed=1)
    images = draw(2, 8, 8, 1, seed=2)
    for weak, bias in ((1e-8, 5.0), (0.0, 5.0), (0.0, 0.0)):
        classifier = linear(weak * weights, bias=bias)
        for metric in (metrics.mu_fidelity, metrics.faithfulness_correlation):
            assert np.isnan(metric(classifier, images, maps, 1)).all()
    # Without the 5 the falls are as small, but no rounding errors.
    classifier = linear(1e-8 * weights)
    usual = metrics.mu_fidelity(linear(weights), images, maps, 1)
    np.testing.assert_allclose(metrics.mu_fidelity(classifier, images, maps, 1), usual, atol=1e-3)
    # Black pixels of a grey image all matter alike.
    alike = linear(np.full((8, 8, 1), 0.1))
    grey = np.full((2, 8, 8, 1), 0.3, np.float32)
    assert np.isnan(metrics.faithfulness_correlation(alike, grey, maps, 1)).all()


def test_effective_complexity_of_known_maps():
    maps = np.zeros((4, 4, 5))
    maps[0, 1, 2] = 3.0  # one of 20 pixels
    maps[1] = 0.7
    maps[2, 0, :4] = [1, 0.5, 0.1, 1e-6]
    result = metrics.effective_complexity(maps)
    np.testing.assert_allclose(result, [0.05, 1, 0.15, np.nan])
    np.testing.assert_allclose(metrics.effective_complexity(1e-9 * maps), result)
    np.testing.assert_allclose(metrics.effective_complexity(maps, 0.4)[2], 0.1)
    for wrong in (1.5, -0.1, True, "x", None):
        with pytest.raises(CifarcamError, match=r"threshold is .*; give a number from 0 to 1"):
            metrics.effective_complexity(maps, wrong)


def test_discrete_entropy_of_known_maps():
    maps = np.zeros((3, 2, 50))
    maps[1] = np.arange(100).reshape(2, 50)  # one value in each bin
    maps[2, 0, :25] = 4.0  # a quarter
    expected = [0, np.log(100), -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))]
    np.testing.assert_allclose(metrics.discrete_entropy(maps), expected, atol=1e-12)
    np.testing.assert_allclose(metrics.discrete_entropy(maps, 4)[1], np.log(4))
    with pytest.raises(CifarcamError, match="at least 2"):
        metrics.discrete_entropy(maps, 1)


@pytest.mark.slow
def test_efficient_mprt_of_methods_that_see_the_weights_or_not(network, monkeypatch):
    # Trained, all units see the first pixel, and cancel each other elsewhere. The second layer has
    # equal weights, which a permutation leaves alone.
    whole = np.random.default_rng(0).integers(1, 9, (64, 4))
    kernel = np.concatenate([whole, -whole], axis=1).astype(np.float32)
    kernel[0] = 1
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Flatten(),
            layers.Dense(8, use_bias=False),
            layers.Dense(2, use_bias=False),
        ]
    )
    model.set_weights([kernel, np.ones((8, 2))])
    classifier = explain.Classifier(model, input_range=(0, 1))
    images = draw(3, 8, 8, 1)
    before = [w.copy() for w in model.get_weights()]
    sighted = metrics.efficient_mprt(explain.Saliency(classifier), images, 1)
    own = -(np.log(1 / 64) / 64 + 63 / 64 * np.log(63 / 64))
    rng = np.random.default_rng(0)
    rng.permutation(16)  # of the layer before the output
    drawn = rng.permutation(kernel.ravel()).reshape(64, 8)
    counts = np.histogram(np.abs(drawn.sum(axis=1)), 100)[0] / 64
    after = -(counts[counts > 0] * np.log(counts[counts > 0])).sum()
    np.testing.assert_allclose(sighted, (after - own) / own, rtol=1e-6)
    assert (sighted > 10).all()
    blind = metrics.efficient_mprt(explain.CentreBlob(classifier), images, 1)
    np.testing.assert_array_equal(blind, 0)
    # Integrated gradients from black to black are zero.
    zero = metrics.efficient_mprt(explain.IntegratedGradients(classifier), 0 * images, 0)
    assert np.isnan(zero).all()
    # A heatmap that the permutation leaves blank has no entropy to compare.
    vanishing = explain.Saliency(classifier)
    whole = type(vanishing).__call__
    calls = iter([1, 0])
    with monkeypatch.context() as patch:
        patch.setattr(explain.Saliency, "__call__", lambda *a, **k: next(calls) * whole(*a, **k))
        assert np.isnan(metrics.efficient_mprt(vanishing, images, 1)).all()
    for own, restored in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(own, restored)
    conv = explain.Saliency(network, input_range=(0, 1))
    usual, *others = (
        metrics.efficient_mprt(conv, draw(2, 8, 8, 3), **options)
        for options in ({}, {"seed": 1}, {"bins": 10})
    )
    assert all(np.abs(other - usual).max() > 1e-6 for other in others)


def test_randomisation_keeps_the_means_of_a_leading_normalisation():
    """A Normalization states the range of the images; the network has not learnt it."""
    normalisation = layers.Normalization(mean=MEANS, variance=DEVIATIONS**2)
    adapted = layers.Normalization()
    adapted.adapt(draw(9, 4, 4, 3))
    for first in (normalisation, adapted):
        model = keras.Sequential(
            [
                keras.Input((8, 8, 3)),
                first,
                layers.Conv2D(2, 3, name="conv"),
                layers.GlobalAveragePooling2D(),
                layers.Dense(2, name="logits"),
            ]
        )
        explainer = explain.Saliency(model, input_range=(0, 1))
        result = metrics.cascading_randomisation(explainer, draw(2, 8, 8, 3))
        assert result.layers == ("logits", "conv")
