"""How far heatmaps change under small changes of the image."""

from __future__ import annotations

import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.explain.base import Explainer
from cifarcam.explain.classifier import Targets
from cifarcam.explain.metrics._checks import target_classes


def max_sensitivity(
    explainer: Explainer,
    images: np.ndarray,
    targets: Targets = None,
    *,
    radius: float = 5.0,
    samples: int = 8,
    seed: int = 0,
) -> np.ndarray:
    """The greatest relative change of each heatmap under small random changes of the image.

    Yeh et al. (2019), On the (In)fidelity and Sensitivity of Explanations, Definition 3, estimated
    by sampling: the greatest Euclidean distance between the heatmaps of the changed and the
    unchanged image, divided by the norm of the unchanged image's heatmap. All heatmaps explain the
    class of the unchanged image.

    Parameters
    ----------
    explainer
        An explanation method bound to a model.
    images
        N x H x W x C, in the model's range.
    targets
        Classes to explain, as for an explainer.
    radius
        Greatest change of a pixel value, in the units of `images`.
    samples
        The number of random changes, uniform in a cube, the same for all images.
    seed
        Seed of the changes.

    Returns
    -------
    numpy.ndarray
        N, at least 0 (0 is best); NaN if the heatmap of the unchanged image is zero.

    Raises
    ------
    CifarcamError
        When an option is out of range, or images and targets do not fit the model.
    """
    if samples < 1 or not radius >= 0:
        raise CifarcamError(
            f"samples is {samples} and radius {radius}; give at least 1 sample and a radius >= 0"
        )
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
