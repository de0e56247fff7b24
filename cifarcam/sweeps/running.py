"""A sweep from its beginning to its end, wherever its jobs are made."""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from cifarcam import _files
from cifarcam.errors import CifarcamError
from cifarcam.sweeps._process import GRACE, POLL, End
from cifarcam.sweeps.jobs import Job, is_locked
from cifarcam.sweeps.progress import Display


class Begun(NamedTuple):
    """A process starts to make a job, perhaps since the job's worker was lost."""

    job: Job


class Advance(NamedTuple):
    """A sign of life of a training run: epochs done, and seconds left."""

    job: Job
    steps_done: float
    seconds_left: float


class Ended(NamedTuple):
    """The end of a job, as the process that made it says it."""

    job: Job
    end: End


Events = queue.Queue[Begun | Advance | Ended]


class Workers(Protocol):
    """Where jobs are made: this machine, or a Dask cluster."""

    def slots(self) -> int:
        """How many jobs are made side by side, at present."""

    def has_room(self, running: int) -> bool:
        """Whether one more may be submitted while `running` are."""

    def submit(self, job: Job, events: Events) -> None:
        """Begin a job, or let it wait for a worker; it ends in an `Ended`."""

    def close(self) -> None:
        """Stop what still runs; a stopped training run goes on from its last whole epoch."""


class Outcome(NamedTuple):
    """What became of a job: where its result is, or the sentence why it failed."""

    job: Job
    result: Path | None
    failure: str
    is_new: bool


def sweep(jobs: Sequence[Job], workers: Workers, display: Display) -> list[Outcome]:
    """Make the training runs, or parts of a measurement, that are not at hand.

    A job that another process makes meanwhile, perhaps another sweep, waits and is not made again.
    A job that fails does not hold up the others.

    Parameters
    ----------
    jobs
        What `plan` or `plan_parts` returns.
    workers
        Where they are made. They are closed at the end, also after Ctrl-C.
    display
        Shows the progress.

    Returns
    -------
    list of Outcome
        In the order of `jobs`.

    Raises
    ------
    CifarcamError
        When a worker does not suit, or the scheduler is gone.
    """
    outcomes: dict[Job, Outcome] = {}
    waiting, running = list(jobs), set[Job]()
    events: Events = queue.Queue()
    try:
        while waiting or running:
            for job in list(waiting):
                if not workers.has_room(len(running)):
                    break
                if is_locked(job.lock):
                    continue
                waiting.remove(job)
                result = job.find()
                if result is None:
                    running.add(job)
                    workers.submit(job, events)
                else:
                    outcomes[job] = Outcome(job, result, "", is_new=False)
                    display.end(outcomes[job])
            display.refresh(workers.slots(), elsewhere=len(waiting) if not running else 0)
            for event in _next(events):
                if event.job not in running:  # a message that comes late
                    continue
                if isinstance(event, Begun):
                    display.begin(event.job)
                    continue
                if isinstance(event, Advance):
                    display.advance(*event)
                    continue
                running.discard(event.job)
                outcome = _outcome(*event)
                if outcome is None:  # another process was faster
                    waiting.append(event.job)
                    display.put_back(event.job)
                else:
                    outcomes[event.job] = outcome
                    display.end(outcome)
    finally:
        display.close()
        workers.close()
        _wait_until_free(running)
    return [outcomes[job] for job in jobs]


def finish(measurement: str, outcomes: Sequence[Outcome], place: Path) -> Path:
    """Write the record of a measurement whose parts have succeeded; return its file.

    Parameters
    ----------
    measurement
        Its name.
    outcomes
        What `sweep` returned for the jobs of `plan_parts`.
    place
        The directory of runs.

    Raises
    ------
    CifarcamError
        When the file of a part is damaged.
    """
    from cifarcam.studies import parts

    files = [outcome.result for outcome in outcomes if outcome.result is not None]
    contents = [_files.read_json(file, "delete it to measure it again") for file in files]
    record = parts.finish(measurement, contents, place)
    for file in files:
        file.unlink()
    return record


def _next(events: Events) -> Iterator[Begun | Advance | Ended]:
    """The events at hand; the first of them is waited for, not longer than `POLL`."""
    with contextlib.suppress(queue.Empty):
        yield events.get(timeout=POLL)
    for _ in range(events.qsize()):
        yield events.get()


def _outcome(job: Job, end: End) -> Outcome | None:
    """What an end means for a sweep; None when the job has to wait for another process."""
    if end.state == "busy":
        return None
    if end.state in ("finished", "found"):
        return Outcome(job, Path(end.text), "", is_new=end.state == "finished")
    if end.state == "unusable":
        raise CifarcamError(end.text)
    return Outcome(job, None, end.text or "it was stopped from outside", is_new=False)


def _wait_until_free(stopped: set[Job]) -> None:
    """Wait until the processes that made stopped jobs have let go of them, but not for ever."""
    until = time.monotonic() + 2 * GRACE
    while time.monotonic() < until and any(is_locked(job.lock) for job in stopped):
        time.sleep(POLL / 10)
