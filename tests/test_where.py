"""Where heatmaps lie: swaps, boxes and aggregates by hand, and a whole tiny measurement."""

import json
import math

import keras
import numpy as np
import pytest
from keras import layers

from cifarcam import data, explain
from cifarcam.data.faces import CatFaces
from cifarcam.errors import CifarcamError
from cifarcam.studies import (
    measurements,
    packing,
    summaries,
    swaps,
    where,
    where_faces,
    where_maps,
)
from cifarcam.studies.where_material import material


def box(left, top, right, bottom, side=8):
    mask = np.zeros((side, side), bool)
    mask[top:bottom, left:right] = True
    return mask


def test_a_foreground_of_ten_to_sixty_percent_is_eligible():
    shares = (0, 9, 10, 60, 61, 100)
    masks = np.arange(100).reshape(1, 10, 10) < np.array(shares).reshape(-1, 1, 1)
    np.testing.assert_array_equal(swaps.eligible(masks), [0, 0, 1, 1, 0, 0])


def test_an_object_is_filled_with_the_nearest_pixel_outside_it():
    image = np.array([[1, 9, 9, 9, 2]])[..., np.newaxis]
    mask = np.array([[0, 1, 1, 1, 0]], bool)
    filled = swaps.without_object(image, mask)[0, :, 0]
    assert filled[1] == 1
    assert filled[2] in (1, 2)
    assert filled[3] == 2
    np.testing.assert_array_equal(swaps.without_object(image, mask & False), image)
    with pytest.raises(CifarcamError, match="covers the whole image"):
        swaps.without_object(image, mask | True)


def test_a_pasted_picture_has_the_object_of_one_picture_and_the_background_of_another():
    images = np.stack([np.full((8, 8, 3), value) for value in (10, 200)])
    images[1][box(4, 4, 8, 8)] = 90  # the host's object
    masks = np.stack([box(0, 0, 4, 4), box(4, 4, 8, 8)])
    picture = swaps.pasted(images, masks, 0, 1)
    assert (picture[box(0, 0, 4, 4)] == 10).all()
    assert (picture[~box(0, 0, 4, 4)] == 200).all()  # nothing of the host's object is left


def swapping(count=12, seed=0, hosts=None):
    labels = np.arange(count * 3) % 3
    images = np.zeros((len(labels), 8, 8, 1), np.uint8) + labels[:, None, None, None]
    images[:, 2:6, 2:6] = 100 + np.arange(len(labels))[:, None, None, None]
    masks = np.broadcast_to(box(2, 2, 6, 6), (len(labels), 8, 8))
    return swaps.swap(images, labels, masks, 1, hosts, 5, seed), images, labels


@pytest.mark.parametrize("hosts", [None, 2])
def test_swaps_show_the_same_object_on_a_foreign_background_and_on_one_of_its_class(hosts):
    found, images, labels = swapping(hosts=hosts)
    assert len(found.indices) == 5
    assert (found.labels == 1).all()
    assert (found.hosts != 1).all()
    assert hosts is None or (found.hosts == hosts).all()
    for index, host, foreign, own in zip(
        found.indices, found.hosts, found.foreign, found.own, strict=True
    ):
        assert labels[index] == 1
        for picture, background in ((foreign, host), (own, 1)):
            np.testing.assert_array_equal(picture[2:6, 2:6], images[index, 2:6, 2:6])
            assert (picture[0] == background).all()


def test_swaps_depend_on_the_seed_alone():
    first, again, other = (swapping(seed=seed)[0] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.foreign, again.foreign)
    assert not np.array_equal(first.indices, other.indices)


def test_an_object_never_gets_its_own_background_back():
    """Each picture has a background of its own value."""
    count = 6
    images = np.zeros((count, 8, 8, 1), np.uint8) + np.arange(count)[:, None, None, None]
    masks = np.broadcast_to(box(2, 2, 6, 6), images.shape[:3])
    labels = np.array([0, 0, 0, 0, 0, 1])
    for seed in range(20):
        found = swaps.swap(images, labels, masks, 0, None, 5, seed)
        assert (found.own[:, 0, 0, 0] != found.indices).all()
        assert (found.own[:, 0, 0, 0] < 5).all()
        assert (found.foreign[:, 0, 0, 0] == 5).all()


def test_swaps_need_two_pictures_of_the_class_and_one_background():
    images = np.zeros((3, 8, 8, 1), np.uint8)
    masks = np.broadcast_to(box(2, 2, 6, 6), (3, 8, 8))
    for labels in ([0, 1, 1], [0, 0, 0]):
        assert swaps.swap(images, np.array(labels), masks, 0, None, 2) is None


def test_a_summary_has_the_mean_its_standard_error_and_the_count_without_nan():
    found = summaries.summary(np.array([1.0, 2.0, 6.0, math.nan]))
    assert found == {"mean": 3.0, "error": round(math.sqrt(7 / 3), 3), "count": 3}
    assert summaries.summary(np.array([4.0])) == {"mean": 4.0, "error": None, "count": 1}
    assert summaries.summary(np.array([math.nan])) == {"mean": None, "error": None, "count": 0}


def test_groups_are_summarised_apart_and_together():
    found = summaries.by_group(np.array([1.0, 3.0, 10.0]), np.array([0, 0, 2]), 3)
    assert found["mean"] == [2.0, None, 10.0]
    assert found["count"] == [2, 0, 1]
    assert found["error"] == [1.0, None, None]
    assert found["all"]["mean"] == pytest.approx(14 / 3, abs=1e-3)


@pytest.mark.parametrize(
    ("given", "expected"),
    [((0, 0, 4, 2), (2, 3, 6, 5)), ((5, 5, 8, 8), (2, 2, 5, 5)), ((0, 0, 8, 8), (0, 0, 8, 8))],
)
def test_a_centred_box_has_the_same_size_in_the_middle(given, expected):
    np.testing.assert_array_equal(where_faces.centred(box(*given)), box(*expected))


def test_the_other_box_holds_most_of_the_foreground_and_does_not_touch_the_face():
    faces = np.stack([box(0, 0, 3, 3), box(1, 1, 7, 7), box(0, 0, 3, 3)])
    masks = np.stack([box(0, 0, 8, 8) & ~box(3, 0, 8, 4), box(0, 0, 8, 8), box(4, 5, 7, 8)])
    others, found = where_faces.elsewhere(faces, masks)
    np.testing.assert_array_equal(found, [True, False, True])
    np.testing.assert_array_equal(others[0], box(0, 3, 3, 6))  # the first full place, row by row
    assert not others[1].any()
    np.testing.assert_array_equal(others[2], box(4, 5, 7, 8))


def test_mean_maps_divide_each_map_by_its_mean_and_leave_zero_maps_out():
    even = np.ones((16, 16))
    corner = np.zeros((16, 16))
    corner[:2, :2] = 5.0
    maps = np.stack([even, 7 * corner, np.zeros((16, 16)), 3 * even])
    found = where_maps.mean_maps(maps, np.array([0, 0, 0, 1]), 3)
    assert found.shape == (3, 8, 8)
    assert found[0, 0, 0] == pytest.approx((1 + 64) / 2)
    assert found[0, 4, 4] == pytest.approx(1 / 2)
    np.testing.assert_allclose(found[1], 1)
    np.testing.assert_allclose(found[2], 0)


def test_packed_maps_come_back_to_half_a_step():
    values = np.random.default_rng(0).uniform(0, 5, (10, 8, 8))
    np.testing.assert_allclose(
        packing.unpacked_maps(packing.packed_maps(values)), values, atol=0.5 / 51 + 1e-6
    )


def test_border_shares_are_grouped_by_predicted_class():
    maps = np.zeros((3, 32, 32))
    maps[0, 0, 0] = maps[1, 16, 16] = maps[2, 0, 0] = 1  # border, centre, border
    found = where_maps.border(maps, np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    assert found["right"]["mean"] == [100.0, 100.0]
    assert found["wrong"]["mean"] == [0.0, None]


def test_the_last_stage_is_the_layer_explained():
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(2, 3, padding="same", name="conv1"),
            layers.MaxPooling2D(2),
            layers.Conv2D(2, 3, padding="same", name="conv2"),
            layers.ReLU(name="relu2"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )
    assert where_maps.stages(model) == ["conv1", "relu2"]
    assert explain.GradCAM(model).layer == "relu2"
    with pytest.raises(CifarcamError, match="no max pooling"):
        where_maps.stages(keras.Sequential([keras.Input((4,)), layers.Dense(2)]))


def network(seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, padding="same", activation="relu", name="conv1"),
            layers.MaxPooling2D(4),
            layers.Conv2D(8, 3, padding="same", activation="relu", name="conv2"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(10, name="logits"),
            layers.Softmax(),
        ]
    )


@pytest.fixture(scope="module")
def measured():
    """A network without training on the sample, with two made-up face boxes."""
    dataset = data.load("sample")
    own = np.flatnonzero(dataset.test.labels == 3)[:2]
    boxes = np.array([[4, 4, 14, 12], [0, 0, 32, 32]])
    on = material(dataset, CatFaces(own, boxes, 2, 0, 0, 0, math.nan))
    return on, where.of_model(network(), on, in_detail=True)


@pytest.mark.slow
def test_a_tiny_measurement_agrees_with_the_metrics_computed_apart(measured):
    on, found = measured
    classifier = explain.Classifier(network())
    explainer = explain.GradCAM(classifier, "conv2")
    maps = explainer(on.images, on.labels)
    excess = []
    for heatmap, mask in zip(maps, on.masks, strict=True):
        outside = heatmap[~mask].sum() / heatmap.sum() if heatmap.any() else math.nan
        excess.append(100 * (outside - (~mask).mean()))
    assert found["layer"] == "conv2"
    assert found["excess"]["all"]["mean"] == pytest.approx(np.nanmean(excess), abs=1e-2)
    of_cats = np.array(excess)[on.labels == 3]
    assert found["excess"]["mean"][3] == pytest.approx(np.nanmean(of_cats), abs=1e-2)
    predicted = classifier.probabilities(on.images).argmax(axis=1)
    assert found["correct"] == (predicted == on.labels).sum()
    assert sum(found["border"]["right"]["count"]) <= found["correct"]
    assert found["faces"]["area"]["mean"] == pytest.approx(100 * (80 + 1024) / 2 / 1024, abs=1e-2)
    assert found["faces"]["removal"]["count"] == 1  # no place is left beside the whole image
    assert set(found["layers"]["stages"]) <= {"conv1", "conv2"}
    json.dumps(found, allow_nan=False)


def test_the_measurement_is_among_the_measurements():
    assert measurements.MEASUREMENTS["where"] is where.measure
