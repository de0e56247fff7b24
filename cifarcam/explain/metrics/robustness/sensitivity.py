"""How far heatmaps move when the image hardly does."""

from __future__ import annotations

import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.explain.base import Explainer
from cifarcam.explain.classifier import Targets
from cifarcam.explain.metrics.faithfulness.confidence import target_classes


def max_sensitivity(
    explainer: Explainer,
    images: np.ndarray,
    targets: Targets = None,
    *,
    radius: float = 5.0,
    samples: int = 8,
    seed: int = 0,
) -> np.ndarray:
    """The greatest relative change of a heatmap under small random changes of the image.

    After Yeh et al. (2019), On the (In)fidelity and Sensitivity of Explanations, Definition 3,
    estimated by sampling: the greatest Euclidean distance of a map from the image's own, divided
    by the norm of the latter. The class stays that of the unchanged image.

    Parameters
    ----------
    explainer
        The method, bound to its model.
    images
        N x H x W x C, in the model's range.
    targets
        Classes, as an explainer takes them.
    radius
        Greatest change of a value, in pixel units.
    samples
        Random changes, uniform in the cube, the same for all images.
    seed
        Of the changes.

    Returns
    -------
    numpy.ndarray
        N, at least 0 (0 is best); NaN for an image whose own map is zero.

    Raises
    ------
    CifarcamError
        When an option is refused, or images and targets do not fit the model.
    """
    if samples < 1 or not radius >= 0:
        raise CifarcamError(f"samples is {samples} and radius {radius}; give 1 or more, and >= 0")
    pixels = np.asarray(explainer.classifier.checked_images(images), np.float32)
    classes = target_classes(explainer.classifier, pixels, targets)
    own = explainer(pixels, classes).astype(np.float64)
    norms = np.sqrt((own**2).sum(axis=(1, 2)))
    rng = np.random.default_rng(seed)
    greatest = np.zeros(len(pixels))
    for _ in range(samples):
        change = rng.uniform(-radius, radius, pixels.shape[1:]).astype(np.float32)
        other = explainer(pixels + change, classes)
        greatest = np.maximum(greatest, np.sqrt(((other - own) ** 2).sum(axis=(1, 2))))
    return np.divide(greatest, norms, out=np.full(len(own), np.nan), where=norms > 0)
