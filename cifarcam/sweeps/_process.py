"""A process for each job: started, followed and stopped.

A training run has a fresh process, so that it computes the same bits as `cifarcam train`, its memory is
given back, and a crash is that run's alone.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import IO, Any, NamedTuple

from cifarcam.errors import first_line
from cifarcam.sweeps.jobs import Job

GRACE = 10.0  # seconds in which a process that is stopped clears up
POLL = 1.0  # seconds between two looks whether a job is still wanted


class End(NamedTuple):
    """How a process ended.

    `state` is ``"finished"``, ``"found"`` (the result was there), ``"busy"`` (another process makes
    it), ``"failed"``, ``"stopped"``, ``"unusable"`` (the machine does not suit, the text is its
    kind as JSON) or ``"described"`` (the same). Else `text` is where the result is, or the reason.
    """

    state: str
    text: str


def make(
    job: Job,
    report: Callable[[float, float], None],
    is_wanted: Callable[[], bool],
    *,
    kind: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> End:
    """Make a job in a process of its own, and wait for it.

    Parameters
    ----------
    job
        The training run, or the part of a measurement.
    report
        Called with the steps done and the seconds left, by a training run alone.
    is_wanted
        Asked about once a second; the process is stopped when it says no.
    kind
        The kind of machine that the job has to be made on, as `describe` returns it.
    environment
        The environment variables of the process; by default those of this process.
    """
    request = {"type": type(job).__name__, "job": asdict(job), "kind": kind}
    return _follow(request, report, is_wanted, environment)


def describe(environment: Mapping[str, str] | None = None) -> End:
    """The kind of this machine: what has to be equal for equal bits."""
    return _follow({}, lambda done, left: None, lambda: True, environment)


def _follow(
    request: dict[str, Any],
    report: Callable[[float, float], None],
    is_wanted: Callable[[], bool],
    environment: Mapping[str, str] | None,
) -> End:
    # The same modules as here, however this process found them.
    code = f"import sys; sys.path[:] = {sys.path!r}; from cifarcam.sweeps import _child; "
    command = [sys.executable, "-c", code + "_child.main()", json.dumps(request)]
    try:
        with (
            tempfile.TemporaryFile() as notes,
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=notes,
                text=True,
                env=dict(os.environ if environment is None else environment),
                start_new_session=True,  # Ctrl-C in the terminal is for this process
            ) as child,
        ):
            try:
                end = _read(child, report, is_wanted)
            except BaseException:
                child.kill()
                raise
            return end or _crash(child.returncode, notes)
    except OSError as error:
        return End("failed", f"its process cannot be started or followed: {first_line(error)}")


def _read(
    child: subprocess.Popen[str],
    report: Callable[[float, float], None],
    is_wanted: Callable[[], bool],
) -> End | None:
    """Follow a process to its end; None when it did not say how it ended."""
    assert child.stdin is not None and child.stdout is not None
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_pass_on, args=(child.stdout, lines), daemon=True).start()
    end = None
    while True:
        try:
            line = lines.get(timeout=POLL)
        except queue.Empty:
            line = ""
        if line is None:
            break
        if line:
            message = json.loads(line)
            if "end" not in message:
                report(message["steps_done"], message["seconds_left"])
            elif end is None or message["end"] == "finished":  # perhaps while it was stopped
                end = End(message["end"], message["text"])
        if end is None and not is_wanted():
            child.stdin.close()  # which stops it
            try:
                child.wait(GRACE)
            except subprocess.TimeoutExpired:
                child.kill()
            end = End("stopped", "")
    child.wait()
    return end


def _pass_on(stdout: IO[str], lines: queue.Queue[str | None]) -> None:
    for line in stdout:
        lines.put(line)
    lines.put(None)


def _crash(code: int, notes: IO[bytes]) -> End:
    """The end of a process that did not say how it ended."""
    if code == -signal.SIGKILL:
        return End(
            "failed",
            "its process was killed, as a system does that is short of memory; make fewer at once",
        )
    notes.seek(0)
    lines = notes.read().decode(errors="replace").strip().splitlines()
    last = f": {lines[-1]}" if lines else ""
    return End("failed", f"its process ended with status {code}{last}")
