"""Random numbers of many images in one operation, each image's from its own two seeds.

The i-th number of an image is a hash of its seeds, of the number of a stream, and of i, so that it
depends on nothing else: neither on the batch nor on its order. TensorFlow's stateless generators
take one seed an operation, so that a batch would need an operation per image.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

# Of the finaliser of MurmurHash3 (Appleby 2008, fmix32): shifts and odd factors.
_STEPS = ((16, 0x85EBCA6B), (13, 0xC2B2AE35))
_LAST_SHIFT = 16
_GOLDEN = 0x9E3779B9  # keeps a hash of zeros from being zero
_BITS = 23  # of a number; with half a step more, float32 still holds it exactly
CELLS = 4  # in each direction, whose mean colours tell images apart
LEVELS = 16  # of a mean colour


def uniform(
    seeds: tf.Tensor, shape: Sequence[tf.Tensor | int], stream: tf.Tensor | int = 0
) -> tf.Tensor:
    """Numbers uniform on (0, 1), float32, n x `shape`, from seeds (int32, n x 2) and a stream."""
    return _uniform(seeds, shape, 3 * tf.cast(stream, tf.uint32))


def normal(
    seeds: tf.Tensor, shape: Sequence[tf.Tensor | int], stream: tf.Tensor | int = 0
) -> tf.Tensor:
    """Standard normal numbers, float32, n x `shape`, by the transform of Box and Muller (1958)."""
    # Three streams of bits for each stream, so that normal and uniform numbers share none.
    first = _uniform(seeds, shape, 3 * tf.cast(stream, tf.uint32) + 1)
    second = _uniform(seeds, shape, 3 * tf.cast(stream, tf.uint32) + 2)
    return tf.sqrt(-2 * tf.math.log(first)) * tf.cos(2 * np.pi * second)


def image_digests(images: np.ndarray) -> np.ndarray:
    """A number per image, uint32, N, that does not change with the scale of the values.

    It is a hash of the mean colours of 4 x 4 cells, each channel scaled by the image's minimum and
    maximum, so that an image in 0-255 and the same image in 0-1, or minus the means of its
    channels, have one digest. Mean colours are rounded to 16 levels, because the rounding of
    float32 moves a mean across the edge of a finer level more often. It still does for about one
    twin in several thousand at most, which then draws anew.
    """
    pixels = np.asarray(images, np.float64)
    count, height, width = pixels.shape[:3]
    low, high = pixels.min(axis=(1, 2), keepdims=True), pixels.max(axis=(1, 2), keepdims=True)
    span = np.where(high > low, high - low, 1)
    rows, columns = (np.unique(np.arange(CELLS) * size // CELLS) for size in (height, width))
    sums = np.add.reduceat(np.add.reduceat((pixels - low) / span, rows, axis=1), columns, axis=2)
    areas = np.diff([*rows, height])[:, np.newaxis] * np.diff([*columns, width])
    # An irrational shift: the means of a plain picture, 0, 1/2 or 1, lie on no edge of a level.
    levels = np.floor(LEVELS * sums / areas[..., np.newaxis] + 1 / np.e).astype(np.uint32)
    digests = np.full(count, _GOLDEN, np.uint32)
    for values in levels.reshape(count, -1).T:
        digests = _mixed(digests ^ values)
    return digests


def _uniform(seeds: tf.Tensor, shape: Sequence[tf.Tensor | int], stream: tf.Tensor) -> tf.Tensor:
    bits = tf.bitwise.right_shift(_hashes(seeds, shape, stream), tf.constant(32 - _BITS, tf.uint32))
    return (tf.cast(bits, tf.float32) + 0.5) / 2**_BITS


def _mixed(values: np.ndarray) -> np.ndarray:
    """The finaliser of MurmurHash3 over uint32."""
    for shift, factor in _STEPS:
        values = (values ^ (values >> np.uint32(shift))) * np.uint32(factor)
    return values ^ (values >> np.uint32(_LAST_SHIFT))


def _hashes(seeds: tf.Tensor, shape: Sequence[tf.Tensor | int], stream: tf.Tensor) -> tf.Tensor:
    """Random bits, uint32, n x `shape`."""
    words = tf.bitcast(seeds, tf.uint32)
    own = tf.fill(tf.shape(words)[:1], tf.constant(_GOLDEN, tf.uint32))
    for word in (words[:, 0], words[:, 1], stream):
        own = _mixed_tensor(tf.bitwise.bitwise_xor(own, word))
    count = tf.reduce_prod(tf.stack(list(shape)))
    places = _mixed_tensor(tf.cast(tf.range(count), tf.uint32) + tf.constant(_GOLDEN, tf.uint32))
    bits = _mixed_tensor(tf.bitwise.bitwise_xor(own[:, tf.newaxis], places))
    return tf.reshape(bits, [-1, *shape])


def _mixed_tensor(values: tf.Tensor) -> tf.Tensor:
    """`_mixed` within a graph."""
    for shift, factor in _STEPS:
        shifted = tf.bitwise.right_shift(values, tf.constant(shift, tf.uint32))
        values = tf.bitwise.bitwise_xor(values, shifted) * tf.constant(factor, tf.uint32)
    shifted = tf.bitwise.right_shift(values, tf.constant(_LAST_SHIFT, tf.uint32))
    return tf.bitwise.bitwise_xor(values, shifted)
