"""DenseNet-BC (Huang et al. 2017, sections 3 and 4.2) for 32 x 32 images."""

from __future__ import annotations

from typing import Annotated, Any

import keras
from pydantic import Field
from pydantic.dataclasses import dataclass

from cifarcam._settings import CONFIG
from cifarcam.models.layers import FusedBatchNormalization


@dataclass(frozen=True, config=CONFIG)
class Options:
    """Depth L (3 n + 4 with n even: three blocks of n / 2 bottleneck pairs) and growth rate k."""

    depth: Annotated[int, Field(ge=10, le=250)]
    growth: Annotated[int, Field(ge=1, le=64)]

    def __post_init__(self) -> None:
        """Refuse a depth that no number of bottleneck pairs gives."""
        if self.depth % 6 != 4:
            raise ValueError(f"depth: {self.depth} is not 3 n + 4 with n even, such as 40 or 100")

    @property
    def smallest_image(self) -> int:
        """4 pixels: two poolings must leave a position, and the mean takes any number of them."""
        return 4


def build(options: Options) -> keras.Model:
    """Three dense blocks with bottlenecks (B) and halving transitions (C).

    Input: pixels 0-255, N x 32 x 32 x 3. Output: class probabilities, N x 10. L = 100, k = 12
    has 769,162 trained parameters.
    """
    growth = options.growth
    image = keras.Input((32, 32, 3), name="image")
    x = keras.layers.Rescaling(1 / 64, offset=-2.0, name="rescaling")(image)
    x = _convolution(x, 2 * growth, 3, "conv0")
    for block in (1, 2, 3):
        for index in range(1, (options.depth - 4) // 6 + 1):
            name = f"block{block}_layer{index}"
            new = _activated(x, f"{name}_a")
            new = _convolution(new, 4 * growth, 1, f"{name}_bottleneck")
            new = _activated(new, f"{name}_b")
            new = _convolution(new, growth, 3, f"{name}_conv")
            x = keras.layers.Concatenate(name=f"{name}_concat")([x, new])
        if block < 3:
            name = f"transition{block}"
            x = _activated(x, name)
            x = _convolution(x, x.shape[-1] // 2, 1, f"{name}_conv")
            x = keras.layers.AveragePooling2D(2, name=f"{name}_pool")(x)
    x = _activated(x, "final")
    x = keras.layers.GlobalAveragePooling2D(name="average")(x)
    x = keras.layers.Dense(10, dtype="float32", name="logits")(x)
    x = keras.layers.Softmax(dtype="float32", name="softmax")(x)
    return keras.Model(image, x, name="densenet_bc")


def _activated(x: Any, name: str) -> Any:
    x = FusedBatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def _convolution(x: Any, channels: int, size: int, name: str) -> Any:
    return keras.layers.Conv2D(
        channels, size, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
    )(x)
