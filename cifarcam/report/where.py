"""Rows of the tables, and arrays of the figures, of the chapter on Grad-CAM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cifarcam.data import Dataset
from cifarcam.data.faces import CatFaces
from cifarcam.explain import Explainer
from cifarcam.report.examples import Example, choose_examples
from cifarcam.report.page import interval
from cifarcam.studies import places
from cifarcam.studies.interventions import Swap, Turn
from cifarcam.studies.places import Layers
from cifarcam.studies.swaps import Swaps

LAYER_HEADER = ("Layer", "Energy on the object minus its area", "Gini index", "Zero maps (%)")
SWAP_HEADER = ("Object", "Background", "Own kind of background (%)", "Lost", "Gained by the other")
TURN_HEADER = ("Pair", "Contrast map (%)", "Minus plain map", "Minus random", "Minus centre")
NETWORKS: Mapping[str, str] = {
    "baseline": "baseline, last epoch",
    "baseline-early-stopping": "stopped early",
}


def marked_faces(faces: CatFaces, dataset: Dataset) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Pictures, boxes and titles of the marked faces; none on the sample, whose images are others.

    Returns
    -------
    tuple
        Pictures (uint8, K x 32 x 32 x 3), boxes (int64, K x 4), and the images' numbers as text.
    """
    count = 0 if dataset.is_sample else len(faces.images)
    images = faces.images[:count]
    return dataset.test.images[images], faces.boxes[:count], [str(number) for number in images]


def layer_rows(layers: Layers) -> list[list[str]]:
    """Rows of Grad-CAM by layer under `LAYER_HEADER`."""
    return [
        [
            stage.layer,
            interval(stage.object),
            interval(stage.gini, 2, signed=False),
            f"{stage.zero.value:.1f}",
        ]
        for stage in layers.stages
    ]


def swap_rows(swaps: Sequence[Swap]) -> list[list[str]]:
    """Rows of the swaps between two classes under `SWAP_HEADER`."""
    return [
        [
            swap.objects,
            swap.hosts,
            interval(swap.own, signed=False),
            interval(swap.lost),
            interval(swap.gained),
        ]
        for swap in swaps
    ]


def turn_rows(turns: Sequence[Turn]) -> list[list[str]]:
    """Rows of the contrast maps under `TURN_HEADER`."""
    return [
        [
            f"{turn.pair[0]}–{turn.pair[1]}",
            interval(turn.contrast, signed=False),
            interval(turn.over_plain),
            interval(turn.over_random),
            interval(turn.over_centre),
        ]
        for turn in turns
    ]


def by_network(record: Mapping[str, Any], *path: str) -> dict[str, np.ndarray]:
    """A value by class of the baseline's networks that the record holds, seeds x classes."""
    found = {
        name: places.values(record, experiment, *path, "mean")
        for experiment, name in NETWORKS.items()
    }
    return {name: values for name, values in found.items() if values.size}


def border_by_network(record: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Wrong minus right share at the border by predicted class, seeds x classes."""
    found = {
        name: places.border_difference(record, experiment) for experiment, name in NETWORKS.items()
    }
    return {name: values for name, values in found.items() if values.size}


def right_and_wrong(record: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Energy in the frame of the baseline's predictions by predicted class, seeds x classes."""
    return {
        f"{side} predictions": places.values(record, "baseline", "border", side, "mean")
        for side in ("right", "wrong")
    }


def without_a_part(record: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Probability that the baseline's true class loses without each part, seeds x classes."""
    return {
        f"without the {part}": places.values(record, "baseline", f"lost_{part}", "mean")
        for part in ("background", "object")
    }


def on_backgrounds(record: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The baseline's accuracy on swapped backgrounds, percent, seeds x classes."""
    own, lost = (
        places.values(record, "baseline", "swaps", "by_class", name, "mean")
        for name in ("accuracy_own", "accuracy_lost")
    )
    return {"background of the same class": own, "background of another class": own - lost}


def explained(
    explainer: Explainer, images: np.ndarray, examples: Sequence[Example], names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Pictures, heatmaps and titles of examples, as `cifarcam.figures.heatmaps` takes them."""
    pictures = images[[example.index for example in examples]]
    if not len(examples):
        return pictures, np.zeros(pictures.shape[:3], np.float32), []
    maps = explainer(pictures, [example.target for example in examples])
    return pictures, maps, [example.title(names) for example in examples]


def medians(probabilities: np.ndarray, labels: np.ndarray) -> list[Example]:
    """The right prediction of median confidence of each class that has one."""
    return [
        example
        for k in range(probabilities.shape[1])
        for example in choose_examples(probabilities, labels, k)
        if example.rule == "median right"
    ]


def both_classes(
    explainer: Explainer,
    images: np.ndarray,
    labels: np.ndarray,
    predicted: np.ndarray,
    indices: Sequence[int],
    names: Sequence[str],
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Each image twice, explained for its predicted and for its true class, with titles."""
    twice = np.repeat(np.array(indices, np.int64), 2)
    pictures = images[twice]
    if not len(twice):
        return pictures, np.zeros(pictures.shape[:3], np.float32), []
    targets = np.where(np.arange(len(twice)) % 2 == 0, predicted[twice], labels[twice])
    titles = [
        f"{names[label]}: map for {names[target]}"
        for label, target in zip(labels[twice], targets, strict=True)
    ]
    return pictures, explainer(pictures, targets), titles


def by_layer(
    explainers: Mapping[str, Explainer],
    images: np.ndarray,
    examples: Sequence[Example],
    names: Sequence[str],
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Each example explained by each explainer, with titles; `explainers` by the layer's name."""
    pictures = images[[example.index for example in examples for _ in explainers]]
    maps = [
        explainer(images[[example.index]], example.target)
        for example in examples
        for explainer in explainers.values()
    ]
    titles = [f"{names[example.true]}: {layer}" for example in examples for layer in explainers]
    return pictures, np.concatenate(maps), titles


def contrasted(
    explainer: Explainer, images: np.ndarray, pair: tuple[int, int], names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Each image explained for the first class, and for its score minus that of the second."""
    first, second = pair
    if not len(images):
        return images, np.zeros(images.shape[:3], np.float32), []
    plain = explainer(images, first)
    contrast = explainer(images, first, against=second)
    titles = [names[first], f"{names[first]} minus {names[second]}"] * len(images)
    maps = np.stack([plain, contrast], axis=1).reshape(-1, *plain.shape[1:])
    return np.repeat(images, 2, axis=0), maps, titles


def right_predictions(
    predicted: np.ndarray, labels: np.ndarray, of_class: int, count: int
) -> np.ndarray:
    """Indices of the first images of a class that are predicted rightly, int64."""
    return np.flatnonzero((labels == of_class) & (predicted == of_class))[:count]


def swap_pairs(swaps: Swaps | None, names: Sequence[str]) -> tuple[Any, Any, list[str]]:
    """Pictures on a background of their own class and of another, as `figures.image_pairs` takes."""
    if swaps is None:
        return (), (), []
    titles = [
        f"{names[label]} on {names[label]}, on {names[host]}"
        for label, host in zip(swaps.labels, swaps.hosts, strict=True)
    ]
    return swaps.own, swaps.foreign, titles


def cut_out(images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Images with everything outside the masks painted white, uint8."""
    return np.where(masks[..., np.newaxis], images, np.uint8(255))


def first_of_each(labels: np.ndarray, classes: int, count: int) -> list[int]:
    """Indices of the first images of each class."""
    return [int(n) for k in range(classes) for n in np.flatnonzero(labels == k)[:count]]
