"""Layers that Keras lacks, or has in a slower form."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

PATCH = 2  # pixels, side of the patches that `Whitening` decorrelates
EPSILON = 1e-4  # added to the eigenvalues of the patches' covariance, whose largest is about 1


@keras.saving.register_keras_serializable("cifarcam")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation over the last axis of N x H x W x C (Ioffe and Szegedy 2015, alg. 1).

    One fused kernel computes the forward pass and one the backward pass. The values are those of
    Keras's layer, which has separate operations for mean, variance and scaling, all in float32.
    In bfloat16 the activations stay bfloat16; statistics and parameters are float32.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise N x H x W x C, by the batch's statistics in training, else by the averages."""
        training = bool(training) and self.trainable
        channels = self.moving_mean.shape[0]
        normalised = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma if self.scale else tf.ones([channels]),
            offset=self.beta if self.center else tf.zeros([channels]),
            mean=tf.zeros([0]) if training else tf.convert_to_tensor(self.moving_mean),
            variance=tf.zeros([0]) if training else tf.convert_to_tensor(self.moving_variance),
            epsilon=self.epsilon,
            is_training=training,
        )
        if training:
            count = tf.cast(tf.size(inputs) // channels, tf.float32)
            biased = normalised.batch_variance * (count - 1) / count
            for moving, batch in (
                (self.moving_mean, normalised.batch_mean),
                (self.moving_variance, biased),
            ):
                moving.assign(moving * self.momentum + batch * (1 - self.momentum))
        return normalised.y


@keras.saving.register_keras_serializable("cifarcam")
class GELU(keras.layers.Layer):
    """x Φ(x), with the standard normal distribution Φ (Hendrycks and Gimpel 2016).

    The values are those of Keras's GELU. The forward and the backward pass are each compiled into
    one loop, which computes in float32; Keras's GELU takes about ten operations over the tensor.
    """

    def call(self, inputs: Any) -> Any:
        """The activations, of the inputs' shape and dtype."""
        return _gelu(inputs)


@tf.custom_gradient
def _gelu(x: tf.Tensor) -> tuple[tf.Tensor, Any]:
    return _gelu_forward(x), lambda upstream: _gelu_backward(x, upstream)


@tf.function(jit_compile=True)
def _gelu_forward(x: tf.Tensor) -> tf.Tensor:
    wide = tf.cast(x, tf.float32)
    return tf.cast(wide * _normal_distribution(wide), x.dtype)


@tf.function(jit_compile=True)
def _gelu_backward(x: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    wide = tf.cast(x, tf.float32)
    density = tf.exp(-(wide**2) / 2) / math.sqrt(2 * math.pi)
    slope = _normal_distribution(wide) + wide * density
    return tf.cast(tf.cast(upstream, tf.float32) * slope, x.dtype)


def _normal_distribution(x: tf.Tensor) -> tf.Tensor:
    return (1 + tf.math.erf(x / math.sqrt(2))) / 2


@keras.saving.register_keras_serializable("cifarcam")
class PartialIdentity(keras.initializers.Initializer):
    """Kernels h x w x inputs x outputs whose first outputs each repeat one input.

    Further outputs start from `GlorotUniform` (Jordan 2024, section 3.2, where they start from
    PyTorch's uniform distribution).
    """

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """A kernel of the shape."""
        height, width, inputs, outputs = shape
        kernel = np.array(keras.initializers.GlorotUniform()(shape), np.float32)
        same = min(inputs, outputs)
        kernel[..., :same] = 0
        kernel[height // 2, width // 2, range(same), range(same)] = 1
        return tf.constant(kernel, dtype or tf.float32)

    def get_config(self) -> dict[str, Any]:
        """No arguments."""
        return {}


@keras.saving.register_keras_serializable("cifarcam")
class Whitening(keras.layers.Conv2D):
    """A fixed convolution whose outputs are decorrelated over the training images.

    Its filters are the eigenvectors of the covariance of 2 x 2 patches, each divided by the square
    root of its eigenvalue, and the negatives of these filters, so that a following rectifier loses
    no information (Jordan 2024, section 3.1, after Page's ResNet for DAWNBench). N x H x W x 3
    becomes N x (H - 1) x (W - 1) x 24. `adapt` sets the filters; they are not trained.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            **{"filters": 2 * 3 * PATCH**2, "kernel_size": PATCH, "use_bias": False} | kwargs
        )
        self.trainable = False

    def adapt(self, images: np.ndarray) -> None:
        """Compute the filters from images as they reach this layer, floats, N x H x W x 3."""
        patches = np.lib.stride_tricks.sliding_window_view(images, (PATCH, PATCH), axis=(1, 2))
        # N x H' x W' x 3 x 2 x 2 -> rows of 2 x 2 x 3, the order of a kernel.
        rows = patches.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 3 * PATCH**2).astype(np.float64)
        eigenvalues, eigenvectors = np.linalg.eigh(np.cov(rows, rowvar=False))
        filters = eigenvectors / np.sqrt(eigenvalues + EPSILON)
        both = np.concatenate([filters, -filters], axis=1)
        self.set_weights([both.reshape(PATCH, PATCH, 3, -1).astype(np.float32)])
