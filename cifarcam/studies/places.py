"""What the record `where` says over seeds: arrays by class and seed, totals, and effects by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cifarcam.studies import inference
from cifarcam.studies.inference import FEWEST_SEEDS, Effect
from cifarcam.studies.packing import unpacked_maps
from cifarcam.studies.wording import number

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Totals:
    """Numbers over all test images and seeds of one network.

    Attributes
    ----------
    seeds, images
        Numbers of seeds and of test images.
    zero_predicted, zero_true_wrong
        Share of zero maps, percent: of the predicted class, over all images; of the true class,
        over the wrong predictions.
    same_place
        Rank correlation of the maps for the predicted and the true class, of wrong predictions.
    opposed
        Share of negative correlations among them, percent.
    excess
        Energy on the estimated background minus its area, points.
    kept
        Probability of the true class for whole images, percent.
    lost_background, lost_object
        Probability lost without the estimated background and without the object, points.
    border_right, border_wrong
        Energy in the frame of right and of wrong predictions, percent.
    upper, falls_more
        Of cats: share of the foreground's energy in its upper half, percent; probability lost
        without the upper half minus without the lower half, points.
    blob
        Energy in the marked faces minus their area, of a map that is always the same blob in the
        image's centre, points.
    """

    seeds: int
    images: int
    zero_predicted: Effect
    zero_true_wrong: Effect
    same_place: Effect
    opposed: Effect
    excess: Effect
    kept: Effect
    lost_background: Effect
    lost_object: Effect
    border_right: Effect
    border_wrong: Effect
    upper: Effect
    falls_more: Effect
    blob: Effect


@dataclass(frozen=True)
class Stage:
    """Grad-CAM at one layer, over seeds.

    Attributes
    ----------
    layer
        The layer's name.
    object
        Energy on the estimated foreground minus its area, of right predictions, points.
    gini
        Gini index of the maps, 0 for an even map.
    zero
        Share of zero maps, percent.
    """

    layer: str
    object: Effect
    gini: Effect
    zero: Effect


@dataclass(frozen=True)
class Layers:
    """Grad-CAM by layer, the last layer minus the first on the same images, and that in words."""

    stages: tuple[Stage, ...]
    last_minus_first: Effect
    sentence: str


def entries(record: Record, experiment: str) -> list[Mapping[str, Any]]:
    """A record's entries of an experiment, by seed."""
    own = [entry for entry in record["runs"].values() if entry["experiment"] == experiment]
    return sorted(own, key=lambda entry: int(entry["seed"]))


def values(record: Record, experiment: str, *path: str) -> np.ndarray:
    """A value or list of every seed, such as ``"cats", "upper", "mean"``, NaN where undefined.

    Returns
    -------
    numpy.ndarray
        Float64, seeds, or seeds x classes for a list.
    """
    found = []
    for entry in entries(record, experiment):
        value: Any = entry
        for key in path:
            value = None if value is None else value[key]
        found.append(value)
    return np.array(found, np.float64)


def border_difference(record: Record, experiment: str) -> np.ndarray:
    """Share at the border of wrong minus right predictions, seeds x predicted classes, points."""
    wrong, right = (
        values(record, experiment, "border", side, "mean") for side in ("wrong", "right")
    )
    return wrong - right


def class_means(matrix: np.ndarray) -> np.ndarray:
    """The mean over classes by seed, classes without a value left out; seeds without any as well."""
    defined = matrix[~np.isnan(matrix).all(axis=1)] if matrix.size else matrix.reshape(0, 1)
    return np.nanmean(defined, axis=1) if len(defined) else np.array([])


def mean_maps(record: Record, experiment: str) -> np.ndarray:
    """The mean map of each class over the seeds, classes x 8 x 8; 1 is an even spread."""
    maps = [unpacked_maps(entry["mean_maps"]) for entry in entries(record, experiment)]
    return np.stack(maps).mean(axis=0)


def totals(record: Record, experiment: str) -> Totals:
    """Numbers of one experiment over all test images and seeds."""
    images = int(record["images"])

    def over(*path: str, unit: str = "points") -> Effect:
        return inference.over_seeds(values(record, experiment, *path), unit)

    correct = values(record, experiment, "correct")
    zero = values(record, experiment, "zero_predicted")
    zero_wrong = values(record, experiment, "zero_true_wrong")
    return Totals(
        seeds=len(correct),
        images=images,
        zero_predicted=inference.over_seeds(100 * zero / images, "%"),
        zero_true_wrong=inference.over_seeds(
            100 * zero_wrong / np.maximum(images - correct, 1), "%"
        ),
        same_place=over("counter", "mean", unit="rank correlation"),
        opposed=over("counter", "negative", unit="%"),
        excess=over("excess", "all", "mean"),
        kept=over("kept", "all", "mean", unit="%"),
        lost_background=over("lost_background", "all", "mean"),
        lost_object=over("lost_object", "all", "mean"),
        border_right=over("border", "right", "all", "mean", unit="%"),
        border_wrong=over("border", "wrong", "all", "mean", unit="%"),
        upper=over("cats", "upper", "mean", unit="%"),
        falls_more=over("cats", "fall_difference", "mean"),
        blob=over("faces", "blob", "mean"),
    )


def layer_effects(record: Record, experiment: str) -> Layers:
    """Grad-CAM by layer."""
    names = entries(record, experiment)[0]["layers"]["stages"]

    def over(name: str, *path: str) -> np.ndarray:
        return values(record, experiment, "layers", "stages", name, *path)

    stages = []
    for name in names:
        zero, count = over(name, "zero"), over(name, "object", "count")
        stages.append(
            Stage(
                name,
                inference.over_seeds(over(name, "object", "mean"), "points"),
                inference.over_seeds(over(name, "gini", "mean"), "Gini index"),
                inference.over_seeds(100 * zero / (zero + count), "%"),
            )
        )
    differences = values(record, experiment, "layers", "last_minus_first", "mean")
    effect = inference.over_seeds(differences, "points")
    return Layers(tuple(stages), effect, layers_sentence(effect))


def layers_sentence(effect: Effect) -> str:
    """Whether the last layer's maps have more energy on the object than those of the first."""
    words = {
        1: "The last convolution puts more of its energy on the object than the first convolution",
        -1: "The last convolution puts less of its energy on the object than the first convolution",
        0: "We cannot tell whether the last convolution puts more of its energy on the object than "
        "the first convolution",
    }
    return f"{words[side(effect)]} ({signed(effect)})."


def side(effect: Effect) -> int:
    """1 above zero, -1 below, 0 where the interval holds zero or there are too few seeds."""
    if effect.count < FEWEST_SEEDS or np.isnan(effect.low):
        return 0
    return int(effect.low > 0) - int(effect.high < 0)


def signed(effect: Effect) -> str:
    """An effect's value in words: ``+1.2 points``."""
    return f"{number(effect.value, signed=True)} points"
