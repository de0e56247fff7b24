"""On what the heatmaps of a network lie: background, border, object by layer; mean maps."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from cifarcam import explain
from cifarcam.errors import CifarcamError
from cifarcam.explain import metrics
from cifarcam.studies.summaries import by_group, summary
from cifarcam.studies.swaps import BATCH
from cifarcam.studies.where_material import Material

BORDER = 1 / 4  # width of the frame as a share of the image
LAYER_IMAGES = 2000  # the first test images, explained at every stage


def stages(model: keras.Model) -> list[str]:
    """The names of the layers that the max poolings take, from first to last.

    Raises
    ------
    CifarcamError
        When the model has no max pooling.
    """
    names = [
        before.name
        for before, after in zip(model.layers, model.layers[1:], strict=False)
        if isinstance(after, keras.layers.MaxPooling2D)
    ]
    if not names:
        raise CifarcamError(f"the model {model.name} has no max pooling; give a custom CNN")
    return names


def background(
    classifier: explain.Classifier, on: Material, of_true: np.ndarray, kept: np.ndarray
) -> dict[str, Any]:
    """Energy on the estimated background minus its area, and the probability lost without it.

    Parameters
    ----------
    classifier, on
        The network, and what it is measured on.
    of_true
        Heatmaps of the true class, N x H x W.
    kept
        Probability of the true class for whole images, percent, N.
    """
    outside = 1 - metrics.energy_inside(of_true, on.masks)
    excess = 100 * (outside - (1 - on.masks.mean(axis=(1, 2))))
    no_ground, no_object = (
        100
        * metrics.probability_without(classifier, on.images, region, on.labels, batch_size=BATCH)
        for region in (~on.masks, on.masks)
    )
    return {
        "excess": by_group(excess, on.labels),
        "kept": by_group(kept, on.labels),
        "lost_background": by_group(kept - no_ground, on.labels),
        "lost_object": by_group(kept - no_object, on.labels),
        "object_over_background": by_group(no_ground - no_object, on.labels),
    }


def border(
    of_predicted: np.ndarray, predicted: np.ndarray, labels: np.ndarray, classes: int
) -> dict[str, Any]:
    """Energy in the frame, of right and of wrong predictions, by *predicted* class."""
    share = 100 * metrics.border_share(of_predicted, width=BORDER)
    right = predicted == labels
    return {
        "right": by_group(np.where(right, share, np.nan), predicted, classes),
        "wrong": by_group(np.where(right, np.nan, share), predicted, classes),
    }


def counter(of_predicted: np.ndarray, of_true: np.ndarray, wrong: np.ndarray) -> dict[str, Any]:
    """Rank correlation of the maps for the predicted and the true class, of wrong predictions.

    `negative` is the share of negative correlations, percent.
    """
    alike = np.array([])
    if wrong.size:
        alike = metrics.rank_correlation(of_predicted[wrong], of_true[wrong])
    alike = alike[~np.isnan(alike)]
    negative = round(100 * float((alike < 0).mean()), 3) if alike.size else None
    return {**summary(alike), "negative": negative}


def mean_maps(of_true: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """The mean map of each class on 8 x 8 squares, each map divided by its own mean first."""
    levels = of_true.mean(axis=(1, 2), keepdims=True)
    relative = np.divide(of_true, levels, out=np.zeros_like(of_true), where=levels > 0)
    count, height, width = relative.shape
    coarse = relative.reshape(count, 8, height // 8, 8, width // 8).mean(axis=(2, 4))
    used = levels[:, 0, 0] > 0
    return np.stack(
        [
            coarse[used & (labels == k)].sum(axis=0) / max(int((used & (labels == k)).sum()), 1)
            for k in range(classes)
        ]
    )


def cats(
    classifier: explain.Classifier, on: Material, of_true: np.ndarray, kept: np.ndarray
) -> dict[str, Any]:
    """The upper half of the foreground of cats: its share of the energy there, and its removal."""
    own = on.labels == on.class_names.index("cat")
    masks, images, labels = on.masks[own], on.images[own], on.labels[own]
    upper = metrics.upper_half(masks)
    falls = [
        kept[own]
        - 100 * metrics.probability_without(classifier, images, half, labels, batch_size=BATCH)
        for half in (upper, masks & ~upper)
    ]
    return {
        "upper": summary(100 * metrics.energy_inside(of_true[own] * masks, upper)),
        "fall_upper": summary(falls[0]),
        "fall_lower": summary(falls[1]),
        "fall_difference": summary(falls[0] - falls[1]),
    }


def by_layer(classifier: explain.Classifier, on: Material, right: np.ndarray) -> dict[str, Any]:
    """Energy on the estimated foreground minus its area at every stage, of right predictions.

    `last_minus_first` compares the same images, those whose two maps are both not zero.
    """
    chosen = np.flatnonzero(right[:LAYER_IMAGES])
    names = stages(classifier.model)
    if not chosen.size:
        return {"stages": {}, "last_minus_first": summary(np.array([]))}
    images, masks = on.images[chosen], on.masks[chosen]
    excess, gini, zero = {}, {}, {}
    for name in names:
        maps = explain.GradCAM(classifier, name)(images, on.labels[chosen], batch_size=BATCH)
        excess[name] = 100 * (metrics.energy_inside(maps, masks) - masks.mean(axis=(1, 2)))
        gini[name] = metrics.gini(maps)
        zero[name] = int((~maps.any(axis=(1, 2))).sum())
    return {
        "stages": {
            name: {
                "object": summary(excess[name]),
                "gini": summary(gini[name]),
                "zero": zero[name],
            }
            for name in names
        },
        "last_minus_first": summary(excess[names[-1]] - excess[names[0]]),
    }
