"""A search for copies of images that were shifted, mirrored, scaled a little or recoloured.

And the pairs that it found beyond the published list, judged by eye.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import fft, ndimage

from cifarcam import _files
from cifarcam.errors import CifarcamError

JUDGED = Path(__file__).parent / "judged_twins.json"

CHUNK = 2000  # images, or pairs, in work at once
GRID = 8  # blocks along each side in the sieve
NEAREST = 12  # references by query that the sieve lets through, and as many for its mirror image
MARGIN = 4  # pixels; the largest shift along each axis
ZOOMS = (1.0, 0.9, 1.1)
FINE, COARSE = 0.5, 2.0  # pixels, standard deviations of the two blurs whose difference is detail
LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue: ITU-R BT.601, section 2.5.1
SMALLEST = 1e-3  # of a norm; below it an image has no detail
THRESHOLD = 0.8  # correlation of detail from which on an image is taken for a copy


class Match(NamedTuple):
    """A query and the reference that looks like a copy of it.

    Attributes
    ----------
    query, reference
        Indices.
    correlation
        Of the details of the two, aligned, -1 to 1.
    mirrored
        Whether one is the mirror image of the other.
    """

    query: int
    reference: int
    correlation: float
    mirrored: bool


def aligned_duplicates(
    queries: np.ndarray, references: np.ndarray, threshold: float = THRESHOLD
) -> list[Match]:
    """Pairs whose details correlate at least as strongly as `threshold` when they are aligned.

    The search has two steps. A sieve keeps, for each query and for its mirror image, the
    `NEAREST` references whose colours, averaged over blocks, correlate most with it. Then the
    details of each of these pairs are compared. Details are the difference of two Gaussian blurs
    of the grey image: neither large areas nor colours count. The centre of the query, scaled by
    one of `ZOOMS`, is moved over the reference by up to `MARGIN` pixels along each axis, and the
    greatest normalised correlation counts (Lewis 1995, Fast Normalized Cross-Correlation,
    equation 2).

    Unlike `cifarcam.data.quality.near_duplicates`, the search finds shifted, mirrored and
    recoloured copies, and it may miss a pair: one that the sieve drops.

    Parameters
    ----------
    queries, references
        uint8, N x 32 x 32 x 3 and M x 32 x 32 x 3.
    threshold
        The least correlation, above 0 and at most 1.

    Returns
    -------
    list of Match
        By falling correlation, then by index; a pair appears once. 10,000 queries among 50,000
        references take about a minute on one core.

    Raises
    ------
    CifarcamError
        When images have another shape or `threshold` is out of range.
    """
    for images in (queries, references):
        if images.ndim != 4 or images.shape[1:] != (32, 32, 3):
            raise CifarcamError(f"images of shape {images.shape}: give N x 32 x 32 x 3")
    if not 0.0 < threshold <= 1.0:
        raise CifarcamError(f"threshold {threshold:g}: give a number above 0 and at most 1")
    best: dict[tuple[int, int], Match] = {}
    blocks = _blocks(references)
    for mirrored in (False, True):
        turned = queries[:, :, ::-1] if mirrored else queries
        for pairs in _nearest(_blocks(turned), blocks):
            correlations = _aligned(turned, references, pairs)
            for index in np.flatnonzero(correlations >= threshold - 1e-5):  # rounding of a sum
                pair = (int(pairs[index, 0]), int(pairs[index, 1]))
                match = Match(*pair, min(float(correlations[index]), 1.0), mirrored)
                if pair not in best or match.correlation > best[pair].correlation:
                    best[pair] = match
    return sorted(best.values(), key=lambda one: (-one.correlation, one.query, one.reference))


@dataclass(frozen=True)
class JudgedPairs:
    """Pairs that the search found and the published list lacks, judged once by a vision-language model.

    ``judged_twins.json`` holds the rule of the sample, the judgements and how they were made.

    Attributes
    ----------
    images
        Indices of test images (int64, K), ascending, each once.
    twins
        Index of each image's training image in their published order (int64, K).
    same_shot
        bool, K: whether both come from the same photograph, processed differently.
    similar
        bool, K: whether they are other photographs that look very much alike.
    repeats, agreed
        Number of pairs that the same reader judged again minutes later, mirrored and in another
        order, and how many of these got the same judgement: an upper bound of the agreement of two
        readers.
    """

    images: np.ndarray
    twins: np.ndarray
    same_shot: np.ndarray
    similar: np.ndarray
    repeats: int
    agreed: int

    @property
    def confirmed(self) -> np.ndarray:
        """Whether the reader took the two for near duplicates (bool, K)."""
        return self.same_shot | self.similar


def judged_pairs(path: Path = JUDGED) -> JudgedPairs:
    """Read and verify the judged pairs that come with the package.

    Raises
    ------
    CifarcamError
        When the file is missing or damaged.
    """
    content = _files.read_json(path, "install cifarcam again")
    images, twins, judgements = np.array(content["pairs"], np.int64).reshape(-1, 3).T
    index, again = np.array(content["repeat"]["judgements"], np.int64).reshape(-1, 2).T
    agreed = int((judgements[index] == again).sum())
    return JudgedPairs(images, twins, judgements == 1, judgements == 2, len(index), agreed)


def _blocks(images: np.ndarray) -> np.ndarray:
    """Mean colours of blocks less the image's mean colour, of unit length, float32, N x 192."""
    side = 32 // GRID
    blocks = np.empty((len(images), 3 * GRID * GRID), np.float32)
    for start in range(0, len(images), CHUNK):
        part = images[start : start + CHUNK].astype(np.float32)
        means = part.reshape(-1, GRID, side, GRID, side, 3).mean(axis=(2, 4))
        means -= means.mean(axis=(1, 2), keepdims=True)
        flat = means.reshape(len(part), -1)
        lengths = np.linalg.norm(flat, axis=1, keepdims=True)
        blocks[start : start + CHUNK] = flat / np.maximum(lengths, SMALLEST)
    return blocks


def _nearest(queries: np.ndarray, references: np.ndarray) -> Iterator[np.ndarray]:
    """For each query its `NEAREST` references: pairs of indices, int64, M x 2, part by part."""
    count = min(NEAREST, len(references))
    if not count:
        return
    step = CHUNK // NEAREST
    for start in range(0, len(queries), step):
        similarity = queries[start : start + step] @ references.T
        nearest = np.argpartition(similarity, -count, axis=1)[:, -count:]
        first = np.repeat(np.arange(start, start + len(similarity)), count)
        yield np.stack([first, nearest.ravel()], axis=1)


def _aligned(queries: np.ndarray, references: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """The greatest correlation of detail of each pair (int64, M x 2), float32, M."""
    rows, inverse = np.unique(pairs[:, 0], return_inverse=True)
    details = _detail(_grey(references[pairs[:, 1]]))
    spectra, norms = fft.rfft2(details), _window_norms(details)
    grey = _grey(queries[rows])
    best = np.full(len(pairs), -1, np.float32)
    for zoom in ZOOMS:
        centre = _detail(_zoomed(grey, zoom))[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
        centre = centre - centre.mean(axis=(1, 2), keepdims=True)
        lengths = np.sqrt(np.square(centre).sum(axis=(1, 2), keepdims=True))
        template = np.where(lengths < SMALLEST, 0, centre / np.maximum(lengths, SMALLEST))
        # The window of 24 pixels, shifted by up to 8, does not wrap around 32 pixels.
        product = spectra * np.conj(fft.rfft2(template, s=(32, 32)))[inverse]
        products = fft.irfft2(product, s=(32, 32))[:, : 2 * MARGIN + 1, : 2 * MARGIN + 1]
        best = np.maximum(best, (products / norms).max(axis=(1, 2)))
    return best


def _grey(images: np.ndarray) -> np.ndarray:
    """Grey images, float32, N x 32 x 32, levels of 0-255."""
    return images.astype(np.float32) @ np.array(LUMA, np.float32)


def _detail(grey: np.ndarray) -> np.ndarray:
    """Difference of two Gaussian blurs of grey images, float32, N x 32 x 32."""
    fine, coarse = (
        ndimage.gaussian_filter(grey, (0, sigma, sigma), mode="nearest") for sigma in (FINE, COARSE)
    )
    return np.asarray(fine - coarse, np.float32)


def _window_norms(details: np.ndarray) -> np.ndarray:
    """The norm of each window of 24 x 24 pixels less its mean, N x 9 x 9; infinite where it is 0."""
    side = 32 - 2 * MARGIN

    def sums(values: np.ndarray) -> np.ndarray:
        total = np.zeros((len(values), 33, 33))
        total[:, 1:, 1:] = values.cumsum(axis=1, dtype=np.float64).cumsum(axis=2)
        return np.asarray(
            total[:, side:, side:]
            - total[:, :-side, side:]
            - total[:, side:, :-side]
            + total[:, :-side, :-side]
        )

    squares = sums(np.square(details, dtype=np.float64)) - sums(details) ** 2 / side**2
    norms = np.sqrt(np.maximum(squares, 0))
    return np.where(norms < SMALLEST, np.inf, norms).astype(np.float32)


def _zoomed(grey: np.ndarray, zoom: float) -> np.ndarray:
    """Grey images scaled about their centre, bilinear, float32, N x 32 x 32; edges are repeated."""
    if zoom == 1:
        return grey
    places = np.clip(15.5 + (np.arange(32) - 15.5) / zoom, 0, 31)
    low = np.minimum(places.astype(int), 30)
    weight = (places - low).astype(np.float32)
    rows = grey[:, low] * (1 - weight)[:, None] + grey[:, low + 1] * weight[:, None]
    return np.asarray(rows[:, :, low] * (1 - weight) + rows[:, :, low + 1] * weight)
