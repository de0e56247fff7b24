"""How well a heatmap predicts what removing pixels does to the score."""

from __future__ import annotations

import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.explain.classifier import Classifier, Targets
from cifarcam.explain.metrics._checks import checked_pair, pearson
from cifarcam.explain.metrics.faithfulness.confidence import target_classes


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
