"""The network tuned for accuracy per second: six wide convolutions after a whitening layer.

Its layers follow airbench94 (Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU").
"""

from __future__ import annotations

from typing import Annotated, Literal

import keras
from pydantic import Field
from pydantic.dataclasses import dataclass

from cifarcam._settings import CONFIG, Number
from cifarcam.models.layers import GELU, FusedBatchNormalization, PartialIdentity, Whitening

Channels = Annotated[int, Field(ge=8, le=1024)]


@dataclass(frozen=True, config=CONFIG)
class Options:
    """The channels of each block, the factor before the logits, and the network's ingredients.

    Without `whitening` the first layer is an ordinary convolution of the same shape. With
    `identity` the first outputs of every 3 x 3 kernel start as copies of its inputs.
    """

    filters: Annotated[tuple[Channels, ...], Field(strict=False, min_length=1, max_length=4)]
    logit_scale: Annotated[Number, Field(ge=0.01, le=10)]
    whitening: bool = True
    identity: bool = False
    activation: Literal["relu", "gelu"] = "relu"

    @property
    def smallest_image(self) -> int:
        """The first layer takes one pixel off the side, and each block halves the side."""
        return 1 + 2 ** len(self.filters)


def build(options: Options) -> keras.Model:
    """Whitening, then two convolutions for each entry of `filters`, with pooling after the first.

    Input: pixels 0-255, N x 32 x 32 x 3. Output: class probabilities, N x 10.
    """
    layers: list[keras.layers.Layer] = [
        keras.Input((32, 32, 3), name="image"),
        keras.layers.Rescaling(1 / 64, offset=-2.0, name="rescaling"),
        _first(options),
        _activation(options, "whitening_relu"),
    ]
    for block, count in enumerate(options.filters, start=1):
        layers += [
            _convolution(options, count, f"conv{block}a"),
            keras.layers.MaxPooling2D(2, name=f"pool{block}"),
            _normalization(f"bn{block}a"),
            _activation(options, f"relu{block}a"),
            _convolution(options, count, f"conv{block}b"),
            _normalization(f"bn{block}b"),
            _activation(options, f"relu{block}b"),
        ]
    layers += [
        keras.layers.GlobalMaxPooling2D(name="maximum"),
        keras.layers.Rescaling(options.logit_scale, name="scaling"),
        keras.layers.Dense(10, use_bias=False, dtype="float32", name="logits"),
        keras.layers.Softmax(dtype="float32", name="softmax"),
    ]
    return keras.Sequential(layers, name="speedrun")


def _first(options: Options) -> keras.layers.Layer:
    if options.whitening:
        return Whitening(name="whitening")
    return keras.layers.Conv2D(24, 2, use_bias=False, name="whitening")


def _activation(options: Options, name: str) -> keras.layers.Layer:
    return GELU(name=name) if options.activation == "gelu" else keras.layers.ReLU(name=name)


def _convolution(options: Options, filters: int, name: str) -> keras.layers.Layer:
    initial = PartialIdentity() if options.identity else "glorot_uniform"
    return keras.layers.Conv2D(
        filters, 3, padding="same", use_bias=False, kernel_initializer=initial, name=name
    )


def _normalization(name: str) -> keras.layers.Layer:
    # The following convolution learns the scale. Few epochs need averages that follow quickly.
    return FusedBatchNormalization(momentum=0.6, epsilon=1e-5, scale=False, name=name)
