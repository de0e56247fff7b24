"""Jobs on the workers of a Dask cluster."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from cifarcam import _files
from cifarcam.errors import CifarcamError, first_line, require
from cifarcam.sweeps import _process
from cifarcam.sweeps._process import End
from cifarcam.sweeps.jobs import Job, is_locked
from cifarcam.sweeps.running import Advance, Begun, Ended, Events

TIMEOUT = "10s"  # in which a scheduler has to answer
LOOK = 5.0  # seconds between two counts of the workers


class Cluster:
    """The workers that a Dask scheduler knows, now and later.

    When a worker is lost, the scheduler gives its job to another worker, where a training run goes on
    from the checkpoint. Workers have to share the directory of runs and the user's cache, with
    locks that all of them see, and to be of one kind: with equal versions, devices and threads, so
    that the same bits come from each. Dask's own messages in this process are turned off.

    Parameters
    ----------
    address
        The scheduler's address, such as ``"tcp://192.168.0.1:8786"``.
    place
        The directory of runs.

    Raises
    ------
    CifarcamError
        When there is no scheduler, or it or its workers do not suit.
    """

    def __init__(self, address: str, place: Path) -> None:
        require("cluster", "distributed")
        import distributed

        for name in ("distributed", "distributed.client"):  # their tracebacks are sentences here
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            # A client that cannot connect may hang at its end. A notebook's thread has a loop already.
            with ThreadPoolExecutor(1) as thread:
                thread.submit(lambda: asyncio.run(_reach(address))).result()
            self._client = distributed.Client(address, timeout=TIMEOUT, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise CifarcamError(
                f"no Dask scheduler answers at {address!r} ({first_line(error)}); start one by "
                "`dask scheduler`, which prints its address"
            ) from error
        self._address = address
        self._topic = f"cifarcam-{secrets.token_hex(8)}"
        self._jobs: dict[str, Job] = {}  # by fingerprint
        self._futures: dict[str, Any] = {}
        self._slots, self._counted = 0, -LOOK
        try:
            self._sign = _Sign(self._topic, place.absolute())
        except BaseException:
            self._client.close()
            raise
        try:
            self._kind = self._check()
        except BaseException:
            self.close()
            raise

    def slots(self) -> int:
        """How many jobs are made side by side: the threads of all workers."""
        if time.monotonic() > self._counted + LOOK:
            try:
                self._slots = sum(self._client.nthreads().values())
            except OSError as error:
                raise self._lost() from error
            self._counted = time.monotonic()
        return self._slots

    def has_room(self, running: int) -> bool:
        """True: the scheduler keeps what waits."""
        return True

    def submit(self, job: Job, events: Events) -> None:
        """Begin a job, or let it wait for a worker."""
        if not self._jobs:
            self._client.subscribe_topic(
                self._topic, lambda event: events.put(self._event(*event[1]))
            )
        self._jobs[job.fingerprint] = job
        arguments = job, self._sign.paths, self._topic, self._kind
        key = f"{job.name}-{secrets.token_hex(8)}"
        future = self._client.submit(_make, *arguments, key=key, pure=False)
        self._futures[job.fingerprint] = future
        future.add_done_callback(lambda future: events.put(Ended(job, self._end(future))))

    def close(self) -> None:
        """Stop what still runs, and leave the cluster as it was."""
        self._sign.take_down()
        if self._client.status == "running":
            self._client.cancel(list(self._futures.values()))
        self._client.close()

    def _check(self) -> dict[str, Any]:
        """The kind of all workers, when they and the scheduler suit."""
        try:
            self._client.run_on_scheduler(_do_nothing)
            answers = self._client.run(_look_around, self._sign.paths, on_error="return")
        except ImportError as error:
            raise CifarcamError(
                _without_package(f"the scheduler {self._address}", error)
            ) from error
        except OSError as error:
            raise self._lost() from error
        if not answers:
            raise CifarcamError(
                f"{self._address}: the scheduler has no worker; start one on each machine by "
                f"`dask worker {self._address} --nthreads 1`"
            )
        kinds: dict[str, Any] = {}
        for address, answer in sorted(answers.items()):
            if isinstance(answer, OSError):
                raise CifarcamError(
                    f"worker {address} was lost while it was asked for its kind; the same command "
                    "asks again"
                ) from answer
            if isinstance(answer, Exception):
                raise CifarcamError(_without_package(f"worker {address}", answer)) from answer
            if answer.state != "described":
                raise CifarcamError(f"worker {address}: {answer.text}")
            kinds[address] = json.loads(answer.text)
        first = min(kinds)
        for address, kind in kinds.items():
            if kind != kinds[first]:
                raise CifarcamError(_difference(address, kind, kinds[first]))
        return kinds[first]

    def _event(self, fingerprint: str, *advance: float) -> Begun | Advance:
        """What a worker says of a job: how far it is, or nothing more than that it begins."""
        job = self._jobs[fingerprint]
        return Advance(job, *advance) if advance else Begun(job)

    def _end(self, future: Any) -> End:
        """The end of a job by its task's."""
        import distributed

        if future.status == "finished":
            end: End = future.result()
            return end
        if future.status == "cancelled":
            return End("unusable", str(self._lost()))
        error = future.exception()
        if isinstance(error, distributed.KilledWorker):
            return End(
                "failed",
                f"{error.allowed_failures + 1} workers were lost while they made it; the same "
                "command goes on",
            )
        if isinstance(error, ImportError):
            return End("unusable", _without_package("a worker", error))
        return End("failed", first_line(error))

    def _lost(self) -> CifarcamError:
        return CifarcamError(
            f"{self._address}: the Dask scheduler is gone; start it and its workers again, and the "
            "same command goes on"
        )


async def _reach(address: str) -> None:
    """Open a connection of Dask, and close it again."""
    import distributed
    from distributed import comm

    arguments = distributed.Security().get_connection_args("client")
    connection = await comm.connect(address, timeout=TIMEOUT, **arguments)
    await connection.close()


class _Sign:
    """Two locked files which say that a sweep goes on, also when its process is killed.

    One stands in the directory of runs, one in the user's cache. A worker that does not see both,
    or could lock one, does not share them.
    """

    def __init__(self, name: str, place: Path) -> None:
        self._locks: list[FileLock] = []
        try:
            for directory in (place, _files.cache_dir() / "checkpoints"):
                with _files.writing_to(directory):
                    self._put_up(directory, name)
        except BaseException:
            self.take_down()
            raise
        self.paths = tuple(str(lock.lock_file) for lock in self._locks)

    def _put_up(self, directory: Path, name: str) -> None:
        for old in directory.glob(".cifarcam-*.lock"):  # of a sweep that was killed
            with contextlib.suppress(Timeout), FileLock(old, timeout=0):
                old.unlink(missing_ok=True)
        # Another sweep that looks for old files may hold this one for a moment.
        self._locks.append(FileLock(directory / f".{name}.lock", timeout=_process.GRACE))
        self._locks[-1].acquire()

    def take_down(self) -> None:
        """Unlock and remove the files."""
        for lock in self._locks:
            Path(lock.lock_file).unlink(missing_ok=True)
            lock.release()


def _fault(paths: tuple[str, str]) -> str | None:
    """What a worker lacks that should share the files of a sweep's sign; None if nothing."""
    in_runs, in_cache = map(Path, paths)
    in_own_cache = _files.cache_dir() / "checkpoints" / in_cache.name
    if not in_runs.exists():
        return f"it does not see the sweep's directory of runs; share {in_runs.parent} with it"
    if not in_own_cache.exists():
        return (
            f"it does not see the sweep's cache; share {in_cache.parents[1]} with it as "
            f"{in_own_cache.parents[1]} (XDG_CACHE_HOME moves a worker's cache)"
        )
    for path in (in_runs, in_own_cache):
        if not is_locked(path):
            return f"locks of other machines have no effect in {path.parent}; mount it with locks"
    return None


def _do_nothing() -> None:
    """On a scheduler, which has to import this package for that, as for every task."""


async def _look_around(paths: tuple[str, str]) -> End:
    """On a worker, outside its threads for tasks: what it lacks, else its kind."""
    fault = _fault(paths)
    if fault is not None:
        return End("unusable", fault)
    return await asyncio.to_thread(_process.describe, _environment())


def _make(job: Job, paths: tuple[str, str], topic: str, kind: dict[str, Any]) -> End:
    """A task of Dask: make a job on this worker, as long as the sweep's sign is up."""
    import distributed

    worker = distributed.get_worker()
    fault = _fault(paths)  # of a worker that has joined since
    if fault is not None:
        return End("unusable", f"worker {worker.address}: {fault}")
    result = job.find()
    if result is not None:
        return End("found", str(result))

    def report(*advance: float) -> None:
        worker.log_event(topic, (job.fingerprint, *advance))

    report()
    end = _process.make(
        job, report, lambda: _fault(paths) is None, kind=kind, environment=_environment()
    )
    if end.state == "unusable":
        return End("unusable", _difference(worker.address, json.loads(end.text), kind))
    return end


def _difference(address: str, kind: dict[str, Any], usual: dict[str, Any]) -> str:
    """The sentence about a worker that is not of the usual kind."""
    parts = [f"{key} {kind.get(key)}, not {usual.get(key)}" for key in usual]
    differing = [
        part for key, part in zip(usual, parts, strict=True) if kind.get(key) != usual[key]
    ]
    return (
        f"worker {address} is of another kind ({'; '.join(differing)}) and would give other bits; "
        "sweep on workers of one kind"
    )


def _without_package(worker: str, error: Exception) -> str:
    """The sentence about a worker that cannot run this package."""
    return (
        f"{worker} cannot run cifarcam ({first_line(error)}); install the same version there: "
        "pip install 'cifarcam[cluster]'"
    )


def _environment() -> dict[str, str]:
    """The environment without the limits on threads that Dask sets for its own workers."""
    import dask

    limits = dask.config.get("distributed.nanny.pre-spawn-environ")
    return {key: value for key, value in os.environ.items() if str(limits.get(key)) != value}
