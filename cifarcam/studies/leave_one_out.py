"""Leave-one-out: the recipe that the ablation ends with, with one ingredient removed at a time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cifarcam import _closure, _devices, data, models
from cifarcam.data import Dataset
from cifarcam.models import cost
from cifarcam.studies import ablation, records
from cifarcam.training import experiment
from cifarcam.training.experiment import Experiment
from cifarcam.training.settings import Augmentation

EPOCHS = 6  # of every training run
FILTERS = (16, 64, 64)  # a quarter of the speedrun's own: about two minutes on two cores
SEEDS = (0, 1, 2, 3, 4)
ADAM_LEARNING_RATE = 0.003  # the peak of the ablation's last step with Adam
FULL = "full recipe"


def recipe() -> Experiment:
    """The last experiment of the ablation, narrower and shorter, in float32 on every device."""
    final = ablation.steps()[-1].experiment
    return replace(
        final,
        name="leave-one-out",
        options=replace(final.options, filters=FILTERS),
        training=replace(final.training, epochs=EPOCHS, precision="float32"),
    )


def experiments() -> dict[str, Experiment]:
    """The full recipe, then the recipe without each ingredient, by the ingredient's name.

    What takes an ingredient's place is the plain choice of the ablation's first steps: a learnt
    first convolution, Glorot's initial kernels, ReLU, hard labels, Adam, images as they are, a
    constant learning rate, a momentum of 0.9, logits as they are. The mean over views is no entry:
    leaving it out asks the networks of the full recipe once about each image.
    """
    full = recipe()
    options: dict[str, dict[str, Any]] = {
        "whitening": {"whitening": False},
        "kernels from the identity": {"identity": False},
        "GELU": {"activation": "relu"},
        "scaled logits": {"logit_scale": 1.0},
    }
    training: dict[str, dict[str, Any]] = {
        "label smoothing": {"label_smoothing": 0.0},
        "low momentum": {"momentum": 0.9},
        "Muon": {
            "optimizer": "adam",
            "learning_rate": ADAM_LEARNING_RATE,
            "vector_learning_rate": 0.001,  # the defaults, which Adam does not use
            "momentum": 0.9,
        },
    }
    augmentation = {
        "flips": Augmentation(shift=2),
        "shifts": Augmentation(flip="alternating"),
        "flips and shifts": None,
    }
    return {
        FULL: full,
        **{
            name: replace(full, options=replace(full.options, **changes))
            for name, changes in options.items()
        },
        **{
            name: replace(full, training=replace(full.training, **changes))
            for name, changes in training.items()
        },
        "falling learning rate": replace(full, schedule=None),
        **{name: replace(full, augmentation=value) for name, value in augmentation.items()},
    }


def ingredients() -> list[str]:
    """The names of the ingredients that are removed, in order."""
    return [name for name in experiments() if name != FULL]


def measure() -> Iterator[dict[str, Any]]:
    """Train the ablation's last recipe without each of its ingredients, seed after seed.

    Yields the results after each seed, so that the record holds the seeds that have finished. After
    an interruption, the seeds of the record count as finished, finished training runs are read from
    the cache, and the training run that was interrupted goes on from its last epoch. The test split
    is not used.
    """
    dataset = data.load()
    arms = experiments()
    fingerprints = {name: one.fingerprint(dataset.digest) for name, one in arms.items()}
    networks = {
        name: models.build(settings.architecture, settings.options)
        for name, settings in arms.items()
    }
    sizes = {
        name: {"parameters": network.count_params(), "forward_flops": cost.forward_flops(network)}
        for name, network in networks.items()
    }
    results = _finished(fingerprints)
    for number, seed in enumerate(SEEDS):
        if seed in (training["seed"] for training in results[FULL]):
            continue
        for place, (name, settings) in enumerate(arms.items(), number * len(arms) + 1):
            print(
                f"leave-one-out {place}/{len(SEEDS) * len(arms)}: seed {seed}, "
                + (name if name == FULL else f"without {name}"),
                file=sys.stderr,
                flush=True,
            )
            results[name].append({"seed": seed} | _trained(settings, seed, dataset))
        yield {
            "inputs": records.inputs(
                dataset, [experiment.find(name) for name in ("baseline", "speedrun")]
            ),
            "fingerprints": fingerprints,
            "device": _devices.describe()["device"],
            "epochs": EPOCHS,
            "filters": list(FILTERS),
            "planned_seeds": len(SEEDS),
            "arms": [
                {"removed": name, **sizes[name], "trainings": list(trainings)}
                for name, trainings in results.items()
            ],
        }


def _finished(fingerprints: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    """The training runs of a record that lacks seeds, by what they leave out.

    There are none where other code or settings made the record, and where it lacks no seed.
    """
    found = record()
    if (
        found is None
        or found["code"] != _closure.code_digest(found["module"])
        or found["fingerprints"] != fingerprints
        or len(found["arms"][0]["trainings"]) == len(SEEDS)
    ):
        return {name: [] for name in fingerprints}
    return {arm["removed"]: arm["trainings"] for arm in found["arms"]}


def _trained(settings: Experiment, seed: int, dataset: Dataset) -> dict[str, Any]:
    """What `ablation.train_once` measures, without the history."""
    measured = ablation.train_once(settings.with_changes(seed=seed), dataset)
    return {key: value for key, value in measured.items() if key != "history"}


def record() -> dict[str, Any] | None:
    """The record, with the seeds that have finished, or None where there is none."""
    return records.load("leave-one-out") if records.is_at_hand("leave-one-out") else None
