"""The ablation: training runs from the baseline to the speedrun, one change at a time."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cifarcam import _closure, _devices, _files, data, models, runs, training
from cifarcam.data import Dataset, Split
from cifarcam.models import cost, speedrun
from cifarcam.studies import records
from cifarcam.training import augment, experiment, prediction
from cifarcam.training.experiment import Experiment
from cifarcam.training.settings import Augmentation, Schedule

EPOCHS = 8  # in every step
FILTERS = (32, 128, 128)  # half of the speedrun's own
SEEDS = (0, 1, 2)
DROPOUT_EPOCHS = 12  # enough for the validation loss to rise again
VIEWS = "flip-and-shift"
# Changes after which an image still shows its class, in pixels and degrees.
DISTURBANCES = {"shifted": Augmentation(shift=4), "turned": Augmentation(rotation=15.0)}


@dataclass(frozen=True)
class Step:
    """A step of the ablation.

    Attributes
    ----------
    ingredient
        The change from the step before.
    experiment
        The experiment with this change and all earlier changes.
    views
        Whether predictions use test-time augmentation with `VIEWS`; `experiment` is then the same
        as in the step before.
    """

    ingredient: str
    experiment: Experiment
    views: bool = False


def steps() -> list[Step]:
    """The steps from the baseline to a narrow speedrun; each step keeps all earlier changes."""
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
    """The baseline without dropout and with its own rate over `DROPOUT_EPOCHS`, by rate."""
    baseline = experiment.find("baseline")
    longer = replace(baseline, training=replace(baseline.training, epochs=DROPOUT_EPOCHS))
    return {
        rate: replace(longer, options=replace(longer.options, dropout=rate))
        for rate in (0.0, baseline.options.dropout)
    }


def sizes() -> list[tuple[int, int]]:
    """Parameters, and operations for one image, of each step's network, which is built anew."""
    networks = (
        models.build(step.experiment.architecture, step.experiment.options) for step in steps()
    )
    return [(network.count_params(), cost.forward_flops(network)) for network in networks]


def measure() -> dict[str, Any]:
    """Train every step and both rates of dropout with every seed.

    Accuracies are measured with the final weights in float32 over the validation split and over
    as many training images, dropout and augmentation off. The test split is not used. After an
    interruption, finished training runs are read from the cache.
    """
    chain, rates = steps(), dropout_experiments()
    dataset = data.load()
    return {
        "inputs": records.inputs(
            dataset, [experiment.find(name) for name in ("baseline", "speedrun")]
        ),
        "fingerprints": [
            settings.fingerprint(dataset.digest)
            for settings in [*(step.experiment for step in chain), *rates.values()]
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
            {"rate": rate} | _over_seeds(settings, dataset) for rate, settings in rates.items()
        ],
    }


def _over_seeds(settings: Experiment, dataset: Dataset) -> dict[str, Any]:
    network = models.build(settings.architecture, settings.options)
    return {
        "parameters": network.count_params(),
        "forward_flops": cost.forward_flops(network),
        "trainings": [
            {"seed": seed, **train_once(settings.with_changes(seed=seed), dataset)}
            for seed in SEEDS
        ],
    }


def train_once(settings: Experiment, dataset: Dataset) -> dict[str, Any]:
    """Train an experiment, and measure the final weights in float32.

    The result is read from the cache where the same code and versions made it on the same device.

    Returns
    -------
    dict
        ``validation``, ``validation_views``, ``validation_shifted``, ``validation_turned`` and
        ``train`` (accuracies, 0-1), ``seconds`` of training, ``precision``, and ``history``, one
        entry for each epoch.
    """
    fingerprint = settings.fingerprint(dataset.digest)
    code = _closure.code_digest(__name__)
    key = json.dumps([fingerprint, code, _devices.versions(), _devices.describe()], sort_keys=True)
    digest = hashlib.sha256(key.encode()).hexdigest()
    cached = _files.cache_dir() / "trainings" / f"{digest}.json"
    if cached.is_file():
        return _files.read_json(cached, "delete it to train and measure again")
    checkpoint = runs.checkpoint_path(fingerprint)
    trained = training.train(
        settings, dataset, checkpoint=checkpoint, report=runs.show_progress(settings)
    )
    model = models.build(settings.architecture, settings.options)
    model.set_weights(trained.model.get_weights())
    measured = {
        **_accuracies(model, dataset),
        "seconds": sum(epoch.seconds for epoch in trained.history),
        "precision": _devices.resolve_precision(settings.training.precision),
        "history": [asdict(epoch) for epoch in trained.history],
    }
    with _files.writing_to(cached.parent):
        _files.write_json(cached, measured)
    checkpoint.unlink(missing_ok=True)
    return measured


def _accuracies(model: keras.Model, dataset: Dataset) -> dict[str, float]:
    """Accuracies over the validation split, as it is and disturbed, and over training images."""
    validation = dataset.validation
    count = len(validation)
    train = Split(dataset.train.images[:count], dataset.train.labels[:count])
    views = prediction.predict_augmented(model, validation.images, VIEWS)
    return {
        "validation": _accuracy(prediction.predict(model, validation.images), validation),
        "validation_views": _accuracy(views, validation),
        **{
            f"validation_{name}": _accuracy(prediction.predict(model, images), validation)
            for name, images in _disturbed(validation).items()
        },
        "train": _accuracy(prediction.predict(model, train.images), train),
    }


def _disturbed(split: Split) -> dict[str, np.ndarray]:
    """The images, each shifted or rotated by its own random draw, the same in every call."""
    count = tf.constant(len(split), tf.int64)
    zero = tf.constant(0, tf.int64)
    return {
        name: augment.augment(
            settings, tf.constant(split.images), tf.range(count), zero, 0, zero
        ).numpy()
        for name, settings in DISTURBANCES.items()
    }


def _accuracy(probabilities: np.ndarray, split: Split) -> float:
    return float((probabilities.argmax(axis=1) == split.labels).mean())
