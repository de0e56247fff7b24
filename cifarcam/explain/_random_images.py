"""Random images to try a model on, of a size that the model takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from cifarcam.errors import CifarcamError, first_line

SIDES = (32, 64, 128, 256, 512)  # pixels; tried for a model with an open image size
Result = TypeVar("Result")


def random_images(count: int, height: int, width: int, channels: int) -> np.ndarray:
    """Images of noise, float32, by turns of 0-1 and of 0-255."""
    pixels = np.random.default_rng(0).random((count, height, width, channels), np.float32)
    pixels[1::2] *= 255
    return pixels


def on_fitting_size(
    image_shape: tuple[int | None, ...],
    run: Callable[[int, int, int], Result],
    *,
    largest_first: bool = False,
) -> Result:
    """What `run` returns for a height, a width and channels on which it does not fail.

    Parameters
    ----------
    image_shape
        Height, width and channels; None where any size fits.
    run
        A function of height, width and channels.
    largest_first
        Whether to try the largest of `SIDES` first.

    Raises
    ------
    CifarcamError
        When it fails on images of every size.
    """
    sides = SIDES[::-1] if largest_first else SIDES
    height, width, channels = image_shape
    assert channels is not None  # `check_input` refuses such a model
    for size in dict.fromkeys((height or side, width or side, channels) for side in sides):
        try:
            return run(*size)
        # Layers of other authors may raise anything, or the images have another size.
        except Exception as error:
            failure, shape = error, size
    raise CifarcamError(
        f"the model fails on images of shape {shape}: {first_line(failure)}"
    ) from failure
