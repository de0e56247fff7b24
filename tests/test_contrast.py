"""Removing what a map marks: closed forms on a network that reads one half of the image."""

import keras
import numpy as np
import pytest
from keras import layers

from cifarcam import explain
from cifarcam.studies import contrast


@pytest.fixture(scope="module")
def toy():
    """Class 0 scores the sum of the left half, class 1 that of the right, class 2 nothing."""
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(3, name="logits")]
    )
    kernel = np.zeros((4, 4, 3), np.float32)
    kernel[:, :2, 0] = kernel[:, 2:, 1] = 0.01
    model.set_weights([kernel.reshape(16, 3), np.zeros(3)])
    return explain.Classifier(model)


LEFT = np.zeros((4, 4))
LEFT[:, :2] = 1


def test_removed_pixels_are_those_of_the_highest_values_and_get_the_mean_colour():
    image = np.arange(16, dtype=float).reshape(1, 4, 4, 1)
    heatmap = np.zeros((1, 4, 4))
    heatmap[0, 0, 1], heatmap[0, 3, 3] = 2, 1
    changed = contrast.removed(image, heatmap, share=2 / 16)
    expected = image.copy()
    expected[0, 0, 1] = expected[0, 3, 3] = 7.5
    np.testing.assert_array_equal(changed, expected)


def test_removed_takes_the_same_number_of_pixels_from_a_zero_map():
    image = np.arange(16, dtype=float).reshape(1, 4, 4, 1)
    for share, pixels in ((0.0, 1), (0.2, 3), (0.5, 8), (1.0, 16)):
        changed = contrast.removed(image, np.zeros((1, 4, 4)), share)
        assert (changed != image).sum() == pixels


def test_removing_the_left_half_turns_the_answer_and_removing_the_right_half_does_not(toy):
    # Left 12, right 8: class 0. Without the left half it has the mean, 10: still class 0 before
    # the right; with the left at 10 and the right at 8 the answer stays.
    image = np.where(LEFT == 1, 12.0, 8.0)[np.newaxis, ..., np.newaxis]
    # A single bright pixel makes the left half win; without it the right half does.
    bright = np.where(LEFT == 1, 0.0, 8.0)
    bright[0, 0] = 80
    images = np.concatenate([image, bright[np.newaxis, ..., np.newaxis]])
    spot = np.zeros((4, 4))
    spot[0, 0] = 1
    maps = {"left": np.stack([LEFT, spot]), "right": np.stack([1 - LEFT, 1 - LEFT])}
    turned = contrast.turned(toy, images, np.array([1, 1]), maps, share=1 / 16)
    np.testing.assert_array_equal(turned["left"], [False, True])
    np.testing.assert_array_equal(turned["right"], [False, False])


def test_chosen_images_are_right_predictions_of_the_pair_with_the_other_class_as_rival():
    labels = np.array([0, 0, 1, 1, 2, 0])
    predicted = np.array([0, 1, 1, 0, 2, 0])
    indices, rivals = contrast.chosen(predicted, labels, (0, 1), 10)
    np.testing.assert_array_equal(indices, [0, 2, 5])
    np.testing.assert_array_equal(rivals, [1, 0, 1])
    few, _ = contrast.chosen(predicted, labels, (0, 1), 2)
    assert len(few) == 2
    assert set(few) <= {0, 2, 5}
    none, _ = contrast.chosen(predicted, labels, (3, 4), 2)
    assert none.size == 0
