"""What is explained of each image: a class, a class against a rival, or values for a `score`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from cifarcam.errors import CifarcamError, first_line

Targets = int | Sequence[int] | np.ndarray | None
Score = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]  # (outputs, targets) -> one number per image

PREDICTED = -1  # a target in a batch: the class that the model predicts
NO_RIVAL = -1  # in a batch of pairs: the score of the target alone
ONE_EACH = "it has to return one number per image"


def checked_pairs(targets: Targets, against: Targets, count: int, classes: int) -> np.ndarray:
    """Each image's class and its rival, int64, `count` x 2; `NO_RIVAL` if `against` is None.

    Raises
    ------
    CifarcamError
        When `checked_classes` refuses the classes or their rivals, or a class is its own rival.
    """
    own = checked_classes(targets, count, classes)
    if against is None:
        return np.stack([own, np.full(count, NO_RIVAL, np.int64)], axis=1)
    rivals = checked_classes(against, count, classes, "against")
    same = own[own == rivals]
    if same.size:
        raise CifarcamError(
            f"class {same[0]} is explained against itself, a difference of zero; give another class"
        )
    return np.stack([own, rivals], axis=1)


def checked_classes(targets: Targets, count: int, classes: int, name: str = "target") -> np.ndarray:
    """One class per image, int64; `PREDICTED` for every image if `targets` is None.

    Raises
    ------
    CifarcamError
        When their number differs from `count`, or the model has no such class; it calls them by
        `name`.
    """
    if targets is None:
        return np.full(count, PREDICTED, np.int64)
    array = _array(targets, count, name)
    if array.dtype.kind not in "iu":
        raise CifarcamError(f"{name} is of type {array.dtype}; give whole numbers")
    if array.shape != (count,):
        raise CifarcamError(
            f"{name} has shape {array.shape} for {count} images; give one class per image"
        )
    wrong = array[(array < 0) | (array >= classes)]
    if wrong.size:
        raise CifarcamError(
            f"{name} {wrong[0]} is no class of this model; its classes are 0 to {classes - 1}"
        )
    return array.astype(np.int64)


def checked_values(targets: Any, count: int) -> np.ndarray:
    """What a `score` takes as targets: one value or array per image, or zeros, float32.

    Raises
    ------
    CifarcamError
        When they are no numbers, or their number differs from `count`.
    """
    if targets is None:
        return np.zeros(count, np.float32)
    array = _array(targets, count, "target")
    if array.dtype.kind not in "uifb" or len(array) != count:
        raise CifarcamError(
            f"targets of type {array.dtype} have shape {array.shape} for {count} images; give "
            "numbers, one value or array per image"
        )
    return array.astype(np.float32)


def _array(targets: Any, count: int, name: str) -> np.ndarray:
    """Targets as an array; a single number stands for `count` images."""
    try:
        array = np.asarray(targets)
    except ValueError as error:  # lists of different lengths
        raise CifarcamError(
            f"{name} is no array ({first_line(error)}); give values or arrays of one shape"
        ) from error
    return np.full(count, array) if array.ndim == 0 else array


def score_values(score: Score, outputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """One number per image, float32, n, from a `score` of a user, within a graph.

    Raises
    ------
    CifarcamError
        When the score fails or returns anything else.
    tf.errors.InvalidArgumentError
        With `ONE_EACH`, as the graph runs, when only then another number of values shows.
    """
    shape = f"N x {' x '.join(str(n or 'any') for n in outputs.shape[1:])}"
    try:
        values = score(outputs, targets)
        values = None if values is None else tf.cast(values, tf.float32)
    # The function of a user may raise anything.
    except Exception as error:
        raise CifarcamError(
            f"score fails on outputs of shape {shape}: {first_line(error)}"
        ) from error
    if values is None:
        raise CifarcamError(f"score returns None; {ONE_EACH}")
    # Within a graph the number of images is open; a fixed number comes from another axis.
    if values.shape.rank != 1 or values.shape[0] not in (None, outputs.shape[0]):
        raise CifarcamError(
            f"score returns values of shape {values.shape} for outputs of shape {shape}; {ONE_EACH}"
        )
    message = f"score returns another number of values than there are images; {ONE_EACH}"
    check = tf.debugging.assert_equal(tf.shape(values)[0], tf.shape(outputs)[0], message)
    with tf.control_dependencies([] if check is None else [check]):  # None outside of a graph
        return tf.identity(values)


def explained_classes(scores: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Each image's target class, the class of the highest score in place of `PREDICTED`: n."""
    classes = targets[:, 0]
    return tf.where(classes == PREDICTED, tf.argmax(scores, axis=1), classes)


def class_differences(scores: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Each image's score of its class, minus the score of its rival if there is one: n."""
    of_class = tf.gather(scores, explained_classes(scores, targets), batch_dims=1)
    rivals = targets[:, 1]
    of_rival = tf.gather(scores, tf.maximum(rivals, 0), batch_dims=1)
    return of_class - tf.where(rivals == NO_RIVAL, 0.0, of_rival)
