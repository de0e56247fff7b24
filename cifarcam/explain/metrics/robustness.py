"""Robustness: how far heatmaps change under small changes of the image."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.explain._options import checked_count, checked_number
from cifarcam.explain.base import Explainer
from cifarcam.explain.classifier import BATCH, Targets
from cifarcam.explain.metrics._checks import generator, target_array

__all__ = ["local_lipschitz_estimate", "max_sensitivity"]

RADIUS = 5 / 255  # a share of the input range
GRID = 32  # the most squares of equal change in each direction


def max_sensitivity(
    explainer: Explainer,
    images: np.ndarray,
    targets: Targets = None,
    *,
    radius: float = RADIUS,
    samples: int = 8,
    seed: int = 0,
    batch_size: int = BATCH,
) -> np.ndarray:
    """The greatest relative change of each heatmap under small random changes of the image.

    Max-sensitivity: Yeh et al. (2019), On the (In)fidelity and Sensitivity of Explanations,
    estimated by sampling. There it is the greatest Euclidean distance between the
    heatmaps of the changed and the unchanged image. We divide it by the norm of the unchanged
    image's heatmap, so that the unit of the heatmaps does not matter; Quantus divides by the norm
    of the image. All heatmaps explain the class of the unchanged image.

    A change has a value for each square of a grid, 32 x 32 or the image's size if that is smaller.
    If each pixel had its own, changes would average out in large images.

    Parameters
    ----------
    explainer
        An explanation method bound to a model.
    images
        N x H x W x C, in the model's range.
    targets
        Classes to explain, as for an explainer.
    radius
        Greatest change of a pixel value, as a share of the range from black to white, 0-1.
    samples
        The number of random changes, uniform in a cube, the same for all images.
    seed
        Seed of the changes.
    batch_size
        The number of images, and of altered images, at a time; it does not change the result.

    Returns
    -------
    numpy.ndarray
        N, at least 0 (0 is best); NaN if the heatmap of the unchanged image is zero.

    Raises
    ------
    CifarcamError
        When an option is out of range, images and targets do not fit the model, or black and white
        are unknown.
    """
    values = []
    for own, others, _ in _changes(
        explainer, images, targets, "max-sensitivity", radius, samples, seed, batch_size
    ):
        norms = _norms(own)
        greatest = np.max([_norms(other - own) for other in others], axis=0)
        values.append(np.divide(greatest, norms, out=np.full(len(own), np.nan), where=norms > 0))
    return np.concatenate(values)


def local_lipschitz_estimate(
    explainer: Explainer,
    images: np.ndarray,
    targets: Targets = None,
    *,
    radius: float = RADIUS,
    samples: int = 8,
    seed: int = 0,
    batch_size: int = BATCH,
) -> np.ndarray:
    """The greatest change of each heatmap per change of the image, near the image.

    The local Lipschitz estimate: Alvarez-Melis and Jaakkola (2018), On the Robustness of
    Interpretability Methods, over a sample of nearby images. It is the greatest ratio of two
    Euclidean distances, between heatmaps and between images. As in Quantus, each heatmap is divided
    by its maximum first. The distance of images is measured in shares of the range, and their
    changes are those of `max_sensitivity`.

    Parameters and errors are those of `max_sensitivity`; `radius` has to be above 0.

    Returns
    -------
    numpy.ndarray
        N, at least 0 (0 is best); NaN if the heatmap of the unchanged image is zero.
    """
    if radius == 0:
        raise CifarcamError("radius is 0; give a radius above 0")
    values = []
    for own, others, distances in _changes(
        explainer,
        images,
        targets,
        "the local Lipschitz estimate",
        radius,
        samples,
        seed,
        batch_size,
    ):
        differences = [_norms(_of_maximum_1(other) - _of_maximum_1(own)) for other in others]
        ratios = np.max(np.array(differences) / distances[:, np.newaxis], axis=0)
        values.append(np.where(own.any(axis=(1, 2)), ratios, np.nan))
    return np.concatenate(values)


def _changes(
    explainer: Explainer,
    images: np.ndarray,
    targets: Targets,
    needer: str,
    radius: float,
    samples: int,
    seed: int,
    batch_size: int,
) -> Iterator[tuple[np.ndarray, list[np.ndarray], np.ndarray]]:
    """Heatmaps of the images and of their changed copies, and the sizes of the changes, by batch.

    Float64: n x H x W; a list of `samples` arrays of that shape; Euclidean norms of the changes in
    shares of the range, `samples`.
    """
    samples, radius = checked_count("samples", samples, 1), checked_number("radius", radius, 0, 1)
    classifier = explainer.classifier
    span = classifier.needed_range(needer).span
    pixels = classifier.checked_images(images, batch_size)
    targets = target_array(classifier, pixels, targets, batch_size)
    for start in range(0, len(pixels), batch_size):
        batch = slice(start, start + batch_size)
        whole = pixels[batch].astype(np.float32)

        def heatmaps(altered: np.ndarray, of: np.ndarray = targets[batch]) -> np.ndarray:
            return explainer(altered, of, batch_size=batch_size).astype(np.float64)

        own = heatmaps(whole)
        rng = generator(seed)
        others, distances = [], []
        for _ in range(samples):
            change = _change(rng, radius, pixels.shape[1:])
            others.append(heatmaps(whole + change * span))
            distances.append(np.linalg.norm(change.astype(np.float64)))
        yield own, others, np.array(distances)


def _change(rng: np.random.Generator, radius: float, shape: tuple[int, ...]) -> np.ndarray:
    """A random change of an image, float32, H x W x C, of equal values in squares of a grid."""
    height, width, channels = shape
    rows, columns = min(height, GRID), min(width, GRID)
    values = rng.uniform(-radius, radius, (rows, columns, channels)).astype(np.float32)
    return values[np.arange(height) * rows // height][:, np.arange(width) * columns // width]


def _norms(maps: np.ndarray) -> np.ndarray:
    return np.sqrt((maps**2).sum(axis=(1, 2)))


def _of_maximum_1(maps: np.ndarray) -> np.ndarray:
    """Heatmaps divided by their maximum; zero heatmaps stay zero."""
    peaks = maps.max(axis=(1, 2), keepdims=True)
    return np.divide(maps, peaks, out=np.zeros_like(maps), where=peaks > 0)
