"""The network in the form in which it is exported: made of the layers that converters know."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cifarcam import _devices
from cifarcam.models.layers import GELU, FusedBatchNormalization, Whitening

# Layers of ours, and Keras's layers that give the same numbers more slowly.
EQUALS = {
    FusedBatchNormalization: keras.layers.BatchNormalization,
    Whitening: keras.layers.Conv2D,
}


def with_plain_layers(model: keras.Model, *, erf: bool = False) -> keras.Model:
    """The same network, float32, with layers of Keras in the place of ours where Keras has them.

    Parameters
    ----------
    model
        A network of `cifarcam.models`.
    erf
        Whether GELU is written with the error function instead of Keras's own, whose complementary
        error function has no counterpart in ONNX.
    """
    gelu = gelu_by_erf if erf else keras.activations.gelu

    def plain(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, GELU):
            return keras.layers.Activation(gelu, name=layer.name)
        kind = EQUALS.get(type(layer), type(layer))
        copied = kind.from_config(_without_initializers(layer.get_config()))
        if getattr(layer, "activation", None) is keras.activations.gelu:
            copied.activation = gelu
        return copied

    # A copy of a Sequential model would have no input before its first call.
    functional = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    with _devices.own_settings():
        copied = keras.models.clone_model(functional, clone_function=plain)
    copied.set_weights(model.get_weights())
    return copied


def _without_initializers(config: dict[str, Any]) -> dict[str, Any]:
    """A layer's settings without what drew its first weights, which may be a class of ours."""
    return {key: value for key, value in config.items() if not key.endswith("_initializer")}


def gelu_by_erf(x: Any) -> Any:
    """GELU, x Φ(x), with the standard normal distribution Φ written as (1 + erf(x / √2)) / 2."""
    return x * (0.5 * (1.0 + keras.ops.erf(x / math.sqrt(2))))


def foreign_layer(model: keras.Model) -> keras.layers.Layer | None:
    """The first layer that is not one of Keras's own, or None."""
    return next(
        (one for one in model.layers if not type(one).__module__.startswith("keras.")), None
    )


def silent_layer(model: keras.Model, images: np.ndarray) -> str | None:
    """The name of the first layer that gives zeros alone on all images, or None.

    Its range has no extent, so that int8 has no size of a step for it: LiteRT refuses to run such a
    file, and ONNX Runtime takes steps of 1, in which the bias of the next layer is lost.

    Parameters
    ----------
    model
        A functional model.
    images
        uint8, N x H x W x 3.
    """
    layers = model.layers[1:]  # after the input
    largest = keras.Model(
        model.inputs[0], [keras.ops.max(keras.ops.abs(layer.output)) for layer in layers]
    )
    found = np.array([largest.predict_on_batch(one) for one in _batches(images)]).max(axis=0)
    silent = np.flatnonzero(found == 0)
    return layers[silent[0]].name if len(silent) else None


def _batches(images: np.ndarray, size: int = 50) -> list[np.ndarray]:
    return [
        images[start : start + size].astype(np.float32) for start in range(0, len(images), size)
    ]


def halved(value: np.ndarray) -> np.ndarray:
    """A kernel as float16, and anything else (biases, normalisations, whole numbers) as it is."""
    return value.astype(np.float16) if value.dtype == np.float32 and value.ndim > 1 else value


def as_function(model: keras.Model, batch: int | None, *, half: bool = False) -> Any:
    """A TensorFlow function from ``image`` to probabilities that holds the weights as constants.

    Parameters
    ----------
    model
        The network.
    batch
        The number of images that the function takes, or None for any.
    half
        Whether kernels are stored as float16; the function computes in float32 all the same.
    """
    trained = [variable.numpy() for variable in model.trainable_variables]
    others = [variable.numpy() for variable in model.non_trainable_variables]

    def constant(value: np.ndarray) -> tf.Tensor:
        # Not an eager tensor made outside, which the function would take as a further input.
        return tf.cast(tf.constant(halved(value) if half else value), value.dtype)

    @tf.function(
        input_signature=[tf.TensorSpec((batch, *model.input.shape[1:]), tf.float32, name="image")]
    )
    def serve(image: tf.Tensor) -> tf.Tensor:
        outputs, _ = model.stateless_call(
            [constant(value) for value in trained],
            [constant(value) for value in others],
            image,
            training=False,
        )
        return outputs

    return serve
