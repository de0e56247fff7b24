"""Temperatures against closed forms, and what is concluded from them."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import ROOT

from cifarcam import evaluation
from cifarcam.errors import CifarcamError
from cifarcam.report import results
from cifarcam.studies import calibration, confidence


def two_classes(confidence, right, count=100):
    """`count` predictions of class 0 with a confidence, of which `right` are right."""
    probabilities = np.tile([confidence, 1 - confidence], (count, 1))
    return probabilities, np.array([0] * right + [1] * (count - right))


@pytest.mark.parametrize("temperature", [0.25, 0.5, 1.0, 3.0])
def test_temperature_is_recovered_where_it_is_known(temperature):
    # Of two classes, 80% right are calibrated at the logit log 4, whatever it was multiplied by.
    probabilities, labels = two_classes(1 / (1 + 4**-temperature), 80)
    assert calibration.fit_temperature(probabilities, labels) == pytest.approx(
        temperature, rel=1e-4
    )
    scaled = calibration.scale(probabilities, temperature)
    np.testing.assert_allclose(scaled[:, 0], 0.8)
    assert evaluation.calibration(scaled, labels).error == pytest.approx(0, abs=1e-9)


def test_temperature_minimises_the_cross_entropy():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(200, 5))
    probabilities = calibration.scale(np.exp(logits) / np.exp(logits).sum(1, keepdims=True), 1.0)
    labels = generator.integers(0, 5, 200)
    labels[:120] = probabilities[:120].argmax(axis=1)
    best = calibration.fit_temperature(probabilities, labels)

    def loss(temperature):
        scaled = calibration.scale(probabilities, temperature)
        return -np.log(scaled[np.arange(200), labels]).mean()

    assert loss(best) < min(loss(0.99 * best), loss(1.01 * best))


@pytest.mark.parametrize(("right", "temperature"), [(100, 1 / 50), (50, 50), (0, 50)])
def test_temperature_stays_within_its_range(right, temperature):
    probabilities, labels = two_classes(0.9, right)
    assert calibration.fit_temperature(probabilities, labels) == pytest.approx(temperature)


@pytest.mark.parametrize("temperature", [0.1, 0.7, 4.0, 50.0])
def test_scaling_leaves_the_predicted_classes(temperature):
    probabilities = np.random.default_rng(1).dirichlet(np.full(10, 0.3), 500).astype(np.float32)
    scaled = calibration.scale(probabilities, temperature)
    np.testing.assert_array_equal(scaled.argmax(axis=1), probabilities.argmax(axis=1))
    np.testing.assert_allclose(scaled.sum(axis=1), 1)


def test_scaling_by_one_leaves_the_probabilities_and_zeros_are_allowed():
    probabilities = np.array([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0]])
    np.testing.assert_allclose(calibration.scale(probabilities, 1.0), probabilities, atol=1e-30)
    assert np.isfinite(calibration.fit_temperature(probabilities, np.array([1, 1])))


def test_scaling_refuses_what_is_no_temperature():
    for temperature in (0, -1, math.nan):
        with pytest.raises(CifarcamError, match="positive"):
            calibration.scale(np.array([[0.5, 0.5]]), temperature)
    with pytest.raises(CifarcamError, match="N at least 1"):
        calibration.fit_temperature(np.empty((0, 2)), np.empty(0, int))


def test_halves_are_scaled_by_the_temperature_of_the_other_half():
    # Even images are calibrated at temperature 1, odd ones at temperature 2.
    first, labels = np.empty(200), np.empty(200, int)
    for start, temperature in ((0, 1), (1, 2)):
        first[start::2] = 1 / (1 + 4**-temperature)
        labels[start::2] = [0] * 80 + [1] * 20
    probabilities = np.stack([first, 1 - first], axis=1)
    scaled, mean = calibration.scale_by_halves(probabilities, labels)
    assert mean == pytest.approx(math.sqrt(2), rel=1e-4)
    np.testing.assert_allclose(scaled[0::2, 0], 2 / 3, rtol=1e-4)  # odds 4 become 2
    np.testing.assert_allclose(scaled[1::2, 0], 16 / 17, rtol=1e-4)  # odds 16 stay


def scaled(
    experiment="baseline", seed=0, smoothing=0.0, temperature=2.0, loss=(1.7, 0.8), error=0.1
):
    """A run of the record; its bins have no images but its errors are known."""
    bins = evaluation.Calibration(
        np.full(15, np.nan), np.full(15, np.nan), np.zeros(15, int), error
    )
    return calibration.Scaled(
        experiment, seed, smoothing, calibration.HALVES, temperature, 70.0, bins, bins, *loss
    )


@pytest.mark.parametrize(
    ("full_after", "share", "opening"),
    [
        (0.85, 94.4, "Most of the rise of the test loss"),
        (1.24, 51.1, "Most of the rise of the test loss"),
        (1.26, 48.9, "The scale of the logits alone does not explain"),
        (1.70, 0.0, "The scale of the logits alone does not explain"),
    ],
)
def test_overfitting_is_scale_where_a_temperature_takes_half_of_it_away(full_after, share, opening):
    full = [scaled(seed=seed, loss=(1.7, full_after)) for seed in range(3)]
    stopped = [scaled(seed=seed, loss=(0.8, 0.8)) for seed in range(4)]
    answer = confidence.overfitting(full, stopped)
    assert answer.before.value == pytest.approx(0.9)
    assert answer.before.count == 3
    assert answer.share == pytest.approx(share, abs=0.1)
    assert answer.sentence.startswith(opening)


def test_overfitting_needs_a_rise_and_pairs():
    answer = confidence.overfitting([scaled(loss=(0.7, 0.7))], [scaled(loss=(0.8, 0.8))])
    assert "does not rise" in answer.sentence
    with pytest.raises(CifarcamError, match="no seed"):
        confidence.overfitting([scaled(seed=1)], [scaled(seed=2)])


def test_smoothing_counts_an_experiment_as_modest_when_all_its_seeds_are():
    plain = scaled("baseline", temperature=3.0)
    low = [scaled("one", seed, 0.1, temperature) for seed, temperature in enumerate((0.6, 0.99))]
    mixed = [scaled("two", seed, 0.1, temperature) for seed, temperature in enumerate((0.6, 1.01))]
    high = scaled("three", 0, 0.1, 1.5)
    answer = confidence.smoothing([plain, *low])
    assert (answer.networks, answer.modest, answer.least, answer.most) == (1, 1, 0.6, 0.99)
    assert "with every seed of all 1 experiments" in answer.sentence
    answer = confidence.smoothing([plain, *low, *mixed])
    assert (answer.networks, answer.modest) == (2, 1)
    assert "1 of the 2 experiments" in answer.sentence
    assert "do not make networks too modest" in confidence.smoothing([plain, high]).sentence
    assert "No network" in confidence.smoothing([plain]).sentence


def run(probabilities, metrics, has_weights=False):
    training = SimpleNamespace(seed=1, label_smoothing=0.1)
    return SimpleNamespace(
        predictions=probabilities,
        metrics=metrics,
        has_weights=has_weights,
        model=lambda: "model",
        experiment=SimpleNamespace(name="mine", training=training),
    )


def test_run_is_scaled_by_validation_images_where_it_can_be(monkeypatch):
    probabilities, labels = two_classes(1 / (1 + 4**-3.0), 80)  # temperature 3
    held_out, held_labels = two_classes(1 / (1 + 4**-2.0), 80)  # temperature 2
    monkeypatch.setattr(calibration.prediction, "predict", lambda model, images: held_out)
    dataset = SimpleNamespace(
        test=SimpleNamespace(labels=labels),
        validation=SimpleNamespace(images=np.zeros(100), labels=held_labels),
    )
    order = np.random.default_rng(0).permutation(100)
    dataset.test.labels, probabilities = labels[order], probabilities[order]
    answer = calibration.of_run(run(probabilities, {"validation": {}}, True), dataset)
    assert answer.fitted_on == calibration.VALIDATION
    assert answer.temperature == pytest.approx(2, rel=1e-4)
    # Odds of 4 to the power of 3 become 8.
    assert answer.after.error == pytest.approx(8 / 9 - 0.8, abs=1e-4)
    expected = -(0.8 * math.log(64 / 65) + 0.2 * math.log(1 / 65))
    assert answer.loss_before == pytest.approx(expected)
    for other in (run(probabilities, {}, True), run(probabilities, {"validation": {}}, False)):
        assert calibration.of_run(other, dataset).fitted_on == calibration.HALVES


def test_record_gives_back_what_was_measured():
    probabilities, labels = two_classes(0.9, 80)
    bins = evaluation.calibration(probabilities, labels)
    one = scaled()
    one = calibration.Scaled(**{**vars(one), "before": bins})
    other = scaled("another", 1)
    entries = json.loads(json.dumps([calibration._as_json(one), calibration._as_json(other)]))
    first, second = calibration.of_record({"runs": entries})
    assert (first.experiment, second.experiment) == ("another", "baseline")
    np.testing.assert_allclose(second.before.confidence, bins.confidence, atol=1e-5)
    np.testing.assert_array_equal(second.before.count, bins.count)
    assert second.before.error == pytest.approx(bins.error)
    assert calibration.of_experiment([first, second], "baseline") == [second]


def test_calibration_table_has_the_least_calibrated_network_first():
    rows = results.calibration_rows(
        [scaled("baseline", error=0.1), scaled("speedrun", error=0.2), scaled("x", 1, error=0.05)]
    )
    assert [row[0] for row in rows] == ["Speedrun", "Baseline", "x"]
    assert rows[0] == ["Speedrun", "1", "test halves", "2.00", "20.0", "20.0", "1.700", "0.800"]
    panels = results.reliability_panels(
        [scaled("baseline", 1), scaled("speedrun"), scaled("baseline")], ["baseline", "speedrun"]
    )
    assert list(panels) == ["Baseline", "Speedrun"]


def test_every_committed_run_has_a_name_for_the_reader():
    paths = (ROOT / "runs").glob("*/provenance.json")
    experiments = {json.loads(path.read_text())["experiment"] for path in paths}
    assert experiments <= set(results.NETWORKS)
    assert len(set(results.NETWORKS.values())) == len(results.NETWORKS)
