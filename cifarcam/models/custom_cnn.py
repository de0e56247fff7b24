"""The custom network of the report: convolutions with max pooling, then a dense layer."""

from __future__ import annotations

from typing import Annotated, Literal

import keras
from pydantic import Field
from pydantic.dataclasses import dataclass

from cifarcam._settings import CONFIG, Number
from cifarcam.models.attention import squeeze_and_excite
from cifarcam.models.layers import FusedBatchNormalization

MOST_WEIGHTS = 500_000_000  # of the dense layer: as many as the largest transformer has in total

Channels = Annotated[int, Field(ge=1, le=1024)]


@dataclass(frozen=True, config=CONFIG)
class Options:
    """The sizes that the original report leaves open, and two additions to its network.

    `batch_normalization` is placed between a convolution and its ReLU, `attention` after the ReLU.
    """

    # Five poolings leave 1 x 1 positions.
    filters: Annotated[tuple[Channels, ...], Field(strict=False, min_length=1, max_length=5)]
    dense: Annotated[int, Field(ge=1, le=4096)]
    dropout: Annotated[Number, Field(ge=0, le=0.9)]
    batch_normalization: bool = False
    attention: Literal["none", "squeeze-and-excitation"] = "none"

    def __post_init__(self) -> None:
        """Refuse a dense layer that is too large for most machines."""
        values = (32 >> len(self.filters)) ** 2 * self.filters[-1]
        if values * self.dense > MOST_WEIGHTS:
            raise ValueError(
                f"dense: {self.dense} units for the {values:,} values after the last pooling have "
                f"more than {MOST_WEIGHTS:,} weights; at most {MOST_WEIGHTS // values} are allowed"
            )

    @property
    def smallest_image(self) -> int:
        """32 pixels: the dense layer has weights for this number of positions only."""
        return 32


def build(options: Options) -> keras.Model:
    """Convolution, ReLU and max pooling for each entry of `filters`; a dense layer; softmax.

    Input: pixels 0-255, N x 32 x 32 x 3. Output: class probabilities, N x 10.
    """
    image = keras.Input((32, 32, 3), name="image")
    x = keras.layers.Rescaling(1 / 255, name="rescaling")(image)
    for index, count in enumerate(options.filters, start=1):
        if options.batch_normalization:
            x = keras.layers.Conv2D(count, 3, padding="same", use_bias=False, name=f"conv{index}")(
                x
            )
            x = FusedBatchNormalization(momentum=0.9, epsilon=1e-5, name=f"bn{index}")(x)
            x = keras.layers.ReLU(name=f"relu{index}")(x)
        else:
            x = keras.layers.Conv2D(
                count, 3, padding="same", activation="relu", name=f"conv{index}"
            )(x)
        if options.attention == "squeeze-and-excitation":
            x = squeeze_and_excite(x, f"attention{index}")
        x = keras.layers.MaxPooling2D(2, name=f"pool{index}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(options.dense, activation="relu", name="dense")(x)
    x = keras.layers.Dropout(options.dropout, name="dropout")(x)
    x = keras.layers.Dense(10, dtype="float32", name="logits")(x)
    x = keras.layers.Softmax(dtype="float32", name="softmax")(x)
    return keras.Model(image, x, name="custom_cnn")
