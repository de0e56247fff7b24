"""Attention over channels and positions of a feature map, as blocks of layers."""

from __future__ import annotations

from typing import Any

import keras

REDUCTION = 8  # of the channels, in the hidden layer; the papers use 16 for wider networks
SPATIAL_KERNEL = 7  # pixels


def squeeze_and_excite(x: Any, name: str) -> Any:
    """Channels weighted by what their means tell (Hu, Shen and Sun 2018, section 3)."""
    channels = x.shape[-1]
    squeezed = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    hidden = keras.layers.Dense(
        max(1, channels // REDUCTION), activation="relu", name=f"{name}_reduce"
    )(squeezed)
    weights = keras.layers.Dense(channels, activation="sigmoid", name=f"{name}_excite")(hidden)
    return keras.layers.Multiply(name=f"{name}_scale")([x, weights])


def cbam(x: Any, name: str) -> Any:
    """Channels, then positions, weighted by means and maxima (Woo et al. 2018, section 3)."""
    channels = x.shape[-1]
    reduce = keras.layers.Dense(
        max(1, channels // REDUCTION), activation="relu", name=f"{name}_reduce"
    )
    excite = keras.layers.Dense(channels, name=f"{name}_excite")
    means = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean")(x)
    maxima = keras.layers.GlobalMaxPooling2D(keepdims=True, name=f"{name}_max")(x)
    summed = keras.layers.Add(name=f"{name}_sum")([excite(reduce(means)), excite(reduce(maxima))])
    weights = keras.layers.Activation("sigmoid", name=f"{name}_channels")(summed)
    x = keras.layers.Multiply(name=f"{name}_by_channel")([x, weights])
    stacked = keras.layers.Concatenate(name=f"{name}_maps")(
        [keras.ops.mean(x, axis=-1, keepdims=True), keras.ops.max(x, axis=-1, keepdims=True)]
    )
    positions = keras.layers.Conv2D(
        1, SPATIAL_KERNEL, padding="same", activation="sigmoid", name=f"{name}_positions"
    )(stacked)
    return keras.layers.Multiply(name=f"{name}_by_position")([x, positions])


BLOCKS = {"squeeze-and-excitation": squeeze_and_excite, "cbam": cbam}
