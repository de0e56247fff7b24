"""Occlusion, RISE, LIME and SHAP: closed forms, exact values, the authors' libraries, their cost."""

import functools
import itertools
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from lime.lime_base import LimeBase
from shap.explainers import Permutation
from shap.maskers import Independent
from sklearn.metrics import pairwise_distances

from cifarcam import explain
from cifarcam.errors import CifarcamError
from cifarcam.explain import _draws
from cifarcam.explain.methods.lime import ridge_weights

SHAPE = (8, 12, 3)
IMAGES = np.random.default_rng(3).integers(0, 256, (4, *SHAPE)).astype(np.uint8)
GRID = 4  # cells of 2 x 3 pixels
CELLS = GRID * GRID


def additive(shape=SHAPE, **options):
    """A linear model with a bias, whose score is a sum over pixels."""
    keras.utils.set_random_seed(5)
    model = keras.Sequential(
        [
            keras.Input(shape),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(3, bias_initializer="ones", name="logits"),
        ]
    )
    return explain.Classifier(model, **options)


def pixel_parts(classifier, images, target=1):
    """What each pixel adds to the score over black: float64, N x H x W."""
    kernel = classifier.model.get_layer("logits").kernel.numpy().astype(np.float64)
    return (
        ((images / 255.0).reshape(len(images), -1) * kernel[:, target])
        .reshape(images.shape)
        .sum(axis=-1)
    )


def cell_sums(parts, grid=GRID):
    """N x H x W -> N x grid x grid, where the grid divides the image."""
    n, height, width = parts.shape
    return parts.reshape(n, grid, height // grid, grid, width // grid).sum(axis=(2, 4))


def of_cells(maps, grid=GRID):
    """The one value of each cell of maps: N x grid x grid."""
    n, height, width = maps.shape
    blocks = maps.reshape(n, grid, height // grid, grid, width // grid)
    np.testing.assert_array_equal(blocks.min(axis=(2, 4)), blocks.max(axis=(2, 4)))
    return blocks[:, :, 0, :, 0].astype(np.float64)


@functools.cache
def curved():
    """A network without any additivity."""
    keras.utils.set_random_seed(6)
    return explain.Classifier(
        keras.Sequential(
            [
                keras.Input(SHAPE),
                layers.Rescaling(1 / 255),
                layers.Conv2D(6, 3, padding="same", activation="relu", name="conv"),
                layers.Flatten(),
                layers.Dense(8, activation="tanh", kernel_initializer="orthogonal"),
                layers.Dense(3, name="logits"),
                layers.Softmax(),
            ]
        )
    )


def shown_parts(image, shown):
    """Images of which only the cells in `shown` (k x cells, 0-1) are not black."""
    masks = shown.reshape(-1, GRID, GRID).repeat(2, axis=1).repeat(3, axis=2)
    return (image * masks[..., np.newaxis]).astype(np.float32)


def scores_of(classifier, image, shown, target=1):
    return classifier.scores(shown_parts(image, np.asarray(shown)))[:, target].astype(np.float64)


# Occlusion


@pytest.mark.parametrize("window", [1, 2, 3, GRID])
def test_occlusion_of_an_additive_score_is_the_mean_of_the_windows_sums(window):
    classifier = additive()
    sums = cell_sums(pixel_parts(classifier, IMAGES))
    total, count = np.zeros_like(sums), np.zeros((GRID, GRID))
    for row, column in itertools.product(range(GRID - window + 1), repeat=2):
        at = slice(row, row + window), slice(column, column + window)
        total[:, *at] += sums[:, *at].sum(axis=(1, 2), keepdims=True)
        count[at] += 1
    maps = explain.Occlusion(classifier, grid=GRID, window=window).signed_maps(IMAGES, 1)
    np.testing.assert_allclose(of_cells(maps), total / count, rtol=1e-3, atol=1e-5)


def test_occlusion_of_single_cells_is_the_fall_of_the_score_one_image_at_a_time():
    maps = explain.Occlusion(curved(), grid=GRID, window=1).signed_maps(IMAGES, 1)
    for image, values in zip(IMAGES, of_cells(maps), strict=True):
        scores = scores_of(curved(), image, np.vstack([np.ones(CELLS), 1 - np.eye(CELLS)]))
        np.testing.assert_allclose(values.ravel(), scores[0] - scores[1:], rtol=1e-3, atol=1e-6)


def test_occlusion_finds_the_cell_that_decides():
    """A score of the brightest red pixel: only its cell counts, and only with a window of 1."""
    image = np.full((1, *SHAPE), 9, np.uint8)
    image[0, 5, 7, 0] = 200  # row 2, column 2 of the cells
    red = keras.Input(SHAPE)
    model = keras.Model(red, layers.GlobalMaxPooling2D()(red))

    def score(outputs, targets):
        return outputs[:, 0]

    options = {"score": score, "input_range": (0, 255)}
    values = of_cells(explain.Occlusion(model, grid=GRID, window=1, **options).signed_maps(image))
    expected = np.zeros((GRID, GRID))
    expected[2, 2] = 200 - 9
    np.testing.assert_array_equal(values[0], expected)
    values = of_cells(explain.Occlusion(model, grid=GRID, window=2, **options).signed_maps(image))
    expected = np.array([[0, 0, 0, 0], [0, 1, 2, 1], [0, 2, 4, 2], [0, 1, 2, 1]])
    windows = np.array([[1, 2, 2, 1], [2, 4, 4, 2], [2, 4, 4, 2], [1, 2, 2, 1]])
    expected = expected / windows * 191
    np.testing.assert_allclose(values[0], np.where(expected > 0, expected, 0), rtol=1e-6)


# RISE


def shares(size, shift):
    """How a row of GRID + 1 cells, enlarged and shifted by a part of a cell, covers `size` pixels.

    Half-pixel bilinear interpolation by its definition, the pixels beyond the ends repeated.
    """
    weights = np.zeros((size, GRID + 1))
    for pixel in range(size):
        place = min(max((pixel + 0.5) * GRID / size + shift - 0.5, 0), GRID)
        low = min(int(np.floor(place)), GRID - 1)
        weights[pixel, low], weights[pixel, low + 1] = 1 - (place - low), place - low
    return weights


def expected_rise(parts):
    """The mean of RISE's map for a sum over pixels: their covariances with each pixel, over 1/2.

    A cell has the variance 1/4; shifts are averaged over 50 values in each direction.
    """
    means = []
    for size in parts.shape[1:]:
        products = [w @ w.T for w in (shares(size, (k + 0.5) / 50) for k in range(50))]
        means.append(np.mean(products, axis=0))
    rows, columns = means
    return rows @ parts @ columns.T / 4 / 0.5


def relative_error(samples, seed=0):
    classifier = additive()
    expected = expected_rise(pixel_parts(classifier, IMAGES))
    maps = explain.RISE(classifier, grid=GRID, samples=samples, seed=seed).signed_maps(IMAGES, 1)
    return np.sqrt(np.mean((maps - expected) ** 2) / np.mean(expected**2))


@pytest.mark.slow
def test_rise_of_an_additive_score_converges_with_the_root_of_its_samples():
    few = np.mean([relative_error(500, seed) for seed in range(4)])
    many = np.mean([relative_error(8000, seed) for seed in range(4)])
    assert many < 0.12
    assert 3 < few / many < 5.3  # the root of 16 is 4


def test_rise_agrees_with_masks_made_one_by_one():
    explainer = explain.RISE(curved(), grid=GRID, samples=40, seed=7)
    maps = explainer.signed_maps(IMAGES, 1)
    seeds = tf.constant(explainer._seeds(IMAGES.astype(np.float32)))
    cells = _draws.uniform(seeds, [40, GRID + 1, GRID + 1]).numpy() < 0.5
    shifts = _draws.uniform(seeds, [40, 2], 1).numpy().astype(np.float64)
    for n, image in enumerate(IMAGES):
        masks = np.stack(
            [
                shares(8, row) @ own.astype(float) @ shares(12, column).T
                for own, (row, column) in zip(cells[n], shifts[n], strict=True)
            ]
        )
        scores = curved().scores((image * masks[..., np.newaxis]).astype(np.float32))[:, 1]
        scores = scores.astype(np.float64) - scores.mean()
        expected = np.einsum("k,kij->ij", scores, masks) / (40 * 0.5)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(maps[n], expected, rtol=1e-3, atol=1e-4 * scale)
    assert 0.4 < cells.mean() < 0.6 and 0.4 < shifts.mean() < 0.6 and shifts.std() > 0.2


@pytest.mark.slow
def test_rise_does_not_change_with_a_constant_in_the_score():
    classifier = additive()
    expected = explain.RISE(classifier, grid=GRID, samples=50).signed_maps(IMAGES, 1)
    kernel, bias = classifier.model.get_layer("logits").get_weights()
    classifier.model.get_layer("logits").set_weights([kernel, bias + 100])
    maps = explain.RISE(classifier, grid=GRID, samples=50).signed_maps(IMAGES, 1)
    np.testing.assert_allclose(maps, expected, atol=1e-3 * np.abs(expected).max())


# LIME


def visible_cells(explainer, samples):
    """The cells that LIME's samples show: N x samples x cells, the first with all."""
    seeds = tf.constant(explainer._seeds(IMAGES.astype(np.float32)))
    visible = _draws.uniform(seeds, [samples - 1, CELLS]).numpy() < 0.5
    return np.concatenate([np.ones_like(visible[:, :1]), visible], axis=1).astype(np.float64)


def of_the_library(shown, scores):
    """The weights of the authors' library for the same samples, as its explainer of images asks."""

    def kernel(distances):
        return np.sqrt(np.exp(-(distances**2) / 0.25**2))

    distances = pairwise_distances(shown, shown[:1], metric="cosine").ravel()
    fitted = LimeBase(kernel).explain_instance_with_data(
        shown, scores[:, np.newaxis], distances, 0, shown.shape[1], feature_selection="none"
    )
    return np.array([weight for _, weight in sorted(fitted[1])])


def test_lime_has_the_weights_of_the_authors_library():
    explainer = explain.LIME(curved(), grid=GRID, samples=200, seed=3)
    values = of_cells(explainer.signed_maps(IMAGES, 1)).reshape(len(IMAGES), -1)
    for image, shown, own in zip(IMAGES, visible_cells(explainer, 200), values, strict=True):
        expected = of_the_library(shown, scores_of(curved(), image, shown))
        np.testing.assert_allclose(own, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_ridge_weights_are_those_of_the_library_to_float64():
    rng = np.random.default_rng(0)
    shown = (rng.random((3, 60, 9)) < 0.5).astype(np.float64)
    shown[:, 0] = 1
    scores = rng.normal(size=(3, 60)) * [[1], [1e3], [1e-3]] + 7
    weights = ridge_weights(tf.constant(shown), tf.constant(scores)).numpy()
    for n in range(3):
        np.testing.assert_allclose(weights[n], of_the_library(shown[n], scores[n]), rtol=1e-8)


@pytest.mark.slow
def test_lime_of_an_additive_score_is_each_cell_s_own_part():
    """Up to the penalty, which shrinks a weight by about 1 / 1,000 of 8,000 samples."""
    classifier = additive()
    expected = cell_sums(pixel_parts(classifier, IMAGES))
    maps = explain.LIME(classifier, grid=GRID, samples=8000).signed_maps(IMAGES, 1)
    np.testing.assert_allclose(of_cells(maps), expected, atol=2e-3 * np.abs(expected).max())
    usual = explain.LIME(classifier, grid=GRID).signed_maps(IMAGES, 1)
    np.testing.assert_allclose(of_cells(usual), expected, atol=0.03 * np.abs(expected).max())


# SHAP


def exact_shapley(value, players):
    """Shapley values by their definition, the mean over all orders of the players."""
    orders = list(itertools.permutations(range(players)))
    coalitions = np.array(list(itertools.product([0, 1], repeat=players)), float)
    worth = dict(zip(map(tuple, coalitions.astype(int)), value(coalitions), strict=True))
    totals = np.zeros(players)
    for order in orders:
        present = [0] * players
        for player in order:
            before = worth[tuple(present)]
            present[player] = 1
            totals[player] += worth[tuple(present)] - before
    return totals / len(orders)


def coarse_value(image):
    """The score of an image of which only some quarters are shown, from a table of all 16."""
    coalitions = np.array(list(itertools.product([0, 1], repeat=4)))
    masks = coalitions.reshape(-1, 2, 2).repeat(4, axis=1).repeat(6, axis=2)
    masked = (image * masks[..., np.newaxis]).astype(np.float32)
    scores = curved().scores(masked)[:, 1].astype(np.float64)

    def value(shown):
        return scores[np.asarray(shown, int) @ [8, 4, 2, 1]]

    return value


def shap_of_quarters(permutations, seeds=(0,)):
    """For each seed, the values of the quarters of each image."""
    explainer = explain.SHAP(curved(), grid=2, permutations=permutations)
    values = []
    for explainer.seed in seeds:
        maps = explainer.signed_maps(IMAGES, 1)
        values.append(of_cells(maps, 2).reshape(len(IMAGES), 4))
    return np.array(values)


def test_shap_of_an_additive_score_is_each_cell_s_own_part():
    classifier = additive()
    expected = cell_sums(pixel_parts(classifier, IMAGES))
    maps = explain.SHAP(classifier, grid=GRID, permutations=1).signed_maps(IMAGES, 1)
    np.testing.assert_allclose(of_cells(maps), expected, atol=1e-4 * np.abs(expected).max())


def test_shap_sums_to_the_score_minus_that_of_black():
    maps = explain.SHAP(curved(), grid=GRID, permutations=2).signed_maps(IMAGES, 1)
    scores = curved().scores(IMAGES)[:, 1] - curved().scores(np.zeros_like(IMAGES))[:, 1]
    np.testing.assert_allclose(of_cells(maps).sum(axis=(1, 2)), scores, rtol=1e-3, atol=1e-6)


@pytest.mark.slow
def test_shap_converges_to_exact_shapley_values():
    exact = np.array([exact_shapley(coarse_value(image), 4) for image in IMAGES])
    once, (many,) = shap_of_quarters(1, range(40)), shap_of_quarters(3000)
    noise = once.std(axis=0, ddof=1) / np.sqrt(3000)
    assert noise.max() > 0
    np.testing.assert_array_less(np.abs(many - exact), 4 * noise + 1e-5 * np.abs(exact).max())


@pytest.mark.slow
def test_shap_has_the_mean_and_the_spread_of_the_authors_library():
    """The library also walks each order twice: 2 x 4 + 1 scores for a permutation of 4 cells."""
    own = shap_of_quarters(1, range(200))[:, 0]
    value, black = coarse_value(IMAGES[0]), Independent(np.zeros((1, 4)))
    library = []
    for seed in range(200):
        permutation = Permutation(value, black, seed=seed)
        library.append(permutation(np.ones((1, 4)), max_evals=9, silent=True).values[0])
    library = np.array(library)
    error = np.sqrt((own.var(axis=0) + library.var(axis=0)) / 200)
    np.testing.assert_array_less(np.abs(own.mean(axis=0) - library.mean(axis=0)), 4 * error)
    assert np.abs(np.log(own.std(axis=0) / library.std(axis=0))).max() < 0.25


# Cost, chunks and size

COUNTS = []


@keras.saving.register_keras_serializable("tests")
class Counted(layers.Layer):
    """Passes images on and notes how many there are."""

    def call(self, x):
        def note(count):
            COUNTS.append(int(count))
            return count

        counted = tf.numpy_function(note, [tf.shape(x)[0]], tf.int32)
        with tf.control_dependencies([counted]):
            return tf.identity(x)


@functools.cache
def counted(side):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((side, side, 3)),
            layers.Rescaling(1 / 255),
            Counted(),
            layers.Conv2D(4, 3, strides=2, activation="relu", name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )
    return explain.Classifier(model)


def passes(explainer, images, **options):
    COUNTS.clear()
    explainer.signed_maps(images, **options)
    return sum(COUNTS)


OPTIONS = {
    "occlusion": [{}, {"grid": 5, "window": 3}],
    "rise": [{"samples": 20}, {"samples": 7, "grid": 3}],
    "lime": [{"samples": 20}, {"samples": 7, "grid": 3}],
    "shap": [{"permutations": 1}, {"permutations": 3, "grid": 2}],
    "integrated-gradients": [{"steps": 4}],
    "smoothgrad": [{"samples": 3}],
}


@pytest.mark.parametrize("side", [32, pytest.param(224, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("name", "options"), [(name, options) for name in OPTIONS for options in OPTIONS[name]]
)
def test_cost_is_the_number_of_passes_at_any_size(name, options, side):
    explainer = explain.METHODS[name](counted(side), **options)
    images = np.random.default_rng(0).integers(0, 256, (2, side, side, 3)).astype(np.uint8)
    promised = int(re.match(r"(\d+) forward", explainer.cost)[1])
    assert passes(explainer, images, batch_size=16) == 2 * promised


@pytest.mark.parametrize("name", explain.METHODS)
def test_cost_of_a_class_is_that_of_its_default_options(name):
    method = explain.METHODS[name]
    if getattr(method, "needs_attention", False):
        assert method.cost
        return
    assert method(counted(32)).cost == method.cost


def test_cost_of_score_cam_and_ablation_cam_is_the_number_of_passes():
    """A pass from the layer on does not pass the layer that counts."""
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    model = counted(32).model
    activations = keras.Model(model.inputs[0], model.get_layer("conv").output)(images).numpy()
    varied = np.ptp(activations, axis=(1, 2)) > 0
    assert passes(explain.ScoreCAM(counted(32)), images) == varied.sum() + 2 * len(images)
    assert passes(explain.AblationCAM(counted(32)), images) == len(images)


@pytest.mark.parametrize("name", ["occlusion", "rise", "lime", "shap", "score-cam", "ablation-cam"])
def test_number_of_copies_at_a_time_follows_the_batch_size_and_changes_no_map(name):
    explainer = explain.METHODS[name](counted(32), **OPTIONS.get(name, [{}])[0])
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    COUNTS.clear()
    whole = explainer.signed_maps(images, 1, batch_size=64)
    for size in (1, 2, 7):
        COUNTS.clear()
        maps = explainer.signed_maps(images, 1, batch_size=size)
        assert max(COUNTS) <= size
        np.testing.assert_allclose(maps, whole, rtol=1e-4, atol=1e-5 * np.abs(whole).max())


@pytest.mark.parametrize("size", [(8, 12), (7, 9), (3, 5), (33, 17)])
def test_cells_of_any_size_of_image_have_their_own_values(size):
    """The grid need not divide the image, nor have a pixel in each cell."""
    classifier = additive((*size, 3))
    images = np.random.default_rng(1).integers(0, 256, (2, *size, 3)).astype(np.uint8)
    parts = pixel_parts(classifier, images)
    rows, columns = (np.arange(n) * GRID // n for n in size)
    expected = np.zeros_like(parts)
    for row, column in itertools.product(range(GRID), repeat=2):
        cell = np.ix_([0, 1], rows == row, columns == column)
        expected[cell] = parts[cell].sum(axis=(1, 2), keepdims=True)
    for explainer in (
        explain.SHAP(classifier, grid=GRID, permutations=1),
        explain.Occlusion(classifier, grid=GRID, window=1),
    ):
        maps = explainer.signed_maps(images, 1)
        np.testing.assert_allclose(maps, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("occlusion", {"grid": 1}, "grid is 1"),
        ("occlusion", {"window": 0}, "window is 0; give 1 to 8"),
        ("occlusion", {"grid": 4, "window": 5}, "window is 5; give 1 to 4"),
        ("rise", {"grid": 1}, "grid is 1"),
        ("rise", {"samples": 1}, "samples is 1"),
        ("lime", {"grid": 0}, "grid is 0"),
        ("lime", {"samples": 1}, "samples is 1"),
        ("shap", {"grid": 1}, "grid is 1"),
        ("shap", {"permutations": 0}, "permutations is 0"),
    ],
)
def test_options_out_of_range_are_refused(name, options, message):
    with pytest.raises(CifarcamError, match=message):
        explain.METHODS[name](additive(), **options)
