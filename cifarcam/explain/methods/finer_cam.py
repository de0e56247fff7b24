"""Finer-CAM: Zhang et al. (2025), Finer-CAM: Spotting the Difference Reveals Finer Details for
Visual Explanation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import keras
import tensorflow as tf

from cifarcam.errors import CifarcamError
from cifarcam.explain._options import checked_count, checked_number
from cifarcam.explain._targets import NO_RIVAL, explained_classes
from cifarcam.explain.classifier import Classifier, ClassifierOptions
from cifarcam.explain.graph import SplitModel
from cifarcam.explain.methods.grad_cam import GradCAM


class FinerCAM(GradCAM):
    r"""Grad-CAM of the class score minus the scores of the most similar classes.

    The score explained is $y^c - \frac{\gamma}{n} \sum_d y^d$, where the $n$ classes $d$ are those
    whose scores differ least from $y^c$ (arXiv 2501.11309). The map shows what tells a class from
    its look-alikes. The authors' repository has both this plain mean over the similar classes and a
    mean weighted by the classes' softmax probabilities. With `against`, the rival class alone takes
    the place of the similar classes. Every other method takes `against` as well.

    The cost is one forward pass, and one backward pass from the output to the layer.

    Parameters
    ----------
    similar
        The number of similar classes, $n$; all other classes if there are fewer.
    strength
        The strength of the comparison, $\gamma$; 0 gives the map of Grad-CAM.

    Examples
    --------
    >>> explainer = FinerCAM(model, "conv5", strength=0.6)
    >>> heatmaps = explainer(images)
    """

    name = "finer-cam"
    title = "Finer-CAM"
    reference = "Zhang et al. (2025)"

    def __init__(
        self,
        model: keras.Model | Classifier,
        layer: str | Sequence[str] | None = None,
        *,
        similar: int = 3,
        strength: float = 1.0,
        **options: Unpack[ClassifierOptions],
    ) -> None:
        self.similar = checked_count("similar", similar, least=1)
        self.strength = checked_number("strength", strength, least=0)
        super().__init__(model, layer, **options)
        if self.classifier.score is not None:
            raise CifarcamError(
                f"{self.title} compares classes; with a score, subtract within the score and take "
                "Grad-CAM"
            )

    def _target_scores(
        self, part: SplitModel, between: Sequence[tf.Tensor], targets: tf.Tensor
    ) -> tf.Tensor:
        scores = self.classifier.as_scores(part.head(between))
        classes, rivals = explained_classes(scores, targets), targets[:, 1]
        own = tf.gather(scores, classes, batch_dims=1)
        others = tf.one_hot(classes, self.classifier.classes, on_value=float("inf"), off_value=0.0)
        distances = tf.abs(scores - own[:, tf.newaxis]) + others
        nearest = tf.math.top_k(-distances, min(self.similar, self.classifier.classes - 1)).indices
        of_similar = tf.reduce_mean(tf.gather(scores, nearest, batch_dims=1), axis=1)
        of_rival = tf.gather(scores, tf.maximum(rivals, 0), batch_dims=1)
        return own - self.strength * tf.where(rivals == NO_RIVAL, of_similar, of_rival)
