"""What the faithfulness record holds of one method: of its heatmaps, and of its explainer."""

from __future__ import annotations

from typing import Any

import numpy as np

from cifarcam import explain
from cifarcam.explain import metrics
from cifarcam.studies.packing import packed
from cifarcam.studies.summaries import mean

BATCH = 256  # small images at a time
CASCADE_IMAGES = 32  # the first images, for the randomisation and for other seeds
SENSITIVITY_IMAGES = 64  # the first images, for the sensitivity
MEASURES = ("road", "deletion", "insertion", "mu-fidelity")  # stored for each image


def heatmap_values(
    classifier: explain.Classifier,
    images: np.ndarray,
    heatmaps: np.ndarray,
    classes: np.ndarray,
    removals: metrics.PatchRemovals,
) -> dict[str, Any]:
    """What the record holds for one method's heatmaps.

    Parameters
    ----------
    classifier
        The model.
    images
        Test images, from the first on; as many as there are heatmaps are used.
    heatmaps
        N x H x W.
    classes
        The classes explained.
    removals
        The falls of the scores when patches of these images are removed.

    Returns
    -------
    dict
        ``values`` (`MEASURES`, each `packed`, by image), ``means``, ``curves`` of deletion and
        insertion, and ``zero_maps``, a count.
    """
    count = len(heatmaps)
    inputs = (classifier, images[:count], heatmaps, classes[:count])
    deletion, insertion = (
        metric(*inputs, batch_size=BATCH) for metric in (metrics.deletion, metrics.insertion)
    )
    most, least = (
        metrics.road(*inputs, least_first=first, batch_size=BATCH) for first in (False, True)
    )
    confidence = metrics.confidence_change(*inputs, batch_size=BATCH)
    few = metrics.PatchRemovals(removals.masks, removals.falls[:count])
    values = {
        "road": (least.probabilities - most.probabilities).mean(axis=1),
        "deletion": deletion.areas,
        "insertion": insertion.areas,
        "mu-fidelity": few.fidelity(heatmaps),
    }
    return {
        "values": {measure: packed(values[measure]) for measure in MEASURES},
        "means": {
            "drop": mean(confidence.drop),
            "increase": float(confidence.increase.mean()),
            "gini": mean(metrics.gini(heatmaps)),
        },
        "curves": {
            "shares": _rounded(deletion.shares),
            "deletion": _rounded(deletion.probabilities.mean(axis=0)),
            "insertion": _rounded(insertion.probabilities.mean(axis=0)),
        },
        "zero_maps": int((~heatmaps.any(axis=(1, 2))).sum()),
    }


def explainer_values(
    explainer: explain.Explainer,
    heatmaps: np.ndarray,
    images: np.ndarray,
    classes: np.ndarray,
    *,
    has_sensitivity: bool,
) -> dict[str, Any]:
    """What the record holds for one explainer besides the values of its heatmaps.

    Parameters
    ----------
    explainer
        The explainer.
    heatmaps
        Its heatmaps of the first images, N x H x W.
    images, classes
        Test images, and the classes explained.
    has_sensitivity
        Whether to measure the sensitivity, which takes ten heatmaps of each image.

    Returns
    -------
    dict
        ``redrawn``, the mean rank correlation with the heatmaps of another seed, None without
        random numbers; ``sensitivity``, None where it is not measured; ``randomisation`` by layer.
    """
    few = slice(0, min(CASCADE_IMAGES, len(heatmaps)))
    redrawn = None
    if explainer.seed is not None:
        layer = explainer.layers[0] if explainer.layers else None
        seed: dict[str, Any] = {"seed": explainer.seed + 1}
        other = type(explainer)(explainer.classifier, layer, **seed)
        redrawn = _agreement(heatmaps[few], other(images[few], classes[few], batch_size=BATCH))
    sensitivity = None
    if has_sensitivity:
        some = slice(0, SENSITIVITY_IMAGES)
        sensitivity = mean(
            metrics.max_sensitivity(explainer, images[some], classes[some], batch_size=BATCH)
        )
    cascade = metrics.cascading_randomisation(
        explainer, images[few], classes[few], batch_size=BATCH
    )
    return {
        "redrawn": redrawn,
        "sensitivity": sensitivity,
        "randomisation": {
            "layers": cascade.layers,
            "rank_correlation": [mean(row) for row in cascade.rank_correlation],
            "ssim": [mean(row) for row in cascade.ssim],
        },
    }


def agreements(heatmaps: list[np.ndarray]) -> list[list[float | None]]:
    """Mean rank correlations of all pairs of methods over the images that both explain."""
    table: list[list[float | None]] = [[None] * len(heatmaps) for _ in heatmaps]
    for row, first in enumerate(heatmaps):
        for column, second in enumerate(heatmaps[: row + 1]):
            count = min(len(first), len(second))
            value = _agreement(first[:count], second[:count])
            table[row][column] = table[column][row] = value
    return table


def _agreement(first: np.ndarray, second: np.ndarray) -> float | None:
    return mean(metrics.rank_correlation(first, second))


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 4) for value in values]
