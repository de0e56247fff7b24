"""Class probabilities of images, by one forward pass or with test-time augmentation."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from cifarcam import _devices
from cifarcam.training.augment import move

BATCH = 500

# The views of an image: how far it is moved, in pixels down and to the right, and the view's weight
# (Jordan 2024, section 3.5). Each view is used twice, the second time mirrored.
VIEWS = {
    "flip-and-shift": (((0, 0), 0.5), ((-1, -1), 0.25), ((1, 1), 0.25)),
}


def predict(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Class probabilities from one forward pass, float32, N x C, dropout off.

    Parameters
    ----------
    model
        A network of `cifarcam.models`.
    images
        uint8, N x H x W x 3.
    """
    with _devices.tensor_float_32(False):
        return np.asarray(model.predict(images, batch_size=BATCH, verbose=0), np.float32)


def predict_augmented(model: keras.Model, images: np.ndarray, augmentation: str) -> np.ndarray:
    """Class probabilities from the weighted mean of the logits over views of each image.

    Parameters
    ----------
    model
        A network of `cifarcam.models`.
    images
        uint8, N x H x W x 3.
    augmentation
        One of `VIEWS`.

    Returns
    -------
    np.ndarray
        float32, N x C.
    """
    to_logits = keras.Model(model.inputs, model.get_layer("logits").output)
    with _devices.tensor_float_32(False):
        return np.concatenate(
            [
                _over_views(to_logits, images[start : start + BATCH], VIEWS[augmentation])
                for start in range(0, len(images), BATCH)
            ]
        )


def _over_views(
    to_logits: keras.Model, images: np.ndarray, views: Sequence[tuple[tuple[int, int], float]]
) -> np.ndarray:
    batch, total = tf.constant(images), tf.constant(0.0)
    for (down, right), weight in views:
        offsets = tf.constant([[-down, -right]]) * tf.ones([len(batch), 1], tf.int32)
        for mirrored in (False, True):
            view = move(batch, tf.fill([len(batch)], mirrored), offsets)
            total += weight / 2 * to_logits.predict_on_batch(view)
    return tf.nn.softmax(total).numpy()
