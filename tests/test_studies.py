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
from cifarcam.studies import faithfulness, heatmaps, measurements, records
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
    other_weights = {"files": {"weights.safetensors": "0" * 64}}
    for other in (
        replace(absent, provenance=absent.provenance | other_weights),
        without_weights,  # of another name
    ):
        with pytest.raises(CifarcamError, match="neither its weights nor heatmaps"):
            heatmaps.of_first_images(other, sample)
    with pytest.raises(CifarcamError, match="neither its weights nor heatmaps"):
        heatmaps.of_first_images(absent, replace(sample, digest="other"))


@pytest.fixture(scope="module")
def measured(run, sample):
    """The faithfulness record of few methods, images and scenes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "load", lambda: sample)
        patch.setattr(runs, "load", lambda name, **settings: run)
        for name, value in (("IMAGES", 6), ("CHECK_IMAGES", 4), ("CASCADE_IMAGES", 3)):
            patch.setattr(faithfulness, name, value)
        patch.setattr(faithfulness, "SCENES", 5)
        patch.setattr(explain, "METHODS", {name: explain.METHODS[name] for name in METHODS})
        images = faithfulness.images_measured(sample)
        return faithfulness.measure(), images


def mean_and_count(values):
    return {"mean": pytest.approx(np.nanmean(values), rel=1e-6), "count": np.isfinite(values).sum()}


@pytest.mark.slow
def test_faithfulness_record_holds_what_the_metrics_return(run, sample, measured):
    record, images = measured
    assert images.shape == (6, 32, 32, 3)
    assert [image.tobytes() in {i.tobytes() for i in sample.test.images} for image in images]
    assert record["inputs"] == records.inputs(sample, runs=[run])
    sizes = [record[key] for key in ("images", "check_images", "cascade_images", "scenes")]
    assert sizes == [6, 4, 3, 5]
    classifier = explain.Classifier(run.model())
    assert record["layer"] == faithfulness.last_convolution(classifier.model)
    scenes = metrics.make_scenes(sample.test.images, sample.test.labels, 5)
    all_heatmaps, deletions = {}, {}
    for name in METHODS:
        method = explain.METHODS[name]
        explainer = method(classifier, record["layer"] if method.takes_layer else None)
        maps = all_heatmaps[name] = explainer(images)
        entry = record["methods"][name]
        assert tuple(entry["measures"]) == (*metrics.MEASURES, "located", "background-located")
        assert entry["zero_maps"] == (maps.reshape(6, -1).max(axis=1) == 0).sum()
        assert entry["images_per_second"] > 0
        values = {
            "gini": metrics.gini(maps),
            "deletion": metrics.deletion(classifier, images, maps).areas,
            "insertion": metrics.insertion(classifier, images, maps).areas,
            "drop": metrics.confidence_change(classifier, images, maps).drop,
            "mu-fidelity": metrics.mu_fidelity(classifier, images, maps),
            "located": metrics.energy_inside(
                explainer(scenes.images, scenes.objects), scenes.masks
            ),
            "background-located": 1
            - metrics.energy_inside(explainer(scenes.images, scenes.backgrounds), scenes.masks),
        }
        deletions[name] = values["deletion"]
        for measure, by_image in values.items():
            interval = entry["measures"][measure]
            assert {key: interval[key] for key in ("mean", "count")} == mean_and_count(by_image)
            assert not interval["mean"] < interval["low"]
            assert not interval["mean"] > interval["high"]
            if measure in metrics.MEASURES:
                expected = pytest.approx(np.nanmean(by_image[:4]), rel=1e-6)
                assert entry["check"][measure] == expected
        cascade = metrics.cascading_randomisation(explainer, images[:3])
        assert entry["randomisation"]["layers"] == cascade.layers
        for key in ("rank_correlation", "ssim"):
            expected = np.nanmean(getattr(cascade, key), axis=1)
            np.testing.assert_allclose(entry["randomisation"][key], expected, rtol=1e-6)
    for name in METHODS:
        above = record["methods"][name]["above_random"]["deletion"]["mean"]
        expected = (deletions[name] - deletions["random"]).mean()
        assert above == pytest.approx(expected, rel=1e-6, abs=1e-12)
    agreement = [
        [np.nanmean(metrics.rank_correlation(all_heatmaps[a], all_heatmaps[b])) for b in METHODS]
        for a in METHODS
    ]
    np.testing.assert_allclose(record["agreement"], agreement, rtol=1e-6)
    np.testing.assert_allclose(np.diag(record["agreement"]), 1)


@pytest.mark.slow
def test_faithfulness_record_compares_random_methods_with_another_seed(run, measured):
    record, images = measured
    classifier = explain.Classifier(run.model())
    for name in METHODS:
        explainer = explain.METHODS[name](classifier)
        redrawn = record["methods"][name]["redrawn"]
        if explainer.seed is None:
            assert redrawn is None
            continue
        other = explain.METHODS[name](classifier, seed=explainer.seed + 1)
        correlations = metrics.rank_correlation(explainer(images), other(images))
        assert redrawn == pytest.approx(np.nanmean(correlations), rel=1e-6)
    assert abs(record["methods"]["random"]["redrawn"]) < 0.1
    assert json.dumps(record)  # plain Python numbers


def test_faithfulness_images_are_the_whole_test_split_where_it_is_small(sample):
    few = replace(sample, test=Split(sample.test.images[:7], sample.test.labels[:7]))
    images = faithfulness.images_measured(few)
    assert {image.tobytes() for image in images} == {i.tobytes() for i in few.test.images}
    assert len(faithfulness.images_measured(sample)) == faithfulness.IMAGES
