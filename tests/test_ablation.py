"""The ablation: what its steps change, and what it measures."""

from dataclasses import fields, is_dataclass, replace
from itertools import pairwise, product

import numpy as np
import pytest
from helpers import TINY

from cifarcam import _devices, _files, _store, data, models, runs, training
from cifarcam.studies import (
    ablation,
    architecture_search,
    ingredients,
    leave_one_out,
    measurements,
    records,
)
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


@pytest.mark.slow
def test_sizes_are_those_of_the_record():
    lines = records.load("ablation")["steps"]
    assert ablation.sizes() == [(line["parameters"], line["forward_flops"]) for line in lines]


def test_leave_one_out_changes_one_thing_in_each_experiment():
    arms = leave_one_out.experiments()
    full = arms.pop(leave_one_out.FULL)
    last = ablation.steps()[-1].experiment
    assert replace(full.options, filters=last.options.filters) == last.options
    assert (full.schedule, full.augmentation) == (last.schedule, last.augmentation)
    same = {"epochs": last.training.epochs, "precision": last.training.precision}
    assert replace(full.training, **same) == last.training
    changed = {
        "whitening": {"options.whitening"},
        "kernels from the identity": {"options.identity"},
        "GELU": {"options.activation"},
        "scaled logits": {"options.logit_scale"},
        "label smoothing": {"training.label_smoothing"},
        "low momentum": {"training.momentum"},
        "Muon": {"training.optimizer", "training.learning_rate"}
        | {"training.vector_learning_rate", "training.momentum"},
        "falling learning rate": {"schedule"},
        "flips": {"augmentation.flip"},
        "shifts": {"augmentation.shift"},
        "flips and shifts": {"augmentation"},
    }
    assert leave_one_out.ingredients() == list(arms) == list(changed)
    for name, one in arms.items():
        assert differences(full, one) == changed[name], name


def differences(first, second, prefix=""):
    """The names of the settings that differ between two dataclasses of one type."""
    names = set()
    for field in fields(first):
        one, other = getattr(first, field.name), getattr(second, field.name)
        if one == other:
            continue
        if is_dataclass(one) and type(one) is type(other):
            names |= differences(one, other, f"{field.name}.")
        else:
            names.add(prefix + field.name)
    return names


@pytest.mark.slow
def test_leave_one_out_is_written_seed_by_seed_and_resumes(monkeypatch, tmp_path):
    tiny = experiment.parse(TINY, "tiny", "tiny.toml")
    short = replace(tiny, training=replace(tiny.training, epochs=1))
    arms = {leave_one_out.FULL: short, "dropout": replace(short, options=no_dropout(short))}
    sample = data.load("sample")
    monkeypatch.setattr(leave_one_out, "experiments", lambda: arms)
    monkeypatch.setattr(leave_one_out, "SEEDS", (0, 1))
    monkeypatch.setattr(data, "load", lambda: sample)
    monkeypatch.chdir(tmp_path)
    trained = []
    train = training.train

    def interrupted(settings, *arguments, **options):
        if len(trained) == 3:
            raise KeyboardInterrupt
        trained.append((settings.options.dropout, settings.training.seed))
        return train(settings, *arguments, **options)

    monkeypatch.setattr(training, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measurements.measure("leave-one-out", tmp_path / "runs")
    partial = leave_one_out.record()
    assert [[run["seed"] for run in arm["trainings"]] for arm in partial["arms"]] == [[0], [0]]
    found = ingredients.removals(leave_one_out.ingredients(), partial)
    assert (found.seeds, found.planned) == (1, 2)
    assert found.lines[0].accuracy.value == pytest.approx(
        100 * partial["arms"][1]["trainings"][0]["validation_views"]
    )
    # A second call trains only what is missing: the record keeps a seed that the cache has lost.
    of_seed_0 = min(
        (tmp_path / "cifarcam" / "trainings").iterdir(), key=lambda p: p.stat().st_mtime
    )
    of_seed_0.unlink()
    trained.clear()
    measurements.measure("leave-one-out", tmp_path / "runs")
    assert trained == [(0.0, 1)]
    whole = leave_one_out.record()
    assert [[run["seed"] for run in arm["trainings"]] for arm in whole["arms"]] == [[0, 1], [0, 1]]
    for arm, before in zip(whole["arms"], partial["arms"], strict=True):
        assert arm["trainings"][:1] == before["trainings"]
    # A complete record is measured anew.
    trained.clear()
    assert [len(arm["trainings"]) for arm in next(leave_one_out.measure())["arms"]] == [1, 1]
    assert trained == [(short.options.dropout, 0)]


def no_dropout(settings):
    return replace(settings.options, dropout=0.0)


def test_leave_one_out_has_no_record_at_first(monkeypatch, tmp_path):
    monkeypatch.setattr(_store, "places", lambda start=None: [tmp_path])
    assert leave_one_out.record() is None
