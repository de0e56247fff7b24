"""AlexNet (Krizhevsky, Sutskever and Hinton 2012, section 3.5), for ImageNet and for CIFAR-10."""

from __future__ import annotations

from typing import Annotated

import keras
from pydantic import Field
from pydantic.dataclasses import dataclass

from cifarcam._settings import CONFIG, Number


@dataclass(frozen=True, config=CONFIG)
class Options:
    """The width of the two hidden dense layers and their dropout (4096 and 0.5 in the paper)."""

    dense: Annotated[int, Field(ge=16, le=4096)]
    dropout: Annotated[Number, Field(ge=0, le=0.9)]

    @property
    def smallest_image(self) -> int:
        """25 pixels: three poolings, which round up, must leave 4 x 4 positions as of 32 x 32."""
        return 25


def build(options: Options) -> keras.Model:
    """The eight layers of AlexNet, its first two convolutions and its poolings cut to 32 x 32.

    The kernels of 11 and 5 pixels become 5 and 3, and stride 4 becomes 1. The groups, which were
    meant for two GPUs, and local response normalisation are left out. Input: pixels 0-255,
    N x 32 x 32 x 3. Output: class probabilities, N x 10.
    """
    layers: list[keras.layers.Layer] = [
        keras.Input((32, 32, 3), name="image"),
        keras.layers.Rescaling(1 / 64, offset=-2.0, name="rescaling"),
    ]
    for index, (filters, size, pooled) in enumerate(
        ((96, 5, True), (256, 3, True), (384, 3, False), (384, 3, False), (256, 3, True)), start=1
    ):
        layers.append(
            keras.layers.Conv2D(
                filters,
                size,
                padding="same",
                activation="relu",
                kernel_initializer="he_normal",
                name=f"conv{index}",
            )
        )
        if pooled:
            layers.append(keras.layers.MaxPooling2D(3, 2, padding="same", name=f"pool{index}"))
    layers.append(keras.layers.Flatten(name="flatten"))
    for name in ("fc6", "fc7"):
        layers.append(keras.layers.Dense(options.dense, activation="relu", name=name))
        layers.append(keras.layers.Dropout(options.dropout, name=name.replace("fc", "dropout")))
    layers += [
        keras.layers.Dense(10, dtype="float32", name="logits"),
        keras.layers.Softmax(dtype="float32", name="softmax"),
    ]
    return keras.Sequential(layers, name="alexnet_cifar")


def build_imagenet() -> keras.Model:
    """AlexNet for ImageNet: five convolutions, three dense layers, 60,965,224 parameters.

    Input: N x 227 x 227 x 3, since the paper's 224 pixels do not fit its strides. Output: class
    probabilities, N x 1000. The paper spreads the network over two GPUs, so that conv2, conv4 and
    conv5 see half of the feature maps before them; here they are convolutions in two groups.
    Local response normalisation, which has no parameters, is left out. The network is meant for
    counting and drawing: TensorFlow runs grouped convolutions on a GPU only.
    """
    layers: list[keras.layers.Layer] = [keras.Input((227, 227, 3), name="image")]
    convolutions = (
        ("conv1", 96, 11, 4, "valid", 1, True),
        ("conv2", 256, 5, 1, "same", 2, True),
        ("conv3", 384, 3, 1, "same", 1, False),
        ("conv4", 384, 3, 1, "same", 2, False),
        ("conv5", 256, 3, 1, "same", 2, True),
    )
    for name, filters, size, stride, padding, groups, pooled in convolutions:
        layers.append(
            keras.layers.Conv2D(
                filters, size, stride, padding, groups=groups, activation="relu", name=name
            )
        )
        if pooled:
            layers.append(keras.layers.MaxPooling2D(3, 2, name=name.replace("conv", "pool")))
    layers.append(keras.layers.Flatten(name="flatten"))
    for name in ("fc6", "fc7"):
        layers.append(keras.layers.Dense(4096, activation="relu", name=name))
        layers.append(keras.layers.Dropout(0.5, name=name.replace("fc", "dropout")))
    layers.append(keras.layers.Dense(1000, activation="softmax", name="fc8"))
    return keras.Sequential(layers, name="alexnet")
