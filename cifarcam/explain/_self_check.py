"""Whether the scores that we compute layer by layer give the model's own output."""

from __future__ import annotations

from collections.abc import Collection

import keras
import numpy as np
import tensorflow as tf

from cifarcam.errors import CifarcamError
from cifarcam.explain._ends import ADVICE
from cifarcam.explain._random_images import on_fitting_size, random_images
from cifarcam.explain.graph import FlatModel

# Greatest difference between our scores and the model's own, as a share of 1 plus the image's
# greatest score: the rounding error of a deep network in the coarsest format that it computes in.
TOLERANCES = {"float64": 3e-4, "float32": 3e-4, "float16": 2e-2, "bfloat16": 5e-2}
QUANTISED = 5e-2  # one rounding may move a value by a whole step


def own_outputs(model: keras.Model, flat: FlatModel) -> tuple[np.ndarray, np.ndarray]:
    """A few random images and the model's own output for them in prediction.

    Raises
    ------
    CifarcamError
        When the model fails on images of every size.
    """

    def run(images: tf.Tensor) -> tf.Tensor:
        return _own_output(model, flat, images)

    # Eager execution is faster, but on too small an image a convolution of oneDNN returns
    # uninitialised memory; in a graph the shapes raise an error.
    predict = tf.function(run, autograph=False) if None in flat.image_shape else run

    def on_images(height: int, width: int, channels: int) -> tuple[np.ndarray, np.ndarray]:
        grey = np.full((1, height, width, channels), 127, np.float32)
        # Some saturate no activation.
        images = np.concatenate([random_images(4, height, width, channels), grey])
        return images, tf.cast(predict(tf.constant(images)), tf.float64).numpy()

    return on_fitting_size(flat.image_shape, on_images)


def _own_output(model: keras.Model, flat: FlatModel, images: tf.Tensor) -> tf.Tensor:
    count = images.shape[0]
    size = flat.batch_size or count
    weights = set(map(id, model.weights))
    seeds = [v for v in model.variables if id(v) not in weights and "int" in v.dtype]
    outputs = []
    for start in range(0, count, size):
        batch = tf.gather(images, np.arange(start, start + size) % count)
        # No seed or counter changes. With other seeds, a model that draws random numbers in
        # prediction differs from its scores, and is refused.
        with keras.StatelessScope([(seed, seed + 1) for seed in seeds]):
            results = keras.tree.flatten(model(batch, training=False))
        outputs.append(results[flat.output])
    return tf.concat(outputs, axis=0)[:count]


def check_scores(
    scores: np.ndarray,
    own: np.ndarray,
    activation: str,
    precisions: Collection[str],
    *,
    is_classifier: bool,
) -> None:
    """Check that the model's own output is what its scores give.

    Parameters
    ----------
    scores
        Scores layer by layer, N x classes, or outputs of any shape.
    own
        The model's own output, float64, N x units, or of the shape of `scores`.
    activation
        What follows the scores, as in `FlatModel`.
    precisions
        The number formats in which the model computes.
    is_classifier
        Whether the output is N x classes.

    Raises
    ------
    CifarcamError
        When they differ, are not finite, or are probabilities after an activation of which nothing
        is known.
    """
    scores, own = scores.reshape(len(scores), -1), own.reshape(len(own), -1)
    finite = np.isfinite(own).all(axis=1)
    if not finite.any():
        raise CifarcamError("the model's output for random images is not finite; check its weights")
    scores, own = scores[finite].astype(np.float64), own[finite]
    tolerance = max(TOLERANCES.get(name, QUANTISED) for name in (*precisions, "float32"))
    allowed = tolerance * (1 + np.abs(scores).max(axis=1, keepdims=True))
    units = own.shape[1]
    if activation == "linear":
        what = "scores" if is_classifier else "outputs"
        values = scores[:, -units:]
        differs = np.abs(values - own) > allowed
    else:
        what = "probabilities"
        values = probabilities_of(scores, "sigmoid" if units == 1 else activation)[:, -units:]
        # Logarithms of probabilities stay accurate near 0, and almost so near 1. Below its least
        # normal number a format rounds coarsely, and TensorFlow's exponential in float32 returns
        # zero below about 1e-38.
        least = float(np.finfo(np.float16).tiny) if "float16" in precisions else 1e-30
        logarithms = np.log(np.maximum(values, least)) - np.log(np.maximum(own, least))
        differs = np.abs(logarithms) > allowed
    if not np.isfinite(scores).all() or differs.any():
        error = np.abs(values - own)
        raise CifarcamError(
            f"the {what} computed layer by layer differ from the model's own output by up to "
            f"{np.nanmax(error):.2g}; {ADVICE}"
        )
    is_share = (own >= 0).all() and np.allclose(own.sum(axis=1), 1, atol=tolerance)
    if is_classifier and activation == "linear" and units > 1 and is_share:
        raise CifarcamError(
            "the model's outputs sum to 1, as probabilities do, and the scores before them cannot "
            f"be seen; {ADVICE}"
        )


def probabilities_of(scores: np.ndarray, activation: str) -> np.ndarray:
    """Probabilities (0-1, float64, N x classes) from scores: of a sigmoid, else of a softmax."""
    scores = np.asarray(scores, np.float64)
    if activation == "sigmoid":
        return np.exp(-np.logaddexp(0, -scores))
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)
