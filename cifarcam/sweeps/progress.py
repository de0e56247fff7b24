"""The progress of a sweep on the terminal: a bar for each job, the time left for all."""

from __future__ import annotations

import heapq
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tqdm import tqdm

from cifarcam.sweeps.jobs import Job, Part, Training

if TYPE_CHECKING:
    from cifarcam.sweeps.running import Outcome

BAR = "{desc} |{bar:10}| {percentage:3.0f}%{postfix}"  # which begins with a comma


class Display:
    """Bars in a terminal, and a line for each job that begins or ends.

    Parameters
    ----------
    jobs
        The jobs of the sweep.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._left: dict[Job, float | None] = dict.fromkeys(jobs)  # unfinished: seconds left
        self._done = dict.fromkeys(jobs, 0.0)  # steps
        self._paces: dict[str, float] = {}  # seconds a step, by group
        self._slots = 1
        self._bars: dict[Job, tqdm] = {}
        self._count = len(jobs)
        self._width = max((len(job.name) for job in jobs), default=0)
        self._all = self._bar("all", sum(job.steps for job in jobs))

    def begin(self, job: Job) -> None:
        """Show that a process starts to make a job."""
        if job in self._bars:
            self._say(f"{job.name} has lost its worker and goes on elsewhere")
        else:
            self._bars[job] = self._bar(job.name, job.steps)
            if isinstance(job, Part):  # which does not say how far it is
                self._say(f"{job.name} begins")
        self._left[job] = None
        self._bars[job].set_postfix_str("starts" if isinstance(job, Training) else "")

    def advance(self, job: Job, steps_done: float, seconds_left: float) -> None:
        """Show how far a training run is."""
        left = f"{duration(seconds_left)} left"
        if self._left[job] is None:
            at = f" goes on after epoch {int(steps_done)}" if steps_done >= 1 else " begins"
            self._say(f"{job.name}{at}, at most {job.steps} epochs, {left}")
        self._left[job], self._done[job] = seconds_left, steps_done
        if steps_done < job.steps:
            self._paces[job.group] = seconds_left / (job.steps - steps_done)
        bar = self._bars[job]
        bar.n = steps_done
        bar.set_postfix_str(f"epoch {min(int(steps_done) + 1, job.steps)}/{job.steps}, {left}")

    def put_back(self, job: Job) -> None:
        """Take away the bar of a job that waits for another process."""
        if job in self._bars:
            self._bars.pop(job).close()
        for line, bar in enumerate(self._bars.values(), 1):  # without a gap
            if abs(bar.pos) != line:
                bar.clear()
                bar.pos = -line
                bar.refresh()

    def end(self, outcome: Outcome) -> None:
        """Show that a job has ended."""
        job = outcome.job
        self.put_back(job)
        del self._left[job]
        self._done[job] = job.steps
        if outcome.result is None:
            end = f"failed: {outcome.failure}"
        else:
            end = job.done if outcome.is_new else "is at hand"
        self._say(f"{job.name} {end}, {self._summary()}")

    def refresh(self, slots: int, elsewhere: int) -> None:
        """Show the time left for all.

        Parameters
        ----------
        slots
            How many jobs are made side by side.
        elsewhere
            How many jobs another process makes while this one has nothing to do.
        """
        self._slots = max(slots, 1)
        self._all.n = sum(self._done.values())
        if elsewhere:
            state = f"waiting for {elsewhere} that another process makes"
        elif not slots:
            state = "waiting for a worker"
        else:
            state = self._summary()
        self._all.set_postfix_str(state)

    def close(self) -> None:
        """Take the bars away."""
        for bar in (*self._bars.values(), self._all):
            bar.close()

    def _summary(self) -> str:
        """How many jobs are through, and how long the other jobs take."""
        ended = f"{self._count - len(self._left)} of {self._count}"
        left = time_left(self._left, self._paces, self._slots)
        return ended + (f", {duration(left)} left" if left else "")

    def _say(self, line: str) -> None:
        tqdm.write(line, file=sys.stderr)

    def _bar(self, name: str, total: int) -> tqdm:
        name = name.ljust(self._width)
        return tqdm(total=total, desc=name, disable=None, leave=False, bar_format=BAR)


def time_left(
    left: Mapping[Job, float | None], paces: Mapping[str, float], slots: int
) -> float | None:
    """Seconds until all jobs of a sweep are made.

    A job that has not begun takes the next slot that is free, and as long a step as the others of
    its group, or else as the groups do on average.

    Parameters
    ----------
    left
        Seconds left of each job; None where it has not begun.
    paces
        Seconds a step, by group.
    slots
        How many are made side by side.

    Returns
    -------
    float or None
        None where nothing has begun.
    """
    if not paces:
        return None
    usual = statistics.mean(paces.values())
    ends = [0.0] * slots
    for job, seconds in sorted(left.items(), key=lambda item: item[1] is None):
        needed = paces.get(job.group, usual) * job.steps if seconds is None else seconds
        heapq.heapreplace(ends, ends[0] + needed)
    return max(ends)


def duration(seconds: float) -> str:
    """A duration in words: ``"40 s"``, ``"3 min 20 s"``, ``"2 h 05 min"``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
