"""Between levels (uint8, 0-255) and intensities (float32, 0-1), and draws for many images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

# Of a level; added before fractions are cut off, so that whole numbers survive float32's rounding.
TOLERANCE = 1e-3


def to_unit(images: np.ndarray) -> np.ndarray:
    """Levels as intensities from 0 to 1, float32."""
    return images.astype(np.float32) / np.float32(255)


def to_levels(values: np.ndarray) -> np.ndarray:
    """Intensities, clipped to 0-1, as levels, uint8; fractions are cut off as the recipe does."""
    return (np.clip(values, 0, 1) * 255 + TOLERANCE).astype(np.uint8)


def drawn(
    generators: Sequence[np.random.Generator], draw: Callable[[np.random.Generator], np.ndarray]
) -> np.ndarray:
    """What each image's own generator draws, stacked: N x ..."""
    return np.stack([draw(generator) for generator in generators])
