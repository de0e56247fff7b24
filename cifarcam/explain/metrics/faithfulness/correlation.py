"""How well a heatmap predicts the fall of the score when pixels are removed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.explain._options import checked_count, checked_number
from cifarcam.explain.classifier import BATCH, Classifier, Targets
from cifarcam.explain.metrics._checks import (
    altered_values,
    checked_maps,
    checked_pair,
    generator,
    mean_colours,
    row_correlations,
    target_array,
)

ROUNDING = 1e-6  # of a score in float32, as a share of its size


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
    batch_size: int = BATCH,
) -> np.ndarray:
    """Correlation of a heatmap's sum over random patches with the fall of the score without them.

    MuFidelity: Bhatt et al. (2020), Evaluating and Aggregating Feature-based Model Explanations,
    Definition 3. Over random subsets of pixels, it is Pearson's correlation between the sum of the
    attributions and the fall of the score. Here the subsets consist of patches of a grid, removed
    pixels have the image's mean colour, and the score is the score before the softmax.

    Parameters
    ----------
    classifier, images, heatmaps, targets, batch_size
        As for `deletion`.
    grid
        Patches in each direction; their sizes differ by at most one pixel.
    share
        Share of the patches in a subset, 0-1.
    samples
        The number of subsets, the same for all images.
    seed
        Seed of the subsets.

    Returns
    -------
    numpy.ndarray
        N, -1 to 1 (1 is best); NaN where the sums are constant, or the falls up to rounding.

    Raises
    ------
    CifarcamError
        When an option is out of range, or images, heatmaps and targets do not fit.
    """
    maps = checked_pair(images, heatmaps, signed=True)
    removals = patch_removals(
        classifier,
        images,
        targets,
        grid=grid,
        share=share,
        samples=samples,
        seed=seed,
        batch_size=batch_size,
    )
    return removals.fidelity(maps)


def faithfulness_correlation(
    classifier: Classifier,
    images: np.ndarray,
    heatmaps: np.ndarray,
    targets: Targets = None,
    *,
    share: float = 0.2,
    samples: int = 64,
    baseline: float = 0.0,
    seed: int = 0,
    batch_size: int = BATCH,
) -> np.ndarray:
    """Correlation of a heatmap's sum over random pixels with the fall of the score without them.

    Faithfulness correlation: Bhatt et al. (2020), Evaluating and Aggregating Feature-based Model
    Explanations, Definition 3. It differs from `mu_fidelity` in its subsets, which consist of
    single pixels, and in removed pixels, which become black, as in Quantus.

    Parameters
    ----------
    classifier, images, heatmaps, targets, batch_size
        As for `deletion`.
    share
        Share of the pixels in a subset, 0-1.
    samples
        The number of subsets, the same for all images.
    baseline
        The value of removed pixels, from 0, black, to 1, white.
    seed
        Seed of the subsets.

    Returns
    -------
    numpy.ndarray
        N, -1 to 1 (1 is best); NaN where the sums are constant, or the falls up to rounding.

    Raises
    ------
    CifarcamError
        When an option is out of range, images, heatmaps and targets do not fit, or black and white
        are unknown.
    """
    limits = classifier.needed_range("faithfulness correlation")
    pixels = classifier.checked_images(images, batch_size)
    maps = checked_pair(pixels, heatmaps, signed=True)
    subsets = _subsets(maps[0].size, "pixels", share, samples, seed)
    masks = subsets.reshape(-1, *maps.shape[1:])
    colour = limits.black + checked_number("baseline", baseline, 0, 1) * limits.span
    colours = np.broadcast_to(colour, (len(pixels), 1, 1, pixels.shape[3]))
    removals = _removals(classifier, pixels, targets, masks, colours, batch_size)
    return removals.fidelity(maps)


def infidelity(
    classifier: Classifier,
    images: np.ndarray,
    heatmaps: np.ndarray,
    targets: Targets = None,
    *,
    grid: int = 8,
    share: float = 0.2,
    samples: int = 64,
    seed: int = 0,
    batch_size: int = BATCH,
) -> np.ndarray:
    r"""The mean squared error of a heatmap as a linear prediction of the score's fall.

    Yeh et al. (2019), On the (In)fidelity and Sensitivity of Explanations, Definition 2.1:

    $$E_I \left[ \left( I^T \Phi(x) - (y(x) - y(x - I)) \right)^2 \right]$$

    As in Quantus, a perturbation $I$ turns patches black, and the heatmap's value of a pixel counts
    for each of its channels; here the patches are random. $I$ is measured in shares of the range,
    and each heatmap is first multiplied by a factor, so that neither the unit of the pixels nor
    that of the heatmap matters. It is the factor of at least 0 with the smallest error; a heatmap
    of the wrong sign gets 0. The definition has no factor. It takes $\Phi$ for a sensitivity, a
    change of the score for a change of the pixel, as gradients are.

    Parameters
    ----------
    classifier, images, heatmaps, targets, grid, share, samples, seed, batch_size
        As for `mu_fidelity`.

    Returns
    -------
    numpy.ndarray
        N, at least 0 (0 is best), in units of the squared score before the softmax. For a heatmap
        that predicts nothing, such as a zero heatmap, it is the mean squared fall, which is the
        greatest value. Networks differ in the size of their scores; to compare them, divide by the
        infidelity of a zero heatmap.

    Raises
    ------
    CifarcamError
        As `mu_fidelity` does, or when black and white are unknown.
    """
    limits = classifier.needed_range("infidelity")
    pixels = classifier.checked_images(images, batch_size)
    maps = checked_pair(pixels, heatmaps, signed=True)
    masks = _patches(maps.shape[1], maps.shape[2], grid, share, samples, seed)
    colours = np.broadcast_to(limits.black, (len(pixels), 1, 1, len(limits.black)))
    removals = _removals(classifier, pixels, targets, masks, colours, batch_size)
    # The sum of I over the channels, of every pixel turned black.
    changes = ((pixels - limits.black) / limits.span).sum(axis=-1)
    predicted = _sums(maps * changes, masks)
    squares = (predicted**2).mean(axis=1)
    products = (predicted * removals.falls).mean(axis=1)
    factors = np.divide(products, squares, out=np.zeros_like(squares), where=squares > 0)
    factors = np.maximum(factors, 0)
    return ((factors[:, np.newaxis] * predicted - removals.falls) ** 2).mean(axis=1)


@dataclass(frozen=True)
class PatchRemovals:
    """Falls of the score when patches are removed; they serve for any heatmap of the images.

    Attributes
    ----------
    masks
        Samples x H x W, bool: the pixels removed, the same for all images.
    falls
        N x samples: the score before minus the score after the removal. Falls of an image that
        differ by no more than a millionth of its scores are equal: their mean.
    """

    masks: np.ndarray
    falls: np.ndarray

    def fidelity(self, heatmaps: np.ndarray) -> np.ndarray:
        """MuFidelity of one heatmap for each image, as `mu_fidelity` returns it.

        Raises
        ------
        CifarcamError
            When heatmaps and removals do not fit, or a value is not finite.
        """
        maps, shape = checked_maps(heatmaps, signed=True), (len(self.falls), *self.masks.shape[1:])
        if maps.shape != shape:
            raise CifarcamError(f"heatmaps {maps.shape} do not fit removals from images {shape}")
        return row_correlations(_sums(maps, self.masks), self.falls)


def patch_removals(
    classifier: Classifier,
    images: np.ndarray,
    targets: Targets = None,
    *,
    grid: int = 8,
    share: float = 0.2,
    samples: int = 64,
    seed: int = 0,
    batch_size: int = BATCH,
) -> PatchRemovals:
    """Remove random subsets of patches from images; parameters and errors as for `mu_fidelity`."""
    pixels = classifier.checked_images(images, batch_size)
    masks = _patches(pixels.shape[1], pixels.shape[2], grid, share, samples, seed)
    return _removals(classifier, pixels, targets, masks, mean_colours(pixels), batch_size)


def _removals(
    classifier: Classifier,
    pixels: np.ndarray,
    targets: Targets,
    masks: np.ndarray,
    colours: np.ndarray,
    batch_size: int,
) -> PatchRemovals:
    """Falls of the score when the pixels in masks get their image's colour, N x 1 x 1 x C."""
    targets = target_array(classifier, pixels, targets, batch_size)
    # The first alteration removes nothing.
    hidden = np.concatenate([np.zeros((1, *masks.shape[1:]), bool), masks])[..., np.newaxis]

    def without(numbers: np.ndarray, alterations: np.ndarray) -> np.ndarray:
        whole = pixels[numbers].astype(np.float32)
        return np.where(hidden[alterations], colours[numbers].astype(np.float32), whole)

    scores = altered_values(
        classifier, without, len(hidden), targets, batch_size, is_probability=False
    )
    return PatchRemovals(masks, _falls(scores))


def _falls(scores: np.ndarray) -> np.ndarray:
    """The first score of each row minus the others; falls that differ by rounding alone are equal.

    Scores are float32: their differences are no finer than about 1e-7 of the scores.
    """
    falls = scores[:, :1] - scores[:, 1:]
    means = falls.mean(axis=1, keepdims=True)
    deviations = np.abs(falls - means).max(axis=1, keepdims=True)
    greatest = np.abs(scores).max(axis=1, keepdims=True)
    return np.where(deviations <= ROUNDING * greatest, means, falls)


def _patches(
    height: int, width: int, grid: int, share: float, samples: int, seed: int
) -> np.ndarray:
    """Masks of random subsets of the cells of a grid, bool, samples x H x W."""
    grid = checked_count("grid", grid, 2)
    subsets = _subsets(grid**2, "patches", share, samples, seed).reshape(-1, grid, grid)
    rows, columns = np.arange(height) * grid // height, np.arange(width) * grid // width
    return subsets[:, rows][:, :, columns]


def _subsets(count: int, things: str, share: float, samples: int, seed: int) -> np.ndarray:
    """Random subsets of equal size of `count` things, bool, samples x count."""
    size = round(checked_number("share", share, 0, 1) * count)
    if not 0 < size < count:
        raise CifarcamError(
            f"share is {share}, which removes {size} of {count} {things}; give a share that "
            "removes at least 1 of them, but not all"
        )
    rng = generator(seed)
    subsets = np.zeros((checked_count("samples", samples, 3), count), bool)
    for subset in subsets:
        subset[rng.choice(count, size, replace=False)] = True
    return subsets


def _sums(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """The sum of each map over each mask, N x samples."""
    return maps.reshape(len(maps), -1) @ masks.reshape(len(masks), -1).T.astype(np.float64)
