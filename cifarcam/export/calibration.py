"""Training images on which an int8 export learns the range of each activation."""

from __future__ import annotations

import numpy as np

from cifarcam.data import Dataset

IMAGES = 200  # drawn without replacement


def calibration_images(dataset: Dataset, seed: int) -> np.ndarray:
    """At most `IMAGES` training images, drawn by a seed: uint8, N x 32 x 32 x 3."""
    count = min(IMAGES, len(dataset.train))
    indices = np.random.default_rng(seed).choice(len(dataset.train), count, replace=False)
    return dataset.train.images[indices]
