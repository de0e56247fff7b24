"""What each ingredient buys: trainings from the baseline to the speedrun, one change at a time."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from cifarcam import _closure, _devices, _files, data, models, runs, training
from cifarcam.data import Dataset, Split
from cifarcam.models import cost, speedrun
from cifarcam.studies import records
from cifarcam.training import augment, experiment, prediction
from cifarcam.training.experiment import Augmentation, Experiment, Schedule

EPOCHS = 8  # of every step
FILTERS = (32, 128, 128)  # of the speedrun's network here, half of its own
SEEDS = (0, 1, 2)
DROPOUT_EPOCHS = 12  # enough for the validation loss to turn
VIEWS = "flip-and-shift"
# What an image may go through and still show the same: pixels, degrees.
DISTURBANCES = {"shifted": Augmentation(shift=4), "turned": Augmentation(rotation=15.0)}


@dataclass(frozen=True)
class Step:
    """One line of the ablation: what it adds to the step before it, and the training it leads to.

    Where `experiment` is that of the step before, only the predictor differs: it averages over
    `VIEWS`.
    """

    ingredient: str
    experiment: Experiment
    views: bool = False


def steps() -> list[Step]:
    """From the baseline to a narrow speedrun; each step keeps what the steps before it added."""
    final = experiment.find("speedrun")
    baseline = experiment.find("baseline")
    now = replace(baseline, training=replace(baseline.training, epochs=EPOCHS))
    chain = [Step("baseline", now)]

    def add(ingredient: str, **changes: Any) -> None:
        nonlocal now
        if "training" in changes:
            changes["training"] = replace(now.training, **changes["training"])
        now = replace(now, **changes)
        chain.append(Step(ingredient, now))

    add("batch normalisation", options=replace(now.options, batch_normalization=True))
    add(
        "one-cycle learning rate",
        schedule=Schedule("one-cycle", warmup=0.2, start=0.1, end=0.0),
        training={"learning_rate": 0.003},
    )
    add("flips and shifts", augmentation=Augmentation(flip="alternating", shift=2))
    add("label smoothing", training={"label_smoothing": 0.1})
    add(
        "Muon, batches of 250",
        training={
            "optimizer": "muon",
            "batch_size": 250,
            "learning_rate": 0.1,
            "vector_learning_rate": 0.003,
            "momentum": 0.9,
        },
    )
    add("bfloat16", training={"precision": "auto"})
    plain = speedrun.Options(FILTERS, final.options.logit_scale, whitening=False)
    add(
        "speedrun's network and recipe",
        architecture="speedrun",
        options=plain,
        schedule=final.schedule,
        training={
            "learning_rate": final.training.learning_rate,
            "vector_learning_rate": final.training.vector_learning_rate,
            "momentum": final.training.momentum,
            "label_smoothing": final.training.label_smoothing,
            "batch_size": final.training.batch_size // 2,
        },
    )
    for ingredient, changes in (
        ("whitening", {"whitening": True}),
        ("kernels from the identity", {"identity": True}),
        ("GELU", {"activation": "gelu"}),
    ):
        add(ingredient, options=replace(now.options, **changes))
    chain.append(Step("mean over views", now, views=True))
    return chain


def dropout_experiments() -> dict[float, Experiment]:
    """The baseline without dropout and with its own rate, long enough to overfit, by rate."""
    baseline = experiment.find("baseline")
    longer = replace(baseline, training=replace(baseline.training, epochs=DROPOUT_EPOCHS))
    return {
        rate: replace(longer, options=replace(longer.options, dropout=rate))
        for rate in (0.0, baseline.options.dropout)
    }


def measure() -> dict[str, Any]:
    """Train every step and both rates of dropout from every seed.

    Accuracies are those of the final weights in float32 over the validation split and over as
    many training images, dropout and augmentation off. The test split is not used. What was
    measured before an interruption is taken from the cache.
    """
    chain, rates = steps(), dropout_experiments()
    dataset = data.load()
    return {
        "inputs": records.inputs(
            dataset, [experiment.find(name) for name in ("baseline", "speedrun")]
        ),
        "fingerprints": [
            wanted.fingerprint(dataset.digest)
            for wanted in [*(step.experiment for step in chain), *rates.values()]
        ],
        "device": _devices.describe()["device"],
        "bfloat16_units": _devices.bfloat16_units() or "none",
        "epochs": EPOCHS,
        "steps": [
            {"ingredient": step.ingredient, "views": step.views}
            | _over_seeds(step.experiment, dataset)
            for step in chain
        ],
        "dropout_epochs": DROPOUT_EPOCHS,
        "dropout": [
            {"rate": rate} | _over_seeds(wanted, dataset) for rate, wanted in rates.items()
        ],
    }


def _over_seeds(wanted: Experiment, dataset: Dataset) -> dict[str, Any]:
    network = models.build(wanted.architecture, wanted.options)
    return {
        "parameters": network.count_params(),
        "forward_flops": cost.forward_flops(network),
        "trainings": [
            {"seed": seed, **train_once(wanted.with_changes(seed=seed), dataset)} for seed in SEEDS
        ],
    }


def train_once(wanted: Experiment, dataset: Dataset) -> dict[str, Any]:
    """Train, and measure the final weights in float32.

    What was measured before by the same code and versions on the same device is taken from the
    cache.

    Returns
    -------
    dict
        ``validation``, ``validation_views``, ``validation_shifted``, ``validation_turned`` and
        ``train`` (accuracies, 0-1), ``seconds`` of training, ``precision``, and ``history``, an
        entry an epoch.
    """
    fingerprint = wanted.fingerprint(dataset.digest)
    code = _closure.code_digest(__name__)
    made_with = json.dumps(
        [fingerprint, code, _devices.versions(), _devices.describe()], sort_keys=True
    )
    digest = hashlib.sha256(made_with.encode()).hexdigest()
    kept = _files.cache_dir() / "trainings" / f"{digest}.json"
    if kept.is_file():
        return _files.read_json(kept, "delete it to train and measure anew")
    checkpoint = runs.checkpoint_path(fingerprint)
    trained = training.train(
        wanted, dataset, checkpoint=checkpoint, report=runs.show_progress(wanted)
    )
    model = models.build(wanted.architecture, wanted.options)
    model.set_weights(trained.model.get_weights())
    held_out = dataset.validation
    seen = Split(*(part[: len(held_out)] for part in (dataset.train.images, dataset.train.labels)))
    views = prediction.predict_augmented(model, held_out.images, VIEWS)
    found = {
        "validation": _accuracy(prediction.predict(model, held_out.images), held_out),
        "validation_views": _accuracy(views, held_out),
        **{
            f"validation_{name}": _accuracy(prediction.predict(model, images), held_out)
            for name, images in _disturbed(held_out).items()
        },
        "train": _accuracy(prediction.predict(model, seen.images), seen),
        "seconds": sum(epoch.seconds for epoch in trained.history),
        "precision": _devices.resolve_precision(wanted.training.precision),
        "history": [asdict(epoch) for epoch in trained.history],
    }
    with _files.writing_to(kept.parent):
        _files.write_json(kept, found)
    checkpoint.unlink(missing_ok=True)
    return found


def _disturbed(split: Split) -> dict[str, np.ndarray]:
    """The images, each shifted or turned by a draw of its own, the same for every training."""
    count = tf.constant(len(split), tf.int64)
    zero = tf.constant(0, tf.int64)
    return {
        name: augment.augment(
            how, tf.constant(split.images), split.labels, tf.range(count), zero, 0, zero
        ).images.numpy()
        for name, how in DISTURBANCES.items()
    }


def _accuracy(probabilities: np.ndarray, split: Split) -> float:
    return float((probabilities.argmax(axis=1) == split.labels).mean())
