"""A sweep on one worker and on two, and what Dask's scheduler costs; on Linux, with taskset.

    python benchmarks/sweep.py [experiment]

Trains an experiment (the baseline if none is given) on the sample with four seeds: one at a time and
two at a time on this machine with all cores; then on a Dask cluster whose workers have a core each, as
machines of their own would have. Prints the seconds of each sweep, the speed-up of two beside one, the
seconds in which a training run is no training (its process starts, loads the data, evaluates, writes),
and the milliseconds that a task which does nothing and a message of progress take through the scheduler.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import distributed

from cifarcam import _devices, runs, sweeps

SEEDS = 4
TASKS = 1000
MESSAGES = 10_000


@contextlib.contextmanager
def cluster(cores):
    """The address of a scheduler with a worker on each of some cores."""
    dask = [sys.executable, "-m", "dask"]
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w") as log:
        file = Path(folder) / "scheduler.json"
        options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show"]
        command = [*dask, "scheduler", *options, "--scheduler-file", str(file)]
        processes = [subprocess.Popen(command, stderr=log)]
        try:
            while not (file.is_file() and file.read_text()):
                time.sleep(0.1)
            address = json.loads(file.read_text())["address"]
            for core in cores:
                command = ["taskset", "-c", str(core), *dask, "worker", address]
                command += ["--nthreads", "1", "--no-nanny", "--no-dashboard"]
                processes.append(subprocess.Popen(command, stderr=log))
            with distributed.Client(address, set_as_default=False) as client:
                client.wait_for_workers(len(cores))
            yield address
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait()


def sweep_seconds(name, workers):
    """Seconds of a sweep, and seconds of its training alone, in a directory of runs of its own.

    `workers` makes the workers for a directory of runs.
    """
    with tempfile.TemporaryDirectory() as folder:
        planned = sweeps.plan([name], seeds=SEEDS, dataset="sample", place=Path(folder))
        made = workers(Path(folder))
        started = time.perf_counter()
        outcomes = sweeps.sweep(planned, made, sweeps.Display(planned))
        seconds = time.perf_counter() - started
        trained = [runs.read(outcome.result).provenance for outcome in outcomes]
    return seconds, sum(provenance["training_seconds"] for provenance in trained)


def task_milliseconds(address):
    """Milliseconds that the scheduler and its workers need for a task that does nothing."""
    with distributed.Client(address, set_as_default=False) as client:
        client.gather(client.map(abs, range(10), pure=False))
        started = time.perf_counter()
        futures = [client.submit(abs, number, pure=False) for number in range(TASKS)]
        client.gather(futures)
        return 1000 * (time.perf_counter() - started) / TASKS


def send_messages():
    """A task that says as much as a training run does, as often as it can."""
    worker = distributed.get_worker()
    for number in range(1, MESSAGES + 1):
        worker.log_event("benchmark", ("0" * 64, number / 3, 1.0))


def message_milliseconds(address):
    """Milliseconds that a message takes from a worker through the scheduler, when many follow."""
    with distributed.Client(address, set_as_default=False) as client:
        arrived = threading.Event()
        last = MESSAGES / 3
        client.subscribe_topic("benchmark", lambda event: event[1][1] == last and arrived.set())
        started = time.perf_counter()
        client.submit(send_messages, pure=False).result()
        arrived.wait()
        return 1000 * (time.perf_counter() - started) / MESSAGES


def compare(name, what, sweeping):
    """Print the seconds of a sweep on one worker and on two, and their ratio."""
    seconds = []
    for count in (1, 2):
        whole, training = sweeping(count)
        seconds.append(whole)
        beside = (whole * count - training) / SEEDS
        print(f"{what}, {count} at a time: {whole:.1f} s, {beside:.1f} s a run beside its training")
    print(f"{what}, two beside one: {seconds[0] / seconds[1]:.2f} times as fast", flush=True)


def main(name="baseline"):
    """Measure an experiment."""
    described = _devices.describe()
    print(f"{name} on the sample, {SEEDS} seeds, {described['device']}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        compare(name, "all cores", lambda n: sweep_seconds(name, lambda place: sweeps.Local(n)))

        def on_cluster(count):
            with cluster(range(count)) as address:
                return sweep_seconds(name, lambda place: sweeps.Cluster(address, place))

        compare(name, "Dask, a core a worker", on_cluster)
        with cluster(range(2)) as address:
            print(f"a task of Dask: {task_milliseconds(address):.2f} ms")
            print(f"a message of progress: {message_milliseconds(address):.2f} ms")


if __name__ == "__main__":
    main(*sys.argv[1:])
