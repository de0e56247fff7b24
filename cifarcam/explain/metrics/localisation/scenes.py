"""Scenes whose truth is known: a small object on the picture of another class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.explain.metrics._checks import checked_maps


@dataclass(frozen=True)
class Scenes:
    """Pictures of two classes: a small object on another class's picture.

    Attributes
    ----------
    images
        N x H x W x C, uint8.
    masks
        N x H x W, bool: where the object is.
    objects, backgrounds
        Classes, N, of the object and of the picture behind it, always different.
    """

    images: np.ndarray
    masks: np.ndarray
    objects: np.ndarray
    backgrounds: np.ndarray


def make_scenes(images: np.ndarray, labels: np.ndarray, count: int, seed: int = 0) -> Scenes:
    """Pictures reduced to half their size and pasted into one quarter of others.

    Objects, backgrounds (of another class) and quarters are drawn from the seed. The object comes
    with its own surroundings, so the truth is where its picture lies, not its outline.

    Parameters
    ----------
    images
        N x H x W x C, uint8, H and W even.
    labels
        Classes, N, at least two different ones.
    count
        Scenes to make.
    seed
        Of the draws.

    Raises
    ------
    CifarcamError
        When the shapes do not fit, or there is a single class.
    """
    pixels, classes = np.asarray(images), np.asarray(labels)
    if pixels.ndim != 4 or len(pixels) != len(classes):
        raise CifarcamError(f"images {pixels.shape} and labels {classes.shape} do not fit")
    height, width = pixels.shape[1:3]
    if height % 2 or width % 2 or count < 1 or len(np.unique(classes)) < 2:
        raise CifarcamError("scenes need even sides, a count of 1 or more, and two classes")
    rng = np.random.default_rng(seed)
    objects = rng.integers(len(pixels), size=count)
    backgrounds = np.empty(count, np.int64)
    for index, chosen in enumerate(objects):
        others = np.flatnonzero(classes != classes[chosen])
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
    """The share of each heatmap's energy (its sum) within its mask.

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
        N, 0-1; NaN for a zero map. A uniform map gives the mask's share of the area.

    Raises
    ------
    CifarcamError
        When shapes differ or a value is negative or not finite.
    """
    maps, inside = _with_masks(heatmaps, masks)
    total = maps.sum(axis=(1, 2))
    # The mask's own sum, not 1 minus the rest's, which would leave rounding errors near 0.
    within = (maps * inside).sum(axis=(1, 2))
    return np.divide(within, total, out=np.full(len(maps), np.nan), where=total > 0)


def _with_masks(heatmaps: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    maps, inside = checked_maps(heatmaps), np.asarray(masks, bool)
    if maps.shape != inside.shape:
        raise CifarcamError(f"heatmaps {maps.shape} and masks {inside.shape} differ in shape")
    return maps, inside
