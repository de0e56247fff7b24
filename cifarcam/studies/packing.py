"""Values of many images, and small maps, as short text in a record."""

from __future__ import annotations

import base64
import zlib

import numpy as np

from cifarcam.errors import CifarcamError

_UNIT = 1e-4
_MISSING = -(2**15)


def packed(values: np.ndarray) -> str:
    """Numbers as base64 of little-endian int16 in units of 0.0001.

    Parameters
    ----------
    values
        N, between -3.2767 and 3.2767, or NaN.

    Raises
    ------
    CifarcamError
        When a value is out of range.
    """
    numbers = np.asarray(values, np.float64)
    missing = np.isnan(numbers)
    units = np.rint(np.where(missing, 0, numbers) / _UNIT)
    if (np.abs(units) > 2**15 - 1).any():
        raise CifarcamError(f"a value of {np.nanmax(np.abs(numbers)):g} is beyond 3.2767")
    return base64.b64encode(np.where(missing, _MISSING, units).astype("<i2").tobytes()).decode()


def unpacked(text: str) -> np.ndarray:
    """The numbers that `packed` turned into text: float64, N, NaN where there was no number."""
    units = np.frombuffer(base64.b64decode(text), "<i2").astype(np.float64)
    return np.where(units == _MISSING, np.nan, units * _UNIT)


def packed_maps(values: np.ndarray) -> str:
    """Maps with values of 0 to 5 as text, in steps of 1/51 of a byte each (N x 8 x 8)."""
    steps = np.rint(51 * np.clip(values, 0, 5)).astype(np.uint8)
    return base64.b64encode(zlib.compress(steps.tobytes(), 9)).decode()


def unpacked_maps(text: str) -> np.ndarray:
    """The maps that `packed_maps` turned into text: float32, N x 8 x 8."""
    steps = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    return steps.reshape(-1, 8, 8).astype(np.float32) / 51
