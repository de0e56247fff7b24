"""Grids of test images, each of which the network classifies rightly alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.explain._options import checked_count
from cifarcam.explain.classifier import BATCH, Classifier
from cifarcam.explain.metrics._checks import generator


@dataclass(frozen=True)
class Grids:
    """Images made of two or four tiles, which show as many classes.

    Attributes
    ----------
    images
        N x H x W x C, uint8.
    masks
        Tiles x H x W, bool: the place of each tile, the same in all grids.
    classes
        N x tiles: the class of each tile, all different within a grid.
    """

    images: np.ndarray
    masks: np.ndarray
    classes: np.ndarray

    def only(self, kept: np.ndarray) -> Grids:
        """The grids that an index or a mask of them selects."""
        return Grids(self.images[kept], self.masks, self.classes[kept])


def make_grids(
    images: np.ndarray, labels: np.ndarray, tiles: int, count: int, seed: int = 0
) -> Grids:
    """Draw grids of images of different classes, in their original scale.

    Two tiles: the middle halves (all rows, half of the columns) of two images side by side, so that
    the grid has the size of one image, as a network with a dense layer needs. Four tiles: four
    whole images, so that the grid is twice as high and wide; a network with global pooling takes
    it. The grid pointing game is that of Böhle et al. (2021), Convolutional Dynamic Alignment
    Networks.

    Parameters
    ----------
    images
        N x H x W x C, uint8; give those that the network classifies rightly.
    labels
        Classes, N, at least `tiles` different ones.
    tiles
        2 or 4.
    count
        The number of grids.
    seed
        Seed of the random draws.

    Raises
    ------
    CifarcamError
        When images and labels do not fit, or an option is out of range.
    """
    pixels, labels = np.asarray(images), np.asarray(labels)
    if pixels.ndim != 4 or len(pixels) != len(labels):
        raise CifarcamError(f"images {pixels.shape} and labels {labels.shape} do not fit")
    count, tiles = checked_count("count", count, 1), checked_count("tiles", tiles, 2, 4)
    classes = np.unique(labels)
    if tiles == 3 or len(classes) < tiles or pixels.shape[2] % 4:
        raise CifarcamError(
            f"{tiles} tiles, {len(classes)} classes, {pixels.shape[2]} columns; give 2 or 4 tiles, "
            "as many classes as tiles, and columns in fours"
        )
    rng = generator(seed)
    drawn = np.stack([rng.choice(classes, tiles, replace=False) for _ in range(count)])
    members = [[rng.choice(np.flatnonzero(labels == each)) for each in row] for row in drawn]
    parts = pixels[np.array(members)]  # N x tiles x H x W x C
    if tiles == 2:
        width = pixels.shape[2]
        parts = parts[:, :, :, width // 4 : width // 4 + width // 2]
    across = np.concatenate(np.split(parts, 2, axis=1), axis=3)
    grids = np.concatenate([across[:, row] for row in range(across.shape[1])], axis=1)
    masks = np.zeros((tiles, *grids.shape[1:3]), bool)
    height, width = parts.shape[2:4]
    rows = tiles // 2
    for tile, mask in enumerate(masks):
        # The tiles of the left column come first.
        top, left = tile % rows * height, tile // rows * width
        mask[top : top + height, left : left + width] = True
    return Grids(grids, masks, drawn)


def recognised(classifier: Classifier, grids: Grids, *, batch_size: int = BATCH) -> np.ndarray:
    """Whether the classes of a grid's tiles are the network's classes of highest score: bool, N.

    `batch_size` is the number of grids at a time; it does not change the result.
    """
    tiles = grids.classes.shape[1]
    scores = classifier.scores(grids.images, batch_size)
    highest = np.argsort(-scores, axis=1, kind="stable")[:, :tiles]
    return (np.sort(highest, axis=1) == np.sort(grids.classes, axis=1)).all(axis=1)
