"""Calibration of every network before and after one temperature (Guo et al. 2017), as a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize

from cifarcam import data, evaluation, runs
from cifarcam.data import Dataset
from cifarcam.errors import CifarcamError
from cifarcam.evaluation import Calibration
from cifarcam.runs import Run
from cifarcam.studies import records
from cifarcam.training import prediction

RECORD = "calibration"
VALIDATION, HALVES = "validation images", "halves of the test images"
WIDEST = 50.0  # temperatures are sought from 1/50 to 50
VALIDATION_IMAGES = 2_500  # the first of them; enough for one number, and minutes less to predict


@dataclass(frozen=True)
class Scaled:
    """A run's calibration on the test images before and after scaling by a temperature.

    Attributes
    ----------
    experiment, seed
        Of the run.
    smoothing
        The label smoothing of its training, 0-1.
    fitted_on
        `VALIDATION`, or `HALVES`: each half scaled by the temperature of the other half.
    temperature
        The temperature; of halves the geometric mean. Above 1 the network is too confident, below
        1 too modest.
    accuracy
        On the test images, %; scaling leaves it as it is.
    before, after
        Confidence and accuracy by bin, and the calibration error.
    loss_before, loss_after
        Cross-entropy, nats.
    """

    experiment: str
    seed: int
    smoothing: float
    fitted_on: str
    temperature: float
    accuracy: float
    before: Calibration
    after: Calibration
    loss_before: float
    loss_after: float


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that minimises the cross-entropy of the scaled probabilities.

    Guo et al. 2017, section 4.2. The cross-entropy is convex in the inverse temperature.

    Parameters
    ----------
    probabilities
        A softmax's output, float, N x C.
    labels
        Integers 0 to C - 1, N.

    Returns
    -------
    float
        From 1/50 to 50.

    Raises
    ------
    CifarcamError
        When there is no image or the shapes do not fit.
    """
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):
        raise CifarcamError(
            f"probabilities of shape {probabilities.shape} do not fit labels of shape "
            f"{labels.shape}; give N x C and N, N at least 1"
        )
    logits = _logits(probabilities)
    true = logits[np.arange(len(labels)), labels]

    def slope(inverse: float) -> float:
        return float(((_softmax(inverse * logits) * logits).sum(axis=1) - true).mean())

    least, most = 1 / WIDEST, WIDEST
    if slope(least) >= 0:  # the flattest probabilities are the best
        return WIDEST
    if slope(most) <= 0:
        return 1 / WIDEST
    return 1 / float(optimize.brentq(slope, least, most, xtol=1e-6))


def scale(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities with their logits divided by a temperature, float64, N x C.

    The predicted classes stay the same.

    Raises
    ------
    CifarcamError
        When the temperature is not positive.
    """
    if not temperature > 0:
        raise CifarcamError(f"temperature {temperature}; give a positive number")
    return _softmax(_logits(probabilities) / temperature)


def scale_by_halves(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, float]:
    """Scale each half of the images by the temperature fitted on the other half.

    The halves are the images of even and of odd index.

    Returns
    -------
    tuple of numpy.ndarray and float
        The scaled probabilities, float64, N x C, and the geometric mean of the two temperatures.
    """
    first, second = slice(0, None, 2), slice(1, None, 2)
    one = fit_temperature(probabilities[first], labels[first])
    other = fit_temperature(probabilities[second], labels[second])
    scaled = np.empty(probabilities.shape)
    scaled[first] = scale(probabilities[first], other)
    scaled[second] = scale(probabilities[second], one)
    return scaled, float(np.sqrt(one * other))


def of_run(run: Run, dataset: Dataset) -> Scaled:
    """Calibration of a run on the test images before and after scaling by a temperature.

    The temperature is fitted on the first 2,500 validation images where the run holds its weights and was not
    trained on them, else on halves of the test images.
    """
    labels = dataset.test.labels
    if run.has_weights and "validation" in run.metrics:
        held_out = prediction.predict(run.model(), dataset.validation.images[:VALIDATION_IMAGES])
        temperature = fit_temperature(held_out, dataset.validation.labels[:VALIDATION_IMAGES])
        scaled, fitted_on = scale(run.predictions, temperature), VALIDATION
    else:
        scaled, temperature = scale_by_halves(run.predictions, labels)
        fitted_on = HALVES
    return Scaled(
        experiment=run.experiment.name,
        seed=run.experiment.training.seed,
        smoothing=float(run.experiment.training.label_smoothing),
        fitted_on=fitted_on,
        temperature=temperature,
        accuracy=100 * float((run.predictions.argmax(axis=1) == labels).mean()),
        before=evaluation.calibration(run.predictions, labels),
        after=evaluation.calibration(scaled, labels),
        loss_before=_cross_entropy(run.predictions, labels),
        loss_after=_cross_entropy(scaled, labels),
    )


def measure() -> dict[str, Any]:
    """Fit a temperature for every run on CIFAR-10."""
    dataset = data.load()
    every = runs.every(dataset)
    return {
        "inputs": records.inputs(dataset, runs=every),
        "runs": [_as_json(of_run(run, dataset)) for run in every],
    }


def of_record(record: Mapping[str, Any]) -> list[Scaled]:
    """The runs of a record, by experiment and seed."""
    scaled = [
        Scaled(**{**run, "before": _bins(run["before"]), "after": _bins(run["after"])})
        for run in record["runs"]
    ]
    return sorted(scaled, key=lambda one: (one.experiment, one.seed))


def of_experiment(scaled: Sequence[Scaled], experiment: str) -> list[Scaled]:
    """The runs of one experiment, by seed."""
    return [one for one in scaled if one.experiment == experiment]


def _cross_entropy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean cross-entropy, nats."""
    return float(-_logits(probabilities)[np.arange(len(labels)), labels].mean())


def _as_json(scaled: Scaled) -> dict[str, Any]:
    """A run of the record; empty bins are None."""

    def short(values: np.ndarray) -> list[float | None]:
        return [None if np.isnan(value) else round(float(value), 5) for value in values]

    return vars(scaled) | {
        when: {
            "confidence": short(one.confidence),
            "accuracy": short(one.accuracy),
            "count": one.count.tolist(),
            "error": one.error,
        }
        for when, one in (("before", scaled.before), ("after", scaled.after))
    }


def _bins(entry: Mapping[str, Any]) -> Calibration:
    """The bins of a record's run."""
    return Calibration(
        np.array(entry["confidence"], np.float64),  # None becomes NaN
        np.array(entry["accuracy"], np.float64),
        np.array(entry["count"], np.int64),
        entry["error"],
    )


def _logits(probabilities: np.ndarray) -> np.ndarray:
    """Logarithms of probabilities, float64, of zeros that of the smallest float32."""
    return np.log(np.maximum(probabilities.astype(np.float64), evaluation.SMALLEST_PROBABILITY))


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
