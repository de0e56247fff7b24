"""The process that makes one job of a sweep; `_process` starts it.

Its argument is JSON: a job and perhaps the kind of machine that it is meant for, or nothing, which
asks for this machine's own kind. It answers in lines of JSON on standard output, and stops when its
standard input ends, which also happens when the process that started it is killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cifarcam.errors import CifarcamError
from cifarcam.sweeps._process import GRACE
from cifarcam.sweeps.jobs import Part, Training

PAUSE = 0.5  # seconds between two messages of one epoch


def main() -> None:
    """Do what the argument asks."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` has it ignored
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever is printed is a note

    def answer(**message: Any) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    threading.Thread(target=_stop_with_stdin, daemon=True).start()
    request = json.loads(sys.argv[1])
    try:
        if "job" not in request:
            answer(end="described", text=json.dumps(_kind()))
        elif request["kind"] is not None and (kind := _kind()) != request["kind"]:
            answer(end="unusable", text=json.dumps(kind))
        else:
            answer(**MAKERS[request["type"]](request["job"], answer))
    except CifarcamError as error:
        answer(end="failed", text=str(error))
    except KeyboardInterrupt:
        answer(end="stopped", text="")


def _stop_with_stdin() -> None:
    """Interrupt the process at the end of its standard input, and end it if it goes on."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(GRACE)
    os._exit(1)


def _kind() -> dict[str, Any]:
    """What has to be equal for equal bits: device and threads, versions, and the code."""
    from cifarcam import _closure, _devices

    code = _closure.code_digest("cifarcam.runs.making")
    return {**_devices.versions(), **_devices.describe(), "code": code[:12]}


def _train(fields: dict[str, Any], answer: Callable[..., None]) -> dict[str, str]:
    """Make a run, unless it exists or is being made; return how it ended."""
    from filelock import Timeout

    from cifarcam import data, runs
    from cifarcam.runs import making
    from cifarcam.training import Progress
    from cifarcam.training import experiment as experiments

    job = Training(**fields)
    experiment = experiments.parse(job.settings, job.group, job.group)
    if experiment.fingerprint(data.DIGESTS[experiment.data.dataset]) != job.fingerprint:
        raise CifarcamError(
            f"{job.name}: this machine's cifarcam reads the experiment differently; install the "
            "same version everywhere"
        )
    last = (-1, 0.0)  # epochs finished, and when that was reported

    def report(progress: Progress) -> None:
        nonlocal last
        if last[0] < 0 and progress.share == 0:  # an epoch of one step is first heard of at its end
            whole = progress.history[-1].seconds
            answer(steps_done=progress.epoch - 2, seconds_left=progress.seconds_left + whole)
        now = len(progress.history), time.monotonic()
        if now[0] > last[0] or now[1] > last[1] + PAUSE:
            last = now
            answer(steps_done=progress.epochs_done, seconds_left=progress.seconds_left)

    try:
        with making.training_lock(experiment, job.fingerprint, wait=False):
            directory = job.find()  # made by another process in the meantime
            if directory is not None:
                return {"end": "found", "text": str(directory)}
            run = runs.make(experiment, Path(job.place) / experiment.run_name, report=report)
    except CifarcamError as error:
        if isinstance(error.__cause__, Timeout):
            return {"end": "busy", "text": str(error)}
        raise
    return {"end": "finished", "text": str(run.directory)}


def _measure(fields: dict[str, Any], answer: Callable[..., None]) -> dict[str, str]:
    """Measure a part, unless that is done or is being done; return how it ended."""
    from filelock import FileLock, Timeout

    from cifarcam import _files
    from cifarcam.studies import parts

    job = Part(**fields)
    os.chdir(Path(job.place).parent)  # where runs are looked up
    if parts.keys(job.group).get(job.title) != job.fingerprint:
        raise CifarcamError(
            f"{job.name}: this machine's device, versions or runs are not those of the machine that "
            "asks; measure on machines of its kind, with the same runs"
        )
    with _files.writing_to(job.file.parent):
        lock = FileLock(job.lock)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return {"end": "busy", "text": ""}
        try:
            if job.find() is not None:  # made by another process in the meantime
                return {"end": "found", "text": str(job.file)}
            _files.write_json(job.file, parts.compute(job.group, job.title))
        finally:
            lock.release()
    return {"end": "finished", "text": str(job.file)}


MAKERS = {Training.__name__: _train, Part.__name__: _measure}
