"""Measures of heatmaps, against cases whose values are known."""

import numpy as np
import pytest

from cifarcam.errors import CifarcamError
from cifarcam.explain import faithfulness


def test_border_share_of_known_maps():
    maps = np.zeros((5, 32, 32), np.float32)
    maps[0] = 2.0  # uniform: the frame's share of the area
    maps[1, 16, 16] = 5.0  # all in the centre
    maps[2, 7, 31] = 1e-6  # all in the frame, whatever the magnitude
    maps[3, 8, 8] = 3.0  # just inside
    maps[3, 7, 8] = 1.0  # just outside
    shares = faithfulness.border_share(maps)
    np.testing.assert_allclose(shares[:4], [0.75, 0.0, 1.0, 0.25])
    assert np.isnan(shares[4])  # a map without evidence has no share
    assert shares.dtype == np.float64


def test_border_share_of_other_frames_and_shapes():
    maps = np.ones((1, 10, 20))
    np.testing.assert_allclose(faithfulness.border_share(maps, width=1), 1 - 8 * 18 / 200)
    np.testing.assert_allclose(faithfulness.border_share(maps, width=4), 1 - 2 * 12 / 200)


@pytest.mark.parametrize(
    ("maps", "width", "message"),
    [
        (np.ones((32, 32)), 8, "not N x H x W"),
        (-np.ones((1, 32, 32)), 8, "negative"),
        (np.full((1, 32, 32), np.inf), 8, "not finite"),
        (np.ones((1, 32, 32)), 16, "no centre"),
        (np.ones((1, 32, 32)), 0, "no frame"),
    ],
)
def test_border_share_refuses(maps, width, message):
    with pytest.raises(CifarcamError, match=message):
        faithfulness.border_share(maps, width)


def test_border_area_is_the_share_of_a_uniform_map():
    assert faithfulness.border_area(32, 32) == 0.75
    np.testing.assert_allclose(faithfulness.border_area(10, 20, 4), 1 - 2 * 12 / 200)
    with pytest.raises(CifarcamError, match="no centre"):
        faithfulness.border_area(32, 16)


def test_mean_interval():
    # Mean 2, standard deviation 1 (n - 1), standard error 1 / sqrt(3).
    found = faithfulness.mean_interval(np.array([1.0, np.nan, 2.0, 3.0]))
    half = 1.959963985 / np.sqrt(3)
    np.testing.assert_allclose([found.mean, found.low, found.high], [2, 2 - half, 2 + half])
    assert found.count == 3
    narrower = faithfulness.mean_interval(np.array([1.0, 2.0, 3.0]), level=0.5)
    half = 0.674489750 / np.sqrt(3)  # the quartile of the normal distribution
    np.testing.assert_allclose([narrower.low, narrower.high], [2 - half, 2 + half])


def test_mean_interval_of_too_few_values():
    one = faithfulness.mean_interval(np.array([4.0, np.nan]))
    assert (one.mean, one.count) == (4.0, 1) and np.isnan([one.low, one.high]).all()
    none = faithfulness.mean_interval(np.array([np.nan]))
    assert none.count == 0 and np.isnan([none.mean, none.low, none.high]).all()
    with pytest.raises(CifarcamError, match="between 0 and 1"):
        faithfulness.mean_interval(np.ones(3), level=95)


def test_mean_difference_adds_squared_standard_errors():
    # Means 2 and 5, variances 1 and 8/3, sizes 3 and 4.
    first, second = np.array([1.0, 2.0, 3.0, np.nan]), np.array([3.0, 7.0, 5.0, 5.0])
    error = np.sqrt(1 / 3 + (8 / 3) / 4)
    found = faithfulness.mean_difference(first, second)
    half = 1.959963985 * error
    np.testing.assert_allclose([found.mean, found.low, found.high], [-3, -3 - half, -3 + half])
    assert found.count == 3
    assert np.isnan(faithfulness.mean_difference(first, np.array([1.0])).low)
