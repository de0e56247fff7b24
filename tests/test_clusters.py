"""A sweep on a real Dask cluster on this machine, one of whose two workers is killed."""

import asyncio
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers import TINY, left_in
from test_sweeps import Shown, bits, command, one_after_another, wait_for_checkpoint

from cifarcam import sweeps
from cifarcam.errors import CifarcamError
from cifarcam.sweeps import cluster, jobs

distributed = pytest.importorskip("distributed")

EPOCHS = 60


class Started:
    """A scheduler and its workers, each a process with a log."""

    def __init__(self, folder):
        self.folder, self.processes = folder, []

    def start_scheduler(self, **how):
        file = self.folder / "scheduler.json"
        self.start("scheduler", "--scheduler-file", file, "--port", "0", "--no-show", **how)
        self.wait_for(lambda: file.is_file() and file.read_text())
        self.address = json.loads(file.read_text())["address"]

    def start(self, what, *options, before=(), environment=None):
        log = (self.folder / f"{what}{len(self.processes)}.log").open("w")
        command = [*before, sys.executable, "-m", "dask", what]
        self.processes.append(
            subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--no-dashboard", *map(str, options)],
                stdout=log,
                stderr=log,
                env=os.environ | (environment or {}),
            )
        )
        return self.processes[-1]

    def start_worker(self, count, **how):
        """Start a worker without a nanny, so that it stays away when it is killed.

        Return when the scheduler has `count` workers.
        """
        options = self.address, "--nthreads", "1", "--no-nanny", "--local-directory", self.folder
        process = self.start("worker", *options, **how)
        self.wait_for_workers(count)
        return process

    def kill_worker(self, process):
        process.kill()
        process.wait()
        self.wait_for_workers(0)

    def wait_for_workers(self, count):
        with distributed.Client(self.address, set_as_default=False) as client:
            self.wait_for(lambda: len(client.nthreads()) == count)

    def wait_for(self, condition):
        until = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < until, (self.folder / "scheduler0.log").read_text()[-2000:]
            time.sleep(0.1)

    def stop(self):
        # Dask's worker hangs when a signal and its scheduler's farewell meet.
        for process in reversed(self.processes):
            process.kill()
            process.wait()


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").mkdir()
    text = TINY.replace("epochs = 3", f"epochs = {EPOCHS}").replace("[4, 4]", "[8, 16]")
    (tmp_path / "experiments" / "long.toml").write_text(text)
    return tmp_path


@pytest.fixture
def stopped(home, tmp_path_factory):
    processes = Started(tmp_path_factory.mktemp("dask"))
    yield processes
    processes.stop()


@pytest.fixture
def started(stopped):
    stopped.start_scheduler()
    return stopped


def without_package(home):
    """The environment of a process that cannot import cifarcam."""
    (home / "bare").mkdir(exist_ok=True)
    (home / "bare" / "cifarcam.py").write_text("raise ImportError('no cifarcam here')")
    return {"PYTHONPATH": str(home / "bare")}


class Killing(Shown):
    """Kills a worker as soon as two training runs have a checkpoint, and are not near their end."""

    def __init__(self, worker):
        super().__init__()
        self.worker = worker

    def advance(self, *event):
        super().advance(*event)
        half_done = {job for job, done, _ in self.advances if 1 <= done < EPOCHS / 2}
        if len(half_done) == 2 and self.worker.poll() is None:
            self.worker.send_signal(signal.SIGKILL)


@pytest.mark.slow
def test_killed_worker_costs_at_most_an_epoch_and_no_bit(home, started):
    first = started.start_worker(1)
    started.start_worker(2)
    planned = sweeps.plan(["long"], seeds=3, place=Path("runs"))
    shown = Killing(first)
    outcomes = sweeps.sweep(planned, sweeps.Cluster(started.address, Path("runs")), shown)
    assert first.wait(60) == -signal.SIGKILL
    assert [outcome.failure for outcome in outcomes] == ["", "", ""]
    assert all(outcome.is_new for outcome in outcomes)
    lost = []  # epochs, whenever a training went back
    for job in planned:
        done = [event[1] for event in shown.advances if event[0] == job]
        lost += [a - b for a, b in itertools.pairwise(done) if b < a]
        assert max(done) >= EPOCHS - 1
    assert len(lost) <= 1 and max(lost, default=0) <= 1, lost
    expected = one_after_another(planned, home / "one")
    assert {job.name: bits(home / "runs" / job.name) for job in planned} == expected
    assert left_in(home / "cache" / "cifarcam" / "checkpoints") == []
    assert left_in(home / "runs") == sorted(expected)


@pytest.mark.slow
def test_interrupted_sweep_stops_the_workers_and_the_same_command_goes_on(home, started):
    started.start_worker(1)
    (job,) = sweeps.plan(["long"], seeds=1, place=Path("runs"))
    arguments = ["long", "--seeds", "1", "--scheduler", started.address]
    process = command(*arguments)
    wait_for_checkpoint(job)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert not jobs.is_locked(job.lock)
    process = command(*arguments)
    said, _ = process.communicate(timeout=1800)
    assert process.returncode == 0, said
    assert re.search(r"^long-sample goes on after epoch [1-9]", said, re.M), said
    assert re.search(r"^long-sample +test accuracy", said, re.M), said


@pytest.mark.slow
def test_clusters_that_do_not_suit_are_refused_in_a_sentence(home, started):
    with pytest.raises(CifarcamError, match="the scheduler has no worker; start one on each"):
        sweeps.Cluster(started.address, Path("runs"))
    apart = home / "apart"
    worker = started.start_worker(1, environment={"XDG_CACHE_HOME": str(apart)})
    with pytest.raises(CifarcamError, match=r"^worker tcp.*does not see the sweep's cache; share"):
        sweeps.Cluster(started.address, Path("runs"))
    assert left_in(home / "runs") == []
    started.kill_worker(worker)
    worker = started.start_worker(1, environment=without_package(home))
    with pytest.raises(
        CifarcamError, match=r"^worker tcp.* cannot run cifarcam .*no cifarcam here"
    ):
        sweeps.Cluster(started.address, Path("runs"))
    started.kill_worker(worker)
    started.start_worker(1)
    started.start_worker(2, before=("taskset", "-c", "0"))  # with a thread fewer
    with pytest.raises(CifarcamError, match=r"is of another kind \(threads \d+, not \d+\)"):
        sweeps.Cluster(started.address, Path("runs"))


@pytest.mark.slow
def test_scheduler_without_the_package_is_refused_in_a_sentence(home, stopped):
    stopped.start_scheduler(environment=without_package(home))
    with pytest.raises(CifarcamError, match=r"^the scheduler tcp.* cannot run cifarcam .*no cif"):
        sweeps.Cluster(stopped.address, Path("runs"))


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("", "missing port number"),
        ("localhost", "missing port number"),
        ("http://127.0.0.1:1", "unknown address scheme 'http'"),
        ("tls://127.0.0.1:1", "TLS"),
        ("127.0.0.1:1", "Timed out"),
    ],
)
def test_address_of_no_scheduler_is_refused_in_a_sentence(home, monkeypatch, address, reason):
    monkeypatch.setattr(cluster, "TIMEOUT", "1s")
    with pytest.raises(
        CifarcamError, match=f"^no Dask scheduler answers at '{address}' .*{reason}"
    ):
        sweeps.Cluster(address, Path("runs"))


@pytest.mark.slow
def test_cluster_is_used_where_an_event_loop_runs_as_in_a_notebook(home, started):
    async def use():
        with pytest.raises(CifarcamError, match="the scheduler has no worker; start one on each"):
            sweeps.Cluster(started.address, Path("runs"))
        with pytest.raises(CifarcamError, match=r"^no Dask scheduler answers at 'localhost'"):
            sweeps.Cluster("localhost", Path("runs"))
        return "used"

    # In a thread of its own, because a browser's tests may have left a loop in this one.
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(lambda: asyncio.run(use())).result() == "used"


def test_run_that_loses_one_worker_after_another_fails_in_a_sentence():
    error = distributed.KilledWorker("tiny-0", None, 3)
    future = SimpleNamespace(status="error", exception=lambda: error)
    end = cluster.Cluster._end(None, future)
    assert end.state == "failed"
    assert end.text.startswith("4 workers were lost while they made it; the same command goes on")


@pytest.mark.slow
def test_lost_scheduler_ends_the_sweep_in_a_sentence_and_the_training(home, started):
    started.start_worker(1)
    (job,) = sweeps.plan(["long"], seeds=1, place=Path("runs"))
    process = command("long", "--seeds", "1", "--scheduler", started.address)
    wait_for_checkpoint(job)
    started.processes[0].kill()
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 1, said
    assert re.search(r"^Error: .*the Dask scheduler is gone; start it", said, re.M), said
    assert "Traceback" not in said
    assert not jobs.is_locked(job.lock)
