"""EfficientNet-Lite0 for ImageNet (Tan and Le 2019, table 1, as its authors made it for phones).

It is EfficientNet-B0 without squeeze and excitation, with ReLU6 in place of Swish.
"""

from __future__ import annotations

from typing import Any

import keras

# A row a stage: blocks, size of the depthwise kernel, stride of the first block, expansion of the
# channels inside a block, channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD = 32, 1280  # channels of the first and the last convolution
EPSILON = 1e-3  # of batch normalisation


def build_imagenet() -> keras.Model:
    """EfficientNet-Lite0 for ImageNet, 4,652,008 trained parameters.

    Input: pixels 0-255, N x 224 x 224 x 3, which its first layer takes to (x - 127) / 128, as the
    network was trained. Output: class probabilities, N x 1000.
    """
    image = keras.Input((224, 224, 3), name="image")
    x = keras.layers.Rescaling(1 / 128, offset=-127 / 128, name="rescaling")(image)
    x = _activated(_convolution(x, STEM, 3, 2, "stem"), "stem")
    number = 0
    for blocks, size, first_stride, expansion, channels in STAGES:
        for place in range(blocks):
            number += 1
            stride = first_stride if place == 0 else 1
            x = inverted_bottleneck(x, channels, size, stride, expansion, f"block{number}")
    x = _activated(_convolution(x, HEAD, 1, 1, "head"), "head")
    x = keras.layers.GlobalAveragePooling2D(name="average")(x)
    x = keras.layers.Dense(1000, dtype="float32", name="logits")(x)
    x = keras.layers.Softmax(dtype="float32", name="softmax")(x)
    return keras.Model(image, x, name="efficientnet_lite0")


def inverted_bottleneck(
    x: Any, channels: int, size: int, stride: int, expansion: int, name: str
) -> Any:
    """One block (Sandler et al. 2018, MobileNetV2, table 1): expand, filter, project.

    A 1 x 1 convolution multiplies the channels by `expansion` (left out where that is 1), a
    depthwise convolution filters each of them, and a second 1 x 1 convolution projects them to
    `channels`, without an activation. Where the shape stays, the input is added.

    Parameters
    ----------
    x
        N x H x W x C.
    channels, size, stride, expansion
        Of the output, of the depthwise kernel and its stride, and of the channels in between.
    name
        What the names of the block's layers begin with.
    """
    shortcut = x
    if expansion > 1:
        part = f"{name}_expand"
        x = _activated(_convolution(x, expansion * x.shape[-1], 1, 1, part), part)
    part = f"{name}_depthwise"
    x = keras.layers.DepthwiseConv2D(
        size,
        stride,
        padding="same",
        use_bias=False,
        depthwise_initializer="he_normal",
        name=part,
    )(x)
    x = _activated(_normalized(x, part), part)
    x = _convolution(x, channels, 1, 1, f"{name}_project")
    if x.shape == shortcut.shape:
        x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
    return x


def _convolution(x: Any, channels: int, size: int, stride: int, name: str) -> Any:
    """A convolution, padded as TensorFlow does it, and its batch normalisation."""
    x = keras.layers.Conv2D(
        channels,
        size,
        stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    return _normalized(x, name)


def _normalized(x: Any, name: str) -> Any:
    return keras.layers.BatchNormalization(epsilon=EPSILON, name=f"{name}_bn")(x)


def _activated(x: Any, name: str) -> Any:
    return keras.layers.ReLU(6.0, name=f"{name}_relu")(x)
