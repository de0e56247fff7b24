"""Metrics of heatmaps, in cases with a known best and worst value."""

import importlib.util
import inspect
import itertools

import keras
import numpy as np
import pytest
from keras import layers

from cifarcam import explain
from cifarcam.errors import CifarcamError, MissingExtra
from cifarcam.explain import metrics

REGION = np.zeros((8, 8), bool)
REGION[:4, 4:] = True  # a quarter: 16 of 64 pixels
SLOPE = 1e-3


def logistic(z):
    return 1 / (1 + np.exp(-z))


@pytest.fixture(scope="module")
def toy():
    """Class 1's logit is SLOPE times the sum over the region, class 0's is 0."""
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2, name="logits")]
    )
    kernel = np.zeros((64, 2), np.float32)
    kernel[:, 1] = SLOPE * REGION.ravel()
    model.set_weights([kernel, np.zeros(2)])
    return explain.Classifier(model, input_range=(0, 255))


@pytest.fixture(scope="module")
def images():
    """200 in the region, 0 elsewhere: the mean is 50."""
    return np.broadcast_to(200.0 * REGION[None, ..., None], (3, 8, 8, 1)).astype(np.float32)


PERFECT = np.broadcast_to(REGION.astype(float), (3, 8, 8))
WORST = 1 - PERFECT


@pytest.mark.parametrize("measure", [metrics.deletion, metrics.insertion])
@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3), (0, 8, 8, 3)])
def test_curves_refuse_other_arrays(toy, measure, shape):
    with pytest.raises(CifarcamError, match="images"):
        measure(toy, np.zeros(shape), np.zeros((1, 8, 8)))


def test_deletion_of_the_perfect_and_of_the_worst_map(toy, images):
    steps = np.arange(17)
    gone = np.minimum(4 * steps, 16)  # pixels of the region gone: all after a quarter
    perfect = logistic(SLOPE * (200 * (16 - gone) + 50 * gone))
    curve = metrics.deletion(toy, images, PERFECT)
    np.testing.assert_allclose(curve.shares, steps / 16)
    np.testing.assert_allclose(curve.probabilities, np.tile(perfect, (3, 1)), rtol=1e-5)
    gone = np.maximum(4 * steps - 48, 0)  # the last quarter alone
    worst = logistic(SLOPE * (200 * (16 - gone) + 50 * gone))
    other = metrics.deletion(toy, images, WORST)
    np.testing.assert_allclose(other.probabilities[0], worst, rtol=1e-5)
    area = ((worst[1:] + worst[:-1]) / 2).mean()
    np.testing.assert_allclose(other.areas, area, rtol=1e-6)
    assert (curve.areas < other.areas).all()


def test_insertion_of_the_perfect_and_of_the_worst_map(toy, images):
    perfect = metrics.insertion(toy, images, PERFECT)
    worst = metrics.insertion(toy, images, WORST)
    whole = logistic(SLOPE * 200 * 16)
    assert (perfect.areas > worst.areas).all()
    np.testing.assert_allclose(perfect.probabilities[:, 4:], whole, rtol=1e-5)  # all is there
    np.testing.assert_allclose(
        worst.probabilities[:, :13], worst.probabilities[:, :1].repeat(13, 1)
    )
    np.testing.assert_allclose(worst.probabilities[:, -1], whole, rtol=1e-5)


def test_deletion_orders_ties_by_the_seed(toy, images):
    zero = np.zeros((3, 8, 8))
    first, again = (metrics.deletion(toy, images, zero).probabilities for _ in range(2))
    np.testing.assert_array_equal(first, again)
    other = metrics.deletion(toy, images, zero, seed=1).probabilities
    assert np.abs(other - first).max() > 1e-3
    alone = metrics.deletion(toy, images[:1], zero[:1]).probabilities[0]
    np.testing.assert_allclose(
        alone, first[0], rtol=1e-6
    )  # the order does not depend on other images
    coarse = metrics.deletion(toy, images, PERFECT, steps=4)
    np.testing.assert_allclose(
        coarse.probabilities, metrics.deletion(toy, images, PERFECT).probabilities[:, ::4]
    )


def test_deletion_follows_its_targets(toy, images):
    one = metrics.deletion(toy, images, PERFECT, targets=1).probabilities
    zero = metrics.deletion(toy, images, PERFECT, targets=0).probabilities
    np.testing.assert_allclose(one + zero, 1, rtol=1e-6)
    np.testing.assert_array_equal(one, metrics.deletion(toy, images, PERFECT).probabilities)


def test_road_imputes_a_plane_exactly(toy):
    """A linear ramp obeys the neighbours' mean inside, so that imputing changes nothing."""
    ramp = np.add.outer(3.0 * np.arange(8), 5.0 * np.arange(8))[None, ..., None]
    inner = np.zeros((1, 8, 8))
    inner[0, 2:6, 2:6] = 1.0  # 16 pixels away from the border
    curve = metrics.road(toy, ramp, inner, 1, shares=(0.125, 0.25), noise=0.0)
    expected = logistic(SLOPE * ramp[0, ..., 0][REGION].sum())
    np.testing.assert_allclose(curve.probabilities, expected, rtol=1e-5)
    noisy = metrics.road(toy, ramp, inner, 1, shares=(0.125, 0.25), noise=20 / 255)
    assert np.abs(noisy.probabilities - expected).max() > 1e-4


def imputed_by_the_equations(image, removed):
    """Noisy linear imputation of Rong et al. (2022): one equation for each removed pixel.

    It is the mean of its neighbours on the image, a direct one with weight 1/6, a diagonal one 1/12.
    """
    places = list(zip(*np.nonzero(removed), strict=True))
    system, right = np.zeros((len(places), len(places))), np.zeros(len(places))
    for row, (i, j) in enumerate(places):
        for down, across in itertools.product((-1, 0, 1), repeat=2):
            neighbour = (i + down, j + across)
            if not (down or across) or not all(0 <= one < 8 for one in neighbour):
                continue
            weight = 1 / 12 if down and across else 1 / 6
            system[row, row] += weight
            if removed[neighbour]:
                system[row, places.index(neighbour)] -= weight
            else:
                right[row] += weight * image[neighbour]
    filled = image.copy()
    filled[removed] = np.linalg.solve(system, right)
    return filled


@pytest.mark.parametrize("share", [0.125, 0.5, 0.875])
def test_road_imputes_by_the_equations_of_its_authors(toy, share):
    rng = np.random.default_rng(3)
    pixels, maps = rng.uniform(0, 255, (3, 8, 8, 1)), rng.uniform(size=(3, 8, 8))
    imputed = metrics.imputed_images(toy, pixels, maps, share, noise=0)
    for image, ours, heat in zip(pixels, imputed, maps, strict=True):
        removed = heat >= np.sort(heat, axis=None)[-int(64 * share)]
        expected = imputed_by_the_equations(image[..., 0], removed)
        np.testing.assert_allclose(ours[..., 0], expected, atol=1e-3)


def test_road_of_the_perfect_and_of_the_worst_map(toy, images):
    shares = (0.125, 0.25)
    most = metrics.road(toy, images, PERFECT, shares=shares, noise=0.0)
    least = metrics.road(toy, images, PERFECT, shares=shares, noise=0.0, least_first=True)
    whole = logistic(SLOPE * 3200)
    np.testing.assert_allclose(least.probabilities, whole, rtol=1e-5)  # the region is untouched
    assert (most.probabilities[:, 1] < whole - 0.1).all()
    flipped = metrics.road(toy, images, WORST, shares=shares, noise=0.0)
    np.testing.assert_allclose(flipped.probabilities, least.probabilities, rtol=1e-5)


def test_road_measures_its_imputed_images(toy, images):
    rng = np.random.default_rng(0)
    pixels, maps = rng.uniform(0, 255, images.shape), rng.uniform(size=PERFECT.shape)
    for options in ({}, {"least_first": True}, {"noise": 0.1}, {"seed": 1}):
        curve = metrics.road(toy, pixels, maps, 1, shares=(0.25, 0.75), **options)
        for step, share in enumerate(curve.shares):
            imputed = metrics.imputed_images(toy, pixels, maps, share, **options)
            changed = (imputed != pixels.astype(np.float32)).sum(axis=(1, 2, 3))
            np.testing.assert_array_equal(changed, 64 * share)
            own = toy.probabilities(imputed)[:, 1]
            np.testing.assert_allclose(curve.probabilities[:, step], own, rtol=1e-6)
    with pytest.raises(CifarcamError, match="removes none or all"):
        metrics.imputed_images(toy, pixels, maps, 1)


def test_confidence_change_of_perfect_and_worst_maps(toy, images):
    both = np.concatenate([images[:1]] * 3)
    maps = np.stack([PERFECT[0], WORST[0], 0.5 * PERFECT[0]])
    result = metrics.confidence_change(toy, both, maps)
    before = logistic(SLOPE * 3200)
    np.testing.assert_allclose(result.drop, [0, (before - 0.5) / before, 0], atol=1e-6)
    np.testing.assert_array_equal(result.increase, 0)
    # For class 0 hiding the region raises the probability.
    against = metrics.confidence_change(toy, both, maps, 0)
    np.testing.assert_array_equal(against.increase, [0, 1, 0])
    assert against.drop.max() < 1e-6


def test_probability_without_a_region(toy, images):
    masks = np.stack([np.zeros((8, 8), bool), REGION, ~REGION])
    result = metrics.probability_without(toy, images, masks)
    expected = [logistic(SLOPE * 3200), logistic(SLOPE * 800), logistic(SLOPE * 3200)]
    np.testing.assert_allclose(result, expected, rtol=1e-5)


@pytest.mark.slow
def test_scorecard_is_its_measures(toy, images):
    explainer = explain.IntegratedGradients(toy)
    card = metrics.scorecard(explainer, images, sensitivity_images=2)
    assert list(card) == list(metrics.MEASURES)
    maps = explainer(images)
    np.testing.assert_array_equal(card["deletion"], metrics.deletion(toy, images, maps).areas)
    np.testing.assert_array_equal(card["gini"], metrics.gini(maps))
    assert np.isnan(card["max-sensitivity"]).tolist() == [False, False, True]
    most, least = (
        metrics.road(toy, images, maps, least_first=first).probabilities.mean(axis=1)
        for first in (False, True)
    )
    np.testing.assert_allclose(card["road"], least - most)
    assert (card["road"] > 0.1).all() and (card["increase"] == 0).all()


def test_upper_half_is_half_the_pixels_from_the_top():
    mask = np.zeros((1, 4, 3), bool)
    mask[0, 1:, 1] = mask[0, 2, 2] = True  # four pixels, from row 1 down
    expected = np.zeros((1, 4, 3), bool)
    expected[0, 1, 1] = expected[0, 2, 1] = True
    np.testing.assert_array_equal(metrics.upper_half(mask), expected)


def test_mu_fidelity_is_one_for_the_true_attribution():
    """In a linear model the fall of a subset is the sum of its pixels' parts."""
    rng = np.random.default_rng(0)
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(3)])
    pixels = rng.uniform(0, 255, (4, 8, 8, 1)).astype(np.float32)
    kernel = model.layers[-1].kernel.numpy().reshape(8, 8, 3)
    classifier = explain.Classifier(model)
    true = (pixels - pixels.mean(axis=(1, 2), keepdims=True))[..., 0] * kernel[..., 2]
    result = metrics.mu_fidelity(classifier, pixels, true, 2, grid=4, samples=32)
    np.testing.assert_allclose(result, 1, atol=1e-4)
    np.testing.assert_allclose(
        metrics.mu_fidelity(classifier, pixels, -true, 2, grid=4, samples=32), -1, atol=1e-4
    )
    flat = metrics.mu_fidelity(classifier, pixels, np.ones((4, 8, 8)), 2, grid=4)
    assert np.isnan(flat).all()
    noise = rng.normal(size=(4, 8, 8))
    values = [
        metrics.mu_fidelity(classifier, pixels, noise, 2, **options)
        for options in ({}, {"grid": 4}, {"share": 0.5}, {"samples": 9}, {"seed": 1})
    ]
    assert np.abs(values[0]).max() < 0.9
    assert all(np.abs(values[0] - other).max() > 1e-3 for other in values[1:])


@pytest.mark.slow
def test_max_sensitivity_of_constant_and_of_proportional_maps(toy, images):
    blob = explain.CentreBlob(toy)
    np.testing.assert_array_equal(metrics.max_sensitivity(blob, images), 0)
    # Integrated gradients of a linear model are w x: a change d moves them by w d.
    attribution = explain.IntegratedGradients(toy)
    rng = np.random.default_rng(0)
    changes = [rng.uniform(-3, 3, (8, 8, 1)).astype(np.float32)[..., 0] for _ in range(5)]
    norm = 200 * np.sqrt(16)
    expected = max(np.sqrt((change[REGION] ** 2).sum()) for change in changes) / norm
    result = metrics.max_sensitivity(attribution, images, radius=3 / 255, samples=5)
    np.testing.assert_allclose(result, expected, rtol=1e-4)
    assert np.isnan(metrics.max_sensitivity(attribution, 0 * images, 1)).all()


def test_gini_of_known_maps():
    maps = np.zeros((4, 2, 2))
    maps[0] = 3.0
    maps[1, 0, 1] = 7.0
    maps[2] = [[1, 2], [3, 4]]  # (-3·1 - 1·2 + 1·3 + 3·4) / (4·10) = 1/4
    np.testing.assert_allclose(metrics.gini(maps)[:3], [0, 0.75, 0.25], atol=1e-12)
    assert np.isnan(metrics.gini(maps)[3])


def test_rank_correlation_of_monotone_maps():
    rng = np.random.default_rng(1)
    maps = rng.uniform(size=(3, 6, 6))
    np.testing.assert_allclose(metrics.rank_correlation(maps, np.exp(5 * maps)), 1)
    np.testing.assert_allclose(metrics.rank_correlation(maps, -(maps**3)), -1)
    hand = metrics.rank_correlation(
        np.array([[[1.0, 2.0], [3.0, 4.0]]]), np.array([[[10.0, 30.0], [20.0, 40.0]]])
    )
    np.testing.assert_allclose(hand, 0.8)  # 1 - 6 (0 + 1 + 1 + 0) / (4 · 15)
    assert np.isnan(metrics.rank_correlation(maps, np.ones_like(maps))).all()


def test_ssim_is_that_of_scikit_image():
    from skimage.metrics import structural_similarity

    rng = np.random.default_rng(2)
    maps, others = rng.uniform(size=(2, 4, 16, 20))
    expected = [
        structural_similarity(a / a.max(), b / b.max(), data_range=1.0)
        for a, b in zip(maps, others, strict=True)
    ]
    np.testing.assert_allclose(metrics.ssim(maps, others), expected, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(metrics.ssim(maps, 9 * maps), 1)
    assert np.isnan(metrics.ssim(maps, 0 * maps)).all()
    with pytest.raises(CifarcamError, match="at least 7 x 7"):
        metrics.ssim(maps[:, :6], others[:, :6])


def network():
    keras.utils.set_random_seed(4)
    inner = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(6, 3, padding="same", activation="relu", name="conv"),
            layers.BatchNormalization(name="norm"),
        ],
        name="inner",
    )
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), inner, layers.Flatten(), layers.Dense(3, name="logits")]
    )
    model.get_layer("logits").bias.assign([0.3, -0.1, 0.2])
    return model


@pytest.mark.slow
def test_randomisation_sees_which_methods_depend_on_the_weights():
    model = network()
    pixels = np.random.default_rng(0).uniform(0, 9, (5, 8, 8, 1)).astype(np.float32)
    before = [w.copy() for w in model.get_weights()]
    result = metrics.cascading_randomisation(explain.Saliency(model), pixels)
    assert result.layers == ("logits", "norm", "conv")
    assert result.ssim.shape == result.rank_correlation.shape == (3, 5)
    assert np.abs(result.rank_correlation[-1]).mean() < 0.5
    blind = metrics.cascading_randomisation(explain.CentreBlob(model), pixels)
    np.testing.assert_allclose(blind.rank_correlation, 1)
    np.testing.assert_allclose(blind.ssim, 1)
    for weights, restored in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(weights, restored)
    other = metrics.cascading_randomisation(explain.Saliency(model), pixels, seed=1)
    assert np.abs(other.rank_correlation - result.rank_correlation).max() > 1e-3


def test_the_cascade_asks_for_its_package_before_it_computes(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == "skimage" else find(n))
    monkeypatch.setattr(explain.CentreBlob, "__call__", lambda *a, **k: pytest.fail("computed"))
    blob = explain.CentreBlob(network())
    with pytest.raises(MissingExtra, match=r"skimage.*cifarcam\[metrics\]"):
        metrics.cascading_randomisation(blob, np.ones((1, 8, 8, 1), np.float32))


@pytest.mark.slow
def test_randomisation_puts_the_weights_back_when_it_fails(monkeypatch):
    model = network()
    explainer = explain.Saliency(model)
    pixels = np.ones((1, 8, 8, 1), np.float32)
    before = [w.copy() for w in model.get_weights()]
    calls = iter([0, 1])
    whole = explain.Saliency.__call__
    monkeypatch.setattr(
        explain.Saliency, "__call__", lambda *a, **options: (next(calls), whole(*a, **options))[1]
    )
    with pytest.raises(StopIteration):
        metrics.cascading_randomisation(explainer, pixels, 0)
    for weights, restored in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(weights, restored)


def test_patch_removals_serve_for_any_heatmap(toy, images):
    removals = metrics.patch_removals(toy, images, grid=4)
    for maps in (PERFECT, WORST, np.random.default_rng(0).normal(size=PERFECT.shape)):
        np.testing.assert_array_equal(
            removals.fidelity(maps), metrics.mu_fidelity(toy, images, maps, grid=4)
        )
    for maps in (PERFECT[:2], PERFECT[:, :4]):
        with pytest.raises(CifarcamError, match=r"do not fit removals from images \(3, 8, 8\)"):
            removals.fidelity(maps)


def test_grids_show_tiles_of_different_classes():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (20, 8, 8, 3)).astype(np.uint8)
    labels = np.arange(20) % 5
    for tiles, shape in ((2, (8, 8)), (4, (16, 16))):
        grids = metrics.make_grids(pixels, labels, tiles, 12, seed=3)
        assert grids.images.shape == (12, *shape, 3) and grids.masks.shape == (tiles, *shape)
        assert (grids.masks.sum(axis=0) == 1).all()  # each pixel belongs to one tile
        for image, classes in zip(grids.images, grids.classes, strict=True):
            assert len(set(classes)) == tiles
            for mask, kind in zip(grids.masks, classes, strict=True):
                members = pixels[labels == kind]
                members = members[:, :, 2:6] if tiles == 2 else members
                assert any((image[mask] == m.reshape(-1, 3)).all() for m in members)
        again = metrics.make_grids(pixels, labels, tiles, 12, seed=4)
        assert (again.images != grids.images).any()
        assert len(grids.only(np.array([1, 3])).images) == 2
    for tiles, count, message in (
        (3, 1, "give 2 or 4 tiles"),
        (2.0, 1, "tiles is 2.0; give 2 to 4"),
        (2, 0, "count is 0"),
        (2, 2.5, "count is 2.5"),
    ):
        with pytest.raises(CifarcamError, match=message):
            metrics.make_grids(pixels, labels, tiles, count)
    with pytest.raises(CifarcamError, match="1 classes"):
        metrics.make_grids(pixels, 0 * labels, 2, 1)
    with pytest.raises(CifarcamError, match="do not fit"):
        metrics.make_grids(pixels, labels[:3], 2, 1)


def test_a_grid_is_recognised_where_its_classes_have_the_highest_scores():
    class Scores:
        def scores(self, images, batch_size):
            return np.array([[9, 8, 1, 0], [9, 1, 8, 0], [0, 1, 8, 9]])

    grids = metrics.Grids(
        np.zeros((3, 8, 8, 3), np.uint8),
        np.zeros((2, 8, 8), bool),
        np.array([[1, 0], [0, 1], [3, 2]]),
    )
    assert metrics.recognised(Scores(), grids).tolist() == [True, False, True]


def test_pointing_asks_for_the_maximum():
    maps = np.zeros((5, 4, 4))
    masks = np.zeros((5, 4, 4), bool)
    masks[:4, :, :2] = True
    maps[0, 1, 1] = maps[1, 1, 2] = 3
    maps[:2, 0, 0] = 1  # not the maximum
    maps[2, 1, [0, 3]] = 5  # shared
    maps[4, 1, 1] = 3  # no pixel to hit
    np.testing.assert_allclose(metrics.pointing_game(maps, masks), [1, 0, 0.5, np.nan, np.nan])
    np.testing.assert_allclose(metrics.energy_inside(maps, masks), [1, 0.25, 0.5, np.nan, 0])


def test_energy_inside_of_perfect_and_worst_maps():
    maps = np.stack([PERFECT[0], WORST[0], np.ones((8, 8)), np.zeros((8, 8))])
    masks = np.broadcast_to(REGION, maps.shape)
    np.testing.assert_allclose(metrics.energy_inside(maps, masks)[:3], [1, 0, 0.25])
    assert np.isnan(metrics.energy_inside(maps, masks)[3])


@pytest.mark.parametrize("scale", [1, 2, pytest.param(7, marks=pytest.mark.slow)])
def test_foreground_finds_a_square_on_a_noisy_ground(scale):
    rng = np.random.default_rng(0)
    images = rng.normal(90, 4, (3, 32 * scale, 32 * scale, 3))
    truth = np.zeros((32 * scale, 32 * scale), bool)
    truth[10 * scale : 24 * scale, 8 * scale : 22 * scale] = True
    images[:, truth] = [200, 60, 30]
    result = metrics.foreground(images.clip(0, 255).astype(np.uint8))
    for mask in result:
        overlap = (mask & truth).sum() / (mask | truth).sum()
        assert overlap > 0.8
    assert not metrics.foreground(np.full((1, 16, 16, 3), 7, np.uint8)).any()


def test_frame_and_blur_of_the_foreground_are_shares():
    """A band below the second line is background where the frame is 4 pixels wide, not 2."""
    results = []
    for side in (32, 64):
        image = np.zeros((1, side, side, 3), np.uint8)
        image[:, side // 2 - 4 : side // 2 + 4, side // 2 - 4 : side // 2 + 4] = 200
        image[:, 2:4] = 200  # inside the frame of 4 pixels at 64: an eighth of its pixels
        results.append(metrics.foreground(image)[0, side // 2, side // 2])
    assert results == [True, False]


def test_border_share_of_known_maps():
    maps = np.zeros((5, 32, 32), np.float32)
    maps[0] = 2.0  # uniform: the frame's share of the area
    maps[1, 16, 16] = 5.0  # all in the centre
    maps[2, 7, 31] = 1e-6  # all in the frame, whatever the magnitude
    maps[3, 8, 8] = 3.0  # just inside
    maps[3, 7, 8] = 1.0  # just outside
    shares = metrics.border_share(maps)
    np.testing.assert_allclose(shares[:4], [0.75, 0.0, 1.0, 0.25])
    assert np.isnan(shares[4])  # a map without evidence has no share
    assert shares.dtype == np.float64


def test_border_share_of_other_frames_and_shapes():
    maps = np.ones((1, 10, 20))
    # A tenth of 10 rows and 20 columns: 1 and 2 pixels.
    np.testing.assert_allclose(metrics.border_share(maps, width=0.1), 1 - 8 * 16 / 200)
    np.testing.assert_allclose(metrics.border_share(maps, width=0.4), 1 - 2 * 4 / 200)
    np.testing.assert_allclose(metrics.border_share(maps, width=0.02), 1 - 0.96**2)
    maps[0, 1:] = 0  # the first row, of which a fifth lies above the frame's lower edge
    np.testing.assert_allclose(metrics.border_share(maps, width=0.02), 1 - 0.8 * 0.96)


def test_border_share_does_not_depend_on_the_resolution():
    """A map that falls towards the border, sampled at several sizes of the same image."""
    shares = []
    for side in (32, 150, 224, 299):
        place = (np.arange(side) + 0.5) / side
        fall = np.sin(np.pi * place)
        shares.append(metrics.border_share(np.outer(fall, fall)[None])[0])
    # The integral of the sine from 1/4 to 3/4 is 1/sqrt(2) of the whole.
    np.testing.assert_allclose(shares, 1 - 1 / 2, atol=1e-3)


@pytest.mark.parametrize(
    ("maps", "width", "message"),
    [
        (np.ones((32, 32)), 0.25, "not N x H x W"),
        (-np.ones((1, 32, 32)), 0.25, "negative"),
        (np.full((1, 32, 32), np.inf), 0.25, "not finite"),
        (np.ones((1, 32, 32)), 8, r"between 0 and 0\.5"),
        (np.ones((1, 32, 32)), 0, r"between 0 and 0\.5"),
    ],
)
def test_border_share_refuses(maps, width, message):
    with pytest.raises(CifarcamError, match=message):
        metrics.border_share(maps, width)


def test_border_area_is_the_share_of_a_uniform_map():
    assert metrics.border_area() == 0.75
    np.testing.assert_allclose(metrics.border_area(0.1), 1 - 0.8**2)
    with pytest.raises(CifarcamError, match=r"between 0 and 0\.5"):
        metrics.border_area(0.5)


def test_foreground_needs_a_centre():
    with pytest.raises(CifarcamError, match="too small"):
        metrics.foreground(np.zeros((1, 2, 9, 3), np.uint8))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c, x: metrics.deletion(c, x, PERFECT[:2]), "do not fit images"),
        (lambda c, x: metrics.deletion(c, x, PERFECT, 2), "target 2 is no class"),
        (lambda c, x: metrics.insertion(c, x, PERFECT, steps=0), "steps is 0"),
        (lambda c, x: metrics.road(c, x, PERFECT, shares=(0.5,)), "at least two"),
        (lambda c, x: metrics.road(c, x, PERFECT, shares=(0.5, 1)), "between 0 and 1"),
        (
            lambda c, x: metrics.road(c, x, PERFECT, shares=(0.5, 0.999)),
            "removes none or all",
        ),
        (lambda c, x: metrics.confidence_change(c, x, -PERFECT), "negative"),
        (lambda c, x: metrics.mu_fidelity(c, x, PERFECT, grid=1), "grid is 1"),
        (lambda c, x: metrics.mu_fidelity(c, x, PERFECT, share=1), "share is 1"),
        (
            lambda c, x: metrics.mu_fidelity(c, x, PERFECT, grid=2, share=0.1),
            "share is 0.1, which removes 0 of 4 patches",
        ),
        (
            lambda c, x: metrics.faithfulness_correlation(c, x, PERFECT, share=0.999),
            "share is 0.999, which removes 64 of 64 pixels",
        ),
        (lambda c, x: metrics.max_sensitivity(explain.Saliency(c), x, samples=0), "samples"),
        (lambda c, x: metrics.energy_inside(PERFECT, REGION), "differ in shape"),
        (lambda c, x: metrics.pointing_game(PERFECT - 0.5, PERFECT), "negative"),
        (lambda c, x: metrics.pointing_game(np.nan * PERFECT, PERFECT), "not finite"),
        (lambda c, x: metrics.pointing_game(REGION, REGION), "not N x H x W"),
        (lambda c, x: metrics.rank_correlation(PERFECT, PERFECT[:1]), "different shapes"),
        (lambda c, x: metrics.bootstrap_mean(x, level=95), "between 0 and 1"),
    ],
)
def test_metrics_refuse_wrong_inputs(call, message, toy, images):
    with pytest.raises(CifarcamError, match=message):
        call(toy, images)


NOT_WHOLE, NO_SHARE = (2.5, True, np.nan, "3", None), (-0.1, 1.5, 2.55, np.nan, "0.1", None)
# Every option that counts or that is a share, and the values that it refuses.
OPTIONS = {
    "sensitivity_images": (-1, *NOT_WHOLE),
    "steps": (0, *NOT_WHOLE),
    "grid": (1, *NOT_WHOLE),
    "samples": (0, *NOT_WHOLE),
    "bins": (1, *NOT_WHOLE),
    "resamples": (0, *NOT_WHOLE),
    "seed": (-1, *NOT_WHOLE),
    "radius": NO_SHARE,
    "noise": NO_SHARE,
    "baseline": NO_SHARE,
    "share": NO_SHARE,
}


def test_metrics_refuse_options_out_of_range(toy, images):
    blob = explain.CentreBlob(toy)
    arguments = {"classifier": toy, "images": images, "heatmaps": PERFECT, "explainer": blob}
    arguments |= {"share": 0.5, "tiles": 2, "count": 1, "labels": np.arange(3), "values": PERFECT}
    tried = set()
    for name in metrics.__all__:
        metric = getattr(metrics, name)
        if not inspect.isfunction(metric):
            continue
        parameters = inspect.signature(metric).parameters
        usual = {key: value for key, value in arguments.items() if key in parameters}
        for option in OPTIONS.keys() & parameters:
            tried.add((name, option))
            for value in OPTIONS[option]:
                with pytest.raises(CifarcamError, match=f"^{option} is "):
                    metric(**usual | {option: value})
    assert {option for _, option in tried} == OPTIONS.keys() and len(tried) > 35


@pytest.mark.slow
def test_metrics_options_have_an_effect():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (4, 8, 8, 1)).astype(np.uint8)
    keras.utils.set_random_seed(1)
    explainer = explain.Saliency(
        keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                layers.Conv2D(3, 3, activation="tanh"),
                layers.Flatten(),
                layers.Dense(2),
            ]
        ),
        input_range=(0, 255),
    )
    maps, others = explainer(pixels), rng.uniform(size=(4, 8, 8))
    for metric, arguments, changes in (
        (metrics.max_sensitivity, (explainer, pixels), {"radius": 0.2, "samples": 3, "seed": 1}),
        (metrics.border_share, (maps,), {"width": 0.4}),
    ):
        usual = metric(*arguments, **({"width": 0.25} if metric is metrics.border_share else {}))
        for name, value in changes.items():
            assert np.abs(metric(*arguments, **{name: value}) - usual).max() > 1e-6, name
    roads = [
        metrics.road(explainer.classifier, pixels, maps, **options).areas
        for options in (
            {},
            {"seed": 1},
            {"shares": (0.1, 0.3)},
            {"noise": 0.1},
            {"least_first": True},
        )
    ]
    assert all(np.abs(other - roads[0]).max() > 1e-6 for other in roads[1:])
    few = metrics.bootstrap_mean(others, resamples=20)
    assert few.mean == metrics.bootstrap_mean(others).mean and few.low != few.high
    cards = {
        name: metrics.scorecard(explainer, pixels, **{name: value})
        for name, value in {"seed": 0, "grid": 4, "noise": 0.1, "radius": 0.2}.items()
    } | {"other seed": metrics.scorecard(explainer, pixels, seed=1)}
    for changed, measure in (
        ("other seed", "mu-fidelity"),
        ("grid", "mu-fidelity"),
        ("noise", "road"),
        ("radius", "max-sensitivity"),
    ):
        assert np.abs(cards[changed][measure] - cards["seed"][measure]).max() > 1e-6, changed


def test_bootstrap_mean_comes_near_the_normal_interval():
    values = np.append(np.random.default_rng(0).normal(2, 3, 2000), np.nan)
    result = metrics.bootstrap_mean(values)
    numbers = values[:-1]
    half = 1.959963985 * numbers.std(ddof=1) / np.sqrt(2000)
    assert (result.mean, result.count) == (numbers.mean(), 2000)
    np.testing.assert_allclose(
        [result.mean - result.low, result.high - result.mean], half, rtol=0.1
    )
    narrower = metrics.bootstrap_mean(values, level=0.5)
    assert result.low < narrower.low < narrower.high < result.high
    again = metrics.bootstrap_mean(values)
    assert again == result and metrics.bootstrap_mean(values, seed=1) != result
    same = metrics.bootstrap_mean(np.full(9, 0.25))
    assert (same.low, same.high) == (0.25, 0.25)


def test_bootstrap_of_too_few_values():
    one = metrics.bootstrap_mean(np.array([4.0, np.nan]))
    assert (one.mean, one.count) == (4.0, 1) and np.isnan([one.low, one.high]).all()
    none = metrics.bootstrap_mean(np.array([np.nan]))
    assert none.count == 0 and np.isnan([none.mean, none.low, none.high]).all()
