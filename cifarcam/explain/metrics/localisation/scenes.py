"""Scenes with a known object: a small picture pasted into a picture of another class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.explain.metrics._checks import checked_maps


@dataclass(frozen=True)
class Scenes:
    """Pictures of two classes: a small picture pasted into a picture of another class.

    Attributes
    ----------
    images
        N x H x W x C, uint8.
    masks
        N x H x W, bool: the pixels of the small picture.
    objects, backgrounds
        The classes of the small picture and of the picture behind it, N, always different.
    """

    images: np.ndarray
    masks: np.ndarray
    objects: np.ndarray
    backgrounds: np.ndarray


def make_scenes(images: np.ndarray, labels: np.ndarray, count: int, seed: int = 0) -> Scenes:
    """Pictures of half the size, each pasted into a quarter of a picture of another class.

    The seed decides pictures, backgrounds and quarters. The mask marks the whole small picture, not
    the outline of its object.

    Parameters
    ----------
    images
        N x H x W x C, uint8, H and W even.
    labels
        Classes, N, of at least two kinds.
    count
        The number of scenes.
    seed
        Seed of the random draws.

    Raises
    ------
    CifarcamError
        When images and labels do not fit, a side is odd, or there is one class only.
    """
    pixels, classes = np.asarray(images), np.asarray(labels)
    if pixels.ndim != 4 or len(pixels) != len(classes):
        raise CifarcamError(f"images {pixels.shape} and labels {classes.shape} do not fit")
    height, width = pixels.shape[1:3]
    if height % 2 or width % 2 or count < 1 or len(np.unique(classes)) < 2:
        raise CifarcamError(
            "scenes need images with even sides, a count of at least 1, and two classes"
        )
    rng = np.random.default_rng(seed)
    objects = rng.integers(len(pixels), size=count)
    backgrounds = np.empty(count, np.int64)
    for index, picture in enumerate(objects):
        others = np.flatnonzero(classes != classes[picture])
        backgrounds[index] = rng.choice(others)
    quarters = rng.integers(4, size=count)
    scenes, masks = pixels[backgrounds].copy(), np.zeros((count, height, width), bool)
    small = pixels[objects].reshape(count, height // 2, 2, width // 2, 2, -1).mean(axis=(2, 4))
    for index, quarter in enumerate(quarters):
        top, left = quarter // 2 * (height // 2), quarter % 2 * (width // 2)
        place = np.s_[top : top + height // 2, left : left + width // 2]
        scenes[index][place] = np.rint(small[index])
        masks[index][place] = True
    return Scenes(scenes, masks, classes[objects], classes[backgrounds])


def energy_inside(heatmaps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """The share of each heatmap's sum (its energy) inside its mask.

    The energy-based pointing game of Wang et al. (2020), Score-CAM, Section 4.3.

    Parameters
    ----------
    heatmaps
        N x H x W, finite, at least 0.
    masks
        N x H x W, bool.

    Returns
    -------
    numpy.ndarray
        N, 0-1; NaN for a zero heatmap. For a uniform heatmap it is the mask's share of the area.

    Raises
    ------
    CifarcamError
        When the shapes differ, or a value is negative or not finite.
    """
    maps, inside = _with_masks(heatmaps, masks)
    total = maps.sum(axis=(1, 2))
    # The sum inside the mask; 1 minus the sum outside would have rounding errors near 0.
    within = (maps * inside).sum(axis=(1, 2))
    return np.divide(within, total, out=np.full(len(maps), np.nan), where=total > 0)


def _with_masks(heatmaps: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    maps, inside = checked_maps(heatmaps), np.asarray(masks, bool)
    if maps.shape != inside.shape:
        raise CifarcamError(f"heatmaps {maps.shape} and masks {inside.shape} differ in shape")
    return maps, inside
