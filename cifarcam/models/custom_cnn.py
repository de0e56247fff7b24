"""The custom network of the report: convolutions with max pooling, then a dense layer."""

from __future__ import annotations

from dataclasses import dataclass

import keras

from cifarcam import settings


@dataclass(frozen=True)
class Options:
    """The sizes that the original report leaves open."""

    filters: tuple[int, ...] = settings.whole_numbers((1, 6), 1, 1024)
    dense: int = settings.whole_number(1, 4096)
    dropout: float = settings.number(0.0, 0.9)


def build(options: Options) -> keras.Model:
    """Convolution + ReLU and max pooling for each entry of `filters`, a dense layer, softmax.

    Input: pixels 0-255, N x 32 x 32 x 3. Output: class probabilities, N x 10.
    """
    layers: list[keras.layers.Layer] = [
        keras.Input((32, 32, 3), name="image"),
        keras.layers.Rescaling(1 / 255, name="rescaling"),
    ]
    for index, count in enumerate(options.filters, start=1):
        layers += [
            keras.layers.Conv2D(count, 3, padding="same", activation="relu", name=f"conv{index}"),
            keras.layers.MaxPooling2D(2, name=f"pool{index}"),
        ]
    layers += [
        keras.layers.Flatten(name="flatten"),
        keras.layers.Dense(options.dense, activation="relu", name="dense"),
        keras.layers.Dropout(options.dropout, name="dropout"),
        keras.layers.Dense(10, name="logits"),
        keras.layers.Softmax(name="softmax"),
    ]
    return keras.Sequential(layers, name="custom_cnn")
