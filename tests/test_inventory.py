"""What the chapters on data, methods and provenance show: surveys, a walkthrough, and tables."""

from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from cifarcam import data, explain, models
from cifarcam.data import Split
from cifarcam.errors import CifarcamError
from cifarcam.models import custom_cnn
from cifarcam.report import architectures as architecture_tables
from cifarcam.report import gallery, inventory
from cifarcam.studies import survey, walkthrough


def run_named(name, **provenance):
    made = {
        "date": "2026-11-24",
        "precision": "float32",
        "epochs": 50,
        "training_seconds": 90.0,
        "device": "a processor",
        "threads": 2,
        "system": "Linux",
        "versions": {"keras": "3", "numpy": "2"},
    }
    return SimpleNamespace(
        name=name,
        fingerprint="ab" * 32,
        provenance=made | provenance,
        metrics={"test": {"accuracy": 0.72784}},
    )


def test_sizes_count_each_split_and_say_the_balance_in_words():
    sample = data.load("sample")
    found = survey.sizes(sample)
    assert (found.train, found.validation, found.test) == tuple(
        len(split) for split in (sample.train, sample.validation, sample.test)
    )
    assert found.published_train == found.train + found.validation
    assert found.total == found.published_train + found.test
    assert found.per_class == found.total // found.classes
    assert sum(counts.sum() for counts in found.by_split.values()) == found.total
    uneven = replace(sample, test=Split(sample.test.images[1:], sample.test.labels[1:]))
    assert "images and 99 to 100 test images" in survey.sizes(uneven).balance


def test_survey_finds_planted_duplicates_by_their_splits():
    sample = data.load("sample")
    before = survey.survey(sample)
    train, test = sample.train.images.copy(), sample.test.images.copy()
    labels = sample.test.labels.copy()
    test[0] = train[0]  # exact, across the splits
    labels[0] = (sample.train.labels[0] + 1) % 10
    test[1] = np.clip(train[1].astype(int) + 3, 0, 255)  # near, brighter
    labels[1] = sample.train.labels[1]
    train[5] = 77  # one colour
    planted = replace(
        sample,
        train=Split(train, sample.train.labels),
        test=Split(test, labels),
    )
    found = survey.survey(planted)
    across, _ = (
        next(k for k in one.kinds if (k.first, k.second) == ("training", "test"))
        for one in (found, before)
    )
    assert (across.exact, across.near, across.differing) == (1, 2, 1)
    assert (found.near_test, found.constant, found.least_contrast) == (2, 1, 0.0)
    assert found.near_test_share == pytest.approx(100 * 2 / len(sample.test))
    assert found.near_pairs == sum(kind.near for kind in found.kinds)
    assert found.exact_pairs == sum(kind.exact for kind in found.kinds)
    np.testing.assert_array_equal(found.examples.first[0], found.examples.second[0])
    assert found.examples.titles[0].endswith("1.000")
    rows = inventory.duplicate_rows(found)
    assert ["training – test", "1", "2", "1"] in rows


def test_walkthrough_follows_the_first_correct_image():
    keras.utils.set_random_seed(0)
    model = models.build("custom_cnn", custom_cnn.Options((4, 8), 8, 0.0))
    sample = data.load("sample")
    predictions = np.eye(10)[sample.test.labels]
    predictions[:3] = np.roll(predictions[:3], 1, axis=1)  # the first three are wrong
    run = SimpleNamespace(name="tiny", predictions=predictions, model=lambda: model)
    walk = walkthrough.first_correct(run, sample)
    np.testing.assert_array_equal(walk.image, sample.test.images[3])
    np.testing.assert_array_equal(walk.probabilities, predictions[3])
    assert [maps.shape[-1] for maps in walk.activations] == [4, 8]
    names = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    expected = explain.GradCAM(model, layer=names[-1])(sample.test.images[3:4])[0]
    np.testing.assert_allclose(walk.heatmap, expected, atol=1e-6)
    run.predictions = np.roll(np.eye(10)[sample.test.labels], 1, axis=1)
    with pytest.raises(CifarcamError, match="tiny classifies no test image correctly"):
        walkthrough.first_correct(run, sample)


def test_tally_counts_images_that_all_or_no_networks_get_right_and_zero_maps():
    labels = np.array([0, 1, 1])
    sure = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])  # right, right, wrong
    other = np.array([[0.1, 0.9], [0.2, 0.8], [0.7, 0.3]])  # wrong, right, wrong
    maps = np.ones((3, 2, 2))
    maps[1] = 0
    answers = {
        "one": gallery.Answers(sure, {"a": maps, "b": np.ones((3, 2, 2))}),
        "two": gallery.Answers(other, {"a": maps, "b": maps}),
    }
    assert gallery.tally(answers, labels) == gallery.Tally(2, 3, 1, 1, 12, 3)


def test_rows_of_runs_and_of_the_machines_that_made_them():
    trained = [run_named("one"), run_named("two"), run_named("three", device="another")]
    assert inventory.minutes(trained[0]) == 1.5
    row = inventory.run_rows(trained)[0]
    assert row == ["one", "`abababababababab`", "2026-11-24", "float32", "50", "1.5", "72.78"]
    first, second = inventory.machine_rows(trained)
    assert first == ["a processor", "2", "not noted", "Linux", "keras 3, numpy 2", "one, two"]
    assert (second[0], second[-1]) == ("another", "three")


def test_rows_of_records_and_of_software_name_what_is_at_hand(capsys):
    assert "ablation" in [row[0] for row in inventory.record_rows()]
    capsys.readouterr()
    names = [row[0] for row in inventory.software_rows()]
    assert names[0] == "Python"
    assert {"numpy", "keras", "scikit-learn"} <= {name.lower() for name in names}
    assert "jupyter-book" not in names


def test_rows_of_layers_sum_to_the_parameters():
    model = models.build("custom_cnn", custom_cnn.Options((4,), 8, 0.0))
    *layers, total = architecture_tables.layer_rows(model)
    assert len(layers) == len(model.layers)
    numbers = [int(row[-1].replace(",", "")) for row in [*layers, total]]
    assert sum(numbers[:-1]) == numbers[-1] == model.count_params()
