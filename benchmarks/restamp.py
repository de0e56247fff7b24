"""Write records with the digest of the present code where a part of them, measured again, agrees.

A change of code that does not change a measurement, such as a move of modules, still changes the
digest of its code. This script measures a part of each record again and, where every number agrees
within `ROUNDING`, writes the record with the present module and digest:

    python benchmarks/restamp.py ablation architecture-search classical faithfulness

A record that cannot be checked within minutes is made again by `cifarcam measure`.
"""

import contextlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from cifarcam import _store, data, runs, training
from cifarcam.data.corruptions import KINDS, SEVERITIES
from cifarcam.errors import CifarcamError
from cifarcam.studies import (
    ablation,
    architecture_search,
    classical,
    corruptions,
    faithfulness,
    faithfulness_values,
    leave_one_out,
    measurements,
)
from cifarcam.studies.packing import unpacked
from cifarcam.training.experiment import Experiment

# Of a mean over 32 images. On another processor pixels of nearly equal value can swap in the order
# of removal, which changed one mean by 8e-5, and between AVX2 and AVX-512 one of 8 images by 0.003. A
# record that differs for this reason alone is left: measure the same part with the code before and
# after the change on one machine, and compare.
ROUNDING = 1e-4


def check_search(record: Mapping[str, Any]) -> float:
    """Difference of the record's accuracies from those in the history of the baseline's run."""
    (chosen,) = (member for member in record["members"] if member["chosen"])
    history = runs.load("baseline", seed=0).history
    filters = [tuple(member["filters"]) for member in record["members"]]
    if sorted(filters) != sorted(options.filters for options in architecture_search.SEARCH_MEMBERS):
        return np.inf
    return max(
        abs(history[key][-1] - chosen[key]) for key in ("train_accuracy", "validation_accuracy")
    )


class _EpochDone(Exception):
    """One epoch has been trained."""


def check_ablation(record: Mapping[str, Any]) -> float:
    """Difference in the first epoch of each training run, trained again for the first seed."""
    dataset = data.load()
    chain = [step for step in ablation.steps() if not step.views]
    stored = [step for step in record["steps"] if not step["views"]]
    if [step.ingredient for step in chain] != [step["ingredient"] for step in stored]:
        return np.inf
    experiments = [step.experiment for step in chain] + list(
        ablation.dropout_experiments().values()
    )
    entries = [*stored, *record["dropout"]]
    greatest = 0.0
    for settings, entry in zip(experiments, entries, strict=True):
        first = entry["trainings"][0]
        again = _first_epoch(settings.with_changes(seed=first["seed"]), dataset)
        kept = first["history"][0]
        gap = max(abs(again[key] - kept[key]) for key in kept if key not in ("epoch", "seconds"))
        print(f"  {entry.get('ingredient', entry.get('rate'))}: {gap:.1e}", flush=True)
        greatest = max(greatest, gap)
    return greatest


def check_leave_one_out(record: Mapping[str, Any]) -> float:
    """Difference in the accuracies of the full recipe, trained again for the first seed."""
    full = leave_one_out.experiments()[leave_one_out.FULL]
    (stored,) = (arm for arm in record["arms"] if arm["removed"] == leave_one_out.FULL)
    first = stored["trainings"][0]
    again = ablation.train_once(full.with_changes(seed=first["seed"]), data.load())
    return max(abs(again[k] - v) for k, v in first.items() if k.startswith(("train", "validation")))


def _first_epoch(settings: Experiment, dataset: data.Dataset) -> dict[str, float]:
    """What the history of a training run says of its first epoch."""
    epochs = []

    def stop(progress: training.Progress) -> None:
        if progress.history:
            epochs.append(asdict(progress.history[0]))
            raise _EpochDone

    with contextlib.suppress(_EpochDone):
        training.train(settings, dataset, report=stop)
    return epochs[0]


def check_classical(record: Mapping[str, Any]) -> float:
    """Number of test images that the best settings, fitted again, classify differently."""
    dataset = data.load()
    differing = 0
    for row in record["rows"]:
        extract = classical.FEATURES[row["features"]]
        make, setting, _ = classical.CLASSIFIERS[row["classifier"]]
        model = make(row["chosen"], 0)
        model.fit(extract(dataset.train.images), dataset.train.labels)
        predicted = "".join(map(str, model.predict(extract(dataset.test.images))))
        differing += sum(a != b for a, b in zip(predicted, row["predictions"], strict=True))
        print(f"  {row['classifier']} on {row['features']}, {setting} {row['chosen']}: {differing}")
    return differing


def check_corruptions(record: Mapping[str, Any]) -> float:
    """Largest share of images that are right now and were not, or the reverse.

    Every kind is classified again at all severities, by one network each.
    """
    dataset = data.load()
    shared = corruptions.balanced(dataset.test.labels, record["images"])
    greatest = 0.0
    for place, network in enumerate(corruptions.NETWORKS):
        model = runs.load(network.experiment, seed=0, dataset=dataset).model()
        for kind in KINDS[place :: len(corruptions.NETWORKS)]:
            again = corruptions.classified(model, kind, dataset.test, shared, shared)
            stored = record["networks"][network.name]["kinds"][kind]
            before, now = (
                corruptions.from_bits(one["right"], len(SEVERITIES)) for one in (stored, again)
            )
            gap = float((before != now).mean())
            print(f"  {network.name}, {kind}: {gap:.1e}", flush=True)
            greatest = max(greatest, gap)
    return greatest


def check_faithfulness(record: Mapping[str, Any]) -> float:
    """Largest difference of any map's mean over the first images, for any metric and network."""
    dataset = data.load()
    greatest = 0.0
    for stored in record["networks"]:
        (network,) = [
            one
            for one in faithfulness.NETWORKS
            if (one.experiment, one.seed) == (stored["experiment"], stored["seed"])
        ]
        few = replace(network, images=32, slow_images=min(8, network.slow_images), tiles=0)
        run = runs.load(network.experiment, seed=network.seed, dataset=dataset)
        again = faithfulness.measure_network(replace(few, details=False), run, dataset)
        gap = max(
            _gap(entry["values"][measure], stored["maps"][name]["values"][measure])
            for name, entry in again["maps"].items()
            for measure in faithfulness_values.MEASURES
        )
        print(f"  {stored['name']}: {gap:.1e}")
        greatest = max(greatest, gap)
    return greatest


def _gap(again: str, stored: str) -> float:
    """Difference of the means over the images measured again."""
    few = unpacked(again)
    return float(abs(np.nanmean(few) - np.nanmean(unpacked(stored)[: len(few)])))


CHECKS: Mapping[str, Callable[[Mapping[str, Any]], float]] = {
    "ablation": check_ablation,
    "architecture-search": check_search,
    "classical": check_classical,
    "corruptions": check_corruptions,
    "faithfulness": check_faithfulness,
    "leave-one-out": check_leave_one_out,
}


def main(names: list[str]) -> None:
    """Check and stamp the records of these names."""
    for name in names:
        if name not in CHECKS:
            raise CifarcamError(f"{name!r} has no check; give one of {', '.join(CHECKS)}")
        path = _store.find_record(name)
        if path is None:
            raise CifarcamError(f"no record of {name!r}; make it by `cifarcam measure {name}`")
        record = _store.read_record(path)
        difference = CHECKS[name](record)
        if difference > ROUNDING:
            print(f"{name}: differs by {difference:.2g}, left as it is")
            continue
        written = measurements.write(name, record, path.parents[1])
        print(f"{name}: equal within {difference:.2g}; {written} has the digest of this code")


if __name__ == "__main__":
    main(sys.argv[1:])
