"""A Keras classifier for explainers and metrics: images in, scores out."""

from __future__ import annotations

from typing import Any, TypedDict

import keras
import numpy as np
import tensorflow as tf

from cifarcam.errors import CifarcamError, first_line
from cifarcam.explain._failures import failure, named_failures
from cifarcam.explain._images import checked_array
from cifarcam.explain._keras import float_32
from cifarcam.explain._options import checked_count
from cifarcam.explain._self_check import check_scores, own_outputs, probabilities_of
from cifarcam.explain._targets import (
    Score,
    Targets,
    checked_pairs,
    checked_values,
    class_differences,
    explained_classes,
    score_values,
)
from cifarcam.explain.graph import flatten
from cifarcam.explain.input_range import (
    InputRange,
    RangeLike,
    check_against_layer,
    check_values,
    checked_range,
)

BATCH = 32  # images at a time


class ClassifierOptions(TypedDict, total=False):
    """The options of a `Classifier`, which every explainer passes on."""

    output: str | int | None
    input_range: RangeLike | None
    score: Score | None
    tokens: tuple[int, int] | None


class Classifier:
    """A model and its scores before the softmax or sigmoid, compiled once.

    Parameters
    ----------
    model
        A Keras classifier: Sequential, functional, nested or subclassed, with one input,
        N x H x W x C. It may end in a softmax or sigmoid (a layer, or the activation of the last
        layer) or in scores. A single sigmoid or linear unit z stands for two classes, 0 and 1,
        with the scores -z and z, the logits of their probabilities.
    output
        The name or index of the output to explain, of a model that has several.
    input_range
        What black and white are for the model, such as ``(0, 255)``, each one number or one per
        channel; by default what a leading Rescaling or Normalization layer shows.
    score
        A function of the model's outputs (N x ..., of any shape, with its activation) and of
        `targets` (float32, N x ..., as they are given to an explainer) that returns one number per
        image, float32, N, written with TensorFlow or `keras.ops`. With it any model with one image
        input can be explained: regression, segmentation, embeddings. Without it the score is the
        target class's, before the softmax or sigmoid.
    tokens
        The numbers of rows and columns that the tokens of a vision transformer form, such as
        ``(14, 14)``, row by row after any class, distillation and register tokens; by default the
        rows and columns of the patch embedding, after up to two tokens.

    Attributes
    ----------
    model
        The model.
    classes
        The number of classes; 2 for a single unit, and 0 with a `score`.
    activation
        How the model ends: ``"softmax"``, ``"sigmoid"`` or ``"linear"``; ``"linear"`` with a
        `score`.
    input_range
        What black and white are, an `InputRange`; None if it is unknown.
    image_shape
        Height, width and channels of its images; None where any size fits.
    precisions
        The number formats in which it computes.

    Raises
    ------
    CifarcamError
        When the model is of another kind, or its own output for a few random images differs from
        what its scores give.
    """

    @float_32()
    def __init__(
        self,
        model: keras.Model,
        output: str | int | None = None,
        *,
        input_range: RangeLike | None = None,
        score: Score | None = None,
        tokens: tuple[int, int] | None = None,
    ) -> None:
        self.model = model
        self.score = score
        self.flat = flatten(model, output, is_classifier=score is None, tokens=tokens)
        self.is_binary = score is None and self.flat.units == 1
        self.classes = 0 if score is not None else 2 if self.is_binary else self.flat.units
        self.activation = self.flat.activation
        self.image_shape = self.flat.image_shape
        self.precisions = self.flat.precisions()
        self.input_range = self._range(input_range)
        self.image_spec = tf.TensorSpec([None, *self.image_shape], tf.float32)
        images, own = own_outputs(model, self.flat)
        self._fitting_sizes = {images.shape[1:3]}
        try:
            # AutoGraph off: there is no Python loop to convert, and it would wrap our errors.
            self._score_batch = tf.function(
                lambda images: self.as_scores(self.flat.outputs(images)),
                input_signature=[self.image_spec],
                autograph=False,
            ).get_concrete_function()
            scores = self._score_batch(tf.convert_to_tensor(images)).numpy()
        # Layers of other authors may raise anything.
        except Exception as error:
            size, reason = self.flat.batch_size, failure(error)
            raise CifarcamError(
                f"the model does not run layer by layer: {reason}"
                if size is None
                else f"the model only takes batches of {size} images; build it with a keras.Input "
                f"that leaves the batch size open ({reason})"
            ) from error
        check_scores(
            scores, own, self.activation, self.precisions, is_classifier=self.score is None
        )

    @property
    def class_count(self) -> str:
        """The number of classes in words, for text that names it."""
        if self.is_binary:
            return (
                "2 classes (its one output unit counts as two; to explain a number, give a score)"
            )
        return f"{self.classes} classes"

    def _range(self, limits: RangeLike | None) -> InputRange | None:
        """The range that a user gives, or else what the leading layer shows."""
        channels = self.image_shape[2]
        assert channels is not None  # `check_input` refuses such a model
        of_layer = self.flat.input_range(channels)
        if limits is None:
            return of_layer
        of_user = checked_range(limits, channels)
        if of_layer is not None:
            check_against_layer(of_user, of_layer)
        return of_user

    def _check_size(self, shape: tuple[int, ...]) -> None:
        """Check that images are large enough for a model with an open image size.

        TensorFlow's convolutions return arbitrary values for too small an image, but tracing fails.
        """
        height, width, _ = shape
        if any(h <= height and w <= width for h, w in self._fitting_sizes):
            return
        try:
            tf.function(self.flat.outputs, autograph=False).get_concrete_function(
                tf.TensorSpec([1, *shape], tf.float32)
            )
        # Layers of other authors may raise anything.
        except Exception as error:
            raise CifarcamError(
                f"the model fails on images of shape {shape}: {first_line(error)}"
            ) from error
        self._fitting_sizes.add((height, width))

    def needed_range(self, needer: str) -> InputRange:
        """The input range, for a method or metric called `needer`.

        Raises
        ------
        CifarcamError
            When it is unknown.
        """
        if self.input_range is None:
            raise CifarcamError(
                f"{needer} needs to know what black and white are for this model; give "
                "Classifier(model, input_range=(0, 255)), or (0, 1), or (-1, 1)"
            )
        return self.input_range

    def target_scores(self, outputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """What is explained, float32, n, from the values of the output's units within a graph.

        `targets` are what `checked_targets` returns. The result is the score of the class, minus the
        score of its rival if there is one, or the `score` of the outputs.

        Raises
        ------
        CifarcamError
            When a `score` fails, or does not return one number per image.
        """
        scores = self.as_scores(outputs)
        if self.score is not None:
            return score_values(self.score, scores, targets)
        return class_differences(scores, targets)

    def resolved(self, outputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """The targets, the class of the highest score in place of `PREDICTED`, within a graph."""
        if self.score is not None:
            return targets
        classes = explained_classes(self.as_scores(outputs), targets)
        return tf.stack([classes, targets[:, 1]], axis=1)

    def as_scores(self, outputs: tf.Tensor) -> tf.Tensor:
        """Scores, float32, N x classes, from the values of the output's units."""
        scores = tf.cast(outputs, tf.float32)
        return tf.concat([-scores, scores], axis=1) if self.is_binary else scores

    @float_32()
    def scores(self, images: np.ndarray, batch_size: int = BATCH) -> np.ndarray:
        """Scores before the softmax or sigmoid, which explainers explain: float32, N x classes.

        Of a classifier with a `score`, the model's outputs, float32, N x ....

        Raises
        ------
        CifarcamError
            When the images do not fit the model.
        """
        images = self.checked_images(images, batch_size)
        batches = (images[n : n + batch_size] for n in range(0, len(images), batch_size))
        with named_failures(images.shape):
            return np.concatenate(
                [
                    self._score_batch(tf.convert_to_tensor(batch.astype(np.float32))).numpy()
                    for batch in batches
                ]
            )

    def probabilities(self, images: np.ndarray, batch_size: int = BATCH) -> np.ndarray:
        """Class probabilities, 0-1, float64, N x classes; the sum is 1 except after sigmoids.

        The scores of a model without an activation count as logits of a softmax, or of a sigmoid
        if there is one unit.

        Raises
        ------
        CifarcamError
            When the images do not fit the model.
        """
        return self.as_probabilities(self.scores(images, batch_size))

    def as_probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Probabilities (0-1, float64, N x classes) from scores.

        Raises
        ------
        CifarcamError
            When the classifier has a `score` of its own.
        """
        if self.score is not None:
            raise CifarcamError(
                "the explained score is a function of your own, which has no probabilities; leave "
                "score out to ask for probabilities"
            )
        return probabilities_of(scores, "sigmoid" if self.is_binary else self.activation)

    def checked_images(self, images: np.ndarray, batch_size: int = 1) -> np.ndarray:
        """The images as an array.

        Raises
        ------
        CifarcamError
            When there are none, they do not fit the model, or a value is not a finite number or lies
            far outside the input range.
        """
        checked_count("batch_size", batch_size, least=1)
        array = checked_array(images, self.image_shape)
        if self.input_range is not None:
            check_values(array, self.input_range)
        self._check_size(array.shape[1:])
        return array

    def checked_targets(self, targets: Any, against: Targets, count: int) -> np.ndarray:
        """A class and its rival per image, int64, `count` x 2.

        The class is `PREDICTED` if `targets` is None, and the rival `NO_RIVAL` if `against` is. With
        a `score`, these are the targets as they are given, float32, `count` x ....

        Raises
        ------
        CifarcamError
            When their number differs from `count`, the model has no such class, or a class is its
            own rival; or `against` is given with a `score`.
        """
        if self.score is None:
            return checked_pairs(targets, against, count, self.classes)
        if against is not None:
            raise CifarcamError("against needs classes; with a score, subtract within the score")
        return checked_values(targets, count)
