"""All metrics of one explainer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from cifarcam.explain._options import checked_count, checked_number
from cifarcam.explain.base import Explainer
from cifarcam.explain.classifier import BATCH, Targets
from cifarcam.explain.metrics._checks import generator, target_array
from cifarcam.explain.metrics.complexity import gini
from cifarcam.explain.metrics.faithfulness.confidence import confidence_change
from cifarcam.explain.metrics.faithfulness.correlation import mu_fidelity
from cifarcam.explain.metrics.faithfulness.curves import deletion, insertion
from cifarcam.explain.metrics.faithfulness.imputation import NOISE, road
from cifarcam.explain.metrics.robustness import RADIUS, max_sensitivity


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
    grid: int = 8,
    noise: float = NOISE,
    radius: float = RADIUS,
    seed: int = 0,
    batch_size: int = BATCH,
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
    grid
        Patches of MuFidelity in each direction.
    noise
        Noise of ROAD, as a share of the range from black to white, 0-1.
    radius
        Radius of max-sensitivity, as a share of the range, 0-1.
    seed
        Seed of all metrics.
    batch_size
        The number of images, and of altered images, at a time; it does not change the result.

    Raises
    ------
    CifarcamError
        When an option is out of range, images and targets do not fit the model, or black and white
        are unknown.
    """
    some = slice(0, checked_count("sensitivity_images", sensitivity_images, 0))
    # Refused at once, and not after what comes before.
    checked_count("grid", grid, 1)
    checked_number("noise", noise, 0, 1)
    checked_number("radius", radius, 0, 1)
    generator(seed)
    classifier = explainer.classifier
    pixels = classifier.checked_images(images, batch_size)
    targets = target_array(classifier, pixels, targets, batch_size)
    heatmaps = explainer(pixels, targets, batch_size=batch_size)
    inputs = (classifier, pixels, heatmaps, targets)
    options: dict[str, Any] = {"seed": seed, "batch_size": batch_size}
    confidence = confidence_change(*inputs, batch_size=batch_size)
    most, least = (
        road(*inputs, least_first=first, noise=noise, **options) for first in (False, True)
    )
    sensitivity = np.full(len(pixels), np.nan)
    if some.stop:
        sensitivity[some] = max_sensitivity(
            explainer, pixels[some], targets[some], radius=radius, **options
        )
    return {
        "deletion": deletion(*inputs, **options).areas,
        "insertion": insertion(*inputs, **options).areas,
        "road": (least.probabilities - most.probabilities).mean(axis=1),
        "drop": confidence.drop,
        "increase": confidence.increase,
        "mu-fidelity": mu_fidelity(*inputs, grid=grid, **options),
        "max-sensitivity": sensitivity,
        "gini": gini(heatmaps),
    }
