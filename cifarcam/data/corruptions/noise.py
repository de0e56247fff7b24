"""Noise: each value of an image changes at random, independently of the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cifarcam.data.corruptions.levels import drawn, to_levels, to_unit

DEVIATION = (0.04, 0.06, 0.08, 0.09, 0.10)
PHOTONS = (500, 250, 100, 75, 50)  # expected at full intensity
SHARE = (0.01, 0.02, 0.03, 0.05, 0.07)


def gaussian(
    images: np.ndarray, severity: int, generators: Sequence[np.random.Generator]
) -> np.ndarray:
    """Add normal noise, as of a sensor in dim light."""
    shape = images.shape[1:]
    normal = drawn(generators, lambda rng: rng.standard_normal(shape, np.float32))
    return to_levels(to_unit(images) + np.float32(DEVIATION[severity - 1]) * normal)


def shot(
    images: np.ndarray, severity: int, generators: Sequence[np.random.Generator]
) -> np.ndarray:
    """Draw each value anew as a number of photons: Poisson noise."""
    photons = PHOTONS[severity - 1]
    expected = to_unit(images) * np.float32(photons)
    counts = [rng.poisson(one) for rng, one in zip(generators, expected, strict=True)]
    return to_levels(np.stack(counts) / photons)


def impulse(
    images: np.ndarray, severity: int, generators: Sequence[np.random.Generator]
) -> np.ndarray:
    """Set a share of the values to 0 or 255, each with probability one half: salt and pepper."""
    shape = images.shape[1:]
    place = drawn(generators, lambda rng: rng.random(shape, np.float32))
    share = SHARE[severity - 1]
    # Of the values below `share`, which are hit, the lower half becomes 255.
    return np.where(place < share, np.where(place < share / 2, 255, 0), images).astype(np.uint8)
