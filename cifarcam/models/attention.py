"""Squeeze-and-excitation: attention over the channels of a feature map."""

from __future__ import annotations

from typing import Any

import keras

REDUCTION = 8  # of the channels, in the hidden layer; the paper uses 16 for wider networks


def squeeze_and_excite(x: Any, name: str) -> Any:
    """Channels weighted by a function of their means (Hu, Shen and Sun 2018, section 3).

    Parameters
    ----------
    x
        A feature map, N x H x W x C.
    name
        The prefix of the layers' names.

    Returns
    -------
    Any
        The weighted feature map, N x H x W x C.
    """
    channels = x.shape[-1]
    squeezed = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    hidden = keras.layers.Dense(
        max(1, channels // REDUCTION), activation="relu", name=f"{name}_reduce"
    )(squeezed)
    weights = keras.layers.Dense(channels, activation="sigmoid", name=f"{name}_excite")(hidden)
    return keras.layers.Multiply(name=f"{name}_scale")([x, weights])
