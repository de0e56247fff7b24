"""A Keras classifier as explainers and measures of heatmaps see it: images in, scores out."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from cifarcam.errors import CifarcamError
from cifarcam.explain.graph import flatten

Targets = int | Sequence[int] | np.ndarray | None

PREDICTED = -1  # stands, within a batch, for the class that the model predicts


class Classifier:
    """A model with its scores before the softmax or sigmoid, compiled once.

    Parameters
    ----------
    model
        A Keras classifier: Sequential, functional, nested or subclassed, with one input,
        N x H x W x C. It may end in a softmax or sigmoid (a layer, or the activation of the last
        ``Dense``) or in bare scores. A single sigmoid or linear unit stands for two classes, 0
        and 1, whose scores are -z and z, the logits of their probabilities.
    output
        The name or index of the output to explain, of a model that has several.

    Attributes
    ----------
    model, classes, activation, image_shape
        The model; its number of classes; ``"softmax"``, ``"sigmoid"`` or ``"linear"``, what it
        ends with; height, width and channels of its images, None where any fits.

    Raises
    ------
    CifarcamError
        When the model is of another kind.
    """

    def __init__(self, model: keras.Model, output: str | int | None = None) -> None:
        self.model = model
        self.flat = flatten(model, output)
        self.is_binary = self.flat.outputs == 1
        self.classes = 2 if self.is_binary else self.flat.outputs
        self.activation = self.flat.activation
        self.image_shape = self.flat.image_shape
        self.image_spec = tf.TensorSpec([None, *self.image_shape], tf.float32)
        # AutoGraph off: there is no Python loop to convert, and it would wrap our errors.
        self._score_batch = tf.function(
            self.score_tensor,
            input_signature=[self.image_spec],
            autograph=False,
        ).get_concrete_function()

    def score_tensor(self, images: tf.Tensor) -> tf.Tensor:
        """A score for each class, float32, N x classes, within a graph; images are float32."""
        return self.as_scores(self.flat.score(images))

    def as_scores(self, outputs: tf.Tensor) -> tf.Tensor:
        """A score for each class, float32, N x classes, from the units' scores."""
        scores = tf.cast(outputs, tf.float32)
        return tf.concat([-scores, scores], axis=1) if self.is_binary else scores

    def scores(self, images: np.ndarray, batch_size: int = 256) -> np.ndarray:
        """The scores that are explained, before the softmax or sigmoid: float32, N x classes.

        Raises
        ------
        CifarcamError
            When the images do not fit the model.
        """
        images = self.checked_images(images, batch_size)
        return np.concatenate(
            [
                self._score_batch(
                    tf.convert_to_tensor(images[start : start + batch_size].astype(np.float32))
                ).numpy()
                for start in range(0, len(images), batch_size)
            ]
        )

    def probabilities(self, images: np.ndarray, batch_size: int = 256) -> np.ndarray:
        """Class probabilities, 0-1, float64, N x classes; they sum to 1 unless it is a sigmoid's.

        The scores of a model without an activation are taken for logits of a softmax, or of a
        sigmoid when there is a single one.

        Raises
        ------
        CifarcamError
            When the images do not fit the model.
        """
        return self.as_probabilities(self.scores(images, batch_size))

    def as_probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Scores, N x classes, as probabilities (float64)."""
        scores = np.asarray(scores, np.float64)
        if self.activation == "sigmoid" or self.is_binary:
            return np.exp(-np.logaddexp(0, -scores))
        exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    def checked_images(self, images: np.ndarray, batch_size: int = 1) -> np.ndarray:
        """The images as an array.

        Raises
        ------
        CifarcamError
            When they do not fit the model, are none, or are not finite numbers.
        """
        array = np.asarray(images)
        if batch_size < 1:
            raise CifarcamError(f"batch_size is {batch_size}; give at least 1")
        fits = array.ndim == 4 and all(
            known in (None, given)
            for known, given in zip(self.image_shape, array.shape[1:], strict=True)
        )
        if not fits:
            expected = " x ".join("any" if n is None else str(n) for n in self.image_shape)
            raise CifarcamError(f"images have shape {array.shape}; the model takes N x {expected}")
        if not len(array):
            raise CifarcamError("there are no images to explain; give at least one")
        if array.dtype.kind not in "uifb":
            raise CifarcamError(f"images are of type {array.dtype}, not numbers")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise CifarcamError("images have values that are not finite")
        return array

    def checked_targets(self, targets: Targets, count: int) -> np.ndarray:
        """One class an image, int64; `PREDICTED` for all when none is given.

        Raises
        ------
        CifarcamError
            When their number differs from `count`, or one is no class.
        """
        if targets is None:
            return np.full(count, PREDICTED, np.int64)
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
