"""The images on which a model is tried, and their size."""

import numpy as np
import pytest

from cifarcam.errors import CifarcamError
from cifarcam.explain._random_images import SIDES, on_fitting_size, random_images


def test_images_are_by_turns_in_the_two_usual_ranges():
    images = random_images(4, 40, 30, 3)
    assert images.shape == (4, 40, 30, 3) and images.dtype == np.float32
    peaks = images.max(axis=(1, 2, 3))
    assert (peaks[::2] > 0.99).all() and (peaks[::2] < 1).all()
    assert (peaks[1::2] > 254).all() and (peaks[1::2] < 255).all()
    assert np.unique(images).size > 0.9 * images.size


def test_the_first_size_that_fits_is_taken():
    tried = []

    def run(*size):
        tried.append(size)
        if size[1] < 100:
            raise ValueError("too small\nand more")
        return size

    assert on_fitting_size((None, None, 3), run) == (128, 128, 3)
    assert tried == [(side, side, 3) for side in (32, 64, 128)]
    assert on_fitting_size((20, None, 1), run) == (20, 128, 1)
    assert on_fitting_size((None, None, 3), run, largest_first=True) == (SIDES[-1], SIDES[-1], 3)
    tried.clear()
    with pytest.raises(CifarcamError, match=r"fails on images of shape \(128, 64, 3\): too small$"):
        on_fitting_size((128, 64, 3), run)
    assert tried == [(128, 64, 3)]
