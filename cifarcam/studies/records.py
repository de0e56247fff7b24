"""Records of long measurements: read, compared with the code and data at hand, written."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from cifarcam import _closure, _files, _store, data
from cifarcam.data import Dataset
from cifarcam.errors import CifarcamError
from cifarcam.runs import Run
from cifarcam.training import experiment
from cifarcam.training.experiment import Experiment


def load(name: str) -> dict[str, Any]:
    """A record of a long measurement, verified; what it was not made of is said on stderr.

    Raises
    ------
    CifarcamError
        When there is none of that name, or it is damaged.
    """
    path = _store.find_record(name)
    if path is None:
        raise CifarcamError(f"no record of {name!r}; make it by `cifarcam measure {name}`")
    record = _store.read_record(path)
    difference = outdated_by(record)
    if difference is not None:
        print(
            f"the record {name!r} was made by {difference}; `cifarcam measure {name}` makes it anew",
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
    """What a record was made by that differs from what is at hand; None where nothing does.

    Its code is compared by `closure.code_digest`, its dataset and experiments by their digests,
    its runs by their weights, as far as they are at hand.

    Returns
    -------
    str or None
        Such as ``"other code"`` or ``"another run of baseline"``.
    """
    if _closure.code_digest(record["module"]) != record["code"]:
        return "other code"
    inputs = record["inputs"]
    for name, digest in inputs.get("datasets", {}).items():
        if data.DIGESTS.get(name) != digest:
            return f"another dataset {name}"
    for name, fingerprint in inputs.get("experiments", {}).items():
        settings = experiment.find(name)
        if settings.fingerprint(data.DIGESTS[settings.data.dataset]) != fingerprint:
            return f"another experiment {name}"
    for name, weights in inputs.get("runs", {}).items():
        directory = _store.find_run(inputs["experiments"][name])
        if directory is None:
            continue
        if _store.read_provenance(directory)["files"][_store.WEIGHTS] != weights:
            return f"another run of {name}"
    return None


def inputs(
    dataset: Dataset, experiments: Iterable[Experiment] = (), used: Iterable[Run] = ()
) -> dict[str, dict[str, str]]:
    """What a record rests on besides code, as `outdated_by` compares it.

    Parameters
    ----------
    dataset, used
        The dataset and the runs measured.
    experiments
        Experiments of ``experiments/`` whose settings the measurement takes.
    """
    used = list(used)
    named = {_settings_name(one): one for one in [*experiments, *(run.experiment for run in used)]}
    return {
        "datasets": {dataset.name: dataset.digest},
        "experiments": {name: one.fingerprint(dataset.digest) for name, one in named.items()},
        "runs": {
            _settings_name(run.experiment): run.provenance["files"][_store.WEIGHTS] for run in used
        },
    }


def _settings_name(wanted: Experiment) -> str:
    """The name by which `experiment.find` gives these settings."""
    return wanted.run_name.removesuffix(f"-{wanted.data.dataset}")
