"""What the record of places says: effects, sentences, rows, examples and the claims' evidence."""

import math

import numpy as np
import pytest

from cifarcam import figures
from cifarcam.errors import CifarcamError
from cifarcam.report import where as rows
from cifarcam.report.examples import Example
from cifarcam.studies import examples, inference, interventions, places
from cifarcam.studies.claims import Verdict, attention, backgrounds, faces


def group(mean, of_all):
    return {"mean": mean, "error": [None] * len(mean), "all": {"mean": of_all}}


def stat(mean, count=100):
    return {"mean": mean, "error": 0.1, "count": count}


def entry(experiment, seed):
    """Made-up numbers that depend on the seed."""
    pair = {"probability_own": stat(70.0), "probability_lost": stat(30.0 + seed)}
    pair["host_gained"] = stat(5.0)
    return {
        "experiment": experiment,
        "seed": seed,
        "correct": 900 + seed,
        "zero_predicted": seed,
        "zero_true_wrong": 10,
        "excess": group([1.0 + seed, -5.0], -7.0),
        "kept": group([80.0, 70.0], 75.0),
        "lost_background": group([-4.0, 30.0], 20.0 + seed),
        "lost_object": group([20.0, 40.0], 28.0),
        "border": {
            "right": group([60.0, None], 65.0),
            "wrong": group([62.0 + seed, None], 67.0),
        },
        "counter": {"mean": 0.1, "error": 0.01, "count": 99, "negative": 40.0},
        "cats": {"upper": stat(47.0), "fall_difference": stat(8.0)},
        "swaps": {"by_class": {"accuracy_lost": group([9.0, 9.0], 20.0)},
                  "by_pair": {"airplane-deer": pair}},
        "faces": {"blob": stat(14.0), "energy": stat(3.0 + seed, 120), "face_minus_centre": stat(-2.0 - seed, 120),
                  "removal": stat(None, 0)},
        "layers": {"stages": {"conv1": {"object": stat(5.0, 75), "gini": stat(0.7), "zero": 25}},
                   "last_minus_first": stat(1.0)},
        "contrast": {"cat-dog": {
            "turned": {n: stat(20.0) for n in ("contrast", "plain", "random", "centre")},
            "contrast_minus": {n: stat(4.0 + seed) for n in ("plain", "random", "centre")},
        }},
    }  # fmt: skip


@pytest.fixture
def record():
    runs = [entry("baseline", seed) for seed in (2, 0, 1)]
    runs.append(entry("baseline-early-stopping", 0))
    return {
        "images": 1000,
        "class_names": ["airplane", "deer"],
        "runs": {str(number): run for number, run in enumerate(runs)},
    }


def test_entries_are_in_the_order_of_seeds_and_values_have_one_row_each(record):
    assert [run["seed"] for run in places.entries(record, "baseline")] == [0, 1, 2]
    assert places.values(record, "baseline", "excess", "mean").tolist() == [
        [1.0, -5.0],
        [2.0, -5.0],
        [3.0, -5.0],
    ]
    assert places.values(record, "none", "excess", "mean").size == 0
    assert np.isnan(places.values(record, "baseline", "faces", "removal", "mean")).all()


def test_effects_of_the_record_are_means_over_seeds(record):
    found = places.totals(record, "baseline")
    assert found.zero_predicted.value == pytest.approx(0.1)  # 1 of 1,000 on average
    assert found.zero_true_wrong.value == pytest.approx((10 + 1000 / 99 + 1000 / 98) / 3)
    assert found.lost_background.value == 21.0
    assert found.excess.value == -7.0
    assert found.blob.value == 14.0
    swap = interventions.swap_effects(record, "baseline")[0]
    assert (swap.objects, swap.hosts, swap.lost.value) == ("airplane", "deer", 31.0)
    turn = interventions.turn_effects(record, "baseline")[0]
    assert (turn.pair, turn.over_random.value) == (("cat", "dog"), 5.0)
    layers = places.layer_effects(record, "baseline")
    assert layers.stages[0].zero.value == 25.0
    assert layers.last_minus_first.value == 1.0


def test_border_differences_leave_out_classes_without_wrong_predictions(record):
    difference = places.border_difference(record, "baseline")
    np.testing.assert_array_equal(difference[:, 0], [2.0, 3.0, 4.0])
    assert np.isnan(difference[:, 1]).all()
    np.testing.assert_array_equal(places.class_means(difference), [2.0, 3.0, 4.0])


class Made:
    """Sources with a made-up record."""

    def __init__(self, record):
        self._record = record

    def record(self, name):
        assert name == "where"
        return self._record


def test_conditions_take_their_evidence_from_the_record(record):
    findings = {
        condition.id: condition.finding(Made(record))
        for claim in (*backgrounds.CLAIMS, faces.CLAIM, attention.CLAIM)
        for condition in claim.conditions
    }
    assert findings["airplane-background.energy"].by_seed == (1.0, 2.0, 3.0)
    assert findings["airplane-background.stopped"].effect.count == 1
    assert findings["airplane-background.swap"].by_seed == (30.0, 31.0, 32.0)
    assert findings["background-misleads.helps"].verdict is Verdict.REPRODUCED
    assert findings["background-misleads.swap"].effect.value == 20.0
    assert findings["background-misleads.border"].by_seed == (2.0, 3.0, 4.0)
    assert findings["cat-face.energy"].verdict is Verdict.REPRODUCED
    assert findings["cat-face.control"].verdict is Verdict.CONTRADICTED
    assert "120 cats" in findings["cat-face.energy"].basis
    assert findings["cat-face.removal"].verdict is Verdict.NOT_TESTED
    assert findings["attention-helps.energy"].verdict is Verdict.NOT_TESTED


def effect(low, high, count=3):
    return inference.Effect((low + high) / 2, low, high, "points", "seeds", count, "t")


ABOVE, BELOW, OPEN = effect(1, 3), effect(-3, -1), effect(-1, 2)


def test_the_sentence_on_contrast_maps_follows_the_three_intervals():
    def sentence(*effects):
        return interventions.turn_sentence(("cat", "dog"), *effects)

    assert sentence(OPEN, ABOVE, BELOW) == (
        "Between cat and dog, removing the pixels of the contrast map turns the answer more often "
        "than removing random pixels (+2.0 points), and less often than removing the centre (−2.0 "
        "points). The difference from removing the pixels of the plain map (+0.5 points) is not "
        "clear."
    )
    assert sentence(ABOVE, ABOVE, ABOVE).endswith(
        "more often than removing random pixels (+2.0 points), the pixels of the plain map (+2.0 "
        "points) and the centre (+2.0 points)."
    )
    few = effect(1, 3, count=2)
    assert "more often" not in sentence(few, few, few)


def test_the_sentence_on_layers_follows_the_interval():
    assert "puts more of its energy" in places.layers_sentence(ABOVE)
    assert "puts less of its energy" in places.layers_sentence(BELOW)
    assert "cannot tell" in places.layers_sentence(OPEN)
    assert "cannot tell" in places.layers_sentence(effect(1, 3, count=2))


def test_rows_of_the_tables_fit_their_headers(record):
    layers = rows.layer_rows(places.layer_effects(record, "baseline"))
    swaps = rows.swap_rows(interventions.swap_effects(record, "baseline"))
    turns = rows.turn_rows(interventions.turn_effects(record, "baseline"))
    for table, header in (
        (layers, rows.LAYER_HEADER),
        (swaps, rows.SWAP_HEADER),
        (turns, rows.TURN_HEADER),
    ):
        assert {len(row) for row in table} == {len(header)}
    assert layers[0][0] == "conv1"
    assert layers[0][-1] == "25.0"
    assert swaps[0][:2] == ["airplane", "deer"]
    assert turns[0][:2] == ["cat–dog", "20.0 [20.0, 20.0]"]


def test_arrays_of_the_figures_have_seeds_and_classes(record):
    series = rows.by_network(record, "excess")
    assert {name: values.shape for name, values in series.items()} == {
        "baseline, last epoch": (3, 2),
        "stopped early": (1, 2),
    }
    border = rows.right_and_wrong(record)
    np.testing.assert_array_equal(border["right predictions"][:, 0], [60.0, 60.0, 60.0])
    parts = rows.without_a_part(record)
    np.testing.assert_array_equal(parts["without the object"][0], [20.0, 40.0])
    record["runs"]["0"]["swaps"]["by_class"]["accuracy_own"] = group([70.0, 60.0], 65.0)
    record["runs"] = {"0": record["runs"]["0"]}
    swapped = rows.on_backgrounds(record)
    np.testing.assert_array_equal(swapped["background of another class"], [[61.0, 51.0]])


class Flat:
    """An explainer whose maps are the number of the target class."""

    def __call__(self, images, targets, against=0):
        values = np.broadcast_to(np.asarray(targets, float) - against, len(images))
        return np.broadcast_to(values[:, None, None], images.shape[:3]).copy()


IMAGES = np.arange(4, dtype=np.uint8)[:, None, None, None] + np.zeros((4, 2, 2, 3), np.uint8)


def test_examples_are_explained_for_their_own_targets():
    examples = [Example("median right", 2, 1, 1, 1, 0.5), Example("surest wrong", 0, 1, 0, 0, 0.9)]
    pictures, maps, titles = rows.explained(Flat(), IMAGES, examples, ["cat", "dog"])
    np.testing.assert_array_equal(pictures[:, 0, 0, 0], [2, 0])
    np.testing.assert_array_equal(maps[:, 0, 0], [1, 0])
    assert titles == ["dog (50%): map for dog", "dog as cat (90%): map for cat"]
    assert len(rows.explained(Flat(), IMAGES, [], ["cat", "dog"])[0]) == 0


def test_wrong_predictions_are_explained_for_both_classes():
    labels, predicted = np.array([1, 1, 0, 0]), np.array([0, 1, 1, 0])
    found = rows.both_classes(Flat(), IMAGES, labels, predicted, [0, 2], ["cat", "dog"])
    pictures, maps, titles = found
    np.testing.assert_array_equal(pictures[:, 0, 0, 0], [0, 0, 2, 2])
    np.testing.assert_array_equal(maps[:, 0, 0], [0, 1, 1, 0])
    assert titles[:2] == ["dog: map for cat", "dog: map for dog"]
    assert len(rows.both_classes(Flat(), IMAGES, labels, predicted, [], ["cat", "dog"])[1]) == 0


def test_contrasted_images_stand_twice():
    pictures, maps, titles = rows.contrasted(Flat(), IMAGES[:2], (1, 0), ["cat", "dog"])
    np.testing.assert_array_equal(pictures[:, 0, 0, 0], [0, 0, 1, 1])
    np.testing.assert_array_equal(maps[:, 0, 0], [1, 1, 1, 1])
    assert titles == ["dog", "dog minus cat"] * 2
    assert len(rows.contrasted(Flat(), IMAGES[:0], (1, 0), ["cat", "dog"])[1]) == 0
    predicted, labels = np.array([1, 1, 0, 1, 1]), np.array([1, 0, 1, 1, 1])
    assert rows.right_predictions(predicted, labels, 1, 2).tolist() == [0, 3]


def test_the_first_images_of_each_class_and_their_cut_out_objects():
    assert rows.first_of_each(np.array([1, 0, 1, 1, 0]), 2, 2) == [1, 4, 0, 2]
    masks = np.zeros((4, 2, 2), bool)
    masks[:, 0, 0] = True
    cut = rows.cut_out(IMAGES, masks)
    assert cut.dtype == np.uint8
    np.testing.assert_array_equal(cut[3, :, :, 0], [[3, 255], [255, 255]])


def test_labels_in_doubt_belong_to_no_class():
    labels = np.array([3, 1, 3])
    clear = examples.labels_without(labels, np.array([2]))
    np.testing.assert_array_equal(clear, [3, 1, -1])
    np.testing.assert_array_equal(labels, [3, 1, 3])


def test_dots_by_seed_draw_every_seed_and_the_mean():
    values = np.array([[1.0, 4.0], [3.0, math.nan]])
    figure = figures.dots_by_seed({"a": values, "b": values[:1]}, ["x", "y"], "points", reference=2)
    axes = figure.axes[0]
    drawn = [line for line in axes.lines if line.get_marker() == "o"]
    np.testing.assert_array_equal(drawn[0].get_xdata(), [2.0, 4.0])
    assert len(axes.collections) == 1  # dots of the series with several seeds
    assert [text.get_text() for text in axes.get_yticklabels()] == ["x", "y"]
    with pytest.raises(CifarcamError, match="give seeds x 2"):
        figures.dots_by_seed({"a": values[:, :1]}, ["x", "y"], "points")
    with pytest.raises(CifarcamError, match="give one to 4"):
        figures.dots_by_seed({}, ["x"], "points")
