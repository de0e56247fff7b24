"""What claims are judged from: the runs of all seeds at hand, records, and labels."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from cifarcam import data, runs
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

    @cached_property
    def dataset(self) -> Dataset:
        """The dataset; loaded when it is first asked for."""
        return self._dataset or data.load()

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
            own = experiment.startswith(self._baseline)
            self._runs[experiment] = runs.at_hand(
                experiment, dataset=self._dataset if own else None
            )
        return self._runs[experiment]

    def record(self, name: str) -> dict[str, Any]:
        """A record, see `records.load`."""
        if name not in self._records:
            self._records[name] = records.load(name)
        return self._records[name]

    def correct(self, run: Run) -> np.ndarray:
        """Whether a run of the dataset classifies each test image rightly, bool, N."""
        return run.predictions.argmax(axis=1) == self.dataset.test.labels
