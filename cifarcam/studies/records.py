"""Records of long measurements: read, and compared with the present code and data."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from cifarcam import _closure, _files, _store, data
from cifarcam.data import Dataset
from cifarcam.errors import CifarcamError
from cifarcam.runs import Run
from cifarcam.training import experiment as experiments
from cifarcam.training.experiment import Experiment


def load(name: str) -> dict[str, Any]:
    """Read and verify a record; print to standard error what has changed since it was made.

    Raises
    ------
    CifarcamError
        When there is no record of that name, or it is damaged.
    """
    path = _store.find_record(name)
    if path is None:
        raise CifarcamError(f"no record of {name!r}; make it by `cifarcam measure {name}`")
    record = _store.read_record(path)
    difference = outdated_by(record)
    if difference is not None:
        print(
            f"the record {name!r} was made with {difference}; make it again by "
            f"`cifarcam measure {name}`",
            file=sys.stderr,
        )
    _store.hand_out(
        "records",
        name,
        digest=_files.sha256(path),
        fingerprint=record["fingerprint"],
        outdated_by=difference,
    )
    return record


def is_at_hand(name: str) -> bool:
    """Whether there is a record of that name."""
    return _store.find_record(name) is not None


def outdated_by(record: Mapping[str, Any]) -> str | None:
    """The first input of a record that has changed since the record was made, or None.

    Code is compared by `_closure.code_digest`, datasets by their digests, experiments by their
    fingerprints, and runs by their weights where the run exists.

    Returns
    -------
    str or None
        For example ``"other code"`` or ``"another run of baseline"``.
    """
    if _closure.code_digest(record["module"]) != record["code"]:
        return "other code"
    inputs = record["inputs"]
    for name, digest in inputs.get("datasets", {}).items():
        if data.DIGESTS.get(name) != digest:
            return f"another dataset {name}"
    for name, fingerprint in inputs.get("experiments", {}).items():
        experiment = experiments.find(name)
        if experiment.fingerprint(data.DIGESTS[experiment.data.dataset]) != fingerprint:
            return f"another experiment {name}"
    for name, weights in inputs.get("runs", {}).items():
        directory = _store.find_run(inputs["experiments"][name])
        if directory is None:
            continue
        if _store.read_provenance(directory)["files"][_store.WEIGHTS] != weights:
            return f"another run of {name}"
    return None


def inputs(
    dataset: Dataset, settings: Iterable[Experiment] = (), runs: Iterable[Run] = ()
) -> dict[str, dict[str, str]]:
    """The inputs of a record besides code, as `outdated_by` compares them.

    Parameters
    ----------
    dataset
        The dataset that was measured on.
    settings
        Experiments of ``experiments/`` whose settings the measurement uses.
    runs
        The runs that were measured.
    """
    runs = list(runs)
    used = [*settings, *(run.experiment for run in runs)]
    return {
        "datasets": {dataset.name: dataset.digest},
        "experiments": {_name(one): one.fingerprint(dataset.digest) for one in used},
        "runs": {_name(run.experiment): run.provenance["files"][_store.WEIGHTS] for run in runs},
    }


def _name(experiment: Experiment) -> str:
    """The name under which `experiments.find` finds these settings."""
    return experiment.run_name.removesuffix(f"-{experiment.data.dataset}")
