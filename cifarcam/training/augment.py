"""Augmentation of uint8 batches, in the graph.

All random numbers come from the experiment's seed, the step and the place in the batch, so that a
training run that was interrupted draws the same numbers again.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import tensorflow as tf

from cifarcam.training.settings import Augmentation

FILL = 128  # grey of the squares of cutout


def augment(
    settings: Augmentation | None,
    images: tf.Tensor,
    indices: tf.Tensor,
    epoch: tf.Tensor,
    seed: int,
    step: tf.Tensor,
) -> tf.Tensor:
    """Images after every change that the settings switch on.

    Parameters
    ----------
    settings
        The changes; None for none.
    images
        uint8, N x H x W x 3.
    indices
        The images' places in the training split, int64, N, which decide alternating flips.
    epoch, seed, step
        Epoch (from 1), the experiment's seed and the number of steps before this one.

    Returns
    -------
    tf.Tensor
        uint8, N x H x W x 3.
    """
    if settings is None:
        return images
    draw = tf.stack([tf.cast(seed, tf.int64), tf.cast(step, tf.int64)])
    count = tf.shape(images)[0]
    flipped, offsets = tf.zeros([count], tf.bool), tf.zeros([count, 2], tf.int32)
    if settings.flip == "alternating":
        flipped = alternating_flips(indices, epoch, seed)
    if settings.shift:
        fold = tf.random.experimental.stateless_fold_in(draw, 1)
        most = settings.shift
        offsets = tf.random.stateless_uniform([count, 2], fold, -most, most + 1, tf.int32)
    if settings.rotation:
        fold = tf.random.experimental.stateless_fold_in(draw, 2)
        degrees = tf.random.stateless_uniform([count], fold, -settings.rotation, settings.rotation)
        images = rotate(images, degrees)
    if settings.shift or settings.flip != "none":
        images = move(images, flipped, offsets)
    if settings.cutout:
        fold = tf.random.experimental.stateless_fold_in(draw, 3)
        centres = tf.random.stateless_uniform([count, 2], fold, 0, images.shape[1], tf.int32)
        images = cut_out(images, centres, settings.cutout)
    return images


def alternating_flips(indices: tf.Tensor, epoch: tf.Tensor, seed: int) -> tf.Tensor:
    """Which images are mirrored in an epoch, bool, N.

    In the first epoch the flips are random, then each image alternates, so that any two
    consecutive epochs show it both ways (Jordan 2024, section 3.6).

    Parameters
    ----------
    indices
        The images' places in the training split, int64, N.
    epoch
        From 1.
    seed
        The experiment's seed.
    """
    # The finaliser of SplitMix64: a random bit that depends on image and seed alone.
    start = tf.constant(seed * 0x9E3779B97F4A7C15 % 2**64, tf.uint64)
    mixed = tf.cast(indices, tf.uint64) + start
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        shifted = tf.bitwise.right_shift(mixed, tf.constant(shift, tf.uint64))
        mixed = tf.bitwise.bitwise_xor(mixed, shifted) * tf.constant(factor, tf.uint64)
    return (mixed + tf.cast(epoch, tf.uint64)) % 2 == 1


def move(images: tf.Tensor, flipped: tf.Tensor, offsets: tf.Tensor) -> tf.Tensor:
    """Images shifted by whole pixels, then mirrored left to right where `flipped`.

    Pixel (y, x) of a shifted image is pixel (y + dy, x + dx) of the original. Beyond its border
    the original is continued by reflection, which does not repeat the border itself.

    Parameters
    ----------
    images
        N x H x W x C.
    flipped
        bool, N.
    offsets
        int32, N x 2, (dy, dx), each less than H and W in magnitude.
    """
    height, width = images.shape[1], images.shape[2]
    rows = _reflected(tf.range(height) + offsets[:, :1], height)
    columns = _reflected(tf.range(width) + offsets[:, 1:], width)
    columns = tf.where(flipped[:, None], columns[:, ::-1], columns)
    return tf.gather(tf.gather(images, rows, batch_dims=1), columns, axis=2, batch_dims=1)


def _reflected(places: tf.Tensor, length: int) -> tf.Tensor:
    return (length - 1) - tf.abs((length - 1) - tf.abs(places))


def cut_out(images: tf.Tensor, centres: tf.Tensor, side: int) -> tf.Tensor:
    """Images with a grey square of `side` pixels around each centre (DeVries and Taylor 2017).

    The square may reach beyond the border. For an even side the centre is the pixel below and to
    the right of the middle.

    Parameters
    ----------
    images
        uint8, N x H x W x C.
    centres
        int32, N x 2, (row, column).
    side
        Pixels.
    """
    inside = [
        (places >= centres[:, axis, None] - side // 2)
        & (places < centres[:, axis, None] - side // 2 + side)
        for axis, places in enumerate((tf.range(images.shape[1]), tf.range(images.shape[2])))
    ]
    square = inside[0][:, :, None, None] & inside[1][:, None, :, None]
    return tf.where(square, tf.cast(FILL, images.dtype), images)


def rotate(images: tf.Tensor, degrees: tf.Tensor) -> tf.Tensor:
    """Images rotated about their centres, interpolated bilinearly, reflected at their borders.

    Parameters
    ----------
    images
        uint8, N x H x W x C.
    degrees
        float32, N, counter-clockwise.
    """
    height, width = images.shape[1], images.shape[2]
    angles = degrees * (3.141592653589793 / 180)
    cosine, sine = tf.cos(angles), tf.sin(angles)
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    zero = tf.zeros_like(cosine)
    # From each pixel of the result to its place in the image; x to the right, y down.
    transforms = tf.stack(
        [
            cosine,
            -sine,
            middle_x - cosine * middle_x + sine * middle_y,
            sine,
            cosine,
            middle_y - sine * middle_x - cosine * middle_y,
            zero,
            zero,
        ],
        axis=1,
    )
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )


def shrink(images: tf.Tensor, size: int) -> tf.Tensor:
    """Images of `size` pixels a side, float32 (progressive resizing; Tan and Le 2021, section 4).

    Each new pixel is a mean over old pixels, weighted by a triangle twice as wide as a new pixel,
    so that no fine pattern turns into a coarse one (aliasing).

    Parameters
    ----------
    images
        N x H x W x C.
    size
        At most H and W.
    """
    height, width = images.shape[1:3]
    # TensorFlow has no kernel for a resize with antialiasing on a GPU; a matrix product it has.
    return tf.einsum(
        "yi,nijc,xj->nyxc",
        _weights(height, size),
        tf.cast(images, tf.float32),
        _weights(width, size),
    )


@cache
def _weights(old: int, new: int) -> np.ndarray:
    """The weight of each of `old` pixels in each of `new` ones: float32, new x old."""
    identity = np.eye(old, dtype=np.float32)[np.newaxis, :, :, np.newaxis]
    with tf.init_scope():
        return tf.image.resize(identity, (new, old), antialias=True)[0, :, :, 0].numpy()
