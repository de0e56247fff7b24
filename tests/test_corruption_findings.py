"""Findings, rows and figures from hand-made records of corrupted images."""

import types

import keras
import numpy as np
import pytest

from cifarcam import data, figures, runs
from cifarcam.data.corruptions import KINDS, SEVERITIES
from cifarcam.errors import CifarcamError
from cifarcam.report import corruptions as page
from cifarcam.studies import corrupted_maps, corruptions, measurements, steady_maps
from cifarcam.studies import corruption_findings as findings
from cifarcam.studies.packing import packed, unpacked

COUNT = 800  # images that all networks classify


def network(clean, corrupted, rights=None, error=0.1, confidence=0.5, kinds=KINDS):
    """An entry of the record: the same accuracy for every kind, or one for each kind."""
    accuracy = dict(zip(KINDS, np.broadcast_to(corrupted, len(KINDS)), strict=True))
    rights = np.rint(COUNT * np.asarray(corrupted)).astype(int) if rights is None else rights
    rights = dict(zip(KINDS, np.broadcast_to(rights, len(KINDS)), strict=True))
    return {
        "images": 1000,
        "clean": {"accuracy": clean, "calibration_error": 0.02, "confidence": clean + 0.02},
        "clean_shared": {"accuracy": clean},
        "kinds": {
            kind: {
                "accuracy": [accuracy[kind] + 0.02 - 0.01 * k for k in range(5)],
                "calibration_error": [error] * 4 + [2 * error],
                "confidence": [confidence] * 5,
                "right": corruptions.bits(np.tile(np.arange(COUNT) < rights[kind], (5, 1))),
            }
            for kind in kinds
        },
    }


def measured(**entries):
    return findings.networks({"networks": entries})


def test_networks_of_a_record_are_means_over_kinds_and_severities():
    harder = [0.5] * 14 + [0.8]
    (one,) = measured(**{"baseline": network(0.9, harder)})
    assert one.clean == pytest.approx(90)
    assert one.mean == pytest.approx(52)
    np.testing.assert_allclose(one.by_kind, [50] * 14 + [80])
    np.testing.assert_allclose(one.by_severity, [54, 53, 52, 51, 50])
    assert (one.clean_error, one.error, one.hardest_error) == pytest.approx((2, 12, 20))
    assert one.right.shape == (15, 5, COUNT) and one.right.mean() == pytest.approx(0.52)
    np.testing.assert_allclose(one.shared, one.by_kind)


def test_networks_with_kinds_missing_are_left_out_and_no_record_has_none():
    assert measured(baseline=network(0.9, 0.5, kinds=KINDS[:14])) == []
    assert findings.networks(None) == []


def test_bits_return_as_they_were():
    table = np.random.default_rng(0).random((5, 16)) < 0.5
    np.testing.assert_array_equal(corruptions.from_bits(corruptions.bits(table), 5), table)


def test_balanced_choices_have_as_many_of_each_class_and_contain_smaller_ones():
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(10), 30))
    many, few = corruptions.balanced(labels, 200), corruptions.balanced(labels, 50)
    assert (np.bincount(labels[many]) == 20).all() and (np.bincount(labels[few]) == 5).all()
    assert set(few) <= set(many) and (np.diff(many) > 0).all()
    assert len(corruptions.balanced(labels, 1000)) == 300


def test_overview_names_the_best_network_and_the_kinds():
    levels = np.linspace(0.4, 0.8, 15)
    overview = findings.overview(
        measured(**{"baseline": network(0.8, levels), "ResNet-18": network(0.95, levels + 0.1)})
    )
    assert (overview.best, overview.count) == ("ResNet-18", 2)
    assert overview.best_mean == pytest.approx(70) and overview.fall == pytest.approx(25)
    assert (overview.hardest, overview.mildest) == (KINDS[0], KINDS[-1])
    assert overview.agreement == pytest.approx(1)
    assert overview.sentence.startswith(
        "On corrupted images, ResNet-18 is the most accurate network. Its accuracy falls from 95.0% to "
        "70.0% (mean over the 75 sets, on the 800 images that all networks classify)."
    )
    assert "Accuracy is lowest under gaussian noise (45.0%" in overview.sentence
    assert "highest under JPEG compression (85.0%)" in overview.sentence
    assert "Too few networks are measured" in overview.sentence
    assert overview.short == (
        "On corrupted images, the most accurate of our networks, ResNet-18, loses 25 points of "
        "accuracy."
    )


def test_a_single_network_is_compared_with_no_other():
    (alone,) = measured(baseline=network(0.8, 0.6, confidence=0.7))
    overview = findings.overview([alone])
    assert overview.sentence.startswith(
        "The accuracy of the baseline falls from 80.0% to 60.0% (mean over the 75 sets, 800 images)."
    )
    assert overview.short == "On corrupted images, the baseline loses 20 points of accuracy."
    assert findings.confidence([alone]).sentence.startswith(
        "The baseline trusts itself too much on corrupted images. Its expected calibration error goes "
        "from 2.0% on clean images to 12.0%"
    )


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ([0, 1, 2, 3, 4], "The networks find the same kinds hard"),
        ([4, 1, 2, 3, 0], "The networks differ in which kinds they find hard"),
        ([0, 3, 2, 1, 4], "agree in part"),
    ],
)
def test_agreement_has_a_sentence_for_each_outcome(order, words):
    levels = 0.4 + 0.02 * np.arange(15)
    other = levels.reshape(5, 3)[order].ravel()
    both = measured(baseline=network(0.8, levels), speedrun=network(0.8, other))
    assert words in findings.overview(both).sentence
    assert "rank correlation of the kinds" not in findings.overview(both[:1]).sentence


def test_overview_without_networks_says_so():
    overview = findings.overview([])
    assert (overview.short, overview.sentence) == ("", findings.NOT_YET)
    assert findings.gain_sentence(None) == findings.NOT_YET


@pytest.mark.parametrize(
    ("means", "words"),
    [
        (
            [0.4, 0.5, 0.6, 0.7, 0.8],
            "tend to be better on corrupted images (rank correlation 1.00 over 5",
        ),
        ([0.8, 0.7, 0.6, 0.5, 0.4], "tend to be worse on corrupted images (rank correlation −1.00"),
        ([0.5, 0.8, 0.4, 0.7, 0.6], "These networks cannot tell whether"),
    ],
)
def test_the_order_of_networks_has_a_sentence_for_each_outcome(means, words):
    levels = np.linspace(-0.05, 0.05, 15)
    entries = {f"N{k}": network(0.7 + 0.05 * k, mean + levels) for k, mean in enumerate(means)}
    assert words in findings.overview(measured(**entries)).sentence


@pytest.mark.parametrize(
    ("rights", "count", "words"),
    [
        (
            [600] * 15,
            15,
            "Under every kind of corruption, the augmented custom CNN classifies more",
        ),
        ([400] * 15, 0, "No kind of corruption tells the augmented custom CNN from"),
        ([401] * 15, 0, "No kind of corruption tells"),
        (
            [600] * 14 + [400],
            14,
            "Under 14 of the 15 kinds, the augmented custom CNN classifies more",
        ),
        (
            [200] * 15,
            0,
            "Under every kind of corruption, the augmented custom CNN classifies fewer",
        ),
        (
            [600] * 14 + [200],
            14,
            "Under JPEG compression, the augmented custom CNN classifies fewer images",
        ),
        (
            [200] * 2 + [400] * 13,
            0,
            "Under gaussian noise and shot noise, the augmented custom CNN",
        ),
    ],
)
def test_gains_have_a_sentence_for_each_outcome(rights, count, words):
    name = "custom CNN, augmented"
    both = measured(**{"baseline": network(0.8, 0.5), name: network(0.9, 0.6, rights)})
    gains = findings.gains(both, name, "baseline")
    assert gains.count == count
    assert words in gains.sentence
    assert gains.clean == pytest.approx(10)
    assert gains.kinds["fog"].value == pytest.approx(100 * (rights[9] - 400) / COUNT)
    assert "+10.0 points" in gains.sentence


def test_gains_without_one_of_the_networks_are_none():
    assert findings.gains(measured(baseline=network(0.8, 0.5)), "ResNet-18", "baseline") is None


@pytest.mark.parametrize(
    ("levels", "count", "words"),
    [
        ((0.6, 0.6), 2, "Every network trusts itself too much"),
        ((0.4, 0.4), 0, "No network trusts itself too much"),
        ((0.4, 0.6), 1, "One of the 2 networks trusts itself too much"),
    ],
)
def test_confidence_is_compared_with_accuracy(levels, count, words):
    first, second = (network(0.8, 0.5, confidence=level) for level in levels)
    found = findings.confidence(measured(baseline=first, speedrun=second | {}))
    assert found.overconfident == count and found.sentence.startswith(words)
    assert "largest for the baseline: it goes from 2.0% on clean images to 12.0%" in found.sentence


def heatmap_part(values, control):
    images = np.linspace(-0.01, 0.01, 20)
    return {
        "control": packed(control + images),
        "images": [packed(value + images) for value in values],
        "kinds": [list(values)] * 15,
        "kept": [0.9, 0.8, 0.7],
        "changed": [None, 0.5, 0.4],
    }


@pytest.mark.parametrize(
    ("controls", "words"),
    [
        ((0.1, 0.1), "For the baseline, the heatmaps of every method stay closer"),
        ((0.9, 0.1), "For the baseline, only the heatmaps of saliency stay closer"),
        ((0.9, 0.9), "For the baseline, no method's heatmaps at severity 5 stay measurably"),
    ],
)
def test_heatmaps_are_compared_with_those_of_another_image(controls, words):
    parts = {
        "grad-cam": heatmap_part([0.9, 0.7, 0.5], controls[0]),
        "saliency": heatmap_part([0.6, 0.4, 0.3], controls[1]),
    }
    maps = steady_maps.steadiness({"heatmaps": {"baseline": parts}})
    assert maps[0].severities[3].value == pytest.approx(0.7)
    assert maps[0].hardest.value == pytest.approx(0.5)
    assert np.isnan(maps[0].changed[0]) and maps[0].kept == (0.9, 0.8, 0.7)
    sentence = steady_maps.sentence(maps)
    assert sentence.startswith(words)
    assert f"Grad-CAM 0.50 [{controls[0]:.2f}], saliency 0.30 [{controls[1]:.2f}]" in sentence
    rows = page.map_rows(maps)
    assert rows[0][:2] == ["Baseline", "Grad-CAM"] and rows[0][-2:] == ["0.70", "0.40"]


def test_without_heatmaps_a_sentence_says_so():
    assert steady_maps.steadiness(None) == []
    assert steady_maps.sentence([]) == findings.NOT_YET
    assert len(page.map_rows([])[0]) == len(page.MAP_HEADER)


def test_rows_have_a_cell_for_each_column():
    both = measured(**{"baseline": network(0.8, 0.5), "ResNet-18": network(0.9, 0.6)})
    rows = page.rows(both)
    assert [row[0] for row in rows[:2]] == ["ResNet-18", "Baseline"]
    assert rows[0][1:5] == ["1,000", "90.0", "60.0", "58.0"]
    assert all(len(row) == len(page.HEADER) for row in rows)
    assert rows[-1][0] == "ResNet-18 with AugMix, published" and rows[-1][3] == "88.6"
    gain_rows = page.gain_rows(findings.gains(both, "ResNet-18", "baseline"))
    assert len(gain_rows) == 8 and gain_rows[-1][2] == "**All kinds**"
    assert all(len(row) == len(page.GAIN_HEADER) for row in [*gain_rows, *page.gain_rows(None)])


def test_figures_draw_networks_and_published_accuracies():
    both = measured(**{"baseline": network(0.8, 0.5), "ResNet-18": network(0.9, 0.6)})
    by_kind = figures.accuracy_by_kind(*page.by_kind(both))
    labels = [text.get_text() for text in by_kind.legends[0].get_texts()]
    assert labels == ["baseline", "ResNet-18", "WRN-28-10, published"]
    axes = by_kind.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == list(KINDS)
    np.testing.assert_allclose(axes.lines[2].get_xdata(), [47.0, 55.3, 93.3])
    np.testing.assert_array_equal(axes.lines[2].get_ydata(), [0, 2, 10])
    by_severity = figures.accuracy_by_severity(*page.by_severity(both)).axes[0]
    np.testing.assert_allclose(by_severity.lines[0].get_ydata(), [80, 52, 51, 50, 49, 48])


def test_figures_without_networks_say_so():
    for figure in (
        figures.accuracy_by_kind(*page.by_kind([])),
        figures.accuracy_by_severity(*page.by_severity([])),
        figures.corruption_sheet(*page.pictures(data.load("sample"))),
    ):
        assert "no " in figure.axes[0].texts[0].get_text()


def test_the_sheet_names_kinds_and_severities():
    pictures = np.zeros((15, 5, 32, 32, 3), np.uint8)
    texts = [t.get_text() for t in figures.corruption_sheet(pictures, KINDS).axes[0].texts]
    assert set(KINDS) <= set(texts)
    assert texts.count("5") == 2
    with pytest.raises(CifarcamError, match="15 rows and 14 names"):
        figures.corruption_sheet(pictures, KINDS[:14])


def test_a_network_with_other_kinds_is_refused():
    with pytest.raises(CifarcamError, match="3 values of A"):
        figures.accuracy_by_kind({"A": [1, 2, 3]}, KINDS, {})


class Bright:
    """A classifier that is sure of class 1 for bright images and of class 0 for dark ones."""

    def predict(self, images, **options):
        bright = images.mean(axis=(1, 2, 3)) > 120
        return np.eye(10, dtype=np.float32)[bright.astype(int)]


def test_a_kind_is_classified_at_every_severity():
    images = np.full((32, 32, 32, 3), 100, np.uint8)
    test = data.Split(images, np.zeros(32, np.int64))
    # Grey of 100 becomes 112 and 125 at severities 1 and 2 of brightness.
    part = corruptions.classified(Bright(), "brightness", test, np.arange(32), np.arange(8))
    assert part["accuracy"] == [1, 0, 0, 0, 0]
    assert part["calibration_error"] == [0, 1, 1, 1, 1]
    assert part["confidence"] == [1] * 5
    np.testing.assert_array_equal(
        corruptions.from_bits(part["right"], len(SEVERITIES)).sum(axis=1), [8, 0, 0, 0, 0]
    )


@pytest.fixture
def small(monkeypatch, tmp_path):
    """The measurement with two networks that see brightness, on 40 shared images."""
    dataset = data.load("sample")
    run = type(
        "R",
        (),
        {
            "predictions": np.eye(10, dtype=np.float32)[np.zeros(len(dataset.test), int)],
            "model": lambda self: Bright(),
        },
    )()
    monkeypatch.setattr(data, "load", lambda: dataset)
    monkeypatch.setattr(runs, "load", lambda *a, **k: run)
    monkeypatch.setattr(corruptions.records, "inputs", lambda *a, **k: {"datasets": {}})
    monkeypatch.setattr(corruptions, "KINDS", ("brightness", "contrast"))
    monkeypatch.setattr(corruptions, "IMAGES", 40)
    networks = (corruptions.Network("A", "a", every=False), corruptions.Network("B", "b"))
    monkeypatch.setattr(corruptions, "NETWORKS", networks)
    monkeypatch.setenv("CIFARCAM_RUNS", str(tmp_path))
    return tmp_path


def test_the_measurement_goes_on_from_its_record(small, monkeypatch):
    parts = corruptions.measure()
    next(parts)
    first = next(parts)
    assert list(first["networks"]["A"]["kinds"]) == ["brightness"]
    measurements.write("corruptions", first | {"versions": {}}, small)
    parts.close()
    asked = []
    classified = corruptions.classified
    monkeypatch.setattr(corruptions, "classified", lambda *a: asked.append(a[1]) or classified(*a))
    *_, last = corruptions.measure()
    assert asked == ["contrast", "brightness", "contrast"]
    assert all(len(entry["kinds"]) == 2 for entry in last["networks"].values())
    # Other inputs: from the start.
    monkeypatch.setattr(corruptions.records, "inputs", lambda *a, **k: {"datasets": {"x": "y"}})
    asked.clear()
    assert len(list(corruptions.measure())) == 5
    assert len(asked) == 4


def small_network(weights, bias):
    """A network of one convolution; its dense layer has these weights, 4 x 3, and this bias."""
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, activation="softplus"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ]
    )
    model.layers[-1].set_weights([np.asarray(weights, np.float32), np.asarray(bias, np.float32)])
    return model


@pytest.fixture
def maps_of(monkeypatch):
    """What the record of maps says of a network, whose copies of images are given by severity."""
    monkeypatch.setattr(corrupted_maps, "KINDS", ("noise",))
    monkeypatch.setattr(corrupted_maps, "METHODS", ("saliency",))

    def measure(model, images, copies):
        monkeypatch.setattr(
            corrupted_maps, "corrupt", lambda _, kind, severity, seed: copies[severity]
        )
        run = types.SimpleNamespace(name="small", model=lambda: model)
        return corrupted_maps.explained(run, images)["saliency"]

    return measure


def test_maps_of_unchanged_images_stay_and_those_of_other_images_are_the_control(maps_of):
    images = data.load("sample").test.images[:6]
    weights = np.random.default_rng(0).normal(size=(4, 3))
    # All images have class 0, so that another image's map is explained for the same class.
    model = small_network(weights, [50, 0, 0])
    part = maps_of(model, images, {1: images, 3: np.roll(images, 1, axis=0), 5: images})
    unchanged, other, _ = (unpacked(text) for text in part["images"])
    np.testing.assert_allclose(unchanged, 1, atol=1e-4)
    np.testing.assert_allclose(other, unpacked(part["control"]), atol=1e-4)
    assert np.ptp(other) > 0.01
    assert part["kinds"] == [pytest.approx([1, other.mean(), 1], abs=1e-4)]
    assert part["kept"] == pytest.approx(part["kinds"][0]) and part["changed"] == [None] * 3


def test_maps_are_split_by_whether_the_class_stays(maps_of):
    images = data.load("sample").test.images[:6]
    # With kernels of ones, the mean activation is 27 times the mean colour m (0-1): the scores are
    # 212 - 108 m and 108 m, and only a white picture has class 1.
    model = small_network([[-1, 1, 0]] * 4, [212, 0, -1e6])
    model.layers[1].set_weights([np.ones((3, 3, 3, 4), np.float32), np.zeros(4, np.float32)])
    half = np.where(np.arange(6)[:, None, None, None] < 3, images, 255).astype(np.uint8)
    part = maps_of(model, images, {1: images, 3: np.full_like(images, 255), 5: half})
    kept, changed = part["kept"], part["changed"]
    assert kept[:2] == [1, None] and changed[0] is None
    assert kept[2] == 1 and changed[1] == pytest.approx(
        np.mean(unpacked(part["images"][1])), abs=1e-4
    )
    assert changed[2] == pytest.approx(np.mean(unpacked(part["images"][2])[3:]), abs=1e-4)
