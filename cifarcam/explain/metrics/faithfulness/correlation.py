"""How well a heatmap predicts the fall of the score when pixels are removed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.explain.classifier import Classifier, Targets
from cifarcam.explain.metrics._checks import (
    checked_maps,
    checked_pair,
    row_correlations,
    target_classes,
)


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
    """Correlation of a heatmap's sum over random patches with the fall of the score without them.

    MuFidelity: Bhatt et al. (2020), Evaluating and Aggregating Feature-based Model Explanations,
    Section 3. Over random subsets of pixels, it is Pearson's correlation between the sum of the
    attributions and the fall of the score. Here the subsets consist of patches of a grid, removed
    pixels have the image's mean colour, and the score is the score before the softmax.

    Parameters
    ----------
    classifier, images, heatmaps, targets
        As for `deletion`.
    grid
        Patches in each direction; it has to divide the image's height and width.
    share
        Share of the patches in a subset, 0-1.
    samples
        The number of subsets, the same for all images.
    seed
        Seed of the subsets.

    Returns
    -------
    numpy.ndarray
        N, -1 to 1 (1 is best); NaN where the sums or the falls are constant.

    Raises
    ------
    CifarcamError
        When an option is out of range, or images, heatmaps and targets do not fit.
    """
    maps = checked_pair(images, heatmaps, signed=True)
    removals = patch_removals(
        classifier, images, targets, grid=grid, share=share, samples=samples, seed=seed
    )
    return removals.fidelity(maps)


@dataclass(frozen=True)
class PatchRemovals:
    """Falls of the score when patches are removed; they serve for any heatmap of the images.

    Attributes
    ----------
    masks
        Samples x H x W, bool: the pixels removed, the same for all images.
    falls
        N x samples: the score before minus the score after the removal.
    """

    masks: np.ndarray
    falls: np.ndarray

    def fidelity(self, heatmaps: np.ndarray) -> np.ndarray:
        """MuFidelity of one heatmap for each image, as `mu_fidelity` returns it."""
        maps = checked_maps(heatmaps, signed=True)
        flat = self.masks.reshape(len(self.masks), -1).astype(np.float64)
        return row_correlations(maps.reshape(len(maps), -1) @ flat.T, self.falls)


def patch_removals(
    classifier: Classifier,
    images: np.ndarray,
    targets: Targets = None,
    *,
    grid: int = 8,
    share: float = 0.2,
    samples: int = 64,
    seed: int = 0,
) -> PatchRemovals:
    """Remove random subsets of patches from images; parameters and errors as for `mu_fidelity`."""
    pixels = np.asarray(classifier.checked_images(images), np.float32)
    height, width = pixels.shape[1:3]
    if grid < 2 or height % grid or width % grid:
        raise CifarcamError(f"a grid of {grid} x {grid} does not divide {height} x {width} pixels")
    patches = round(share * grid**2)
    if not 0 < patches < grid**2 or samples < 3:
        raise CifarcamError(
            f"share is {share} and samples {samples}; give a share between 0 and 1 and at least 3 "
            "samples"
        )
    rng = np.random.default_rng(seed)
    subsets = np.zeros((samples, grid * grid), bool)
    for subset in subsets:
        subset[rng.choice(grid * grid, patches, replace=False)] = True
    masks = subsets.reshape(-1, grid, grid).repeat(height // grid, 1).repeat(width // grid, 2)
    classes = target_classes(classifier, pixels, targets)
    each = np.arange(len(pixels))
    before = classifier.scores(pixels)[each, classes].astype(np.float64)
    ground = pixels.mean(axis=(1, 2), keepdims=True)
    falls = np.empty((len(pixels), samples))
    for index, mask in enumerate(masks):
        changed = np.where(mask[None, ..., None], ground, pixels)
        falls[:, index] = before - classifier.scores(changed)[each, classes]
    return PatchRemovals(masks, falls)
