"""The record of exports: what is measured, and how it goes on."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import ROOT, TINY, sample_with
from scipy import stats
from test_export import network_of

from cifarcam import data, explain, export, runs
from cifarcam.studies import export_findings, exports, records
from cifarcam.studies.packing import unpacked
from cifarcam.training import experiment, prediction


@pytest.fixture(scope="module")
def sample():
    return sample_with(30)


@pytest.fixture(scope="module")
def tiny_runs(tmp_path_factory):
    """Runs of seeds 0, 1 and 2, and seed 0 with another learning rate."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        whole = data.load("sample")
        first = experiment.parse(TINY, "tiny", "tiny.toml")
        other = experiment.parse(TINY.replace("= 0.01", "= 0.005"), "slow", "slow.toml")
        settings = [first.with_changes(seed=seed) for seed in (0, 1, 2)]
        settings.append(other.with_changes(seed=0))
        return [runs.make(one, home / "runs" / one.run_name, dataset=whole) for one in settings]


def rounded(model):
    """The network with kernels of whole steps, which int8 does not change."""
    return export.dequantised(model)


def test_heatmaps_stay_where_kernels_are_whole_steps(sample, monkeypatch):
    model = rounded(network_of("custom_cnn"))
    again = rounded(model)
    for one, two in zip(model.weights, again.weights, strict=True):
        np.testing.assert_allclose(one.numpy(), two.numpy(), rtol=1e-6)
    monkeypatch.setattr(exports, "METHODS", ("grad-cam", "saliency"))
    changes = exports.heatmap_changes(model, [model, network_of("custom_cnn")], sample.test.images)
    assert list(changes) == ["grad-cam", "saliency"]
    for one in changes.values():
        same, other = map(unpacked, one["seeds"])
        for values in (unpacked(one["int8"]), same):
            assert len(values) == 30 and not np.isnan(values).all()
            assert np.nanmin(values) > 0.999
        assert np.nanmean(other) < 0.9
    few = exports.heatmap_changes(model, [], sample.test.images[:3])
    assert few["saliency"]["seeds"] == []


@pytest.fixture
def measured(sample, tiny_runs, tmp_path, monkeypatch):
    """A measurement of two formats and two methods on the tiny runs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(exports.data, "load", lambda: sample)
    monkeypatch.setattr(exports.runs, "every", lambda dataset: tiny_runs)
    by_name = {run.experiment.name: run for run in reversed(tiny_runs)}
    monkeypatch.setattr(exports.runs, "load", lambda name, **options: by_name[name])
    networks = exports.Network("tiny", heatmaps=True), exports.Network("slow", heatmaps=True)
    monkeypatch.setattr(exports, "NETWORKS", networks)
    monkeypatch.setattr(export_findings, "NAMES", {name: name for name in by_name})
    monkeypatch.setattr(exports.export, "FORMATS", ("litert", "keras"))
    monkeypatch.setattr(exports, "METHODS", ("grad-cam", "saliency"))
    monkeypatch.setattr(exports, "HEATMAP_IMAGES", 10)
    return tmp_path


@pytest.mark.slow
def test_networks_are_exported_and_an_interruption_costs_one_network(
    measured, sample, tiny_runs, monkeypatch
):
    first, *_others, slow = tiny_runs
    names = [list((record := one)["networks"]) for one in exports.measure()]
    assert names == [["tiny"], ["tiny", "slow"]]
    assert record["images"] == 30 and record["packages"]["onnxruntime"]
    assert record["calibration"] == {"images": export.IMAGES, "seed": 0}
    assert sorted(record["inputs"]["runs"]) == ["slow", "tiny", "tiny-seed1", "tiny-seed2"]

    part = record["networks"]["tiny"]
    predicted = prediction.predict(first.model(), sample.test.images).argmax(axis=1)
    accuracy = (predicted == sample.test.labels).mean()
    assert part["accuracy"] == accuracy and part["parameters"] == first.model().count_params()
    pairs = [(one["format"], one["precision"]) for one in part["exports"]]
    assert pairs == [(form, p) for form in ("litert", "keras") for p in export.PRECISIONS]
    refused = [one for one in part["exports"] if "refused" in one]
    assert [(one["format"], one["precision"]) for one in refused] == [("keras", "int8")]
    assert refused[0]["refused"].startswith(f"{first.name} cannot be exported to keras with int8")
    for one in part["exports"][:2]:
        assert one["run_accuracy"] == accuracy and one["images"] == 30
        assert (one["gained"] - one["lost"]) / 30 == pytest.approx(one["accuracy"] - accuracy)
        assert one["gained"] + one["lost"] <= 30 * (1 - one["agreement"]) + 1e-9
    assert part["training"]["training_seconds"] == first.provenance["training_seconds"]
    for name, count in (("tiny", 2), ("slow", 0)):
        for method in record["networks"][name]["heatmaps"].values():
            assert len(method["seeds"]) == count and len(unpacked(method["int8"])) == 10
    prices = export_findings.prices(record)
    assert len(prices) == 2 * 5 and prices[0].change.value == 0 and prices[0].agreement == 100

    # Interrupted after the first network; the second call does not measure it again.
    exports_again = exports.measure()
    next(exports_again)
    exports_again.close()
    calls = []
    usual = exports.measure_network
    monkeypatch.setattr(
        exports,
        "measure_network",
        lambda run, *a, **k: calls.append(run.name) or usual(run, *a, **k),
    )
    assert list(list(exports.measure())[-1]["networks"]) == ["tiny", "slow"]
    assert calls == [slow.name]
    assert not list(measured.rglob("export-*.json"))


def test_no_record_is_none(monkeypatch):
    monkeypatch.setattr(records, "is_at_hand", lambda name: False)
    assert exports.record() is None


def test_other_seeds_are_runs_that_differ_in_nothing_else():
    dataset = data.load("sample")
    committed = runs.read(ROOT / "runs" / "baseline")
    digest = committed.provenance["dataset_digest"]
    found = exports._of_other_seeds(committed, replace(dataset, digest=digest))
    names = [one.name for one in found]
    assert len(names) == exports.SEEDS - 1
    assert all(name.startswith("baseline-seed") for name in names)


def test_correlation_of_heatmaps_is_that_of_their_ranks(tiny_runs, sample, monkeypatch):
    monkeypatch.setattr(exports, "METHODS", ("grad-cam", "saliency"))
    model = tiny_runs[0].model()
    images = sample.test.images[:6]
    classes = model.predict(images.astype("float32"), verbose=0).argmax(axis=1)
    for name, one in exports.heatmap_changes(model, [], images).items():
        maps, rounded = (
            explain.METHODS[name](explain.Classifier(each))(images, classes)
            for each in (model, export.dequantised(model))
        )
        correlations = [
            stats.spearmanr(a.ravel(), b.ravel()).statistic if np.ptp(a) and np.ptp(b) else np.nan
            for a, b in zip(maps, rounded, strict=True)
        ]
        np.testing.assert_allclose(unpacked(one["int8"]), correlations, atol=2e-3)
