"""Planted duplicates are found, every one, and none is invented."""

import numpy as np
import pytest

from cifarcam.data import quality
from cifarcam.errors import CifarcamError


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """So that pairs span several chunks and the last one is not full."""
    monkeypatch.setattr(quality, "CHUNK", 7)


def noise(count, seed=0, low=60, high=180):
    return np.random.default_rng(seed).integers(low, high, (count, 32, 32, 3), np.uint8)


def brute_force(images, threshold):
    """Pairs by NumPy's own correlation of pixels freed from each channel's mean."""
    pixels = images.astype(np.float64)
    pixels -= pixels.mean(axis=(1, 2), keepdims=True)
    correlations = np.corrcoef(pixels.reshape(len(images), -1))
    found = np.argwhere(np.triu(correlations >= threshold, k=1))
    return {(int(i), int(j)): correlations[i, j] for i, j in found}


def as_pairs(found):
    return [(pair.first, pair.second) for pair in found]


def test_exact_duplicates_are_grouped():
    images = noise(30)
    images[[11, 29]] = images[4]
    images[25] = images[7]
    assert quality.exact_duplicates(images) == [(4, 11, 29), (7, 25)]


def test_exact_duplicates_differ_in_no_level_of_no_pixel():
    images = noise(10)
    images[9] = images[2]
    images[9, 31, 31, 2] += 1
    assert quality.exact_duplicates(images) == []
    assert as_pairs(quality.near_duplicates(images)) == [(2, 9)]


def test_near_duplicates_ignore_brightness_colour_cast_and_contrast():
    images = noise(40)
    images[20] = images[3] + 50
    images[21] = images[8] + np.array([10, 0, 40], np.uint8)
    images[39] = (images[15].astype(float) * 0.5).round()
    found = quality.near_duplicates(images, 0.99)
    assert sorted(as_pairs(found)) == [(3, 20), (8, 21), (15, 39)]
    assert found[0].correlation == pytest.approx(1, abs=1e-6)
    assert found[-1].correlation < 1


def test_near_duplicates_include_equal_images_at_the_greatest_threshold():
    images = noise(20)
    images[[6, 19]] = images[0]
    assert as_pairs(quality.near_duplicates(images, 1.0)) == [(0, 6), (0, 19), (6, 19)]


@pytest.mark.parametrize("change", ["mirror", "shift"])
def test_near_duplicates_exclude_shifted_and_mirrored_images(change):
    images = noise(10)
    images[5] = images[1][:, ::-1] if change == "mirror" else np.roll(images[1], 1, axis=1)
    assert quality.near_duplicates(images, 0.5) == []


def test_near_duplicates_correlation_of_a_hand_computed_pair():
    # Deviations of +-10 in the left and right half; in the second image also +-10 in the upper
    # and lower half. The norms are 10 and 10 sqrt(2) a pixel, the inner product is 100 a pixel.
    images = np.full((2, 32, 32, 3), 100, np.int16)
    images[:, :, :16] += 10
    images[:, :, 16:] -= 10
    images[1, :16] += 10
    images[1, 16:] -= 10
    images = images.astype(np.uint8)
    (pair,) = quality.near_duplicates(images, 0.7)
    assert pair.correlation == pytest.approx(1 / np.sqrt(2), abs=1e-6)
    assert quality.near_duplicates(images, 0.72) == []
    np.testing.assert_allclose(quality.contrast(images), [10, 10 * np.sqrt(2)], rtol=1e-6)


@pytest.mark.parametrize(
    "threshold",
    [
        pytest.param(0.3, marks=pytest.mark.slow),
        pytest.param(0.6, marks=pytest.mark.slow),
        0.9,
        0.99,
    ],
)
@pytest.mark.parametrize("scale", [1, 4, 32])
def test_near_duplicates_are_the_pairs_of_brute_force(threshold, scale):
    """With structure finer than the blocks, as coarse as they are, and coarser."""
    generator = np.random.default_rng(scale)
    side = 32 // scale
    few = generator.uniform(60, 180, (5, side, side, 3))
    chosen = few[generator.integers(0, 5, 60)]
    strength = generator.uniform(0, 60, (60, 1, 1, 1))
    images = (chosen + strength * generator.normal(size=chosen.shape)).clip(0, 255)
    images = images.repeat(scale, 1).repeat(scale, 2).astype(np.uint8)
    images = (images + generator.integers(0, 3, (60, 32, 32, 3))).clip(0, 255).astype(np.uint8)
    expected = brute_force(images, threshold)
    found = quality.near_duplicates(images, threshold)
    assert {(pair.first, pair.second) for pair in found} == set(expected)
    for pair in found:
        assert pair.correlation == pytest.approx(expected[pair.first, pair.second], abs=1e-5)
    correlations = [pair.correlation for pair in found]
    assert correlations == sorted(correlations, reverse=True)


def test_constant_images_and_their_contrast():
    images = noise(20)
    images[[3, 9]] = 128
    images[17] = np.array([0, 128, 255], np.uint8)
    images[18] = 128
    images[18, 31, 0, 1] = 129
    assert quality.constant_images(images) == [3, 9, 17]
    np.testing.assert_array_equal(quality.contrast(images)[[3, 9, 17]], 0)
    # One of 3,072 values deviates by 1 from the others.
    assert quality.contrast(images)[18] == pytest.approx(np.sqrt((1 / 3072) * (1 - 1 / 1024)))


def test_constant_images_are_no_near_duplicates():
    images = noise(12)
    images[[2, 5, 11]] = 40
    images[7] = 200
    assert quality.near_duplicates(images, 0.5) == []


def test_near_duplicates_refuse_bad_input():
    with pytest.raises(CifarcamError, match="multiples of 8"):
        quality.near_duplicates(np.zeros((4, 30, 30, 3), np.uint8))
    with pytest.raises(CifarcamError, match=r"threshold 1\.5"):
        quality.near_duplicates(noise(2), 1.5)
