"""From pixels to what a model takes: the families of `keras.applications`."""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import NamedTuple

import keras
import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.explain.explanation import Preprocess


class Preprocessing(NamedTuple):
    """How the networks of a family take their pixels.

    Attributes
    ----------
    function
        Pixels, float32, N x H x W x 3, 0-255, RGB -> images; it leaves the pixels as they are.
    input_range
        What black and white become, one value for each of the model's channels, in its own order:
        a model of BGR has blue first.
    """

    function: Preprocess
    input_range: tuple[list[float], list[float]]


def preprocessing(name: str) -> Preprocessing:
    """The preprocessing of a module of `keras.applications`, such as ``"resnet50"``.

    Raises
    ------
    CifarcamError
        When there is no such module.
    """
    families = _families()
    if name not in families:
        raise CifarcamError(
            f"keras.applications has no preprocessing {name!r}; give one of "
            f"{', '.join(sorted(families))}"
        )
    function = partial(_preprocessed, families[name])
    black, white = function(np.array([0, 255], np.float32).reshape(2, 1, 1, 1).repeat(3, axis=3))
    return Preprocessing(function, (black.ravel().tolist(), white.ravel().tolist()))


def _families() -> dict[str, ModuleType]:
    """The modules of `keras.applications`; `imagenet_utils` only helps them."""
    return {
        name: module
        for name, module in vars(keras.applications).items()
        if isinstance(module, ModuleType)
        and hasattr(module, "preprocess_input")
        and name != "imagenet_utils"
    }


def _preprocessed(family: ModuleType, pixels: np.ndarray) -> np.ndarray:
    if pixels.shape[-1] != 3:
        raise CifarcamError(
            f"the model takes {pixels.shape[-1]} channel, but the networks of keras.applications "
            "take 3; give the input range instead"
        )
    # These functions work in place, and follow a setting of the user for the axis of channels.
    images = family.preprocess_input(
        np.array(pixels, np.float32, copy=True), data_format="channels_last"
    )
    return np.asarray(images, np.float32)
