"""The jobs of a sweep, in a form that any process on any machine can read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from filelock import FileLock, Timeout

from cifarcam import _files, _store
from cifarcam.errors import CifarcamError


@dataclass(frozen=True)
class Job:
    """What a sweep makes in a process of its own: a training run, or a part of a measurement.

    Attributes
    ----------
    name
        Its name, unique in the sweep.
    group
        Jobs of one group need about equally long for a step.
    steps
        The largest number of its steps.
    fingerprint
        A digest of everything that decides its result.
    place
        The absolute path of the directory of runs.
    """

    name: str
    group: str
    steps: int
    fingerprint: str
    place: str
    done: ClassVar[str]  # what is said of it at its end

    @property
    def lock(self) -> Path:
        """The lock that whoever makes this job holds."""
        raise NotImplementedError

    def find(self) -> Path | None:
        """The result of a job that is done, or None."""
        raise NotImplementedError


@dataclass(frozen=True)
class Training(Job):
    """A training run. Its group is its experiment, its steps are epochs, its result a directory.

    Attributes
    ----------
    settings
        The experiment as TOML, with the run's seed and dataset.
    dataset
        The name of its dataset.
    """

    settings: str
    dataset: str
    done = "is trained"

    @property
    def lock(self) -> Path:
        """The lock that whoever trains this run holds; it stands beside the run's checkpoint."""
        return _files.cache_dir() / "checkpoints" / f"{self.fingerprint}.lock"

    def find(self) -> Path | None:
        """The directory of the finished run, or None.

        Raises
        ------
        CifarcamError
            When the provenance of a run that is searched earlier is damaged.
        """
        return _store.find_run(self.fingerprint, Path(self.place))


@dataclass(frozen=True)
class Part(Job):
    """A part of a measurement. Its group is the measurement, its result a file in the cache.

    Attributes
    ----------
    title
        Its name among the parts, one of `cifarcam.studies.parts.titles`.
    """

    title: str
    done = "is measured"

    @property
    def lock(self) -> Path:
        """The lock that whoever measures this part holds, beside its file."""
        return self.file.with_suffix(".lock")

    @property
    def file(self) -> Path:
        """Where its content is written to."""
        return _files.cache_dir() / "measurements" / "parts" / f"{self.fingerprint}.json"

    def find(self) -> Path | None:
        """The file with its content, or None."""
        return self.file if self.file.is_file() else None


def plan(
    names: Sequence[str], *, seeds: int | None = None, dataset: str | None = None, place: Path
) -> list[Training]:
    """The training runs of experiments, each of them once.

    Parameters
    ----------
    names
        Names of experiments, or their TOML files.
    seeds
        How many seeds each experiment is trained with: 0, 1, 2, ...; by default its own alone.
    dataset
        A dataset that replaces the experiments' own.
    place
        The directory of runs that they are written to.

    Raises
    ------
    CifarcamError
        When an experiment is not found or refused, or two different ones have the same name.
    """
    from cifarcam import data  # with TensorFlow, which the process of a Dask worker does without
    from cifarcam.training import experiment as experiments

    jobs: dict[str, Training] = {}
    for name in names:
        for seed in (None,) if seeds is None else range(seeds):
            experiment = experiments.find(name).with_changes(seed=seed, dataset=dataset)
            fingerprint = experiment.fingerprint(data.DIGESTS[experiment.data.dataset])
            job = Training(
                experiment.run_name,
                experiment.name,
                experiment.training.epochs,
                fingerprint,
                str(place.absolute()),
                experiments.serialize(experiment),
                experiment.data.dataset,
            )
            jobs.setdefault(fingerprint, job)
    by_name: dict[str, Training] = {}
    for job in jobs.values():
        if by_name.setdefault(job.name, job) is not job:
            raise CifarcamError(
                f"{job.name}: two different experiments have this name, and their runs would have "
                "one directory; rename one of the files"
            )
    return list(jobs.values())


def plan_parts(measurement: str, place: Path) -> list[Part]:
    """The parts of a measurement, in the order in which they are joined.

    Raises
    ------
    CifarcamError
        When there is no such measurement, or it has no parts.
    """
    from cifarcam.studies import parts

    return [
        Part(
            f"{measurement}: {title}",
            measurement,
            1,
            key,
            str(place.absolute()),
            title,
        )
        for title, key in parts.keys(measurement).items()
    ]


def obtain_data(jobs: Sequence[Job]) -> None:
    """Download the datasets that are not in the cache, so that no training run has to.

    Raises
    ------
    CifarcamError
        When no source serves a dataset.
    """
    from cifarcam import data

    trainings = [job for job in jobs if isinstance(job, Training) and job.find() is None]
    for name in sorted({job.dataset for job in trainings}):
        data.load(name)


def is_locked(path: Path) -> bool:
    """Whether another process, or another part of this process, holds a lock."""
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
