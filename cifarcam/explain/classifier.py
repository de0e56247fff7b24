"""A Keras classifier for explainers and metrics: images in, scores out."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from cifarcam.errors import CifarcamError, first_line
from cifarcam.explain._ends import ADVICE
from cifarcam.explain._keras import float_32
from cifarcam.explain.graph import flatten

Targets = int | Sequence[int] | np.ndarray | None

PREDICTED = -1  # a target in a batch: the class that the model predicts
NO_RIVAL = -1  # in a batch of pairs: the score of the target alone

# Greatest difference between our scores and the model's own, as a share of 1 plus the image's
# greatest score: the rounding error of a deep network in the coarsest format that it computes in.
TOLERANCES = {"float64": 3e-4, "float32": 3e-4, "float16": 2e-2, "bfloat16": 5e-2}
QUANTISED = 5e-2  # one rounding may move a value by a whole step
SIDES = (32, 64, 128, 256, 512)  # pixels; tried in turn for a model with an open image size


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

    Attributes
    ----------
    model
        The model.
    classes
        The number of classes.
    activation
        How the model ends: ``"softmax"``, ``"sigmoid"`` or ``"linear"``.
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
    def __init__(self, model: keras.Model, output: str | int | None = None) -> None:
        self.model = model
        self.flat = flatten(model, output)
        self.is_binary = self.flat.outputs == 1
        self.classes = 2 if self.is_binary else self.flat.outputs
        self.activation = self.flat.activation
        self.image_shape = self.flat.image_shape
        self.precisions = self.flat.precisions()
        self.image_spec = tf.TensorSpec([None, *self.image_shape], tf.float32)
        images, own = self._own_outputs()
        self._fitting_sizes = {images.shape[1:]}
        try:
            # AutoGraph off: there is no Python loop to convert, and it would wrap our errors.
            self._score_batch = tf.function(
                self.score_tensor,
                input_signature=[self.image_spec],
                autograph=False,
            ).get_concrete_function()
            scores = self._score_batch(tf.convert_to_tensor(images)).numpy()
        # Layers of other authors may raise anything.
        except Exception as error:
            size = self.flat.batch_size
            raise CifarcamError(
                f"the model does not run layer by layer: {first_line(error)}"
                if size is None
                else f"the model only takes batches of {size} images; build it with a keras.Input "
                "that leaves the batch size open"
            ) from error
        self._compare(scores, own)

    def _own_outputs(self) -> tuple[np.ndarray, np.ndarray]:
        """A few random images and the model's own output for them in prediction."""
        height, width, channels = self.image_shape
        assert channels is not None  # `check_input` refuses such a model
        is_open = height is None or width is None
        for side in SIDES if is_open else SIDES[:1]:
            images = _random_images(height or side, width or side, channels)
            # Eager execution is faster, but on too small an image a convolution of oneDNN returns
            # uninitialised memory; in a graph the shapes raise an error.
            run = tf.function(self._run_model, autograph=False) if is_open else self._run_model
            try:
                return images, tf.cast(run(tf.constant(images)), tf.float64).numpy()
            # Layers of other authors may raise anything, or the images were too small.
            except Exception as error:
                failure = error
        raise CifarcamError(
            f"the model fails on images of shape {images.shape[1:]}: {first_line(failure)}"
        ) from failure

    def _run_model(self, images: tf.Tensor) -> tf.Tensor:
        """The model's own output in prediction."""
        count = images.shape[0]
        size = self.flat.batch_size or count
        weights = set(map(id, self.model.weights))
        seeds = [v for v in self.model.variables if id(v) not in weights and "int" in v.dtype]
        outputs = []
        for start in range(0, count, size):
            batch = tf.gather(images, np.arange(start, start + size) % count)
            # No seed or counter changes. With other seeds, a model that draws random numbers in
            # prediction differs from its scores, and is refused.
            with keras.StatelessScope([(seed, seed + 1) for seed in seeds]):
                results = keras.tree.flatten(self.model(batch, training=False))
            outputs.append(results[self.flat.output])
        return tf.concat(outputs, axis=0)[:count]

    def _check_size(self, size: tuple[int, ...]) -> None:
        """Check that images are large enough for a model with an open image size."""
        if size in self._fitting_sizes:
            return
        try:
            tf.function(self.score_tensor, autograph=False).get_concrete_function(
                tf.TensorSpec([1, *size], tf.float32)
            )
        # Layers of other authors may raise anything.
        except Exception as error:
            raise CifarcamError(
                f"the model fails on images of shape {size}: {first_line(error)}"
            ) from error
        self._fitting_sizes.add(size)

    def _compare(self, scores: np.ndarray, own: np.ndarray) -> None:
        """Check that the model's own output is what its scores give.

        We compare the logarithms of probabilities, which stay accurate near 0 and almost so near 1.
        """
        finite = np.isfinite(own).all(axis=1)
        if not finite.any():
            raise CifarcamError(
                "the model's output for random images is not finite; check its weights"
            )
        scores, own = scores[finite].astype(np.float64), own[finite]
        probabilities = self.as_probabilities(scores)
        if self.is_binary:
            scores, probabilities = scores[:, 1:], probabilities[:, 1:]
        tolerance = max(TOLERANCES.get(name, QUANTISED) for name in (*self.precisions, "float32"))
        allowed = tolerance * (1 + np.abs(scores).max(axis=1, keepdims=True))
        if self.activation == "linear":
            what, computed, differs = "scores", scores, np.abs(scores - own) > allowed
        else:
            # Below its least normal number a format rounds coarsely, and TensorFlow's exponential
            # in float32 returns zero below about 1e-38.
            least = float(np.finfo(np.float16).tiny) if "float16" in self.precisions else 1e-30
            logarithms = np.log(np.maximum(probabilities, least)) - np.log(np.maximum(own, least))
            what, computed, differs = "probabilities", probabilities, np.abs(logarithms) > allowed
        if not np.isfinite(scores).all() or differs.any():
            error = np.abs(computed - own)
            raise CifarcamError(
                f"the {what} computed layer by layer differ from the model's own output by up to "
                f"{np.nanmax(error):.2g}; {ADVICE}"
            )
        is_share = (own >= 0).all() and np.allclose(own.sum(axis=1), 1, atol=tolerance)
        if self.activation == "linear" and not self.is_binary and is_share:
            raise CifarcamError(
                "the model's outputs sum to 1, as probabilities do, and the scores before them "
                f"cannot be seen; {ADVICE}"
            )

    def score_tensor(self, images: tf.Tensor) -> tf.Tensor:
        """Scores, float32, N x classes, of float32 images within a graph."""
        return self.as_scores(self.flat.score(images))

    def as_scores(self, outputs: tf.Tensor) -> tf.Tensor:
        """Scores, float32, N x classes, from the values of the output's units."""
        scores = tf.cast(outputs, tf.float32)
        return tf.concat([-scores, scores], axis=1) if self.is_binary else scores

    @float_32()
    def scores(self, images: np.ndarray, batch_size: int = 256) -> np.ndarray:
        """Scores before the softmax or sigmoid, which explainers explain: float32, N x classes.

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
        """Probabilities (0-1, float64, N x classes) from scores."""
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
            When there are none, they do not fit the model, or a value is not a finite number.
        """
        array = np.asarray(images)
        if batch_size < 1:
            raise CifarcamError(f"batch_size is {batch_size}; give at least 1")
        fits = array.ndim == 4 and all(
            expected in (None, actual)
            for expected, actual in zip(self.image_shape, array.shape[1:], strict=True)
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
        self._check_size(array.shape[1:])
        return array

    def checked_pairs(self, targets: Targets, count: int) -> np.ndarray:
        """A class and its rival per image, int64, `count` x 2; the rival is `NO_RIVAL` for a class.

        Raises
        ------
        CifarcamError
            When `checked_targets` refuses a column, or a class is its own rival.
        """
        array = np.asarray(targets)
        if array.shape != (count, 2):
            classes = self.checked_targets(targets, count)
            return np.stack([classes, np.full(count, NO_RIVAL, np.int64)], axis=1)
        pairs = np.stack([self.checked_targets(column, count) for column in array.T], axis=1)
        same = pairs[pairs[:, 0] == pairs[:, 1], 0]
        if same.size:
            raise CifarcamError(
                f"the pair of targets ({same[0]}, {same[0]}) has a difference of zero; give two "
                "different classes"
            )
        return pairs

    def checked_targets(self, targets: Targets, count: int) -> np.ndarray:
        """One class per image, int64; `PREDICTED` for every image if `targets` is None.

        Raises
        ------
        CifarcamError
            When their number differs from `count`, or the model has no such class.
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
                f"targets have shape {array.shape} for {count} images; give one class per image"
            )
        wrong = array[(array < 0) | (array >= self.classes)]
        if wrong.size:
            raise CifarcamError(
                f"target {wrong[0]} is no class of this model; its classes are 0 to "
                f"{self.classes - 1}"
            )
        return array.astype(np.int64)


def _random_images(height: int, width: int, channels: int) -> np.ndarray:
    """Float32 images: noise of 0-255, noise of 0-1, and grey; some saturate no activation."""
    noise = np.random.default_rng(0).random((4, height, width, channels), np.float32)
    grey = np.full((1, height, width, channels), 127, np.float32)
    return np.concatenate([255 * noise[:2], noise[2:], grey])
