"""Test images to show, chosen by rules instead of by eye."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cifarcam.errors import CifarcamError


@dataclass(frozen=True)
class Example:
    """An image and the class to explain it for.

    Attributes
    ----------
    rule
        The rule that chose the image: ``"surest right"``, ``"median right"`` or ``"surest wrong"``.
    index
        Index of the image.
    true, predicted, target
        Indices of classes. `target` is the class to explain, the predicted or the true class.
    confidence
        The probability of the predicted class, 0-1.
    """

    rule: str
    index: int
    true: int
    predicted: int
    target: int
    confidence: float

    def title(self, class_names: Sequence[str]) -> str:
        """A title for the picture, such as ``ship as truck (98%): map for ship``."""
        true, predicted, target = (
            class_names[index] for index in (self.true, self.predicted, self.target)
        )
        seen = true if self.true == self.predicted else f"{true} as {predicted}"
        return f"{seen} ({self.confidence:.0%}): map for {target}"


def choose_examples(
    probabilities: np.ndarray, labels: np.ndarray, class_index: int
) -> list[Example]:
    """Images of one true class that show a classifier right and wrong.

    In this order: the most confident right prediction, the right prediction of median confidence
    (the lower of two), and the most confident wrong prediction twice, to be explained for the
    predicted and for the true class. Of equal confidences the earlier image is chosen. A class
    without mistakes has no wrong prediction.

    Parameters
    ----------
    probabilities
        Class probabilities, N x classes.
    labels
        True classes, N.
    class_index
        The true class of the images.

    Raises
    ------
    CifarcamError
        When the shapes do not fit or the class does not exist.
    """
    probabilities, labels = np.asarray(probabilities), np.asarray(labels)
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
        raise CifarcamError(
            f"choose_examples: probabilities of shape {probabilities.shape} and labels of shape "
            f"{labels.shape}; give N x classes and N"
        )
    if not 0 <= class_index < probabilities.shape[1]:
        raise CifarcamError(
            f"choose_examples: class {class_index}; give 0 to {probabilities.shape[1] - 1}"
        )
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    of_class = np.flatnonzero(labels == class_index)
    surest_first = of_class[np.argsort(-confidence[of_class], kind="stable")]
    is_right = predicted[surest_first] == class_index
    right, wrong = surest_first[is_right], surest_first[~is_right]
    rules = []
    if right.size:
        rules.append(("surest right", right[0], class_index))
    if right.size > 1:
        rules.append(("median right", right[right.size // 2], class_index))
    if wrong.size:
        rules.append(("surest wrong", wrong[0], predicted[wrong[0]]))
        rules.append(("surest wrong", wrong[0], class_index))
    return [
        Example(rule, int(i), class_index, int(predicted[i]), int(target), float(confidence[i]))
        for rule, i, target in rules
    ]
