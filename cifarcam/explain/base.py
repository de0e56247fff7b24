"""What all explainers share: the explained layer, the pre-softmax score, batches, the stages.

The stages of a heatmap, in this order: signed map at the layer's resolution -> ReLU -> half-pixel
bilinear resize to the image. Nothing is scaled to [0, 1] here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from cifarcam.errors import CifarcamError
from cifarcam.explain.graph import split

Targets = int | Sequence[int] | np.ndarray | None

_PREDICTED = -1  # stands, within a batch, for the class that the model predicts


class Explainer(ABC):
    """A method bound to a model and a layer; its graph is traced once, here.

    A method gives its weighting, `_signed_maps`; everything else is shared.

    Parameters
    ----------
    model
        A Sequential or functional Keras classifier with one input, N x H x W x C, and one output,
        N x classes, which is a softmax (a layer, or the activation of the last ``Dense``) or
        linear. The score explained is always the one before the softmax.
    layer
        The name of the layer to explain; the last one with a 4-D output (of more than one
        position) by default.

    Raises
    ------
    CifarcamError
        When the layer is unknown or not spatial, the gradient of the score does not reach it, or
        the model is of another kind.
    """

    def __init__(self, model: keras.Model, layer: str | None = None) -> None:
        parts = split(model, layer)
        self.model = model
        self.layer: str = parts.layer
        self.classes = int(model.output_shape[-1])
        self._stem, self._head = parts.stem, parts.head
        self._image_shape: tuple[int | None, ...] = tuple(model.input_shape[1:])
        images = tf.TensorSpec([None, *self._image_shape], tf.float32)
        # AutoGraph off: there is no Python loop to convert, and it would wrap our errors.
        self._explain_batch = tf.function(
            self._signed_batch,
            input_signature=[images, tf.TensorSpec([None], tf.int64)],
            autograph=False,
        )
        self._explain_batch.get_concrete_function()
        self._score_batch = tf.function(self._scores, input_signature=[images], autograph=False)

    def __call__(
        self, images: np.ndarray, targets: Targets = None, batch_size: int = 256
    ) -> np.ndarray:
        """Heatmaps at the images' resolution: raw magnitudes, zero where evidence is negative.

        Parameters
        ----------
        images
            N x H x W x C, any real dtype, in the range that the model takes (0-255 for ours).
        targets
            The class to explain, one for all or one an image; by default the class that the
            model predicts for each.
        batch_size
            Images explained at a time. It does not change the result.

        Returns
        -------
        numpy.ndarray
            Float32, N x H x W, at least 0. A map without positive evidence is zero everywhere.

        Raises
        ------
        CifarcamError
            When images or targets do not fit the model, or a map is not finite.
        """
        signed = self.signed_maps(images, targets, batch_size)
        size = np.shape(images)[1:3]
        heatmaps = np.empty((len(signed), *size), np.float32)
        for start in range(0, len(signed), batch_size):
            batch = np.maximum(signed[start : start + batch_size], 0)[..., np.newaxis]
            # TensorFlow 2 resizes by half-pixel centres.
            resized = tf.image.resize(batch, size, method="bilinear", antialias=False)
            heatmaps[start : start + batch_size] = resized.numpy()[..., 0]
        return heatmaps

    def signed_maps(
        self, images: np.ndarray, targets: Targets = None, batch_size: int = 256
    ) -> np.ndarray:
        """The maps before ReLU and resizing: float32, N x h x w, the layer's resolution.

        Parameters and errors are those of calling the explainer.
        """
        images = self._checked_images(images, batch_size)
        chosen = self._checked_targets(targets, len(images))
        maps = np.concatenate(
            [
                self._explain_batch(
                    images[start : start + batch_size].astype(np.float32),
                    chosen[start : start + batch_size],
                ).numpy()
                for start in range(0, len(images), batch_size)
            ]
        )
        if not np.isfinite(maps).all():
            raise CifarcamError(
                f"the maps of layer {self.layer!r} are not finite; check the model's weights"
            )
        return maps

    def scores(self, images: np.ndarray, batch_size: int = 256) -> np.ndarray:
        """The scores that are explained, before the softmax: float32, N x classes.

        Raises
        ------
        CifarcamError
            When the images do not fit the model.
        """
        images = self._checked_images(images, batch_size)
        return np.concatenate(
            [
                self._score_batch(images[start : start + batch_size].astype(np.float32)).numpy()
                for start in range(0, len(images), batch_size)
            ]
        )

    @abstractmethod
    def _signed_maps(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Signed maps, n x h x w, from a layer's activations and the score's gradients by them.

        Both are float32, n x h x w x channels.
        """

    def _signed_batch(self, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Gradients start at the explained layer: what lies before it is only run forward."""
        between = self._stem(images)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(between[0])
            logits = tf.cast(self._head(between), tf.float32)
            chosen = tf.where(targets == _PREDICTED, tf.argmax(logits, axis=1), targets)
            # Images do not mix in the network, so the sum's gradient is each score's own.
            score = tf.reduce_sum(logits * tf.one_hot(chosen, self.classes))
        gradients = tape.gradient(score, between[0])
        if gradients is None:
            raise CifarcamError(f"no gradient of the score reaches layer {self.layer!r}")
        return self._signed_maps(tf.cast(between[0], tf.float32), tf.cast(gradients, tf.float32))

    def _scores(self, images: tf.Tensor) -> tf.Tensor:
        return tf.cast(self._head(self._stem(images)), tf.float32)

    def _checked_images(self, images: np.ndarray, batch_size: int) -> np.ndarray:
        array = np.asarray(images)
        if batch_size < 1:
            raise CifarcamError(f"batch_size is {batch_size}; give at least 1")
        fits = array.ndim == 4 and all(
            known in (None, given)
            for known, given in zip(self._image_shape, array.shape[1:], strict=True)
        )
        if not fits:
            expected = " x ".join("any" if n is None else str(n) for n in self._image_shape)
            raise CifarcamError(f"images have shape {array.shape}; the model takes N x {expected}")
        if not len(array):
            raise CifarcamError("there are no images to explain; give at least one")
        if array.dtype.kind not in "uifb":
            raise CifarcamError(f"images are of type {array.dtype}, not numbers")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise CifarcamError("images have values that are not finite")
        return array

    def _checked_targets(self, targets: Targets, count: int) -> np.ndarray:
        """One class an image, int64."""
        if targets is None:
            return np.full(count, _PREDICTED, np.int64)
        array = np.asarray(targets)
        if array.dtype.kind not in "iu":
            raise CifarcamError(f"targets are of type {array.dtype}; give whole numbers")
        if array.ndim == 0:
            array = np.full(count, array)
        if array.shape != (count,):
            raise CifarcamError(
                f"targets have shape {array.shape} for {count} images; give one class an image"
            )
        wrong = array[(array < 0) | (array >= self.classes)]
        if wrong.size:
            raise CifarcamError(
                f"target {wrong[0]} is no class of this model; classes are 0 to {self.classes - 1}"
            )
        return array.astype(np.int64)
