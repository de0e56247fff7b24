"""The custom network of the report: convolutions with max pooling, then a dense layer."""

from __future__ import annotations

from dataclasses import dataclass

import keras

from cifarcam import _settings
from cifarcam.models import attention
from cifarcam.models.layers import FusedBatchNormalization

MOST_WEIGHTS = 500_000_000  # of the dense layer: as many as the largest transformer has in all


@dataclass(frozen=True)
class Options:
    """The sizes that the original report leaves open, and what it does not have.

    `batch_normalization` goes between a convolution and its ReLU, `attention` follows the ReLU.
    """

    filters: tuple[int, ...] = _settings.whole_numbers((1, 5), 1, 1024)  # five poolings leave 1 x 1
    dense: int = _settings.whole_number(1, 4096)
    dropout: float = _settings.number(0.0, 0.9)
    batch_normalization: bool = _settings.flag(default=False)
    attention: str = _settings.choice("none", *attention.BLOCKS, default="none")

    def __post_init__(self) -> None:
        """Refuse a dense layer that hardly any machine could hold."""
        values = (32 >> len(self.filters)) ** 2 * self.filters[-1]
        if values * self.dense > MOST_WEIGHTS:
            raise ValueError(
                f"dense: {self.dense} units for the {values:,} values after the last pooling have "
                f"more than {MOST_WEIGHTS:,} weights; at most {MOST_WEIGHTS // values} are allowed"
            )

    @property
    def smallest_image(self) -> int:
        """The dense layer has weights for the positions of 32 x 32 pixels alone."""
        return 32


def build(options: Options) -> keras.Model:
    """Convolution + ReLU and max pooling for each entry of `filters`, a dense layer, softmax.

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
        if options.attention != "none":
            x = attention.BLOCKS[options.attention](x, f"attention{index}")
        x = keras.layers.MaxPooling2D(2, name=f"pool{index}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(options.dense, activation="relu", name="dense")(x)
    x = keras.layers.Dropout(options.dropout, name="dropout")(x)
    x = keras.layers.Dense(10, dtype="float32", name="logits")(x)
    x = keras.layers.Softmax(dtype="float32", name="softmax")(x)
    return keras.Model(image, x, name="custom_cnn")
