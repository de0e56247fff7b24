"""ROAD beside its published accuracies: imputation, the comparison, and the network."""

import keras
import numpy as np
import pytest
from keras import layers

from cifarcam import explain, models
from cifarcam.errors import CifarcamError
from cifarcam.studies import road_check
from cifarcam.training import experiment


def counts(points=0.0, count=10_000):
    """Right answers that exceed the published accuracies by some points."""
    return [round(count * (one + points) / 100) for one in road_check.PUBLISHED.values()]


def test_the_published_accuracies_agree_with_themselves():
    rows = road_check.compared(counts(), 10_000)
    assert all(row.agrees and abs(row.difference) < 1e-9 for row in rows)
    assert [row.share for row in rows] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9]
    # Both standard errors of the first accuracy are sqrt(0.7132 x 0.2868 / 10000) = 0.452 points.
    half = (rows[0].difference_high - rows[0].difference_low) / 2
    np.testing.assert_allclose(half, 1.96 * 0.4523 * np.sqrt(2), rtol=1e-3)
    np.testing.assert_allclose(rows[0].high - rows[0].low, 2 * 1.96 * 0.4523, rtol=1e-3)
    assert road_check.conclusion(rows).startswith("All 7 accuracies agree")


def test_differences_beyond_sampling_error_are_found():
    for points, text in ((2, "+2.0 points"), (-2, "−2.0 points")):
        rows = road_check.compared(counts(points), 10_000)
        assert not any(row.agrees for row in rows)
        assert road_check.conclusion(rows).startswith("No accuracy agrees")
        assert text in road_check.conclusion(rows)
    # Fewer images have wider intervals.
    assert all(row.agrees for row in road_check.compared(counts(2, 500), 500))
    mixed = counts()
    mixed[3] += 300
    rows = road_check.compared(mixed, 10_000)
    assert [row.agrees for row in rows] == [True] * 3 + [False] + [True] * 3
    assert "6 of 7" in road_check.conclusion(rows) and "40%" in road_check.conclusion(rows)
    single = counts(2)
    single[0] = counts()[0]
    text = road_check.conclusion(road_check.compared(single, 10_000))
    assert text.startswith("1 of 7 accuracies agrees with")
    for wrong in ([1, 2], [10_001] * 7):
        with pytest.raises(CifarcamError, match="give a number"):
            road_check.compared(wrong, 10_000)


def test_accuracy_of_a_network_that_sees_one_region():
    """It says class 1 where the region is bright; imputing the region makes it dark."""
    region = np.zeros((8, 8), np.float32)
    region[2:5, 2:5] = 1
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2)])
    kernel = np.stack([0 * region.ravel(), region.ravel()], axis=1)
    model.set_weights([kernel, np.array([0.0, -9 * 100])])
    classifier = explain.Classifier(model, input_range=(0, 255))
    images = (200 * region + 20)[None, ..., None].repeat(2, axis=0)
    maps, labels = np.stack([region, 1 - region]), np.array([1, 1])
    right = road_check.right_after_imputation(classifier, images, maps, labels, (0.05, 0.2))
    np.testing.assert_array_equal(right, [[True, False], [True, True]])


@pytest.mark.slow
def test_the_network_has_the_first_layers_for_large_images():
    settings = experiment.find(road_check.EXPERIMENT)
    model = models.build(settings.architecture, settings.options)
    shapes = {layer.name: layer.output.shape[1:] for layer in model.layers}
    assert shapes["conv1"] == (16, 16, 64) and shapes["pool1"] == (8, 8, 64)
    assert shapes["stage4_block2_relu2"] == (1, 1, 512)
    # 11,689,512 parameters of the network for ImageNet, with a classifier of 10 classes.
    trained = sum(np.prod(weight.shape) for weight in model.trainable_weights)
    assert trained == 11_689_512 - 513 * 990
