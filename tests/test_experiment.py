"""Experiments: what is refused, and what a fingerprint depends on."""

from dataclasses import replace
from pathlib import Path

import pytest

from cifarcam import data, experiment
from cifarcam.errors import CifarcamError

EXPERIMENTS = sorted((Path(__file__).parents[1] / "experiments").glob("*.toml"))
BASELINE = (Path(__file__).parents[1] / "experiments" / "baseline.toml").read_text()


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_committed_experiments_read_and_survive_writing(path):
    found = experiment.find(path.stem)
    again = experiment.parse(experiment.serialize(found), found.name, "again")
    assert again == found
    assert again.fingerprint("digest") == found.fingerprint("digest")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("epochs = 50", "epochs = 0", "x.toml: training.epochs: 0 is not a whole number from 1"),
        ("epochs = 50", "epochs = 2.5", "training.epochs: 2.5 is not a whole number"),
        ("epochs = 50", "epochs = true", "training.epochs: True is not a whole number"),
        ("epochs = 50", "epocs = 50", "training.epocs: unknown setting; allowed are seed, epochs"),
        ("epochs = 50\n", "", "training.epochs: missing"),
        ('"adam"', '"sgdd"', "training.optimizer: 'sgdd' is not one of adam"),
        ("dropout =", "dropout = 2 #", "model.dropout: 2 is not a number from 0 to 0.9"),
        ("epochs = 50", "epochs = 50\nimage_sizes = [20, 64]", "training.image_sizes: [20, 64] is"),
        ("[data]", "[dta]", "dta: unknown section"),
        ("[data]", "[selection]\nshare = 0\nfirst = 2\n[data]", "selection.share: 0 is not a num"),
        ("[data]", "[selection]\nshare = 1\nfirst = 1\n[data]", "selection.first: 1 is not a who"),
        ('"custom_cnn"', '"vgg"', "model.architecture: 'vgg' is not one of custom_cnn"),
        ('"cifar10"', '"mnist"', "data.dataset: 'mnist' is not one of cifar10, sample"),
        ("seed = 0\nepochs", "seed = \nepochs", "x.toml: not valid TOML"),
        (
            "epochs = 50",
            "epochs = 50\nmomentum = 0.5",
            "training.momentum: adam has moments of its own",
        ),
        (
            "epochs = 50",
            "epochs = 50\nvector_learning_rate = 0.1",
            "vector_learning_rate: adam has on",
        ),
        ("epochs = 50", "epochs = 2\nimage_sizes = [9, 9, 9]", "training.image_sizes: it has more"),
        (
            "[data]",
            "[selection]\nshare = 1\nfirst = 51\n[data]",
            "first: it is beyond the last epoch",
        ),
    ],
)
def test_a_refused_setting_is_named_with_what_is_allowed(before, after, words):
    assert before in BASELINE
    with pytest.raises(CifarcamError) as refusal:
        experiment.parse(BASELINE.replace(before, after, 1), "x", "x.toml")
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value).split(" (at line")[0]


def test_the_fingerprint_depends_on_settings_and_data_but_not_on_words():
    found = experiment.find("baseline")
    digest = data.DIGESTS["cifar10"]
    same = replace(found, name="other", description="other words")
    assert same.fingerprint(digest) == found.fingerprint(digest)
    different = [
        found.fingerprint(data.DIGESTS["sample"]),
        found.with_changes(seed=1).fingerprint(digest),
        replace(found, early_stopping=experiment.EarlyStopping(patience=3)).fingerprint(digest),
        replace(found, options=replace(found.options, dense=63)).fingerprint(digest),
    ]
    assert len({*different, found.fingerprint(digest)}) == 5


def test_names_tell_seed_and_dataset():
    found = experiment.find("baseline-seed2")
    assert found.training.seed == 2
    assert found.with_changes(dataset="sample").run_name == "baseline-seed2-sample"
    with pytest.raises(CifarcamError, match=r"no experiment named 'bseline'; there are .*baseline"):
        experiment.find("bseline")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "x.toml").write_bytes(b"description = '\xff'")
    with pytest.raises(CifarcamError, match=r"x\.toml: not a text in UTF-8"):
        experiment.find(str(tmp_path / "x.toml"))


@pytest.mark.parametrize("name", ["baseline-seed", "baseline-seedone", "baseline-seed-1"])
def test_a_seed_in_a_name_is_a_whole_number(name):
    with pytest.raises(CifarcamError, match="no experiment named"):
        experiment.find(name)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": -1}, "baseline: training.seed: -1 is not a whole number from 0 to 2147483647"),
        ({"seed": 2**31}, "baseline: training.seed: 2147483648 is not a whole number"),
        ({"dataset": "mnist"}, "baseline: data.dataset: 'mnist' is not one of cifar10, sample"),
    ],
)
def test_a_refused_change_is_named_with_what_is_allowed(changes, words):
    with pytest.raises(CifarcamError) as refusal:
        experiment.find("baseline").with_changes(**changes)
    assert words in str(refusal.value)


def test_settings_that_undo_each_other_are_refused():
    text = BASELINE.replace("[data]", '[data]\nfit = "train+validation"')
    assert experiment.parse(text, "x", "x.toml").data.fit == "train+validation"
    with pytest.raises(CifarcamError, match=r"early_stopping: .* no validation images are left"):
        experiment.parse(text + "\n[early_stopping]\npatience = 3\n", "x", "x.toml")
    muon = BASELINE.replace('"adam"', '"muon"').replace(
        "[training]", "[training]\nweight_decay = 0.1"
    )
    with pytest.raises(CifarcamError, match=r"training\.weight_decay: muon keeps the norm"):
        experiment.parse(muon, "x", "x.toml")


def test_the_early_stopping_twin_differs_from_the_baseline_in_that_alone():
    twin = experiment.find("baseline-early-stopping")
    assert twin.early_stopping is not None
    baseline = experiment.find("baseline")
    assert replace(twin, early_stopping=None).canonical() == baseline.canonical()
