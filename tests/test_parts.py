"""Measurements in parts: what a part is, how parts are joined, and that the whole is the same."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from filelock import FileLock
from helpers import TINY
from test_corruption_findings import Bright

from cifarcam import _devices, cli, data, models, runs, sweeps, training
from cifarcam.errors import CifarcamError
from cifarcam.studies import ablation, corruptions, leave_one_out, measurements, parts
from cifarcam.sweeps import _child
from cifarcam.sweeps._process import End
from cifarcam.sweeps.running import Begun, Ended
from cifarcam.training import experiment as experiments


class Inline:
    """Workers that do in this process what `_child` does in one of its own."""

    def __init__(self):
        self.made = []

    def slots(self):
        return 1

    def has_room(self, running):
        return running < 1

    def submit(self, job, events):
        events.put(Begun(job))
        try:
            end = _child.MAKERS[type(job).__name__](asdict(job), None)
        except CifarcamError as error:
            end = {"end": "failed", "text": str(error)}
        self.made.append(job.title)
        events.put(Ended(job, End(end["end"], end["text"])))

    def close(self):
        """Nothing goes on."""


@pytest.fixture
def sample(tmp_path, monkeypatch):
    """A working directory of its own, and the sample as the dataset."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    dataset = data.load("sample")
    monkeypatch.setattr(data, "load", lambda *a, **k: dataset)
    return dataset


@pytest.fixture
def three(sample, monkeypatch):
    """The measurement of corruptions with three networks."""
    answers = np.eye(10, dtype=np.float32)[np.zeros(len(sample.test), int)]
    run = type("R", (), {"predictions": answers, "model": lambda self: Bright()})()
    monkeypatch.setattr(runs, "load", lambda *a, **k: run)
    monkeypatch.setattr(corruptions, "KINDS", ("brightness", "contrast"))
    monkeypatch.setattr(corruptions, "IMAGES", 40)
    inputs = {"datasets": {"sample": sample.digest}}
    monkeypatch.setattr(corruptions.records, "inputs", lambda *a, **k: inputs)
    networks = tuple(corruptions.Network(name.upper(), name, name == "b") for name in "abc")
    monkeypatch.setattr(corruptions, "NETWORKS", networks)


def measure_in_parts(name, workers):
    place = Path("runs")
    planned = sweeps.plan_parts(name, place)
    outcomes = sweeps.sweep(planned, workers, sweeps.Display(planned))
    failures = [outcome.failure for outcome in outcomes if outcome.failure]
    return failures or sweeps.finish(name, outcomes, place)


def test_joined_unites_dictionaries_and_appends_lists():
    first = {
        "device": "x",
        "networks": {"a": {"n": [1]}},
        "rows": [1, 2],
        "inputs": {"r": {"a": 1}},
    }
    second = {"device": "x", "networks": {"b": {"n": [2]}}, "rows": [3], "inputs": {"r": {"b": 2}}}
    assert parts.joined([first, second]) == {
        "device": "x",
        "networks": {"a": {"n": [1]}, "b": {"n": [2]}},
        "rows": [1, 2, 3],
        "inputs": {"r": {"a": 1, "b": 2}},
    }
    assert parts.joined([first]) == first
    with pytest.raises(CifarcamError, match="parts of the measurement differ \\('y', not 'x'\\)"):
        parts.joined([first, second | {"device": "y"}])


@pytest.mark.parametrize("name", [*parts.LISTS, *parts.TRAININGS])
def test_parts_have_names_of_their_own_and_together_are_the_whole(name):
    titles = parts.titles(name)
    assert len(titles) == len(set(titles)) > 1
    if name in parts.LISTS:
        module = parts._module(name)
        whole = getattr(module, parts.LISTS[name])
        cut = []
        for title in titles:
            with parts._only(name, title):
                cut += list(getattr(module, parts.LISTS[name]))
        assert cut == list(whole)
        assert getattr(module, parts.LISTS[name]) is whole


def test_training_runs_of_parts_are_those_that_the_measurements_ask_for():
    chain = {step.experiment for step in ablation.steps()} | {
        *ablation.dropout_experiments().values()
    }
    wanted = {one.with_changes(seed=seed) for one in chain for seed in ablation.SEEDS}
    assert set(parts.TRAININGS["ablation"]().values()) == wanted
    assert len(parts.titles("ablation")) == len(wanted)
    arms = leave_one_out.experiments().values()
    wanted = {one.with_changes(seed=seed) for one in arms for seed in leave_one_out.SEEDS}
    assert set(parts.TRAININGS["leave-one-out"]().values()) == wanted


def test_record_of_parts_is_the_record_of_the_whole(three, capsys):
    whole = measurements.measure("corruptions", Path("runs")).read_bytes()
    Path("runs/records/corruptions.json").unlink()
    workers = Inline()
    path = measure_in_parts("corruptions", workers)
    assert path.read_bytes() == whole
    assert workers.made == ["a", "b", "c"]
    said = capsys.readouterr().err.splitlines()
    assert "corruptions: a begins" in said and "corruptions: c is measured, 3 of 3" in said
    assert list(Path("cache/cifarcam/measurements/parts").glob("*.json")) == []


def test_measured_parts_are_kept_and_a_damaged_one_is_named(three):
    first = sweeps.plan_parts("corruptions", Path("runs"))[0]
    workers = Inline()
    sweeps.sweep([first], workers, sweeps.Display([first]))
    content = first.find().read_text()
    first.find().write_text(content.replace("brightness", "brightnesS"))
    with pytest.raises(CifarcamError, match=r"damaged, its contents differ .*delete it to measure"):
        measure_in_parts("corruptions", workers)
    assert workers.made == ["a", "b", "c"]  # the first was not measured again
    first.find().unlink()
    assert measure_in_parts("corruptions", workers).is_file()
    assert workers.made == ["a", "b", "c", "a"]


def test_part_that_another_process_measures_is_left_to_it(three, sample):
    first, *_ = sweeps.plan_parts("corruptions", Path("runs"))
    first.lock.parent.mkdir(parents=True)
    with FileLock(first.lock):
        assert _child._measure(asdict(first), None)["end"] == "busy"
    assert first.find() is None
    assert _child._measure(asdict(first), None)["end"] == "finished"
    assert _child._measure(asdict(first), None)["end"] == "found"


def test_part_is_another_of_other_versions_and_other_runs(three, monkeypatch):
    before = parts.keys("corruptions")["a"]
    assert before != parts.keys("corruptions")["b"]
    with monkeypatch.context() as patch:
        patch.setattr(_devices, "versions", lambda: {"keras": "another"})
        assert parts.keys("corruptions")["a"] != before
    run = runs.read(Path(__file__).parents[1] / "runs" / "baseline")
    changed = replace(run, provenance={"files": {"weights.safetensors": "0" * 64}})
    keys = set()
    for every in ([], [run], [changed]):
        monkeypatch.setattr(runs, "every", lambda dataset, every=every: every)
        keys.add(parts.keys("corruptions")["a"])
    assert len(keys) == 3 and before in keys


def test_machine_of_another_kind_measures_no_part(three, monkeypatch):
    planned = sweeps.plan_parts("corruptions", Path("runs"))
    monkeypatch.setattr(_devices, "versions", lambda: {"keras": "another"})
    outcomes = sweeps.sweep(planned, Inline(), sweeps.Display(planned))
    assert all("are not those of the machine that asks" in one.failure for one in outcomes)


def test_training_runs_in_parts_are_found_by_the_measurement(sample, monkeypatch):
    tiny = experiments.parse(TINY, "tiny", "tiny.toml")
    monkeypatch.setattr(ablation, "steps", lambda: [ablation.Step("tiny", tiny)])
    monkeypatch.setattr(ablation, "dropout_experiments", dict)
    monkeypatch.setattr(ablation, "SEEDS", (0, 1))
    monkeypatch.setattr(ablation.records, "inputs", lambda *a, **k: {})
    workers, train = Inline(), training.train

    def counted(*arguments, **options):
        count.append(arguments[0].training.seed)
        return train(*arguments, **options)

    count = []
    monkeypatch.setattr(training, "train", counted)
    record = json.loads(measure_in_parts("ablation", workers).read_text())
    assert workers.made == ["tiny, seed 0", "tiny, seed 1"] and count == [0, 1]
    (step,) = record["steps"]
    assert [one["seed"] for one in step["trainings"]] == [0, 1]
    assert step["parameters"] == models.build(tiny.architecture, tiny.options).count_params()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["people", "--jobs", "2"], "measurement 'people' has no parts; these have: ablation, "),
        (["peoples", "--jobs", "2"], "measurement 'peoples' is not one of ablation, "),
        (["ablation", "--jobs", "2", "--scheduler", "tcp://a:1"], "a cluster; give one"),
    ],
)
def test_command_refuses_in_one_sentence(words, message):
    done = CliRunner().invoke(cli.main, ["measure", *words])
    assert done.exit_code == 1
    assert message in done.output and len(done.output.splitlines()) == 1
