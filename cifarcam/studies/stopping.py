"""What early stopping changes: the same training run, cut short at an earlier epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cifarcam.runs import Run
from cifarcam.studies import inference
from cifarcam.studies.inference import Effect
from cifarcam.studies.wording import number

RISE = 0.1  # a loss rises when it ends at least this share above its lowest value


@dataclass(frozen=True)
class Course:
    """How the validation accuracy and loss of an experiment run over the epochs, means of seeds.

    Attributes
    ----------
    seeds, epochs, tail
        Number of seeds, of epochs, and of the last fifth of the epochs.
    first_validation, best_validation, late_mean
        Validation accuracy after the first epoch, at its highest, and over the last fifth, %.
    best_epoch
        The epoch of the highest validation accuracy, from 1.
    lowest_loss, last_loss
        Validation cross-entropy at its lowest and after the last epoch, nats.
    lowest_loss_epoch
        The epoch of the lowest validation cross-entropy, from 1.
    loss_sentence
        The course of the validation loss in words.
    """

    seeds: int
    epochs: int
    tail: int
    first_validation: float
    best_validation: float
    late_mean: float
    best_epoch: int
    lowest_loss: float
    last_loss: float
    lowest_loss_epoch: int
    loss_sentence: str


def course(histories: Sequence[Mapping[str, np.ndarray]]) -> Course:
    """The course of a training, averaged over seeds.

    Parameters
    ----------
    histories
        As `cifarcam.runs.Run.history`, of the same number of epochs.
    """
    mean = {key: np.mean([one[key] for one in histories], axis=0) for key in histories[0]}
    accuracy, loss = 100 * mean["validation_accuracy"], mean["validation_loss"]
    tail = min(len(accuracy), max(2, len(accuracy) // 5))
    return Course(
        seeds=len(histories),
        epochs=len(accuracy),
        tail=tail,
        first_validation=float(accuracy[0]),
        best_validation=float(accuracy.max()),
        late_mean=float(accuracy[-tail:].mean()),
        best_epoch=int(accuracy.argmax()) + 1,
        lowest_loss=float(loss.min()),
        last_loss=float(loss[-1]),
        lowest_loss_epoch=int(loss.argmin()) + 1,
        loss_sentence=_loss_sentence(loss),
    )


def _loss_sentence(loss: np.ndarray) -> str:
    lowest, last, epoch = float(loss.min()), float(loss[-1]), int(loss.argmin()) + 1
    if last > (1 + RISE) * lowest:
        return (
            f"The validation loss does not stay low: it is lowest at epoch {epoch} ({lowest:.2f} nats) "
            f"and then rises to {last:.2f} nats at epoch {len(loss)}."
        )
    return (
        f"The validation loss stays near its lowest value ({lowest:.2f} nats at epoch {epoch}, "
        f"{last:.2f} nats at epoch {len(loss)})."
    )


@dataclass(frozen=True)
class Accuracies:
    """Mean accuracies of the seeds of an experiment, %.

    Attributes
    ----------
    train_logged
        Of training images as logged during training, at the epoch that was kept.
    train, validation, test
        By the kept weights, dropout off.
    gap
        `train` minus `test`, points.
    test_next_low, test_next_high
        The 95% prediction interval for the test accuracy of one more seed.
    """

    train_logged: float
    train: float
    validation: float
    test: float
    gap: float
    test_next_low: float
    test_next_high: float


def accuracies(metrics: Sequence[Mapping[str, Mapping[str, float]]]) -> Accuracies:
    """Mean accuracies of the seeds of an experiment.

    Parameters
    ----------
    metrics
        As `cifarcam.runs.Run.metrics`, of each seed.
    """
    logged, train, validation, test = (
        [100 * one[key]["accuracy"] for one in metrics]
        for key in ("train_kept_logged", "train", "validation", "test")
    )
    low, high = inference.next_seed_interval(test)
    return Accuracies(
        train_logged=float(np.mean(logged)),
        train=float(np.mean(train)),
        validation=float(np.mean(validation)),
        test=float(np.mean(test)),
        gap=float(np.mean(train) - np.mean(test)),
        test_next_low=low,
        test_next_high=high,
    )


@dataclass(frozen=True)
class Stopping:
    """What early stopping changes.

    Attributes
    ----------
    same_training
        Whether the two histories of each seed agree digit for digit up to the stop.
    effect
        Test accuracy with early stopping minus without, points, paired by seed.
    gap
        The same of the training accuracy (dropout off) minus the test accuracy.
    sentence, gap_sentence
        The changes in words.
    kept_sentence
        Which epochs' weights early stopping keeps, in words.
    basis
        Whether the two are the same training, in words.
    """

    same_training: bool
    effect: Effect
    gap: Effect
    sentence: str
    gap_sentence: str
    kept_sentence: str
    basis: str


def compare(full: Sequence[Run], stopped: Sequence[Run]) -> Stopping:
    """Compare runs through all epochs with the runs of the same seeds that stopped early.

    Seeds that only one side has are left out.
    """
    pairs = list(zip(full, stopped, strict=False))
    sides = [[one.metrics for one, _ in pairs], [other.metrics for _, other in pairs]]
    before, after = ([100 * one["test"]["accuracy"] for one in side] for side in sides)
    wide, narrow = (
        [100 * (one["train"]["accuracy"] - one["test"]["accuracy"]) for one in side]
        for side in sides
    )
    effect = inference.paired_over_seeds(after, before, "points")
    gap = inference.paired_over_seeds(narrow, wide, "points")
    same = all(is_same_training(one.history, other.history) for one, other in pairs)
    kept = [int(run.provenance["kept_epoch"]) for _, run in pairs]
    basis = (
        "The run that stops early is the same training cut short: with each seed, both histories "
        "agree digit for digit up to the stop. We therefore compare both runs seed by seed."
        if same
        else "The two runs of a seed begin alike but do not agree digit for digit on this machine. "
        "They share the seed, so we compare them seed by seed."
    )
    return Stopping(
        same,
        effect,
        gap,
        _sentence(effect, "the test accuracy"),
        _sentence(gap, "the gap between training and test accuracy", ("widens", "narrows")),
        f"Early stopping keeps the weights of epoch {kept[0]}."
        if len(set(kept)) == 1
        else f"Early stopping keeps the weights of an epoch from {min(kept)} to {max(kept)}, depending "
        "on the seed.",
        basis,
    )


def is_same_training(full: Mapping[str, np.ndarray], stopped: Mapping[str, np.ndarray]) -> bool:
    """Whether a history that stopped early agrees exactly with the beginning of a longer history.

    The seconds of the epochs are not compared.
    """
    epochs = len(stopped["epoch"])
    return epochs <= len(full["epoch"]) and all(
        np.array_equal(full[key][:epochs], stopped[key]) for key in stopped if key != "seconds"
    )


def _sentence(effect: Effect, what: str, verbs: tuple[str, str] = ("raises", "lowers")) -> str:
    """What early stopping does to something; `verbs` say that it grows or shrinks."""
    amount = f"{number(effect.value, signed=True)} points"
    if np.isnan(effect.low):
        return f"With the single seed at hand, early stopping changes {what} by {amount}."
    amount += f", interval over seeds {number(effect.low)} to {number(effect.high)}"
    if effect.low > 0:
        return f"Early stopping {verbs[0]} {what} ({amount})."
    if effect.high < 0:
        return f"Early stopping {verbs[1]} {what} ({amount})."
    return f"Early stopping does not change {what} measurably ({amount})."
