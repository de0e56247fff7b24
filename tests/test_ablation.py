"""The ablation: what its steps change, and what it measures."""

from dataclasses import fields, replace
from itertools import pairwise, product

import numpy as np
import pytest
from helpers import TINY

from cifarcam import _devices, _files, data, models, runs, training
from cifarcam.studies import ablation, architecture_search, records
from cifarcam.training import experiment, prediction


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_steps_change_one_setting_each_and_end_with_a_narrow_speedrun():
    chain = ablation.steps()
    first, last = chain[0].experiment, chain[-1].experiment
    baseline, speedrun = experiment.find("baseline"), experiment.find("speedrun")
    assert replace(first, training=baseline.training) == baseline
    for before, step in pairwise(chain):
        changed = [
            field.name
            for field in fields(step.experiment)
            if getattr(before.experiment, field.name) != getattr(step.experiment, field.name)
        ]
        assert bool(changed) != step.views, step.ingredient
        assert step.experiment.training.epochs == ablation.EPOCHS
    assert replace(last.options, filters=speedrun.options.filters) == speedrun.options
    assert (last.schedule, last.augmentation) == (speedrun.schedule, speedrun.augmentation)
    same = {"epochs": speedrun.training.epochs, "batch_size": speedrun.training.batch_size}
    assert replace(last.training, **same) == speedrun.training
    for step in chain:
        models.build(step.experiment.architecture, step.experiment.options)


@pytest.mark.slow
def test_train_once_measures_the_final_weights_and_caches(monkeypatch):
    sample = data.load("sample")
    wanted = experiment.parse(TINY, "tiny", "tiny.toml")
    found = ablation.train_once(wanted, sample)
    model = training.train(wanted, sample).model
    count = len(sample.validation)
    for key, split in (("validation", sample.validation), ("train", sample.train)):
        predicted = model.predict(split.images[:count], verbose=0).argmax(axis=1)
        assert found[key] == pytest.approx(np.mean(predicted == split.labels[:count]))
    views = prediction.predict_augmented(model, sample.validation.images, "flip-and-shift")
    share = np.mean(views.argmax(axis=1) == sample.validation.labels)
    assert found["validation_views"] == pytest.approx(share)
    assert [epoch["epoch"] for epoch in found["history"]] == [1, 2, 3]
    shifted = ablation._disturbed(sample.validation)["shifted"]
    right = prediction.predict(model, shifted).argmax(axis=1) == sample.validation.labels
    assert found["validation_shifted"] == pytest.approx(right.mean())
    monkeypatch.setattr(training, "train", None)
    assert ablation.train_once(wanted, sample) == found
    monkeypatch.setattr(_devices, "versions", lambda: {"keras": "another"})
    with pytest.raises(TypeError):  # what another software measured is not taken
        ablation.train_once(wanted, sample)
    (kept,) = (_files.cache_dir() / "trainings").iterdir()
    assert _files.read_json(kept, "") == found
    assert not list((_files.cache_dir() / "checkpoints").glob("*.safetensors"))


def test_disturbed_images_are_drawn_one_by_one_and_the_same_every_time():
    split = data.load("sample").validation
    found = ablation._disturbed(split)
    assert list(found) == ["shifted", "turned"]
    for name, images in found.items():
        assert images.dtype == np.uint8
        np.testing.assert_array_equal(images, ablation._disturbed(split)[name])
    # Each shifted image is the original moved by at most four pixels each way, inside its middle.
    middle = (slice(8, 24), slice(8, 24))
    allowed = list(product(range(-4, 5), repeat=2))
    moves = set()
    for image, shifted in zip(split.images[:50], found["shifted"][:50], strict=True):
        rolled = {move: np.roll(image, move, (0, 1))[middle] for move in allowed}
        places = [move for move in allowed if np.array_equal(rolled[move], shifted[middle])]
        assert places
        moves.update(places)
    assert len(moves) > 25
    # A turn leaves the centre where it is, and the corners not.
    change = np.abs(found["turned"].astype(int) - split.images).mean(axis=(0, 3))
    assert change[14:18, 14:18].mean() < 0.5 * change[:4, :4].mean()


def test_ablation_record_is_of_these_experiments():
    record = records.load("ablation")
    digest = runs.load("baseline").provenance["dataset_digest"]
    chain, rates = ablation.steps(), ablation.dropout_experiments()
    assert record["fingerprints"] == [
        wanted.fingerprint(digest)
        for wanted in [*(step.experiment for step in chain), *rates.values()]
    ]
    assert [line["ingredient"] for line in record["steps"]] == [step.ingredient for step in chain]
    for line in [*record["steps"], *record["dropout"]]:
        assert [training["seed"] for training in line["trainings"]] == list(ablation.SEEDS)


@pytest.mark.slow
def test_architecture_search_ranks_by_distance_and_leaves_no_checkpoint(monkeypatch):
    tiny = experiment.parse(TINY, "tiny", "tiny.toml")
    members = tiny.options, replace(tiny.options, dense=4)
    monkeypatch.setattr(experiment, "find", lambda name: tiny)
    monkeypatch.setattr(architecture_search, "SEARCH_MEMBERS", members)
    found = architecture_search.measure()["members"]
    assert {m["dense"]: m["chosen"] for m in found} == {8: True, 4: False}
    away = [
        np.hypot(100 * m["train_accuracy"] - 94.9, 100 * m["validation_accuracy"] - 71.5)
        for m in found
    ]
    np.testing.assert_allclose([m["distance"] for m in found], away)
    assert away == sorted(away)
    # The chosen one's would be taken up by the next training of the baseline.
    assert not list((_files.cache_dir() / "checkpoints").glob("*.safetensors"))


def test_dropout_experiments_have_no_dropout_and_the_baselines_rate():
    rates = ablation.dropout_experiments()
    baseline = experiment.find("baseline")
    assert list(rates) == [0.0, baseline.options.dropout]
    for rate, wanted in rates.items():
        assert wanted.options == replace(baseline.options, dropout=rate)
        assert wanted.training.epochs == ablation.DROPOUT_EPOCHS
