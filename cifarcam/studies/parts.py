"""Long measurements cut into parts, which several processes compute side by side.

The code of the measurement computes each part, so that its results do not depend on the number of
parts, but for the times that it takes. A measurement goes through a list of networks, or it trains
networks. In the first case, a part is the measurement with one network in its list, and the parts are
joined. In the second, a part is a training run, whose result the measurement finds in the cache.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cifarcam import _closure, _devices, _store, data, runs
from cifarcam.errors import CifarcamError
from cifarcam.runs import making
from cifarcam.studies import ablation, leave_one_out, measurements, records
from cifarcam.training.experiment import Experiment

# The list that a measurement goes through: a name in its module.
LISTS: Mapping[str, str] = {
    "corrupted-maps": "NETWORKS",
    "corruptions": "NETWORKS",
    "export": "NETWORKS",
    "faithfulness": "NETWORKS",
}


def titles(measurement: str) -> list[str]:
    """The names of a measurement's parts, in their order.

    Raises
    ------
    CifarcamError
        When there is no measurement of that name, or it has no parts.
    """
    measurements.check_name(measurement)
    if measurement in LISTS:
        return [_title(entry) for entry in _entries(measurement)]
    if measurement in TRAININGS:
        return list(TRAININGS[measurement]())
    raise CifarcamError(
        f"measurement {measurement!r} has no parts; these have: "
        + ", ".join(sorted([*LISTS, *TRAININGS]))
    )


def keys(measurement: str) -> dict[str, str]:
    """A digest of everything that decides a part, by its name: code, runs, versions and device."""
    names, dataset = titles(measurement), data.load()
    decides = [
        *(measurement, dataset.digest, _devices.versions(), _devices.describe()),
        _closure.code_digest(measurements.MEASUREMENTS[measurement].__module__),
        {run.name: run.provenance["files"].get(_store.WEIGHTS) for run in runs.every(dataset)},
    ]
    return {
        name: hashlib.sha256(json.dumps([*decides, name], sort_keys=True).encode()).hexdigest()
        for name in names
    }


def compute(measurement: str, title: str) -> dict[str, Any]:
    """The content of a record that has one part; of a training run nothing, for it is in the cache."""
    if measurement in TRAININGS:
        dataset = data.load()
        experiment = TRAININGS[measurement]()[title]
        fingerprint = experiment.fingerprint(dataset.digest)
        with making.training_lock(experiment, fingerprint, wait=True):
            ablation.train_once(experiment, dataset)
        return {}
    with _only(measurement, title) as measure:
        results = measure()
        return results if isinstance(results, dict) else list(results)[-1]


def finish(measurement: str, contents: Sequence[Mapping[str, Any]], place: Path) -> Path:
    """Write the record of a measurement whose parts are computed; return its file.

    Parameters
    ----------
    measurement
        Its name.
    contents
        What `compute` returned for each of `titles`, in their order.
    place
        The directory of runs.
    """
    if measurement in TRAININGS:
        return measurements.measure(measurement, place)
    return measurements.write(measurement, joined(contents), place)


def joined(contents: Sequence[Any]) -> Any:
    """The content of the whole from that of its parts.

    Dictionaries are united, lists follow each other, and everything else is the same in each part.

    Raises
    ------
    CifarcamError
        When it is not.
    """
    first, *others = contents
    if isinstance(first, dict):
        names = dict.fromkeys(name for content in contents for name in content)
        return {
            name: joined([content[name] for content in contents if name in content])
            for name in names
        }
    if isinstance(first, list):
        return [entry for content in contents for entry in content]
    for other in others:
        if other != first:
            raise CifarcamError(
                f"parts of the measurement differ ({other!r}, not {first!r}); measure it again"
            )
    return first


def _entries(measurement: str) -> Any:
    return getattr(_module(measurement), LISTS[measurement])


def _module(measurement: str) -> Any:
    return importlib.import_module(measurements.MEASUREMENTS[measurement].__module__)


def _title(entry: Any) -> str:
    """The name of an entry of a list: its run's."""
    if isinstance(entry, str):
        return entry
    seed = getattr(entry, "seed", 0)
    return f"{entry.experiment}-seed{seed}" if seed else str(entry.experiment)


@contextmanager
def _only(measurement: str, title: str) -> Iterator[Callable[[], Any]]:
    """The measurement, which goes through one entry of its list as long as the block lasts."""
    module, name = _module(measurement), LISTS[measurement]
    whole = getattr(module, name)
    if isinstance(whole, Mapping):
        one: Any = {title: whole[title]}
    else:
        one = tuple(entry for entry in whole if _title(entry) == title)
    setattr(module, name, one)
    try:
        yield measurements.MEASUREMENTS[measurement]
    finally:
        setattr(module, name, whole)


def _of_ablation() -> dict[str, Experiment]:
    """The training runs of the ablation; the mean over views is measured on those before it."""
    arms = {step.ingredient: step.experiment for step in ablation.steps() if not step.views}
    arms |= {
        f"dropout {rate:g}": experiment
        for rate, experiment in ablation.dropout_experiments().items()
    }
    return _with_seeds(arms, ablation.SEEDS)


def _of_leave_one_out() -> dict[str, Experiment]:
    """The training runs that the record of the recipe without its ingredients lacks."""
    found = leave_one_out.record()
    seeds = list(leave_one_out.SEEDS)
    if found is not None and records.outdated_by(found) is None:
        finished = {training["seed"] for training in found["arms"][0]["trainings"]}
        seeds = [seed for seed in seeds if seed not in finished] or seeds
    arms = {
        "the whole recipe" if name == leave_one_out.FULL else f"without {name}": experiment
        for name, experiment in leave_one_out.experiments().items()
    }
    return _with_seeds(arms, seeds)


def _with_seeds(arms: Mapping[str, Experiment], seeds: Sequence[int]) -> dict[str, Experiment]:
    return {
        f"{name}, seed {seed}": experiment.with_changes(seed=seed)
        for seed in seeds
        for name, experiment in arms.items()
    }


# Measurements that train networks: these, by name.
TRAININGS: Mapping[str, Callable[[], dict[str, Experiment]]] = {
    "ablation": _of_ablation,
    "leave-one-out": _of_leave_one_out,
}
