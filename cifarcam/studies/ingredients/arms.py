"""Dropout and augmentation: two arms that differ in one ingredient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cifarcam.studies import inference
from cifarcam.studies.inference import Effect
from cifarcam.studies.ingredients.paired import by_seed, difference

AUGMENTED = "flips and shifts"


@dataclass(frozen=True)
class Comparison:
    """A quantity of two arms that differ in one ingredient; `difference` is taken in pairs."""

    quantity: str
    without: Effect
    with_: Effect
    difference: Effect


def dropout_arms(record: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ablation's arms without dropout and with dropout."""
    without, with_ = sorted(record["dropout"], key=lambda arm: arm["rate"])
    return without, with_


def augmentation_arms(record: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ablation's lines before and after the step of augmentation."""
    names = [line["ingredient"] for line in record["steps"]]
    without, with_ = record["steps"][names.index(AUGMENTED) - 1 : names.index(AUGMENTED) + 1]
    return without, with_


def dropout(record: Mapping[str, Any]) -> tuple[Comparison, ...]:
    """The baseline without and with dropout, at the final weights, dropout off."""
    without, with_ = dropout_arms(record)
    return (
        _compare("training accuracy (%)", without, with_, "train"),
        _compare("validation accuracy (%)", without, with_, "validation"),
        _compare("gap (points)", without, with_, "train", "validation"),
        _comparison("validation loss (nats)", final_losses(without), final_losses(with_), "nats"),
    )


def augmentation(record: Mapping[str, Any]) -> tuple[Comparison, ...]:
    """The ablation's networks before and after the step of augmentation, at the final weights."""
    arms = augmentation_arms(record)
    return (
        _compare("validation accuracy (%)", *arms, "validation"),
        _compare("lost when shifted (points)", *arms, "validation", "validation_shifted"),
        _compare("lost when turned (points)", *arms, "validation", "validation_turned"),
        _compare("gap to training images (points)", *arms, "train", "validation"),
    )


def final_losses(arm: Mapping[str, Any]) -> dict[int, float]:
    """The validation loss after the last epoch of each training run of an arm, nats, by seed."""
    return {run["seed"]: run["history"][-1]["validation_loss"] for run in arm["trainings"]}


def dropout_timing(record: Mapping[str, Any]) -> str:
    """A sentence that says when the validation loss begins to rise without and with dropout."""
    without, with_ = (_lowest_epoch(arm) for arm in dropout_arms(record))
    epochs = record["dropout_epochs"]
    numbers = f"(epoch {with_:.1f} with dropout, {without:.1f} without dropout, means over seeds)"
    if with_ > without:
        return (
            "Dropout also delays overfitting: the validation loss reaches its lowest value later "
            f"{numbers}."
        )
    if with_ < without:
        return (
            f"Within {epochs} epochs, dropout does not delay overfitting: the validation loss reaches "
            f"its lowest value earlier {numbers}."
        )
    return f"Dropout does not move the epoch at which the validation loss is lowest {numbers}."


def histories(record: Mapping[str, Any]) -> dict[str, list[dict[str, np.ndarray]]]:
    """Training histories of the two arms of dropout, one mapping of arrays for each seed."""
    return {
        title: [
            {key: np.array([epoch[key] for epoch in run["history"]]) for key in run["history"][0]}
            for run in arm["trainings"]
        ]
        for title, arm in zip(
            ("without dropout", "with dropout"), dropout_arms(record), strict=True
        )
    }


def _lowest_epoch(arm: Mapping[str, Any]) -> float:
    """The epoch (from 1) at which an arm's validation loss is lowest, mean over seeds."""
    losses = [[epoch["validation_loss"] for epoch in run["history"]] for run in arm["trainings"]]
    return float(np.mean([1 + np.argmin(each) for each in losses]))


def _compare(
    quantity: str,
    without: Mapping[str, Any],
    with_: Mapping[str, Any],
    key: str,
    minus: str | None = None,
) -> Comparison:
    before, after = (by_seed(arm["trainings"], key, minus) for arm in (without, with_))
    return _comparison(quantity, before, after, "points")


def _comparison(
    quantity: str, without: Mapping[int, float], with_: Mapping[int, float], unit: str
) -> Comparison:
    return Comparison(
        quantity,
        inference.over_seeds(list(without.values()), unit),
        inference.over_seeds(list(with_.values()), unit),
        difference(with_, without, unit),
    )
