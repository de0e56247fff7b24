"""What claims are judged from: the runs of all seeds at hand, records, and labels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from cifarcam import _store, data, runs
from cifarcam.data import Dataset
from cifarcam.runs import Run
from cifarcam.studies import records


class Sources:
    """Runs, records and labels, each read once.

    Parameters
    ----------
    dataset
        The dataset of the baseline's runs, CIFAR-10 where None. All other runs, and all records,
        are those on CIFAR-10.
    baseline
        The experiment that is judged as the original's network; ``<baseline>-early-stopping`` is
        the same training run stopped early.
    """

    def __init__(self, dataset: Dataset | None = None, baseline: str = "baseline") -> None:
        self._dataset = dataset
        self._baseline = baseline
        self._runs: dict[str, list[Run]] = {}
        self._records: dict[str, dict[str, Any]] = {}
        self._noted: dict[str, dict[str, str]] | None = None  # only within `noting`

    @contextmanager
    def noting(self) -> Iterator[dict[str, dict[str, str]]]:
        """Yield the digests of what is asked for in the block, read now or before.

        The digests fill while the block runs: by kind (``"datasets"``, ``"runs"``, ``"records"``)
        and name.
        """
        self._noted = {"datasets": {}, "runs": {}, "records": {}}
        try:
            yield self._noted
        finally:
            self._noted = None

    @property
    def dataset(self) -> Dataset:
        """The dataset; loaded when it is first asked for."""
        if self._dataset is None:
            self._dataset = data.load()
        if self._noted is not None:
            self._noted["datasets"][self._dataset.name] = self._dataset.digest
        return self._dataset

    @property
    def baseline(self) -> list[Run]:
        """The baseline's runs, by seed."""
        return self.seeds(self._baseline)

    @property
    def stopped(self) -> list[Run]:
        """The baseline's runs that stopped early, by seed."""
        return self.seeds(f"{self._baseline}-early-stopping")

    def seeds(self, experiment: str) -> list[Run]:
        """The runs of an experiment from seed 0 on, as many as are at hand, at least one.

        A run of seed 0 that is not at hand is trained.
        """
        if experiment not in self._runs:
            own = experiment in (self._baseline, f"{self._baseline}-early-stopping")
            self._runs[experiment] = runs.at_hand(
                experiment, dataset=self._dataset if own else None
            )
        if self._noted is not None:
            digests = _store.handed_out("runs")
            for run in self._runs[experiment]:
                self._noted["runs"][run.name] = digests[run.fingerprint]["digest"]
        return self._runs[experiment]

    def record(self, name: str) -> dict[str, Any]:
        """A record, see `records.load`."""
        if name not in self._records:
            self._records[name] = records.load(name)
        if self._noted is not None:
            self._noted["records"][name] = _store.handed_out("records")[name]["digest"]
        return self._records[name]

    def correct(self, run: Run) -> np.ndarray:
        """Whether a run of the dataset classifies each test image rightly, bool, N."""
        return run.predictions.argmax(axis=1) == self.dataset.test.labels
