"""All metrics of one explainer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from cifarcam.explain.base import Explainer
from cifarcam.explain.classifier import Targets
from cifarcam.explain.metrics._checks import target_classes
from cifarcam.explain.metrics.complexity import gini
from cifarcam.explain.metrics.faithfulness.confidence import confidence_change
from cifarcam.explain.metrics.faithfulness.correlation import mu_fidelity
from cifarcam.explain.metrics.faithfulness.curves import deletion, insertion, road
from cifarcam.explain.metrics.robustness import max_sensitivity


@dataclass(frozen=True)
class Measure:
    """The title of a metric, and which values are better: 1 high, -1 low, 0 neither."""

    title: str
    better: int


MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        "deletion": Measure("Deletion", -1),
        "insertion": Measure("Insertion", 1),
        "road": Measure("ROAD", 1),
        "drop": Measure("Drop", -1),
        "increase": Measure("Increase", 1),
        "mu-fidelity": Measure("MuFidelity", 1),
        "max-sensitivity": Measure("Sensitivity", -1),
        "gini": Measure("Gini", 0),
    }
)


def scorecard(
    explainer: Explainer,
    images: np.ndarray,
    targets: Targets = None,
    *,
    sensitivity_images: int = 64,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """The values of all `MEASURES` for each image: a dictionary of arrays, N each.

    Deletion and insertion are areas under the curves. ROAD is the probability with the lowest
    pixels imputed minus the probability with the highest pixels imputed, averaged over the shares.

    Parameters
    ----------
    explainer
        An explanation method bound to a model.
    images
        N x H x W x C, in the model's range.
    targets
        Classes to explain, as for an explainer.
    sensitivity_images
        The number of images, from the first, for which max-sensitivity is computed, with 9 heatmaps
        per image. Its value for later images is NaN.
    seed
        Seed of all metrics.

    Raises
    ------
    CifarcamError
        When images and targets do not fit the model.
    """
    classifier = explainer.classifier
    pixels = np.asarray(classifier.checked_images(images), np.float32)
    classes = target_classes(classifier, pixels, targets)
    heatmaps = explainer(pixels, classes)
    inputs = (classifier, pixels, heatmaps, classes)
    confidence = confidence_change(*inputs)
    most, least = (road(*inputs, least_first=first, seed=seed) for first in (False, True))
    sensitivity = np.full(len(pixels), np.nan)
    some = slice(0, sensitivity_images)
    if sensitivity_images:
        sensitivity[some] = max_sensitivity(explainer, pixels[some], classes[some], seed=seed)
    return {
        "deletion": deletion(*inputs, seed=seed).areas,
        "insertion": insertion(*inputs, seed=seed).areas,
        "road": (least.probabilities - most.probabilities).mean(axis=1),
        "drop": confidence.drop,
        "increase": confidence.increase,
        "mu-fidelity": mu_fidelity(*inputs, seed=seed),
        "max-sensitivity": sensitivity,
        "gini": gini(heatmaps),
    }
