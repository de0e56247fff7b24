"""The compact convolutional transformer (Hassani et al. 2021, section 3) for 32 x 32 images."""

from __future__ import annotations

from typing import Annotated, Any

import keras
from pydantic import Field
from pydantic.dataclasses import dataclass

from cifarcam._settings import CONFIG, Number


@dataclass(frozen=True, config=CONFIG)
class Options:
    """The sizes of CCT-`layers`/3 x `convolutions`, in the paper's terms."""

    convolutions: Annotated[int, Field(ge=1, le=3)]  # of the tokeniser, each halves the side
    layers: Annotated[int, Field(ge=1, le=24)]
    heads: Annotated[int, Field(ge=1, le=16)]
    width: Annotated[int, Field(ge=8, le=1024)]  # of a token
    expansion: Annotated[Number, Field(ge=0.5, le=8)]  # of the hidden layer after attention
    dropout: Annotated[Number, Field(ge=0, le=0.9)]

    def __post_init__(self) -> None:
        """Refuse a width that the heads do not divide."""
        if self.width % self.heads:
            raise ValueError(f"width: {self.width} is not a multiple of heads, {self.heads}")

    @property
    def smallest_image(self) -> int:
        """The poolings, which round up, must leave as many tokens as there are trained positions."""
        return 33 - 2**self.convolutions


def build(options: Options) -> keras.Model:
    """A convolutional tokeniser, encoder layers, attention pooling over the tokens.

    Input: pixels 0-255, N x 32 x 32 x 3. Output: class probabilities, N x 10.
    """
    image = keras.Input((32, 32, 3), name="image")
    x = keras.layers.Rescaling(1 / 64, offset=-2.0, name="rescaling")(image)
    for index in range(1, options.convolutions + 1):
        channels = options.width if index == options.convolutions else options.width // 2
        x = keras.layers.Conv2D(
            channels,
            3,
            padding="same",
            use_bias=False,
            activation="relu",
            kernel_initializer="he_normal",
            name=f"conv{index}",
        )(x)
        x = keras.layers.MaxPooling2D(3, 2, padding="same", name=f"pool{index}")(x)
    x = keras.layers.Reshape((-1, options.width), name="tokens")(x)
    x = PositionEmbedding(name="positions")(x)
    for index in range(1, options.layers + 1):
        x = _encoder(x, options, f"encoder{index}")
    x = keras.layers.LayerNormalization(epsilon=1e-5, name="norm")(x)
    importance = keras.layers.Dense(1, name="importance")(x)
    importance = keras.layers.Softmax(axis=1, name="importance_softmax")(importance)
    x = keras.layers.Dot(axes=1, name="pooled")([importance, x])
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(10, dtype="float32", name="logits")(x)
    x = keras.layers.Softmax(dtype="float32", name="softmax")(x)
    return keras.Model(image, x, name="transformer")


@keras.saving.register_keras_serializable("cifarcam")
class PositionEmbedding(keras.layers.Layer):
    """Add a trained vector to each token of N x T x C."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the vectors."""
        self.embedding = self.add_weight(
            name="embedding",
            shape=input_shape[1:],
            initializer=keras.initializers.TruncatedNormal(stddev=0.2),
        )

    def call(self, inputs: Any) -> Any:
        """N x T x C, each token with its vector added."""
        return inputs + self.embedding


def _encoder(x: Any, options: Options, name: str) -> Any:
    """Attention and a two-layer network, each normalised before and added to its input."""
    inner = keras.layers.LayerNormalization(epsilon=1e-5, name=f"{name}_norm1")(x)
    inner = keras.layers.MultiHeadAttention(
        options.heads,
        options.width // options.heads,
        dropout=options.dropout,
        name=f"{name}_attention",
    )(inner, inner)
    x = keras.layers.Add(name=f"{name}_add1")([x, inner])
    inner = keras.layers.LayerNormalization(epsilon=1e-5, name=f"{name}_norm2")(x)
    inner = keras.layers.Dense(
        round(options.width * options.expansion), activation="gelu", name=f"{name}_hidden"
    )(inner)
    inner = keras.layers.Dropout(options.dropout, name=f"{name}_dropout1")(inner)
    inner = keras.layers.Dense(options.width, name=f"{name}_output")(inner)
    inner = keras.layers.Dropout(options.dropout, name=f"{name}_dropout2")(inner)
    return keras.layers.Add(name=f"{name}_add2")([x, inner])
