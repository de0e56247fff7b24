"""Jobs side by side on this machine."""

from __future__ import annotations

import threading

from cifarcam.sweeps import _process
from cifarcam.sweeps.jobs import Job
from cifarcam.sweeps.running import Advance, Begun, Ended, Events


class Local:
    """Processes on this machine, at most `count` at a time.

    Each may use all cores, as a single job does: the number of threads decides the order of
    sums and so the last bits of the weights.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()

    def slots(self) -> int:
        """How many jobs are made side by side."""
        return self.count

    def has_room(self, running: int) -> bool:
        """Whether one more may be submitted while `running` are."""
        return running < self.count

    def submit(self, job: Job, events: Events) -> None:
        """Begin a job."""
        thread = threading.Thread(target=self._make, args=(job, events))
        thread.start()
        self._threads.append(thread)

    def close(self) -> None:
        """Stop what still runs."""
        self._closing.set()
        for thread in self._threads:
            thread.join()

    def _make(self, job: Job, events: Events) -> None:
        def report(steps_done: float, seconds_left: float) -> None:
            events.put(Advance(job, steps_done, seconds_left))

        events.put(Begun(job))
        end = _process.make(job, report, lambda: not self._closing.is_set())
        events.put(Ended(job, end))
