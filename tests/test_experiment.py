"""Experiments: what is refused, and what a fingerprint depends on."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from cifarcam import data
from cifarcam.errors import CifarcamError
from cifarcam.training import experiment
from cifarcam.training.settings import EarlyStopping, TrainingSettings

EXPERIMENTS = sorted((Path(__file__).parents[1] / "experiments").glob("*.toml"))
BASELINE = (Path(__file__).parents[1] / "experiments" / "baseline.toml").read_text()


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_committed_experiments_survive_writing_and_reading(path):
    original = experiment.find(path.stem)
    again = experiment.parse(experiment.serialize(original), original.name, "again")
    assert again == original
    assert again.fingerprint("digest") == original.fingerprint("digest")


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_committed_experiments_have_the_fingerprints_of_their_committed_runs(path):
    provenance = json.loads((path.parents[1] / "runs" / path.stem / "provenance.json").read_text())
    original = experiment.find(path.stem)
    assert original.fingerprint(data.DIGESTS[original.data.dataset]) == provenance["fingerprint"]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("epochs = 50", "epochs = 0", "x.toml: training.epochs: 0 should be greater than or equ"),
        ("epochs = 50", "epochs = 2.5", "training.epochs: 2.5 should be a valid integer"),
        ("epochs = 50", "epochs = true", "training.epochs: True should be a valid integer"),
        (
            "epochs = 50",
            "epocs = 50",
            "training: unknown setting 'epocs'; allowed are seed, epochs",
        ),
        ("epochs = 50\n", "", "training.epochs: missing"),
        ('"adam"', '"sgdd"', "training.optimizer: 'sgdd' should be 'adam', 'adamw' or 'muon'"),
        ("dropout =", "dropout = 2 #", "model.dropout: 2 should be less than or equal to 0.9"),
        ("dropout =", "dropout = true #", "model.dropout: True should be a valid number"),
        ("dropout =", "dropout = '0' #", "model.dropout: '0' should be a valid number"),
        ("dropout =", "dropout = nan #", "model.dropout: nan should be a finite number"),
        ("epochs = 50", "epochs = 50\nimage_sizes = [20, 64]", "image_sizes[1]: 64 should be less"),
        ("filters =", "filters = [] #", "model.filters: [] should have at least 1 item, not 0"),
        ("[data]", "[dta]", "x.toml: unknown section 'dta'; allowed are description, model, data"),
        ("[data]", "[selection]\nshare = 0\nfirst = 2\n[data]", "selection.share: 0 should be"),
        ("[data]", "[selection]\nshare = 1\nfirst = 1\n[data]", "selection.first: 1 should be"),
        ('"custom_cnn"', '"vgg"', "model.architecture: 'vgg' should be one of custom_cnn"),
        ('"cifar10"', '"mnist"', "data.dataset: 'mnist' should be 'cifar10' or 'sample'"),
        ("seed = 0\nepochs", "seed = \nepochs", "x.toml: not valid TOML"),
        ("epochs = 50", "epochs = 50\nmomentum = 0.5", "training.momentum: adam has moments"),
        (
            "epochs = 50",
            "epochs = 50\nvector_learning_rate = 0.1",
            "training.vector_learning_rate: adam",
        ),
        ("epochs = 50", "epochs = 2\nimage_sizes = [9, 9, 9]", "training.image_sizes: it has more"),
        ("[data]", "[selection]\nshare = 1\nfirst = 51\n[data]", "selection.first: it is beyond"),
    ],
)
def test_setting_refused_is_named_with_what_is_allowed(before, after, words):
    assert before in BASELINE
    with pytest.raises(CifarcamError) as refusal:
        experiment.parse(BASELINE.replace(before, after, 1), "x", "x.toml")
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value).split(" (at line")[0]


def test_fingerprint_depends_on_settings_and_data_but_not_on_words():
    baseline = experiment.find("baseline")
    digest = data.DIGESTS["cifar10"]
    same = replace(baseline, name="other", description="other words")
    assert same.fingerprint(digest) == baseline.fingerprint(digest)
    different = [
        baseline.fingerprint(data.DIGESTS["sample"]),
        baseline.with_changes(seed=1).fingerprint(digest),
        replace(baseline, early_stopping=EarlyStopping(patience=3)).fingerprint(digest),
        replace(baseline, options=replace(baseline.options, dense=63)).fingerprint(digest),
    ]
    assert len({*different, baseline.fingerprint(digest)}) == 5


def test_name_has_seed_and_dataset():
    original = experiment.find("baseline-seed2")
    assert original.training.seed == 2
    assert original.with_changes(dataset="sample").run_name == "baseline-seed2-sample"
    with pytest.raises(CifarcamError, match=r"no experiment named 'bseline'; there are .*baseline"):
        experiment.find("bseline")


def test_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "x.toml").write_bytes(b"description = '\xff'")
    with pytest.raises(CifarcamError, match=r"x\.toml: not a text in UTF-8"):
        experiment.find(str(tmp_path / "x.toml"))


@pytest.mark.parametrize("name", ["baseline-seed", "baseline-seedone", "baseline-seed-1"])
def test_name_takes_a_whole_number_as_seed(name):
    with pytest.raises(CifarcamError, match="no experiment named"):
        experiment.find(name)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": -1}, "baseline: training.seed: -1 should be greater than or equal to 0"),
        (
            {"seed": 2**31},
            "baseline: training.seed: 2147483648 should be less than or equal to 2147483647",
        ),
        ({"dataset": "mnist"}, "baseline: data.dataset: 'mnist' should be 'cifar10' or 'sample'"),
    ],
)
def test_change_refused_is_named_with_what_is_allowed(changes, words):
    with pytest.raises(CifarcamError) as refusal:
        experiment.find("baseline").with_changes(**changes)
    assert words in str(refusal.value)


def test_settings_that_contradict_each_other_are_refused():
    text = BASELINE.replace("[data]", '[data]\nfit = "train+validation"')
    assert experiment.parse(text, "x", "x.toml").data.fit == "train+validation"
    with pytest.raises(CifarcamError, match=r"early_stopping: .* no validation images are left"):
        experiment.parse(text + "\n[early_stopping]\npatience = 3\n", "x", "x.toml")
    muon = BASELINE.replace('"adam"', '"muon"').replace(
        "[training]", "[training]\nweight_decay = 0.1"
    )
    with pytest.raises(CifarcamError, match=r"training\.weight_decay: muon keeps the norm"):
        experiment.parse(muon, "x", "x.toml")


def test_early_stopping_is_the_only_difference_from_the_baseline():
    twin = experiment.find("baseline-early-stopping")
    assert twin.early_stopping is not None
    baseline = experiment.find("baseline")
    assert replace(twin, early_stopping=None).canonical() == baseline.canonical()


def refusal(text):
    """What is said of a text that is refused: one short line that names the file."""
    with pytest.raises(CifarcamError) as refused:
        experiment.parse(text, "x", "x.toml")
    said = str(refused.value)
    assert said.startswith("x.toml: ")
    assert said.isprintable()
    assert len(said) < 700
    return said


def with_value(key, value, text=BASELINE):
    return re.sub(f"(?m)^{key} = .*", lambda _: f"{key} = {value}", text)


def with_model(architecture, **options):
    """The baseline with another network."""
    lines = "".join(f"{key} = {value}\n" for key, value in options.items())
    model = f'[model]\narchitecture = "{architecture}"\n{lines}\n'
    return re.sub(r"(?ms)^\[model\].*?(?=^\[)", model, BASELINE)


DIGITS, HEXADECIMAL = "9" * 5000, "0x" + "F" * 5000
DEEP = ".".join("a" * 1500)


@pytest.mark.parametrize(
    "value",
    [
        *("nan", "inf", "-inf", "1e400", "true", '"0.2"', "[]", "{}", "1979-05-27", "07:32:00"),
        *(DIGITS, HEXADECIMAL, f"[{DIGITS}]", f"[[[{HEXADECIMAL}]]]", f"{{a = {HEXADECIMAL}}}"),
        *("[" * 100_000 + "]" * 100_000, "[" * 100_000, "{a = " * 100_000, "[" * 300 + "]" * 300),
        *("'" + "x" * 100_000 + "'", "'''\n\n'''", r'"\ud800"', r'"\u0000"', "'\x00'"),
        *("[" + "1, " * 5000 + "]", f"{{{DEEP} = 1}}"),
    ],
    ids=lambda value: ascii(value[:12]),
)
def test_value_of_the_wrong_kind_is_refused_on_one_short_line(value):
    for key in ("dropout", "filters", "architecture", "dataset", "seed", "learning_rate"):
        refusal(with_value(key, value))
    if not value.startswith(("{", "'", '"')):
        refusal(with_value("description", value))
    for section in ("model", "training", "augmentation"):
        rest = re.sub(rf"(?ms)^\[{section}\].*?(?=^\[|\Z)", "", BASELINE)
        if section != "augmentation" or value != "{}":
            refusal(f"{section} = {value}\n{rest}")


@pytest.mark.parametrize("key", ["a" * 4000, r'"\n"', "'é x'", DEEP, '""', "-"])
def test_unknown_key_is_named_on_one_short_line(key):
    assert "unknown section" in refusal(f"{key} = 1\n{BASELINE}")
    assert "unknown setting" in refusal(f"{BASELINE}\n{key} = 1\n")
    # Beneath a key that has a value.
    refusal(re.sub("description", f"description.{key}", BASELINE, count=1))
    refusal(BASELINE.replace("epochs = 50", f"epochs.{key} = 1"))


def cct(width, heads, convolutions=2):
    sizes = {"convolutions": convolutions, "layers": 1, "heads": heads, "width": width}
    return with_model("transformer", **sizes, expansion=1, dropout=0)


def custom(filters, dense=8):
    return with_model("custom_cnn", filters=filters, dense=dense, dropout=0)


def densenet(depth):
    return with_model("densenet_bc", depth=depth, growth=4)


@pytest.mark.parametrize(
    ("right", "wrong", "setting"),
    [
        (custom([4] * 5), custom([4] * 6), "model.filters"),  # six poolings of 32 x 32 positions
        # 16 x 16 x 1024 values: 1907 units have 499.9 million weights, 1908 have 500.2 million.
        (custom([1024], 1907), custom([1024], 1908), "model.dense"),
        (custom([1024] * 2, 4096), custom([1024], 4096), "model.dense"),
        (cct(8, 8), cct(8, 9), "model.width"),
        (cct(9, 3), cct(10, 3), "model.width"),
        (densenet(16), densenet(17), "model.depth"),
    ],
)
def test_options_that_make_no_network_are_refused_when_the_file_is_read(right, wrong, setting):
    experiment.parse(right, "x", "x.toml")
    assert refusal(wrong).startswith(f"x.toml: {setting}: ")


@pytest.mark.parametrize(
    ("text", "smallest"),
    [
        (custom([4]), 32),
        (with_model("alexnet", dense=16, dropout=0), 25),
        (with_model("vgg19", dropout=0), 32),
        (with_model("resnet18"), 8),
        (densenet(10), 8),
        (cct(8, 1, convolutions=1), 31),
        (cct(8, 1, convolutions=3), 25),
        (with_model("speedrun", filters=[8] * 2, logit_scale=1), 8),
        (with_model("speedrun", filters=[8] * 3, logit_scale=1), 9),
        (with_model("speedrun", filters=[8] * 4, logit_scale=1), 17),
    ],
)
def test_image_sizes_too_small_for_a_network_are_refused_when_the_file_is_read(text, smallest):
    def shrinking(size):
        return text.replace("epochs = 50", f"epochs = 50\nimage_sizes = [32, {size}]")

    experiment.parse(shrinking(smallest), "x", "x.toml")
    assert "training.image_sizes" in refusal(shrinking(smallest - 1))


def test_minus_zero_becomes_zero():
    texts = [with_value("dropout", zero) for zero in ("0", "-0.0")]
    canonical = [experiment.parse(text, "x", "x.toml").canonical() for text in texts]
    assert canonical[0] == canonical[1]


def test_settings_made_in_python_are_validated_too():
    settings = experiment.find("baseline").training
    for changes in ({"epochs": 0}, {"epochs": 2.0}, {"learning_rate": "1"}, {"momentum": 0.5}):
        with pytest.raises(ValueError):
            replace(settings, **changes)
    with pytest.raises(ValueError, match="epocs"):
        TrainingSettings(epocs=1)
    whole = replace(settings, learning_rate=1)
    assert (whole.learning_rate, type(whole.learning_rate)) == (1.0, float)


def test_description_of_any_characters_survives_writing():
    points = [*range(0x100), 0x2028, 0xD7FF, 0xE000, 0xFFFF, 0x10FFFF]
    words = "".join(map(chr, points)) + '\\"\'\'\'"""\r\n'
    original = replace(experiment.find("baseline"), description=words)
    assert experiment.parse(experiment.serialize(original), "baseline", "again") == original


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder of experiments in the working directory."""
    (tmp_path / "experiments").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "experiments"


def hole(path):
    path.touch()
    os.truncate(path, 2**40)


@pytest.mark.parametrize(
    "make",
    [
        *(Path.mkdir, os.mkfifo, hole, Path.touch),
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to(path),
        lambda path: path.symlink_to("missing"),
        lambda path: path.write_bytes(BASELINE.encode("utf-16")),
        lambda path: path.write_text(BASELINE + "#" * 20_000),
        lambda path: path.write_text(BASELINE, newline="\r"),
        lambda path: path.write_text(BASELINE + "\0"),
    ],
)
def test_file_that_is_no_experiment_is_refused_by_path_and_by_name(make, place):
    make(place / "odd.toml")
    for name in ("experiments/odd.toml", str(place / "odd.toml"), "odd", "odd-seed1"):
        with pytest.raises(CifarcamError, match=r"odd\.toml: ") as refused:
            experiment.find(name)
        assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "name",
    [
        *("x" * 5000, "x" * 5000 + ".toml", "x/" * 5000 + "x.toml", "x" * 252 + ".toml"),
        *("\0", "\0.toml", "\n", "\n.toml", "\udcff", "\udcff.toml", "", ".", "/", "..", ".toml"),
        *("baseline-seed" + DIGITS, "baseline-seed99999999999", "baseline-seed٣", "-seed1"),
        *("experiments/baseline.toml/x.toml", "/dev/zero", "/proc/self/mem.toml"),
    ],
    ids=lambda name: ascii(name[:20]),
)
def test_name_that_no_experiment_has_is_refused_on_one_short_line(name, place):
    (place / "baseline.toml").write_text(BASELINE)
    with pytest.raises(CifarcamError) as refused:
        experiment.find(name)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 700


@pytest.mark.parametrize("stem", ["x" * 151, "é" * 76, "two\nlines", "\udcff"])
def test_name_that_no_run_could_have_is_refused(stem, place):
    (place / f"{stem}.toml").write_text(BASELINE)
    for name in (f"experiments/{stem}.toml", stem):
        with pytest.raises(CifarcamError, match="rename the file") as refused:
            experiment.find(name)
        assert str(refused.value).isprintable()


def test_name_of_the_greatest_length_makes_a_directory(place):
    stem = "x" * 150
    (place / f"{stem}.toml").write_text(BASELINE, encoding="utf-8-sig")
    original = experiment.find(stem).with_changes(seed=2**31 - 1, dataset="sample")
    assert original.run_name == f"{stem}-seed2147483647-sample"
    # A run's directory is written under a longer, hidden name first.
    hidden = f".{original.run_name}.old.abcdefgh"
    (place / hidden).mkdir()
    assert len(os.fsencode(hidden)) <= 255
