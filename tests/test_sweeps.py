"""Sweeps on one machine: what is planned, what is left, and training in processes of their own."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from filelock import FileLock
from helpers import ROOT, TINY, left_in

from cifarcam import cli, data, runs, sweeps
from cifarcam.errors import CifarcamError
from cifarcam.sweeps import _process, cluster, jobs, progress, running
from cifarcam.sweeps._process import End
from cifarcam.sweeps.running import Advance, Begun, Ended
from cifarcam.training import experiment as experiments
from cifarcam.training import state as states

LONG = TINY.replace("epochs = 3", "epochs = 400")
# The command, which Ctrl-C interrupts even where the tests run in a shell's background.
COMMAND = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    "from cifarcam.cli import main; main()"
)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").mkdir()
    write("tiny", TINY)
    write("long", LONG)
    return tmp_path


def write(name, text):
    path = Path("experiments") / f"{name}.toml"
    path.write_text(text)
    return str(path)


def planned(*names, seeds=None):
    return sweeps.plan(names, seeds=seeds, place=Path("runs"))


class Shown:
    """What a sweep shows."""

    def __init__(self):
        self.bars, self.advances, self.outcomes, self.elsewhere = set(), [], [], set()

    def begin(self, job):
        self.bars.add(job)

    def put_back(self, job):
        self.bars.remove(job)

    def advance(self, *event):
        assert event[0] in self.bars
        self.advances.append(event)

    def end(self, outcome):
        self.outcomes.append(outcome)

    def refresh(self, slots, elsewhere):
        self.elsewhere.add(elsewhere)

    def close(self):
        """Nothing to take away."""


class Pretending:
    """Workers that answer at once, by name of the run."""

    def __init__(self, answers):
        self.answers, self.submitted, self.closed = answers, [], False

    def slots(self):
        return 1

    def has_room(self, running):
        return running < 1

    def submit(self, job, events):
        self.submitted.append(job.name)
        answer = self.answers[job.name]
        if callable(answer):
            answer = answer()
        events.put(Begun(job))
        events.put(Advance(job, 1.0, 2.0))
        events.put(Ended(job, answer))
        events.put(Advance(job, 3.0, 0.0))  # which comes late

    def close(self):
        self.closed = True


def bits(directory):
    """Everything of a run that the training decides."""
    run = runs.read(directory)
    history = {name: list(values) for name, values in run.history.items() if name != "seconds"}
    weights = (directory / "weights.safetensors").read_bytes()
    return weights, run.predictions.tobytes(), json.dumps([run.metrics, history])


def one_after_another(planned, place):
    """The bits of the same runs by `runs.make`, by name."""
    dataset, found = data.load("sample"), {}
    for job in planned:
        experiment = experiments.parse(job.settings, job.group, "test")
        found[job.name] = bits(runs.make(experiment, place / job.name, dataset=dataset).directory)
    return found


def command(*arguments, **options):
    """A `cifarcam sweep` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, "sweep", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def wait_for_checkpoint(job):
    path = runs.checkpoint_path(job.fingerprint)
    until = time.monotonic() + 900
    while not path.exists():
        assert time.monotonic() < until, "no checkpoint was written"
        time.sleep(0.05)


# -- the plan


def test_plan_has_each_run_once_with_its_seed_and_place():
    write("twin", TINY)  # the same settings under another name
    planned = sweeps.plan(["tiny", "tiny-seed1", "twin"], seeds=3, place=Path("runs"))
    assert [job.name for job in planned] == [
        *("tiny-sample", "tiny-seed1-sample", "tiny-seed2-sample"),
    ]
    seeds = [experiments.parse(job.settings, "tiny", "").training.seed for job in planned]
    assert seeds == [0, 1, 2]
    assert {job.place for job in planned} == {str(Path("runs").absolute())}
    assert {job.steps for job in planned} == {3}


def test_plan_without_seeds_has_the_experiments_own():
    (job,) = planned("tiny")
    experiment = experiments.find("tiny")
    assert job.name == experiment.run_name == "tiny-seed3-sample"
    assert job.fingerprint == experiment.fingerprint(data.DIGESTS["sample"])


def test_plan_refuses_two_experiments_of_one_name(tmp_path):
    other = tmp_path / "tiny.toml"
    other.write_text(LONG)
    with pytest.raises(CifarcamError, match="two different experiments have this name"):
        sweeps.plan(["tiny", str(other)], place=Path("runs"))


# -- the time left


def job(name, experiment, epochs):
    return jobs.Training(name, experiment, epochs, name, "/runs", "", "sample")


def test_time_left_fills_the_slots_in_order():
    left = {job("a", "x", 10): 30.0, job("b", "x", 10): 10.0, job("c", "x", 10): None}
    # x needs 3 s an epoch, and c, 30 s, begins when b ends.
    assert progress.time_left(left, {"x": 3.0}, 2) == 40.0
    assert progress.time_left(left, {"x": 3.0}, 3) == 30.0
    assert progress.time_left(left, {"x": 3.0}, 1) == 70.0


def test_time_left_of_an_unknown_experiment_is_the_mean_of_the_others():
    left = {job("a", "unknown", 10): None}
    assert progress.time_left(left, {"x": 3.0, "y": 5.0}, 1) == 40.0
    assert progress.time_left(left, {}, 1) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.7, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")],
)
def test_durations_in_words(seconds, words):
    assert progress.duration(seconds) == words


def test_display_says_what_begins_goes_on_and_ends(capsys):
    first, second, third = (job(name, "x", 10) for name in "abc")
    display = sweeps.Display([first, second, third])
    display.refresh(1, 0)
    display.begin(first)
    display.advance(first, 0.5, 19.0)  # 2 s an epoch
    display.begin(second)
    display.advance(second, 7.25, 5.5)
    display.advance(second, 7.5, 5.0)
    display.begin(second)
    display.advance(second, 7.25, 5.5)
    display.begin(third)
    display.put_back(third)
    display.end(sweeps.Outcome(first, Path("runs/a"), "", True))
    display.end(sweeps.Outcome(second, None, "it has no legs", False))
    display.end(sweeps.Outcome(third, Path("runs/c"), "", False))
    display.close()
    assert capsys.readouterr().err.splitlines() == [
        "a begins, at most 10 epochs, 19 s left",
        "b goes on after epoch 7, at most 10 epochs, 6 s left",
        "b has lost its worker and goes on elsewhere",
        "b goes on after epoch 7, at most 10 epochs, 6 s left",
        "a is trained, 1 of 3, 26 s left",
        "b failed: it has no legs, 2 of 3, 20 s left",
        "c is at hand, 3 of 3",
    ]


# -- the loop


def test_failing_run_is_named_and_the_others_are_made(tmp_path):
    planned_jobs = planned("tiny", seeds=3)
    answers = dict.fromkeys([job.name for job in planned_jobs], End("finished", str(tmp_path)))
    answers["tiny-seed1-sample"] = End("failed", "it diverged")
    workers = Pretending(answers)
    outcomes = sweeps.sweep(planned_jobs, workers, Shown())
    assert [outcome.failure for outcome in outcomes] == ["", "it diverged", ""]
    assert [outcome.result for outcome in outcomes] == [tmp_path, None, tmp_path]
    assert workers.submitted == [job.name for job in planned_jobs]
    assert workers.closed


def test_locked_run_waits_and_is_not_made_again(monkeypatch, tmp_path):
    first, second = planned("tiny", seeds=2)
    monkeypatch.setattr(running, "POLL", 0.01)
    first.lock.parent.mkdir(parents=True)
    lock = FileLock(first.lock, thread_local=False)  # a timer's thread releases it
    lock.acquire()
    made = []  # by the process that holds the lock
    monkeypatch.setattr(jobs.Training, "find", lambda self: tmp_path if self in made else None)

    def made_elsewhere():
        made.append(first)
        threading.Timer(0.1, lock.release).start()
        return End("finished", str(tmp_path))

    workers, shown = Pretending({second.name: made_elsewhere}), Shown()
    outcomes = sweeps.sweep([first, second], workers, shown)
    assert workers.submitted == [second.name]
    assert [outcome.is_new for outcome in outcomes] == [False, True]
    assert 1 in shown.elsewhere


def test_run_that_another_process_took_first_is_tried_again(monkeypatch, tmp_path):
    monkeypatch.setattr(running, "POLL", 0.01)
    (only,) = planned("tiny")
    answers = iter([End("busy", ""), End("finished", str(tmp_path))])
    workers, shown = Pretending({only.name: lambda: next(answers)}), Shown()
    assert sweeps.sweep([only], workers, shown)[0].is_new
    assert workers.submitted == [only.name] * 2
    assert [event[1:] for event in shown.advances] == [(1.0, 2.0)] * 2


def test_machine_of_another_kind_ends_the_sweep_and_closes_the_workers():
    (only,) = planned("tiny")
    workers = Pretending({only.name: End("unusable", "worker x is of another kind")})
    with pytest.raises(CifarcamError, match="worker x is of another kind"):
        sweeps.sweep([only], workers, Shown())
    assert workers.closed


def test_lock_is_seen_as_held_and_as_free(tmp_path):
    path = tmp_path / "a.lock"
    assert not jobs.is_locked(path)
    assert not path.exists()
    with FileLock(path):
        assert jobs.is_locked(path)
    assert not jobs.is_locked(path)


# -- what a cluster has to share


def test_sign_of_a_sweep_is_seen_locked_and_taken_down(home, monkeypatch):
    runs_place = home / "runs"
    runs_place.mkdir()
    (runs_place / ".cifarcam-old.lock").touch()  # of a killed sweep
    sign = cluster._Sign("cifarcam-1", runs_place)
    assert left_in(runs_place) == []
    assert [Path(path).name for path in sign.paths] == [".cifarcam-1.lock"] * 2
    assert not (runs_place / ".cifarcam-old.lock").exists()
    assert cluster._fault(sign.paths) is None
    with monkeypatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(home / "elsewhere"))
        assert "does not see the sweep's cache" in cluster._fault(sign.paths)
    moved = str(home / "other" / ".cifarcam-1.lock"), sign.paths[1]
    assert "does not see the sweep's directory of runs" in cluster._fault(moved)
    sign.take_down()
    assert "does not see" in cluster._fault(sign.paths)
    assert list(runs_place.iterdir()) == []
    for path in sign.paths:  # a disk on which locks have no effect
        Path(path).touch()
    assert "locks of other machines have no effect" in cluster._fault(sign.paths)


def test_difference_names_what_differs():
    usual = {"threads": 2, "device": "EPYC", "code": "ab"}
    sentence = cluster._difference("tcp://b:1", usual | {"threads": 16}, usual)
    assert sentence.startswith("worker tcp://b:1 is of another kind (threads 16, not 2) and")


# -- the command


def invoke(*arguments):
    return CliRunner().invoke(cli.main, ["sweep", *arguments])


def test_command_refuses_jobs_with_a_scheduler_and_unknown_names():
    done = invoke("tiny", "--jobs", "2", "--scheduler", "127.0.0.1:1")
    assert done.exit_code == 1
    assert "give one" in done.output
    done = invoke("tiny", "huge")
    assert done.exit_code == 1
    assert "no experiment named 'huge'" in done.output
    assert invoke().exit_code == 2


def test_command_names_what_failed_and_says_so_by_its_status(monkeypatch):
    answers = {"tiny-sample": End("failed", "it diverged"), "tiny-seed1-sample": End("failed", "x")}
    monkeypatch.setattr(sweeps, "Local", lambda count: Pretending(answers))
    done = invoke("tiny", "--seeds", "2")
    assert done.exit_code == 1
    assert "2 of 2 training runs failed: tiny-sample: it diverged; tiny-seed1-sample: x" in (
        " ".join(done.output.split())
    )


# -- the page about a hundred workers


def quantity(text):
    """A number of the page in seconds, MB, or MB/s."""
    number, unit = text.split()[-2:]
    return float(number) * {"s": 1, "min": 60, "MB": 1, "MB/s": 1, "GB/s": 1000}[unit]


@pytest.mark.slow
@pytest.mark.parametrize(("column", "name"), enumerate(["baseline", "resnet18-long"]))
def test_page_about_a_hundred_workers_has_the_numbers_of_the_files(tmp_path, column, name):
    rows = re.findall(r"^\| ([a-z ]+?) +\| (.+) \|$", sweeps.__doc__, re.M)
    experiment, dataset = experiments.find(name), data.load("sample")
    state = states.initial_state(experiment.with_changes(dataset="sample"), dataset.train)
    state.kept_weights = state.model.get_weights()
    states.save(state, tmp_path / "checkpoint", "")
    checkpoint = (tmp_path / "checkpoint").stat().st_size / 1e6
    directory = ROOT / "runs" / name
    epochs = experiment.training.epochs
    epoch = 50_000 / 13_800  # images, images a second on one H200
    if name == "baseline":
        epoch = runs.read(directory).provenance["training_seconds"] / epochs
    files = 6 * 10_000 * 3073 / 1e6  # CIFAR-10: a label and 3,072 bytes an image
    assert {row: quantity(cells.split(" | ")[column]) for row, cells in rows} == pytest.approx(
        {
            "one epoch": epoch,
            "one training run": epochs * epoch,
            "data read at its start": files,
            "checkpoint after each epoch": checkpoint,
            "finished run": sum(path.stat().st_size for path in directory.iterdir()) / 1e6,
            "a hundred workers read": 100 * files / (epochs * epoch),
            "a hundred workers write": 100 * checkpoint / epoch,
        },
        rel=0.03,
    )
    assert f"| {epochs} epochs, " in sweeps.__doc__


# -- real processes


@pytest.mark.slow
def test_runs_side_by_side_are_those_one_after_another(home):
    planned_jobs = planned("tiny", seeds=3)
    damaged = runs.checkpoint_path(planned_jobs[1].fingerprint)
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"half")
    done = invoke("tiny", "--seeds", "3", "--jobs", "2")
    assert done.exit_code == 1
    assert "1 of 3 training runs failed: tiny-seed1-sample: " in " ".join(done.output.split())
    assert "delete it to begin the training run anew" in " ".join(done.output.split())
    damaged.unlink()
    again = invoke("tiny", "--seeds", "3", "--jobs", "2")
    assert again.exit_code == 0, again.output
    assert again.output.count("is at hand") == 2
    assert again.output.count("is trained") == 1
    expected = one_after_another(planned_jobs, home / "one")
    assert {job.name: bits(home / "runs" / job.name) for job in planned_jobs} == expected
    assert left_in(home / "cache" / "cifarcam" / "checkpoints") == []


@pytest.mark.slow
def test_interrupted_sweep_stops_cleanly_and_goes_on(home):
    (job,) = planned("long")
    process = command("long", start_new_session=True)
    wait_for_checkpoint(job)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 130, said
    assert "the same command continues" in said
    assert "Traceback" not in said
    assert not jobs.is_locked(job.lock)
    assert left_in(home / "runs") == []
    process = command("long", start_new_session=True)
    line = process.stdout.readline()
    process.kill()  # without a chance to stop its training
    process.communicate()
    assert re.match(r"long-seed3-sample goes on after epoch [1-9]", line)
    until = time.monotonic() + 120
    while jobs.is_locked(job.lock):
        assert time.monotonic() < until, "the training outlives the sweep"
        time.sleep(0.1)
    assert left_in(home / "runs") == []


@pytest.mark.slow
def test_two_sweeps_at_once_share_the_work(home):
    sweeping = [command("tiny", "--seeds", "3", "--jobs", "2") for _ in range(2)]
    said = [process.communicate(timeout=1800)[0] for process in sweeping]
    assert [process.returncode for process in sweeping] == [0, 0], said
    for name in ("tiny-sample", "tiny-seed1-sample", "tiny-seed2-sample"):
        trained = [text.count(f"{name} is trained") for text in said]
        at_hand = [text.count(f"{name} is at hand") for text in said]
        assert sorted(trained) == sorted(at_hand) == [0, 1], said


def test_process_that_cannot_be_started_is_a_failure(monkeypatch):
    (job,) = planned("tiny")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    end = _process.make(job, lambda *_: None, lambda: True)
    assert end.state == "failed"
    assert end.text.startswith("its process cannot be started or followed: [Errno 2]")
    assert "/nowhere/python" in end.text


@pytest.mark.slow
def test_process_that_dies_is_a_failure_with_its_last_words(monkeypatch):
    (job,) = planned("tiny")
    broken = replace(job, settings="description = 3")
    end = _process.make(broken, lambda *_: None, lambda: True)
    assert end.state == "failed"
    assert "description" in end.text
    monkeypatch.setattr(sys, "path", [])
    end = _process.make(job, lambda *_: None, lambda: True)
    assert end.state == "failed"
    assert end.text.startswith("its process ended with status 1: ModuleNotFoundError")
    assert "killed" in _process._crash(-9, None).text
