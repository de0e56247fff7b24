"""Whether a heatmap predicts what changes do to the score, and whether small changes upset it."""

from __future__ import annotations

import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.explain.base import Explainer
from cifarcam.explain.classifier import Classifier, Targets
from cifarcam.explain.faithfulness.checks import checked_maps, checked_pair
from cifarcam.explain.faithfulness.confidence import target_classes


def mu_fidelity(
    classifier: Classifier,
    images: np.ndarray,
    heatmaps: np.ndarray,
    targets: Targets = None,
    *,
    grid: int = 8,
    share: float = 0.2,
    samples: int = 64,
    seed: int = 0,
) -> np.ndarray:
    """Correlation of a heatmap's sum over random patches with the score that their removal costs.

    MuFidelity, after Bhatt et al. (2020), Evaluating and Aggregating Feature-based Model
    Explanations, Section 3: Pearson's correlation over random subsets of the sum of the
    attributions with the fall of the score. Subsets are of patches of a grid, which take the
    image's mean colour; the score is the one before the softmax.

    Parameters
    ----------
    classifier, images, heatmaps, targets
        As for `deletion`; the heatmaps may be signed.
    grid
        Patches in each direction; the image's sides must be multiples of it.
    share
        Of the patches in a subset, 0-1.
    samples
        Subsets, the same for all images.
    seed
        Of the subsets.

    Returns
    -------
    numpy.ndarray
        N, -1 to 1 (1 is best); NaN where map or falls are constant.

    Raises
    ------
    CifarcamError
        When an option is refused, or images, heatmaps and targets do not fit.
    """
    pixels = np.asarray(classifier.checked_images(images), np.float32)
    maps = checked_pair(pixels, heatmaps, signed=True)
    height, width = maps.shape[1:]
    if grid < 2 or height % grid or width % grid:
        raise CifarcamError(f"a grid of {grid} x {grid} does not divide {height} x {width} pixels")
    chosen = round(share * grid**2)
    if not 0 < chosen < grid**2 or samples < 3:
        raise CifarcamError(
            f"share is {share} and samples {samples}; give a share between 0 and 1 and 3 samples"
        )
    rng = np.random.default_rng(seed)
    subsets = np.zeros((samples, grid * grid), bool)
    for subset in subsets:
        subset[rng.choice(grid * grid, chosen, replace=False)] = True
    masks = subsets.reshape(-1, grid, grid).repeat(height // grid, 1).repeat(width // grid, 2)
    classes = target_classes(classifier, pixels, targets)
    each = np.arange(len(pixels))
    before = classifier.scores(pixels)[each, classes].astype(np.float64)
    ground = pixels.mean(axis=(1, 2), keepdims=True)
    falls = np.empty((len(pixels), samples))
    for index, mask in enumerate(masks):
        changed = np.where(mask[None, ..., None], ground, pixels)
        falls[:, index] = before - classifier.scores(changed)[each, classes]
    sums = maps.reshape(len(maps), -1) @ masks.reshape(samples, -1).T.astype(np.float64)
    return pearson(sums, falls)


def pearson(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlation of the rows of two N x M arrays: N, NaN where a row is constant."""
    one, other = (x - x.mean(axis=1, keepdims=True) for x in (first, second))
    # A constant row's deviations are rounding errors of its mean, not 0.
    tiny = [
        np.abs(d).max(axis=1) <= 1e-12 * np.maximum(np.abs(x).max(axis=1), 1e-300)
        for d, x in ((one, first), (other, second))
    ]
    below = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    known = (below > 0) & ~tiny[0] & ~tiny[1]
    return np.divide((one * other).sum(axis=1), below, out=np.full(len(one), np.nan), where=known)


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


def gini(heatmaps: np.ndarray) -> np.ndarray:
    """How sparse each heatmap is: the Gini index of its values.

    After Chalasani et al. (2020), Concise Explanations of Neural Networks using Adversarial
    Training, Section 2. 0 for a uniform map, 1 - 1/n for a single one of n pixels, NaN for a zero
    map. It says how concentrated a map is, not whether it is right.

    Raises
    ------
    CifarcamError
        When the heatmaps are not N x H x W, finite and at least 0.
    """
    maps = checked_maps(heatmaps)
    values = np.sort(maps.reshape(len(maps), -1), axis=1)
    count = values.shape[1]
    ranks = 2 * np.arange(1, count + 1) - count - 1
    total = values.sum(axis=1)
    return np.divide(values @ ranks, count * total, out=np.full(len(maps), np.nan), where=total > 0)
