"""What the record `where` says over seeds: arrays by class and seed, and effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cifarcam import explain
from cifarcam.errors import CifarcamError
from cifarcam.explain import metrics
from cifarcam.studies import inference, swaps, where
from cifarcam.studies.inference import FEWEST_SEEDS, Effect

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Swap:
    """Objects of one class on the background of another class, over seeds.

    Attributes
    ----------
    objects, hosts
        Names of the classes of the objects and of the foreign backgrounds.
    own
        Probability of the true class on the background of another picture of the class, percent.
    lost
        That probability minus the probability on the foreign background, points.
    gained
        What the class of the foreign background gains, points.
    """

    objects: str
    hosts: str
    own: Effect
    lost: Effect
    gained: Effect


@dataclass(frozen=True)
class Turn:
    """How often removing a fifth of the pixels turns the answer to the pair's other class.

    Attributes
    ----------
    pair
        Names of the two classes.
    contrast, plain, random, centre
        Share of turned answers over seeds, percent: of the pixels that the contrast map marks, of
        the plain map's, of a random map's, and of the centre.
    over_plain, over_random, over_centre
        The contrast map's share minus each other share, of the same images, points.
    sentence
        Whether the contrast map does better, in words.
    """

    pair: tuple[str, str]
    contrast: Effect
    plain: Effect
    random: Effect
    centre: Effect
    over_plain: Effect
    over_random: Effect
    over_centre: Effect
    sentence: str


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


@dataclass(frozen=True)
class Grid:
    """The positions of an explained layer.

    Attributes
    ----------
    layer
        The layer's name.
    map_size
        Height and width as text, ``"8 × 8"``.
    positions
        The number of positions.
    cell
        Pixels of the image on a side of one position.
    """

    layer: str
    map_size: str
    positions: int
    cell: int


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


def seed_means(matrix: np.ndarray) -> np.ndarray:
    """The mean over seeds by class, NaN for a class without a value."""
    defined = ~np.isnan(matrix)
    counts = defined.sum(axis=0)
    sums = np.where(defined, matrix, 0).sum(axis=0)
    return np.divide(sums, counts, out=np.full(matrix.shape[1], np.nan), where=counts > 0)


def mean_maps(record: Record, experiment: str) -> np.ndarray:
    """The mean map of each class over the seeds, classes x 8 x 8; 1 is an even spread."""
    maps = [where.unpacked(entry["mean_maps"]) for entry in entries(record, experiment)]
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


def swap_effects(record: Record, experiment: str) -> list[Swap]:
    """Background swaps between two classes."""

    def over(name: str, key: str, unit: str) -> Effect:
        return inference.over_seeds(
            values(record, experiment, "swaps", "by_pair", name, key, "mean"), unit
        )

    found = []
    for name in entries(record, experiment)[0]["swaps"]["by_pair"]:
        objects, hosts = name.split("-")
        own, lost = over(name, "probability_own", "%"), over(name, "probability_lost", "points")
        found.append(Swap(objects, hosts, own, lost, over(name, "host_gained", "points")))
    return found


def turn_effects(record: Record, experiment: str) -> list[Turn]:
    """Contrast maps of all pairs of classes."""

    def over(pair: str, kind: str, name: str, unit: str) -> Effect:
        return inference.over_seeds(
            values(record, experiment, "contrast", pair, kind, name, "mean"), unit
        )

    found = []
    for pair in entries(record, experiment)[0]["contrast"]:
        first, second = pair.split("-")
        contrast, plain, random, centre = (
            over(pair, "turned", name, "%") for name in ("contrast", "plain", "random", "centre")
        )
        over_plain, over_random, over_centre = (
            over(pair, "contrast_minus", name, "points") for name in ("plain", "random", "centre")
        )
        found.append(
            Turn(
                (first, second),
                contrast,
                plain,
                random,
                centre,
                over_plain,
                over_random,
                over_centre,
                turn_sentence((first, second), over_plain, over_random, over_centre),
            )
        )
    return found


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


def turn_sentence(
    pair: tuple[str, str], over_plain: Effect, over_random: Effect, over_centre: Effect
) -> str:
    """Whether the contrast map does better than random pixels, the plain map and the centre."""
    return (
        f"Between {pair[0]} and {pair[1]}, removing what the contrast map marks turns the answer "
        f"{_often(over_random)} than removing random pixels ({_signed(over_random)}), "
        f"{_often(over_plain)} than removing what the plain map marks ({_signed(over_plain)}), and "
        f"{_often(over_centre)} than removing the centre ({_signed(over_centre)})."
    )


def layers_sentence(effect: Effect) -> str:
    """Whether the last layer's maps have more energy on the object than those of the first."""
    words = {
        1: "The last convolution puts more of its energy on the object than the first",
        -1: "The last convolution puts less of its energy on the object than the first",
        0: "Whether the last convolution puts more of its energy on the object than the first is "
        "open",
    }
    return f"{words[_side(effect)]} ({_signed(effect)})."


def grid_of(explainer: explain.Explainer, images: np.ndarray) -> Grid:
    """The positions of an explainer's layer for images of this size."""
    height, width = explainer.signed_maps(images[:1]).shape[1:]
    return Grid(
        explainer.layer, f"{height} × {width}", height * width, round(images.shape[1] / height)
    )


def opposed_pair(
    explainer: explain.Explainer, images: np.ndarray, labels: np.ndarray, predicted: np.ndarray
) -> list[int]:
    """Of wrong predictions, the images whose maps for both classes agree least and most.

    Images labelled -1, see `labels_without`, are left out. An empty list where no wrong prediction has two maps.
    """
    wrong = np.flatnonzero((predicted != labels) & (labels >= 0))
    if not wrong.size:
        return []
    alike = metrics.rank_correlation(
        explainer(images[wrong], predicted[wrong]), explainer(images[wrong], labels[wrong])
    )
    if np.isnan(alike).all():
        return []
    return [int(wrong[np.nanargmin(alike)]), int(wrong[np.nanargmax(alike)])]


def swap_examples(
    images: np.ndarray, labels: np.ndarray, of_class: int, host: int, count: int, first: int = 100
) -> swaps.Swaps | None:
    """Swaps of the first images of two classes, to show; None where too few are eligible."""
    chosen = np.concatenate([np.flatnonzero(labels == k)[:first] for k in (of_class, host)])
    masks = metrics.foreground(images[chosen])
    try:
        return swaps.swap(images[chosen], labels[chosen], masks, of_class, host, count)
    except CifarcamError:  # too few pictures, as in a small sample
        return None


def labels_without(labels: np.ndarray, doubtful: np.ndarray) -> np.ndarray:
    """Labels with -1, no class, in place of labels in doubt."""
    clear = labels.copy()
    clear[doubtful] = -1
    return clear


def _side(effect: Effect) -> int:
    """1 above zero, -1 below, 0 where the interval holds zero or there are too few seeds."""
    if effect.count < FEWEST_SEEDS or np.isnan(effect.low):
        return 0
    return int(effect.low > 0) - int(effect.high < 0)


def _often(effect: Effect) -> str:
    return {1: "more often", -1: "less often", 0: "neither clearly more nor clearly less often"}[
        _side(effect)
    ]


def _signed(effect: Effect) -> str:
    return f"{effect.value:+.1f} points".replace("-", "−")
