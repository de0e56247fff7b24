"""Augmentation of uint8 batches, in the graph.

Every draw comes from the experiment's seed, the step and the place in the batch, so that a
training that was interrupted draws the same again.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from cifarcam.training.experiment import Augmentation

FILL = 128  # grey of what cutout removes


class Batch(NamedTuple):
    """Images (N x H x W x 3, uint8, or float32 after mixup) and what they show.

    Each image is `share` of class `labels` and the rest of class `others` (int64, N); the share
    is a scalar in 0-1, and 1 without mixup.
    """

    images: tf.Tensor
    labels: tf.Tensor
    others: tf.Tensor
    share: tf.Tensor


def augment(
    how: Augmentation | None,
    images: tf.Tensor,
    labels: tf.Tensor,
    indices: tf.Tensor,
    epoch: tf.Tensor,
    seed: int,
    step: tf.Tensor,
) -> Batch:
    """A batch with every part of the augmentation applied.

    Parameters
    ----------
    how
        Which parts; None for none.
    images, labels
        uint8, N x H x W x 3, and int64, N.
    indices
        The images' places in the training split, int64, N: what alternating flips go by.
    epoch, seed, step
        Epoch (from 1), the experiment's seed and the number of steps before this one.
    """
    one = tf.constant(1.0)
    if how is None:
        return Batch(images, labels, labels, one)
    draw = tf.stack([tf.cast(seed, tf.int64), tf.cast(step, tf.int64)])
    count = tf.shape(images)[0]
    flipped = _flips(how.flip, indices, count, epoch, seed, draw)
    offsets = tf.zeros([count, 2], tf.int32)
    if how.shift:
        fold = tf.random.experimental.stateless_fold_in(draw, 1)
        offsets = tf.random.stateless_uniform([count, 2], fold, -how.shift, how.shift + 1, tf.int32)
    if how.rotation:
        fold = tf.random.experimental.stateless_fold_in(draw, 2)
        degrees = tf.random.stateless_uniform([count], fold, -how.rotation, how.rotation)
        images = rotate(images, degrees)
    if how.shift or how.flip != "none":
        images = move(images, flipped, offsets)
    if how.cutout:
        fold = tf.random.experimental.stateless_fold_in(draw, 3)
        centres = tf.random.stateless_uniform([count, 2], fold, 0, images.shape[1], tf.int32)
        images = cut_out(images, centres, how.cutout)
    if not how.mixup:
        return Batch(images, labels, labels, one)
    fold = tf.random.experimental.stateless_fold_in(draw, 4)
    gammas = tf.random.stateless_gamma([2], fold, how.mixup)
    share = gammas[0] / tf.maximum(gammas[0] + gammas[1], 1e-30)
    fold = tf.random.experimental.stateless_fold_in(draw, 5)
    partner = tf.random.experimental.stateless_shuffle(tf.range(count), fold)
    return Batch(
        mix(images, tf.gather(images, partner), share), labels, tf.gather(labels, partner), share
    )


def _flips(
    kind: str, indices: tf.Tensor, count: tf.Tensor, epoch: tf.Tensor, seed: int, draw: tf.Tensor
) -> tf.Tensor:
    if kind == "none":
        return tf.zeros([count], tf.bool)
    if kind == "random":
        fold = tf.random.experimental.stateless_fold_in(draw, 0)
        return tf.random.stateless_uniform([count], fold) < 0.5
    return alternating_flips(indices, epoch, seed)


def alternating_flips(indices: tf.Tensor, epoch: tf.Tensor, seed: int) -> tf.Tensor:
    """Which images are mirrored in an epoch (bool, N): a coin for each in the first, then in turn.

    So an image is seen both ways in any two epochs that follow each other (Jordan 2024,
    section 3.6).
    """
    # The finaliser of SplitMix64: a coin that depends on image and seed alone.
    start = tf.constant(seed * 0x9E3779B97F4A7C15 % 2**64, tf.uint64)
    mixed = tf.cast(indices, tf.uint64) + start
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        shifted = tf.bitwise.right_shift(mixed, tf.constant(shift, tf.uint64))
        mixed = tf.bitwise.bitwise_xor(mixed, shifted) * tf.constant(factor, tf.uint64)
    return (mixed + tf.cast(epoch, tf.uint64)) % 2 == 1


def move(images: tf.Tensor, flipped: tf.Tensor, offsets: tf.Tensor) -> tf.Tensor:
    """Images shifted by whole pixels and mirrored left to right where `flipped`.

    Pixel (y, x) of the result is (y + dy, x + dx) of the image, which goes on beyond its border
    as in a mirror that does not repeat the border itself; mirroring comes after.

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

    The square may reach over the border. For an even side the centre is the pixel right below
    the middle.

    Parameters
    ----------
    images
        uint8, N x H x W x C.
    centres
        int32, N x 2, (row, column).
    side
        Pixels.
    """
    inside = []
    for axis in (0, 1):
        place = tf.range(images.shape[1 + axis])[None, :] - centres[:, axis : axis + 1]
        inside.append((place >= -(side // 2)) & (place < side - side // 2))
    square = inside[0][:, :, None, None] & inside[1][:, None, :, None]
    return tf.where(square, tf.constant(FILL, images.dtype), images)


def rotate(images: tf.Tensor, degrees: tf.Tensor) -> tf.Tensor:
    """Images turned about their centres, bilinear, mirrored beyond their borders.

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
    # The place in the image of each pixel of the result, x to the right and y down.
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


def mix(images: tf.Tensor, others: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """``share`` of some images and the rest of others, float32 (Zhang et al. 2018, eq. 1)."""
    return share * tf.cast(images, tf.float32) + (1 - share) * tf.cast(others, tf.float32)


def shrink(images: tf.Tensor, size: int) -> tf.Tensor:
    """Images of `size` pixels a side, float32 (progressive resizing; Tan and Le 2021, section 4).

    Each new pixel is a mean over the old ones, weighted by a triangle twice as wide as a new
    pixel, so that no fine pattern turns into a coarse one.

    Parameters
    ----------
    images
        N x H x W x C.
    size
        At most H and W.
    """
    return tf.image.resize(tf.cast(images, tf.float32), (size, size), antialias=True)
