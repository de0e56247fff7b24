"""Summaries of networks and the rows of their tables, from hand-made runs."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.text import Text
from scipy import stats

from cifarcam import runs
from cifarcam.errors import CifarcamError
from cifarcam.report import networks as rows
from cifarcam.studies import depth, networks, sizes
from cifarcam.studies.depth import Confusions
from cifarcam.studies.imagenet import ImageNetMaps
from cifarcam.studies.sizes import Size


def run(accuracy=0.9, views=None, seconds=60.0, provenance=(), **experiment):
    metrics = {"test": {"accuracy": accuracy, "accuracy_interval": (accuracy - 0.01, accuracy)}}
    if views is not None:
        metrics["test_augmented"] = {"accuracy": views}
    return SimpleNamespace(
        name="tiny",
        metrics=metrics,
        provenance={"training_seconds": seconds, "epochs": 4, **dict(provenance)},
        experiment=SimpleNamespace(**experiment),
        history={"seconds": np.array([25.0, 25.0, 50.0, 100.0])},
    )


def test_summary_sets_the_best_network_beside_the_baseline():
    ranked = networks.ranking({"baseline": [70.0, 72.0], "deep": [95.0, 95.2]})
    found = networks.summary(ranked)
    assert found.best == "deep"
    assert found.best_accuracy == pytest.approx(95.1)
    assert found.baseline_accuracy == pytest.approx(71)
    assert found.gain == pytest.approx(24.1)
    assert found.error_ratio == pytest.approx(29 / 4.9)


@pytest.mark.parametrize(
    ("percent", "words"),
    [
        ([95.0, 95.1, 95.2], "It is more accurate than the other"),
        ([85.0, 85.1, 85.2], "It is less accurate than the other"),
        ([89.0, 90.1, 91.2], "Accuracy does not tell It from the other"),
        ([95.0], "A single seed cannot tell It from the other (+5.0 points)."),
    ],
)
def test_difference_has_a_sentence_for_each_outcome(percent, words):
    found = networks.difference("It", percent, "the other", [89.8, 90.0, 90.2])
    assert found.sentence.startswith(words)
    assert "nan" not in found.sentence
    assert found.effect.value == pytest.approx(np.mean(percent) - 90)


@pytest.mark.parametrize(
    ("views", "words"),
    [
        ([0.951, 0.952, 0.953], "lies above the published 94.0%"),
        ([0.921, 0.922, 0.923], "lies below the published 94.0%"),
        ([0.939, 0.940, 0.942], "We cannot tell the mean over views from the published 94.0%"),
    ],
)
def test_repeated_compares_the_views_with_the_published_accuracy(views, words):
    found = networks.repeated([run(0.92, one, 60 * k) for k, one in enumerate(views, 1)])
    assert words in found.sentence
    assert found.plain.value == pytest.approx(92)
    assert found.gain.value == pytest.approx(100 * np.mean(views) - 92)
    assert found.minutes == pytest.approx(2)


def test_rounding_takes_the_largest_changes_of_all_runs():
    changes = [
        {"classes": 7, "images": 100, "probability": 0.01},
        {"classes": 2, "images": 100, "probability": 0.02},
    ]
    marked = [run(provenance={"change_by_tf32": one}) for one in changes]
    assert networks.rounding({"a": [run(), marked[0]], "b": [marked[1]]}) == networks.Rounding(
        7, 100, 0.02
    )


def test_adopted_runs_say_how_their_predictions_were_computed():
    for seed, precision in ((0, "float32"), (1, "TF32")):
        adopted = runs.load("resnet18-long", seed=seed)
        assert adopted.provenance["precision_of_predictions"] == precision
        assert "GPU" in adopted.provenance["note"]


def test_classical_accuracies_come_from_the_recorded_predictions():
    from cifarcam.data import evidence

    labels = evidence.test_labels()
    wrong = (labels + 1) % 10
    names = [
        (method, features)
        for features in ("pixels", "gradient histograms")
        for method in ("linear SVM", "random forest")
    ]
    record = {"rows": []}
    for (method, features), right in zip(names, (4000, 5000, 5400, 5100), strict=True):
        predicted = np.where(np.arange(10_000) < right, labels, wrong)
        text = "".join(map(str, predicted))
        record["rows"].append({"classifier": method, "features": features, "predictions": text})
    found = networks.classical(record)
    assert found.best == "linear SVM on gradient histograms"
    assert found.accuracy == pytest.approx(54)
    assert found.svm_gain == pytest.approx(14)
    assert found.forest_gain == pytest.approx(1)
    assert found.random_features == pytest.approx(85.63)


def test_spared_compares_epochs_with_full_epochs():
    training = SimpleNamespace(image_sizes=[16, 16])
    selection = SimpleNamespace(first=4, share=0.5)
    seen = {1: 100, 2: 100, 3: 100, 4: 50}
    made = run(training=training, selection=selection, images_seen=lambda epoch, _: seen[epoch])
    # Seconds an image: 0.25, 0.25 at 16 pixels; 0.5 and 2 at full size, 1.25 on average.
    found = sizes.spared(made, 100)
    assert found.smallest == 16
    assert found.smallest_share == pytest.approx(20)
    assert (found.selected_first, found.selected_share) == (4, 50)
    assert found.full_epochs == pytest.approx(200 / 125)
    training.image_sizes = []
    with pytest.raises(CifarcamError, match="without smaller images"):
        sizes.spared(made, 100)


def test_ranking_compares_neighbours_with_holm():
    ranked = networks.ranking(
        {"low": [70.0, 71.0, 72.0], "high": [90.0, 90.1, 90.2], "middle": [71.0, 72.0, 73.0]}
    )
    assert [one.name for one in ranked] == ["high", "middle", "low"]
    first, second, last = ranked
    assert first.lead.value == pytest.approx(90.1 - 72)
    assert second.lead.value == pytest.approx(1)
    p = [stats.ttest_ind([71, 72, 73], [70, 71, 72], equal_var=False).pvalue]
    assert second.adjusted == pytest.approx(p[0])  # the larger of two p-values stays
    assert first.adjusted == pytest.approx(2 * first.lead.p)
    assert first.is_ahead
    assert not second.is_ahead
    assert last.lead is None
    assert not last.is_ahead


def test_ranking_tests_no_neighbour_of_a_single_seed():
    ranked = networks.ranking({"a": [95.0], "b": [90.0, 90.1], "c": [80.0, 80.1, 80.2]})
    assert math.isnan(ranked[0].adjusted)
    assert ranked[1].adjusted == pytest.approx(ranked[1].lead.p)


def test_ranking_rows_say_leads_and_published_accuracies():
    ranked = networks.ranking({"AlexNet": [88.0, 88.1, 88.2], "baseline": [72.0]})
    first, last = rows.ranking_rows(ranked)
    assert first == ["AlexNet", 3, "88.1 [87.9, 88.3]", "+16.1", "–", rows.PUBLISHED["AlexNet"]]
    assert last == ["Baseline", 1, "72.0", "–", "–", "–"]
    percent, intervals = rows.seed_values(ranked)
    assert percent == {"AlexNet": (88.0, 88.1, 88.2), "Baseline": (72.0,)}
    assert intervals["AlexNet"] == pytest.approx((87.85, 88.35), abs=0.01)


def test_short_rows_describe_the_recipe():
    made = run(
        0.9,
        seconds=600,
        data=SimpleNamespace(fit="train+validation"),
        training=SimpleNamespace(optimizer="muon"),
        augmentation=SimpleNamespace(parts=("flip", "cutout")),
    )
    made.experiment.prediction = None
    assert rows.short_rows({"speedrun": made}) == [
        ["Speedrun", 4, "all", "Muon", "flips, cutout", "10", "90.0 [89.0, 90.0]"]
    ]


def test_confusion_points_put_our_networks_last():
    def of(names, layers):
        n = len(names)
        return Confusions(names, np.array(layers, float), np.full(n, 90.0), np.ones((n, 3)), None)

    points = rows.confusion_points(of(("ours",), [5]), of(("a", "b"), [110, np.nan]))
    assert points["is_ours"] == [False, False, True]
    assert points["depth"].tolist()[::2] == [110, 5]
    assert list(points["counts"]) == ["cat – dog", "automobile – truck", "airplane – ship"]
    assert [len(values) for values in points["counts"].values()] == [3, 3, 3]


def test_association_rows_say_interval_and_p_value():
    falling = depth.association(-np.stack([np.arange(9.0)] * 3, axis=1), np.arange(9.0))
    row = rows.association_rows(falling, falling, falling)[0]
    assert row[0] == "Cat – dog"
    assert row[1].startswith("−1.00 [−1.00, ")
    assert row[1].endswith("p < 0.001")


def test_size_rows_and_titles():
    assert rows.size_rows({"transformer": Size(8, 0.283, 1071.2, 8)}) == [
        ["Transformer", 8, "0.28", "1,071", "8 × 8"]
    ]
    pictures = np.zeros((2, 8, 8, 3), np.uint8)
    names = ["truck", "cat"]
    shares = np.array([0.5, 0.25])
    maps = ImageNetMaps(
        "Lite", pictures, np.array([717, 404]), ["pickup", "airliner"], shares, np.ones((2, 8, 8))
    )
    texts = [text.get_text() for text in rows.imagenet_figure([maps], names).findobj(Text)]
    assert {"truck\npickup (50%)", "cat\nairliner (25%)"} <= set(texts)
    both = [text.get_text() for text in rows.imagenet_figure([maps, maps], names).findobj(Text)]
    assert sum("Lite: " in text for text in both) == 4
    sentence = (
        "{} names a class of the right kind for 1 of the 2 pictures. The probability of its likeliest "
        "class is 38% on average."
    )
    absent = "We could not get the weights of ResNet-18 for this build."
    assert rows.imagenet_sentence([maps], names) == f"{absent} {sentence.format('Lite')}"
    resnet = replace(maps, network="ResNet-18")
    assert rows.imagenet_sentence([resnet, maps], names) == (
        f"{sentence.format('ResNet-18')} {sentence.format('Lite')}"
    )
    assert rows.imagenet_figure([], names) is None
    assert "no figure" in rows.imagenet_sentence([], names)
    training = SimpleNamespace(image_sizes=[20, 20, 24])
    assert rows.stages(run(training=training)) == (
        "20 × 20 pixels for 2 epochs, then 24 × 24 pixels for 1 epoch, "
        "then 32 × 32 pixels for 1 epoch"
    )


def test_halved_images_are_means_of_four_pixels():
    images = np.arange(2 * 5 * 4).reshape(2, 5, 4)
    # Of 0, 1, 4, 5 the mean is 2.5; the fifth row is cut, and an image has 20 pixels.
    expected = np.array([[2.5, 4.5], [10.5, 12.5]]) + np.array([0, 20])[:, None, None]
    np.testing.assert_array_equal(rows.halved(images), expected)
    np.testing.assert_array_equal(rows.halved(images[..., None])[..., 0], expected)
