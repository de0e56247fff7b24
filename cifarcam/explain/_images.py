"""Whether images are an array that a model takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cifarcam.errors import CifarcamError


def checked_array(images: np.ndarray, shape: Sequence[int | None]) -> np.ndarray:
    """The images as an array of the model's shape: height, width and channels, None where any fits.

    Raises
    ------
    CifarcamError
        When there are none, they have another shape, or a value is not a finite number.
    """
    try:
        array = np.asarray(images)
    except ValueError as error:  # a list of images of different shapes
        raise CifarcamError(
            "the images differ in shape; give one array, N x H x W x C, or explain images of "
            "each shape in a call of their own"
        ) from error
    fits = array.ndim == 4 and all(
        expected in (None, actual) for expected, actual in zip(shape, array.shape[1:], strict=True)
    )
    if not fits:
        expected = " x ".join("any" if n is None else str(n) for n in shape)
        raise CifarcamError(f"images have shape {array.shape}; the model takes N x {expected}")
    if not len(array):
        raise CifarcamError("there are no images to explain; give at least one")
    if array.dtype.kind not in "uifb":
        raise CifarcamError(f"images are of type {array.dtype}, not numbers")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise CifarcamError("images have values that are not finite")
    return array
