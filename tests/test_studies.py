"""Studies over a tiny network: the records of heatmaps and of faithfulness, by direct calls."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from helpers import TINY

from cifarcam import _files, data, explain, models, runs
from cifarcam.data import Split
from cifarcam.errors import CifarcamError
from cifarcam.explain import metrics
from cifarcam.runs import weights
from cifarcam.studies import (
    faithfulness,
    faithfulness_values,
    heatmaps,
    maps,
    measurements,
    packing,
    records,
)
from cifarcam.training import experiment

METHODS = ("random", "grad-cam", "smoothgrad")


@pytest.fixture(scope="module")
def sample():
    return data.load("sample")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of a network with its initial weights, without the other files."""
    settings = experiment.parse(TINY, "tiny", "tiny.toml")
    path = tmp_path_factory.mktemp("runs") / "weights.safetensors"
    keras.utils.set_random_seed(0)
    weights.save_weights(models.build(settings.architecture, settings.options), path)
    files = {path.name: _files.sha256(path)}
    return runs.Run(path.parent, settings, {}, {}, np.empty((0, 10)), None, {"files": files})


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def without_weights(run, tmp_path):
    return replace(run, directory=tmp_path / "elsewhere")


def test_heatmaps_are_grad_cam_of_the_first_image_of_each_class(run, sample):
    labels = sample.test.labels
    indices = heatmaps.first_of_each_class(labels)
    assert labels[indices].tolist() == list(range(10))
    assert all((labels[:index] != labels[index]).all() for index in indices)
    computed = heatmaps.of_first_images(run, sample)
    expected = explain.GradCAM(run.model())(sample.test.images[indices], labels[indices])
    np.testing.assert_array_equal(computed, expected)
    fewer = replace(sample, test=Split(sample.test.images[50:], labels[50:]))
    assert (heatmaps.of_first_images(run, fewer) != computed).any()


def test_heatmaps_of_a_run_without_weights_come_from_the_record(
    run, without_weights, sample, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "tiny.toml").write_text(TINY.replace("seed = 3", "seed = 0"))
    monkeypatch.setattr(data, "load", lambda: sample)
    monkeypatch.setattr(runs, "every", lambda dataset: [run])
    assert heatmaps.measure()["heatmaps"] == {}  # the seed is not 0
    seed_0 = replace(run.experiment, training=replace(run.experiment.training, seed=0))
    monkeypatch.setattr(runs, "every", lambda dataset: [replace(run, experiment=seed_0)])
    content = heatmaps.measure()
    measurements.write("heatmaps", content, tmp_path / "runs")
    absent = replace(without_weights, experiment=seed_0)
    read = heatmaps.of_first_images(absent, sample)
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, heatmaps.of_first_images(run, sample))
    # A second measurement without the weights copies the heatmaps.
    monkeypatch.setattr(runs, "every", lambda dataset: [absent])
    assert heatmaps.measure() == content
    elsewhere = {name: entry | {"layer": "x"} for name, entry in content["heatmaps"].items()}
    measurements.write("heatmaps", content | {"heatmaps": elsewhere}, tmp_path / "runs")
    assert heatmaps.measure()["heatmaps"] == {}  # of a layer that is no longer explained
    measurements.write("heatmaps", content, tmp_path / "runs")
    other_weights = {"files": {"weights.safetensors": "0" * 64}}
    for other in (
        replace(absent, provenance=absent.provenance | other_weights),
        without_weights,  # of another name
    ):
        with pytest.raises(CifarcamError, match="neither its weights nor heatmaps"):
            heatmaps.of_first_images(other, sample)
    with pytest.raises(CifarcamError, match="neither its weights nor heatmaps"):
        heatmaps.of_first_images(absent, replace(sample, digest="other"))


@pytest.mark.slow
def test_slow_methods_of_the_baseline_are_read_from_the_record(run, sample, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(heatmaps, "SLOW", ("saliency",))
    quick = {name: explain.METHODS[name] for name in ("grad-cam", "saliency")}
    monkeypatch.setattr(faithfulness, "METHODS", quick)
    settings = experiment.parse(TINY.replace("seed = 3", "seed = 0"), "baseline", "baseline.toml")
    of_cifar10 = replace(settings, data=replace(settings.data, dataset="cifar10"))
    baseline, classifier = replace(run, experiment=of_cifar10), explain.Classifier(run.model())
    computed = maps.explained_by_all(baseline, sample, classifier)
    first = heatmaps.first_of_each_class(sample.test.labels)
    expected = explain.Saliency(classifier)(sample.test.images[first], sample.test.labels[first])
    np.testing.assert_array_equal(computed["saliency"], expected)

    monkeypatch.setattr(data, "load", lambda: sample)
    monkeypatch.setattr(runs, "every", lambda dataset: [baseline])
    content = heatmaps.measure()
    assert list(content["heatmaps"]["baseline"]["maps"]) == ["grad-cam", "saliency"]
    for scale in (1, 2):  # twice the values show that they are read
        entry = content["heatmaps"]["baseline"]["maps"]
        entry["saliency"] = heatmaps._packed(scale * expected)
        measurements.write("heatmaps", content, tmp_path / "runs")
        read = maps.explained_by_all(baseline, sample, classifier)
        np.testing.assert_array_equal(read["saliency"], scale * expected)
        np.testing.assert_array_equal(read["Grad-CAM"], computed["Grad-CAM"])


NETWORK = faithfulness.Network("tiny", 3, images=6, slow_images=2, details=True)


@pytest.fixture(scope="module")
def measured(run, sample):
    """One network's part of the faithfulness record, of few methods and images."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("CASCADE_IMAGES", 3), ("SENSITIVITY_IMAGES", 2)):
            patch.setattr(faithfulness_values, name, value)
        patch.setattr(faithfulness, "AGREEMENT_IMAGES", 4)
        patch.setattr(faithfulness, "METHODS", {name: explain.METHODS[name] for name in METHODS})
        return faithfulness.measure_network(NETWORK, run, sample)


@pytest.mark.slow
def test_faithfulness_record_holds_what_the_metrics_return(run, sample, measured):
    images = faithfulness.images_measured(sample)[:6]
    classifier = explain.Classifier(run.model())
    explainers = {name: explain.METHODS[name](classifier) for name in METHODS}
    assert (measured["images"], measured["layer"]) == (6, explainers["grad-cam"].layer)
    heatmaps_of = {name: explainer(images) for name, explainer in explainers.items()}
    for name in METHODS:
        maps, entry = heatmaps_of[name], measured["maps"][name]
        assert entry["zero_maps"] == (maps.reshape(6, -1).max(axis=1) == 0).sum()
        assert entry["cpu_milliseconds"] > 0
        deletion = metrics.deletion(classifier, images, maps)
        card = metrics.scorecard(explainers[name], images, sensitivity_images=2)
        for measure in faithfulness_values.MEASURES:
            stored = packing.unpacked(entry["values"][measure])
            np.testing.assert_allclose(stored, card[measure], atol=1e-4)
        for measure in ("drop", "increase", "gini"):
            assert entry["means"][measure] == pytest.approx(np.nanmean(card[measure]), rel=1e-6)
        assert entry["sensitivity"] == pytest.approx(np.nanmean(card["max-sensitivity"]), rel=1e-5)
        curve = deletion.probabilities.mean(axis=0)
        np.testing.assert_allclose(entry["curves"]["deletion"], curve, atol=1e-4)
        cascade = metrics.cascading_randomisation(explainers[name], images[:3])
        assert tuple(entry["randomisation"]["layers"]) == cascade.layers
        for key in ("rank_correlation", "ssim"):
            rows = getattr(cascade, key)
            expected = [np.nan if np.isnan(row).all() else np.nanmean(row) for row in rows]
            stored = np.array(entry["randomisation"][key], float)
            np.testing.assert_allclose(stored, expected, rtol=1e-6)
    agreement = [
        [
            np.nanmean(metrics.rank_correlation(heatmaps_of[a][:4], heatmaps_of[b][:4]))
            for b in METHODS
        ]
        for a in METHODS
    ]
    np.testing.assert_allclose(measured["agreement"], agreement, rtol=1e-6)
    blurred = explain.blurred(heatmaps_of["smoothgrad"])
    road = [
        metrics.road(classifier, images, blurred, least_first=least).probabilities.mean(axis=1)
        for least in (True, False)
    ]
    stored = packing.unpacked(measured["maps"]["smoothgrad-blurred"]["values"]["road"])
    np.testing.assert_allclose(stored, road[0] - road[1], atol=1e-4)


@pytest.mark.slow
def test_faithfulness_record_compares_random_methods_with_another_seed(run, sample, measured):
    images = faithfulness.images_measured(sample)[:3]
    classifier = explain.Classifier(run.model())
    for name in METHODS:
        explainer = explain.METHODS[name](classifier)
        redrawn = measured["maps"][name]["redrawn"]
        if explainer.seed is None:
            assert redrawn is None
            continue
        other = explain.METHODS[name](classifier, seed=explainer.seed + 1)
        correlations = metrics.rank_correlation(explainer(images), other(images))
        assert redrawn == pytest.approx(np.nanmean(correlations), rel=1e-6)
    assert json.dumps(measured)  # plain Python numbers


def test_combined_maps_weigh_both_alike():
    first = np.array([[[1.0, 3.0]], [[0.0, 0.0]]])
    second = np.array([[[30.0, 10.0]], [[2.0, 2.0]]])
    np.testing.assert_allclose(faithfulness.combined(first, second), [[[0.5, 0.5]], [[0.25, 0.25]]])


def test_faithfulness_measurement_goes_on_after_an_interruption(run, sample, monkeypatch, tmp_path):
    networks = [faithfulness.Network(name) for name in ("one", "two")]
    monkeypatch.setattr(faithfulness, "NETWORKS", networks)
    monkeypatch.setattr(data, "load", lambda: sample)
    monkeypatch.setattr(runs, "load", lambda name, **settings: run)
    calls = []

    def measured(network, run, dataset):
        calls.append(network.experiment)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return {"name": network.experiment}

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(faithfulness, "measure_network", measured)
    with pytest.raises(KeyboardInterrupt):
        measurements.measure("faithfulness", tmp_path)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(measurements, "write", interrupted)
        measurements.measure("faithfulness", tmp_path)
    path = measurements.measure("faithfulness", tmp_path)
    assert calls == ["one", "two", "two"]  # nothing again that was kept
    record = _files.read_json(path, "")
    assert record["networks"] == [{"name": "one"}, {"name": "two"}]
    assert record["inputs"] == records.inputs(sample, runs=[run])
    measurements.measure("faithfulness", tmp_path)  # nothing is kept once the record is written
    assert calls[3:] == ["one", "two"]


@pytest.mark.slow
def test_grids_of_a_record_are_those_that_the_network_recognises(run, sample, monkeypatch):
    monkeypatch.setattr(faithfulness, "METHODS", {"centre": explain.CentreBlob})
    monkeypatch.setattr(faithfulness, "GRID_CANDIDATES", {2: 60})
    classifier = explain.Classifier(run.model())
    right = replace(run, predictions=np.eye(10)[sample.test.labels])
    network = faithfulness.Network("tiny", 3, tiles=2)
    part = faithfulness._localisation(network, right, sample)
    grids = metrics.make_grids(sample.test.images, sample.test.labels, 2, 60)
    count = int(metrics.recognised(classifier, grids).sum())
    assert (part["candidates"], part["recognised"]) == (60, count)
    if count:
        energy = packing.unpacked(part["methods"]["centre"]["energy"])
        np.testing.assert_allclose(energy, 0.5, atol=1e-4)  # the blob is symmetric
        assert len(energy) == count


def test_faithfulness_images_are_the_whole_test_split_where_it_is_small(sample):
    few = replace(sample, test=Split(sample.test.images[:7], sample.test.labels[:7]))
    images = faithfulness.images_measured(few)
    assert {image.tobytes() for image in images} == {i.tobytes() for i in few.test.images}
    assert len(faithfulness.images_measured(sample)) == faithfulness.IMAGES
