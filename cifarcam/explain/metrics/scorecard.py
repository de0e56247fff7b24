"""All measures of one explainer over some images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from cifarcam.explain.base import Explainer
from cifarcam.explain.classifier import Targets
from cifarcam.explain.metrics.complexity import gini
from cifarcam.explain.metrics.faithfulness.confidence import confidence_change, target_classes
from cifarcam.explain.metrics.faithfulness.correlation import mu_fidelity
from cifarcam.explain.metrics.faithfulness.curves import deletion, insertion, road
from cifarcam.explain.metrics.robustness import max_sensitivity


@dataclass(frozen=True)
class Measure:
    """A measure's title, and the direction that is better: 1 up, -1 down, 0 neither."""

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
    """The values of all `MEASURES` by image.

    Deletion and insertion are areas; ROAD is the probability left when the lowest pixels are
    imputed, less that when the highest are, on average over the shares; the others are as their
    functions give them.

    Parameters
    ----------
    explainer
        The method, bound to its model.
    images
        N x H x W x C, in the model's range.
    targets
        Classes, as an explainer takes them.
    sensitivity_images
        Images, the first ones, over which max-sensitivity is measured; it explains each 9 times.
        The values of the others are NaN.
    seed
        Of all that is random.

    Raises
    ------
    CifarcamError
        When images and targets do not fit the model.
    """
    classifier = explainer.classifier
    pixels = np.asarray(classifier.checked_images(images), np.float32)
    classes = target_classes(classifier, pixels, targets)
    given = (classifier, pixels, explainer(pixels, classes), classes)
    confidence = confidence_change(*given)
    most, least = (road(*given, least_first=first, seed=seed) for first in (False, True))
    sensitivity = np.full(len(pixels), np.nan)
    some = slice(0, sensitivity_images)
    if sensitivity_images:
        sensitivity[some] = max_sensitivity(explainer, pixels[some], classes[some], seed=seed)
    return {
        "deletion": deletion(*given, seed=seed).areas,
        "insertion": insertion(*given, seed=seed).areas,
        "road": (least.probabilities - most.probabilities).mean(axis=1),
        "drop": confidence.drop,
        "increase": confidence.increase,
        "mu-fidelity": mu_fidelity(*given, seed=seed),
        "max-sensitivity": sensitivity,
        "gini": gini(given[2]),
    }
