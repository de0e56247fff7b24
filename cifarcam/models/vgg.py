"""VGG-19 (Simonyan and Zisserman 2015, configuration E), batch-normalised, for 32 x 32 images."""

from __future__ import annotations

from typing import Annotated

import keras
from pydantic import Field
from pydantic.dataclasses import dataclass

from cifarcam._settings import CONFIG, Number
from cifarcam.models.layers import FusedBatchNormalization

BLOCKS = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))  # convolutions, channels


@dataclass(frozen=True, config=CONFIG)
class Options:
    """The dropout before the dense layer, for which the paper has no value at this image size."""

    dropout: Annotated[Number, Field(ge=0, le=0.9)]

    @property
    def smallest_image(self) -> int:
        """32 pixels: five poolings of fewer pixels leave no position."""
        return 32


def build(options: Options) -> keras.Model:
    """The sixteen convolutions of VGG-19, each normalised, then one dense layer.

    Five poolings leave a single position of 512 channels. The two dense layers of 4096 units, made
    for 7 x 7 positions, are left out, as is usual on CIFAR-10. Input: pixels 0-255,
    N x 32 x 32 x 3. Output: class probabilities, N x 10. 20,035,018 parameters are trained.
    """
    layers: list[keras.layers.Layer] = [
        keras.Input((32, 32, 3), name="image"),
        keras.layers.Rescaling(1 / 64, offset=-2.0, name="rescaling"),
    ]
    for block, (count, channels) in enumerate(BLOCKS, start=1):
        for index in range(1, count + 1):
            layers += [
                keras.layers.Conv2D(
                    channels,
                    3,
                    padding="same",
                    use_bias=False,
                    kernel_initializer="he_normal",
                    name=f"block{block}_conv{index}",
                ),
                FusedBatchNormalization(momentum=0.9, epsilon=1e-5, name=f"block{block}_bn{index}"),
                keras.layers.ReLU(name=f"block{block}_relu{index}"),
            ]
        layers.append(keras.layers.MaxPooling2D(2, name=f"block{block}_pool"))
    layers += [
        keras.layers.Flatten(name="flatten"),
        keras.layers.Dropout(options.dropout, name="dropout"),
        keras.layers.Dense(10, dtype="float32", name="logits"),
        keras.layers.Softmax(dtype="float32", name="softmax"),
    ]
    return keras.Sequential(layers, name="vgg19")
