"""The training runs of a sweep, in a form that any process on any machine can read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from cifarcam import _files, _store
from cifarcam.errors import CifarcamError


@dataclass(frozen=True)
class Job:
    """A training run of a sweep.

    Attributes
    ----------
    name
        The name of the run.
    experiment
        The name of its experiment.
    settings
        The experiment as TOML, with the run's seed and dataset.
    fingerprint
        The experiment's fingerprint.
    dataset
        The name of its dataset.
    epochs
        The largest number of its epochs.
    place
        The absolute path of the directory of runs that the run is written to.
    """

    name: str
    experiment: str
    settings: str
    fingerprint: str
    dataset: str
    epochs: int
    place: str

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


def plan(
    names: Sequence[str], *, seeds: int | None = None, dataset: str | None = None, place: Path
) -> list[Job]:
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

    jobs: dict[str, Job] = {}
    for name in names:
        for seed in (None,) if seeds is None else range(seeds):
            experiment = experiments.find(name).with_changes(seed=seed, dataset=dataset)
            fingerprint = experiment.fingerprint(data.DIGESTS[experiment.data.dataset])
            job = Job(
                experiment.run_name,
                experiment.name,
                experiments.serialize(experiment),
                fingerprint,
                experiment.data.dataset,
                experiment.training.epochs,
                str(place.absolute()),
            )
            jobs.setdefault(fingerprint, job)
    by_name: dict[str, Job] = {}
    for job in jobs.values():
        if by_name.setdefault(job.name, job) is not job:
            raise CifarcamError(
                f"{job.name}: two different experiments have this name, and their runs would have "
                "one directory; rename one of the files"
            )
    return list(jobs.values())


def obtain_data(jobs: Sequence[Job]) -> None:
    """Download the datasets that are not in the cache, so that no training run has to.

    Raises
    ------
    CifarcamError
        When no source serves a dataset.
    """
    from cifarcam import data

    for name in sorted({job.dataset for job in jobs if job.find() is None}):
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
