"""The rendering of CIFAR-10-C, kind by kind, against cases whose result is known."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage, stats

from cifarcam import data
from cifarcam.data import corruptions
from cifarcam.data.corruptions import KINDS, SEVERITIES, blur, corrupt, digital, noise, weather
from cifarcam.errors import CifarcamError

# Values up to 200, so that little is clipped, and edges, so that blurs change something.
GENERATOR = np.random.default_rng(0)
IMAGES = np.clip(
    120 + 60 * np.sin(np.arange(32) / 3)[None, :, None, None]
    + GENERATOR.normal(0, 20, (24, 32, 32, 3)),
    20, 200,
).astype(np.uint8)  # fmt: skip
GREY = np.full((24, 32, 32, 3), 100, np.uint8)
# The same, each with another corner, so that each draws its own random numbers.
GREYS = GREY.copy()
GREYS[:, 0, 0, 0] = np.arange(24)
# Kinds that change no image of one colour; brightness, noise and weather do.
LEAVE_GREY = (
    *("defocus blur", "glass blur", "motion blur", "zoom blur"),
    *("contrast", "elastic", "pixelate"),
)
# Kinds whose constants make every severity change pixels more than the one before.
GROWING = (
    *("gaussian noise", "shot noise", "impulse noise", "defocus blur", "zoom blur", "snow"),
    *("fog", "brightness", "contrast", "pixelate", "JPEG"),
)


def change(kind, severity, images=IMAGES):
    corrupted = corrupt(images, kind, severity).astype(float)
    return ((corrupted - images) ** 2).mean()


def dot(row=16, column=16, value=255):
    image = np.zeros((1, 32, 32, 3), np.uint8)
    image[0, row, column] = value
    return image


def test_there_are_fifteen_kinds_in_four_groups():
    assert len(KINDS) == 15 == len(set(KINDS))
    assert list(corruptions.GROUPS) == ["noise", "blur", "weather", "digital"]
    assert KINDS[0] == "gaussian noise" and KINDS[-1] == "JPEG"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_and_severity_returns_images_that_depend_on_nothing_but_the_image(kind):
    for severity in SEVERITIES:
        all_of_them = corrupt(IMAGES[:5], kind, severity, seed=3)
        assert all_of_them.dtype == np.uint8 and all_of_them.shape == (5, 32, 32, 3)
        np.testing.assert_array_equal(
            corrupt(IMAGES[[4, 1]], kind, severity, seed=3), all_of_them[[4, 1]]
        )


def test_the_size_of_a_chunk_changes_nothing(monkeypatch):
    expected = {kind: corrupt(IMAGES[:7], kind, 4) for kind in KINDS}
    monkeypatch.setattr(corruptions, "CHUNK", 3)
    for kind in KINDS:
        np.testing.assert_array_equal(corrupt(IMAGES[:7], kind, 4), expected[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_changes_random_kinds_alone(kind):
    fixed = ("defocus blur", "zoom blur", "brightness", "contrast", "pixelate", "JPEG")
    same = np.array_equal(corrupt(IMAGES, kind, 3, seed=0), corrupt(IMAGES, kind, 3, seed=1))
    assert same == (kind in fixed)


def test_no_images_are_corrupted_to_no_images():
    for kind in KINDS:
        assert corrupt(IMAGES[:0], kind, 1).shape == (0, 32, 32, 3)


def test_the_images_that_are_passed_stay_as_they_are():
    before = IMAGES.copy()
    for kind in KINDS:
        corrupt(IMAGES, kind, 5)
    np.testing.assert_array_equal(IMAGES, before)


@pytest.mark.parametrize("kind", LEAVE_GREY)
@pytest.mark.parametrize("severity", SEVERITIES)
def test_an_image_of_one_colour_has_nothing_to_blur_or_distort(kind, severity):
    np.testing.assert_array_equal(corrupt(GREY, kind, severity), GREY)


@pytest.mark.parametrize("kind", GROWING)
def test_a_higher_severity_changes_pixels_more(kind):
    changes = [change(kind, severity) for severity in SEVERITIES]
    assert all(first < second for first, second in itertools.pairwise(changes))


@pytest.mark.parametrize("kind", sorted(set(KINDS) - set(GROWING)))
def test_the_other_kinds_change_pixels_at_every_severity(kind):
    assert min(change(kind, severity) for severity in SEVERITIES) > 1


def test_severity_is_a_setting_and_no_measure_of_damage():
    photographs = data.load("sample").test.images[::10]
    elastic = [change("elastic", severity, photographs) for severity in SEVERITIES]
    assert all(first > second for first, second in itertools.pairwise(elastic))
    assert change("glass blur", 3, photographs) < change("glass blur", 1, photographs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((IMAGES.astype(float), "fog", 1), "give uint8"),
        ((IMAGES[:, :16], "fog", 1), "give uint8, N x 32 x 32 x 3"),
        ((IMAGES[0], "fog", 1), "give uint8, N x 32 x 32 x 3"),
        ((IMAGES, "rain", 1), "corruption 'rain' is not one of gaussian noise, shot noise"),
        ((IMAGES, "fog", 0), "severity 0 is not one of 1 to 5"),
        ((IMAGES, "fog", 6), "severity 6 is not one of 1 to 5"),
        ((IMAGES, "fog", 1, -1), "seed -1; give 0 or more"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(CifarcamError, match=message):
        corrupt(*arguments)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_gaussian_noise_has_mean_zero_and_the_recipes_deviation(severity):
    difference = corrupt(GREYS, "gaussian noise", severity)[:, 1:].astype(float) - 100
    deviation = 255 * noise.DEVIATION[severity - 1]
    assert difference.mean() == pytest.approx(-0.5, abs=0.3)  # fractions are cut off
    # The variance of a uniform fraction is added.
    assert difference.std() == pytest.approx(np.sqrt(deviation**2 + 1 / 12), rel=0.02)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_shot_noise_has_the_variance_of_photons(severity):
    photons = noise.PHOTONS[severity - 1]
    # Of each number of photons its probability and the level that it becomes.
    counts = np.arange(photons)
    chances = stats.poisson.pmf(counts, photons * 100 / 255)
    levels = np.floor(255 * counts / photons + 1e-3)
    mean = chances @ levels
    corrupted = corrupt(GREYS, "shot noise", severity)[:, 1:]
    assert corrupted.mean() == pytest.approx(mean, abs=0.25)
    assert corrupted.var() == pytest.approx(chances @ (levels - mean) ** 2, rel=0.03)
    assert corrupted.var() == pytest.approx(255 * 100 / photons, rel=0.1)  # of a Poisson count


def test_shot_noise_leaves_black_black():
    assert not corrupt(np.zeros_like(GREY), "shot noise", 5).any()


@pytest.mark.parametrize("severity", SEVERITIES)
def test_impulse_noise_hits_the_recipes_share_of_values_half_of_them_white(severity):
    corrupted = corrupt(GREYS, "impulse noise", severity)[:, 1:]
    share = noise.SHARE[severity - 1]
    assert (corrupted != 100).mean() == pytest.approx(share, rel=0.1)
    assert (corrupted == 255).mean() == pytest.approx(share / 2, rel=0.12)
    assert set(np.unique(corrupted)) == {0, 100, 255}


@pytest.mark.parametrize("severity", SEVERITIES)
def test_the_discs_of_defocus_blur_sum_to_one_and_are_symmetric(severity):
    kernel = blur.disc(*blur.DISC[severity - 1])
    assert kernel.sum() == pytest.approx(1)
    for other in (kernel.T, kernel[::-1], kernel[:, ::-1]):
        np.testing.assert_allclose(kernel, other)


def test_defocus_blur_of_a_dot_is_the_disc():
    # Radius 1 without softness: the dot and its four neighbours, a fifth each.
    fifth = np.zeros((7, 7))
    fifth[3, 2:5] = fifth[2:5, 3] = 0.2
    np.testing.assert_allclose(blur.disc(1, 1e-2), fifth, atol=1e-6)
    spread = corrupt(dot(), "defocus blur", 4)[0, :, :, 0]
    kernel = blur.disc(1, 0.2)
    np.testing.assert_array_equal(spread[13:20, 13:20], (255 * kernel + 1e-3).astype(int))
    assert spread.sum() == spread[13:20, 13:20].sum()


def test_glass_copies_the_pixel_that_a_move_points_to():
    image = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1).repeat(3, axis=3)
    moves = np.zeros((1, 2, 4, 4), int)
    moves[0, 0, 2, 3] = -1  # from the row above
    moves[0, 1, 3, 3] = -1  # from the column to the left
    moves[0, :, 3, 2] = -1  # from both
    moves[0, :, 0, 0] = -1  # rows and columns 0 and 1 stay
    moves[0, :, 1, 3] = -1
    shuffled = blur.shuffle(image, moves)[0, :, :, 0]
    expected = np.arange(16).reshape(4, 4)
    expected[2, 3], expected[3, 3], expected[3, 2] = 7, 14, 9
    np.testing.assert_array_equal(shuffled, expected)


def test_glass_is_what_the_recipes_loop_does_to_an_array():
    image = IMAGES[0].copy()
    moves = np.random.default_rng(5).integers(-1, 1, (1, 2, 32, 32))
    shuffled = blur.shuffle(IMAGES[:1], moves)[0]
    for row, column in itertools.product(range(31, 1, -1), range(31, 1, -1)):
        down, right = moves[0, :, row, column]
        one, other = image[row, column], image[row + down, column + right]
        image[row, column], image[row + down, column + right] = other, one
    np.testing.assert_array_equal(shuffled, image)


def test_mild_glass_only_moves_pixels():
    corrupted = corrupt(IMAGES[:1], "glass blur", 1)[0]  # a Gaussian of 0.05 pixels is none
    for row, column in ((2, 2), (17, 30), (31, 31)):
        near = IMAGES[0, row - 1 : row + 1, column - 1 : column + 1].reshape(-1, 3)
        assert (near == corrupted[row, column]).all(axis=1).any()


def test_motion_smears_a_dot_along_the_line_with_half_a_gaussian():
    weights = np.exp(-(np.arange(13) ** 2) / 2)
    weights /= weights.sum()
    smeared = blur.smear(dot().astype(np.float32), 6, 1, np.array([0.0]))[0, :, :, 0]
    np.testing.assert_allclose(smeared[16, 16:3:-1], 255 * weights, atol=1e-3)
    assert smeared.sum() == pytest.approx(255, rel=1e-5)
    # Straight down in place of to the right, and both at 45 degrees.
    down = blur.smear(dot().astype(np.float32), 6, 1, np.array([90.0]))[0, :, :, 0]
    np.testing.assert_allclose(down, smeared.T, atol=1e-3)
    both = blur.smear(dot().astype(np.float32), 6, 1, np.array([45.0]))[0, :, :, 0]
    assert both[16, 16] == pytest.approx(255 * weights[0])
    # Steps of 0.71 and 1.41 pixels are both rounded to one.
    assert both[15, 15] == pytest.approx(255 * (weights[1] + weights[2]), rel=1e-4)


def test_each_image_is_smeared_at_its_own_angle():
    images = IMAGES[:3].astype(np.float32)
    together = blur.smear(images, 8, 2, np.array([10.0, -40.0, 10.0]))
    for index, angle in enumerate((10.0, -40.0, 10.0)):
        alone = blur.smear(images[index : index + 1], 8, 2, np.array([angle]))
        np.testing.assert_array_equal(together[index], alone[0])


@pytest.mark.parametrize("factor", [1.0, 1.01, 1.05, 1.25, 1.75, 2.25])
def test_the_zoom_matrix_does_what_scipys_zoom_does(factor):
    inner = int(np.ceil(32 / factor))
    first = (32 - inner) // 2
    larger = ndimage.zoom(
        IMAGES[0, first : first + inner, first : first + inner, 0].astype(float), factor, order=1
    )
    cut = (len(larger) - 32) // 2
    matrix = blur.zoom_matrix(factor, 32)
    np.testing.assert_allclose(
        matrix @ IMAGES[0, :, :, 0] @ matrix.T, larger[cut : cut + 32, cut : cut + 32], atol=1e-6
    )
    np.testing.assert_allclose(matrix.sum(axis=1), 1)


def test_zoom_blur_is_the_mean_of_the_image_and_its_enlargements():
    image = IMAGES[0, :, :, 1] / 255
    copies = [image]
    for factor in np.arange(1, 1.11, 0.01):
        matrix = blur.zoom_matrix(factor, 32)
        copies.append(matrix @ image @ matrix.T)
    expected = (255 * np.mean(copies, axis=0) + 1e-3).astype(int)
    difference = corrupt(IMAGES[:1], "zoom blur", 2)[0, :, :, 1] - expected
    assert np.abs(difference).max() <= 1 and (difference != 0).mean() < 0.01


def test_brightness_raises_the_largest_channel_and_keeps_the_others_in_proportion():
    image = np.zeros((1, 32, 32, 3), np.uint8)
    image[0, 0, 0] = (100, 50, 0)
    image[0, 0, 1] = (250, 125, 25)
    image[0, 0, 2] = (0, 0, 0)
    bright = corrupt(image, "brightness", 4)[0, 0]  # + 0.2, that is 51 levels
    np.testing.assert_array_equal(bright[0], (151, 75, 0))  # 50 x 151 / 100 = 75.5
    np.testing.assert_array_equal(bright[1], (255, 127, 25))  # at most 255: 125 x 255 / 250 = 127.5
    np.testing.assert_array_equal(bright[2], (51, 51, 51))


def test_contrast_shrinks_differences_from_each_channels_mean():
    image = np.full((1, 32, 32, 3), 100, np.uint8)
    image[0, :16, :, 0] = 200  # mean 150, contrast 0.5: 175 and 125
    low = corrupt(image, "contrast", 2)[0]
    np.testing.assert_array_equal(low[:16, :, 0], 175)
    np.testing.assert_array_equal(low[16:, :, 0], 125)
    np.testing.assert_array_equal(low[:, :, 1:], 100)


def test_pixelate_averages_what_a_coarse_pixel_covers():
    image = np.zeros((1, 32, 32, 3), np.uint8)
    image[0, :, 16:] = 240
    coarse = corrupt(image, "pixelate", 5)[
        0, :, :, 0
    ]  # 20 pixels of 1.6: the edge lies between two
    assert (coarse == coarse[0]).all()
    assert set(coarse[0, :15]) == {0} and set(coarse[0, 17:]) == {240}
    coarse = corrupt(image, "pixelate", 3)[0, :, :, 0]  # 27 pixels: the 14th covers both halves
    assert 100 < coarse[0, 15] < 140
    shares = (0.95, 0.9, 0.85, 0.75, 0.65)
    assert tuple(int(32 * share) for share in shares) == digital.PIXELS


@pytest.mark.parametrize("severity", SEVERITIES)
def test_jpeg_is_pillows_own(severity):
    file = io.BytesIO()
    Image.fromarray(IMAGES[0]).save(file, "JPEG", quality=(80, 65, 58, 50, 40)[severity - 1])
    np.testing.assert_array_equal(
        corrupt(IMAGES[:1], "JPEG", severity)[0], np.asarray(Image.open(file))
    )
    middle = np.full((1, 32, 32, 3), 128, np.uint8)  # JPEG codes the difference from 128
    np.testing.assert_array_equal(corrupt(middle, "JPEG", severity), middle)


@pytest.mark.parametrize("edge", ["mirror", "reflect"])
def test_sampling_between_pixels_is_scipys(edge):
    rows, columns = np.random.default_rng(2).uniform(-20, 50, (2, 1, 32, 32))
    image = IMAGES[:1].astype(np.float32)
    found = digital.sample(image, rows, columns, edge)[0, :, :, 2]
    expected = ndimage.map_coordinates(image[0, :, :, 2], [rows[0], columns[0]], order=1, mode=edge)
    np.testing.assert_allclose(found, expected, atol=0.02)


class Fixed:
    """A generator whose uniform numbers are all one share of the way up."""

    def __init__(self, share):
        self.share = share

    def uniform(self, low, high, shape):
        return np.full(shape, low + self.share * (high - low))


def test_elastic_without_randomness_is_the_image_and_equal_shifts_move_it():
    np.testing.assert_array_equal(digital.elastic(IMAGES[:1], 5, [Fixed(0.5)]), IMAGES[:1])
    # All corners move by 2.56 pixels to the right and down.
    moved = digital.elastic(IMAGES[:1], 1, [Fixed(1)])[0].astype(float)
    part = 0.56
    pixels = IMAGES[0].astype(float)
    expected = sum(
        (part if a else 1 - part)
        * (part if b else 1 - part)
        * pixels[7 - a : 27 - a, 7 - b : 27 - b]
        for a in (0, 1)
        for b in (0, 1)
    )
    np.testing.assert_allclose(moved[9:29, 9:29], expected, atol=1.01)


def test_snow_whitens_and_adds_flakes_that_are_the_same_upside_down():
    black = np.zeros((2, 32, 32, 3), np.uint8)
    snow = corrupt(black, "snow", 2).astype(int)
    # Black whitened: 0.1 of one half, 12.75 levels; flakes come on top, grey.
    assert snow.min() == 12
    assert snow.max() > 60
    np.testing.assert_array_equal(snow[..., 0], snow[..., 2])
    np.testing.assert_array_equal(snow, snow[:, ::-1, ::-1])


def test_frost_mixes_image_and_ice_in_the_recipes_shares():
    # Of white and black the mean ice is the same: their difference is the image's share.
    black, white = np.zeros_like(GREY), np.full_like(GREY, 60)
    for severity, (own, other) in zip(SEVERITIES, weather.FROST, strict=True):
        generators = [np.random.default_rng(k) for k in range(24)]
        ice = weather.frost(black, severity, generators).astype(float)
        generators = [np.random.default_rng(k) for k in range(24)]
        both = weather.frost(white, severity, generators).astype(float)
        np.testing.assert_allclose(both - ice, 60 * own, atol=1)
        lowest, highest = other * 78, other * 213
        assert lowest - 2 < ice[..., 2].mean() < highest


def test_ice_has_the_photographs_colours_and_correlation():
    many = np.zeros((300, 32, 32, 3), np.uint8)
    ice = weather.frost(many, 1, [np.random.default_rng(k) for k in range(300)]) / 0.2
    means = np.mean([mean for mean, _ in weather.ICE], axis=0)
    np.testing.assert_allclose(ice.mean(axis=(0, 1, 2)), means, atol=8)
    grey = ice.mean(axis=3)
    grey -= grey.mean(axis=(1, 2), keepdims=True)
    correlation = (grey[:, :, 1:] * grey[:, :, :-1]).mean() / (grey**2).mean()
    assert 0.25 < correlation < 0.45


def test_fog_hides_contrast_and_keeps_the_maximum_in_reach():
    deviations = [corrupt(IMAGES, "fog", s).std(axis=(1, 2)).mean() for s in SEVERITIES]
    assert all(first > second for first, second in itertools.pairwise(deviations[:3]))
    assert not corrupt(np.zeros_like(GREY), "fog", 5).any()  # scaled to a maximum of 0
    assert corrupt(GREY, "fog", 3).max() <= 100  # (100 + 0.75) / (100 + 0.75) of the maximum
    clouds = corrupt(np.full_like(GREY, 255), "fog", 4)
    assert clouds.min() == 127 and clouds.max() == 255  # (1 + 0) / 2 and (1 + 1) / 2


def test_plasma_without_randomness_is_flat_and_corners_spread_by_means():
    field = weather.plasma([np.random.default_rng(k) for k in range(40)], 32, 2.0)
    np.testing.assert_allclose(field.min(axis=(1, 2)), 0)
    np.testing.assert_allclose(field.max(axis=(1, 2)), 1)
    rough = weather.plasma([np.random.default_rng(k) for k in range(40)], 32, 1.2)
    steps = [np.abs(np.diff(one, axis=1)).mean() for one in (field, rough)]
    assert steps[0] < steps[1]


class Steps:
    """A generator that draws the upper end, once, and then nothing."""

    def __init__(self):
        self.draws = 0

    def uniform(self, low, high, shape):
        self.draws += 1
        return np.full(shape, high if self.draws == 1 else 0.0)


def test_plasma_of_two_by_two_by_hand():
    # The corner is 0, the centre 0 + 10,000; the two others are means of centre and corner twice.
    np.testing.assert_allclose(weather.plasma([Steps()], 2, 3.0)[0], [[0, 0.5], [0.5, 1]])
