"""Classical baselines: their features, and how their settings are chosen."""

from dataclasses import replace

import numpy as np
import pytest

from cifarcam import data
from cifarcam.data import Split
from cifarcam.studies import classical


def test_pixels_are_scaled_and_in_order():
    images = np.arange(2 * 3072, dtype=np.int64).reshape(2, 32, 32, 3) % 256
    found = classical.pixels(images.astype(np.uint8))
    assert found.shape == (2, 3072)
    np.testing.assert_allclose(found * 255, images.reshape(2, -1), atol=1e-4)


def test_gradient_histograms_show_the_direction_of_edges():
    stripes = np.zeros((32, 32, 3), np.uint8)
    stripes[:, ::8] = stripes[:, 1::8] = 200
    across, down = classical.gradient_histograms(np.stack([stripes, stripes.swapaxes(0, 1)]))
    assert across.shape == (1764,)  # 7 x 7 blocks of 2 x 2 cells of 9 orientations
    by_orientation = [features.reshape(-1, 9).sum(axis=0) for features in (across, down)]
    for histogram, direction in zip(by_orientation, (0, 4), strict=True):
        assert histogram.argmax() == direction
        assert histogram.max() > 0.9 * histogram.sum()


def test_gradient_histograms_use_the_channel_with_the_largest_gradient():
    grey = np.zeros((1, 32, 32, 3), np.uint8)
    grey[0, :, 16:, 1] = 200
    blue = grey[..., [2, 0, 1]]
    np.testing.assert_allclose(
        classical.gradient_histograms(grey), classical.gradient_histograms(blue), atol=1e-6
    )


def first(split, count):
    return Split(split.images[:count], split.labels[:count])


@pytest.mark.slow
def test_classical_settings_are_selected_on_validation(monkeypatch):
    whole = data.load("sample")
    sample = replace(whole, train=first(whole.train, 400), test=first(whole.test, 300))
    monkeypatch.setattr(classical, "TREES", 20)
    rows = classical.measure(sample)
    assert [(row["classifier"], row["features"]) for row in rows] == [
        (classifier, features)
        for features in classical.FEATURES
        for classifier in classical.CLASSIFIERS
    ]
    for row in rows:
        best = max(row["validation"], key=row["validation"].get)
        assert row["validation"][str(row["chosen"])] == row["validation"][best]
        predicted = np.array(list(row["predictions"]), np.int64)
        assert len(predicted) == len(sample.test)
        assert (predicted == sample.test.labels).mean() > 0.2  # of ten classes
    again = classical.measure(sample)
    assert [row["predictions"] for row in again] == [row["predictions"] for row in rows]
