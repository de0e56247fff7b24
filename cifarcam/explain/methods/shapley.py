"""SHAP: Lundberg and Lee (2017), A Unified Approach to Interpreting Model Predictions, computed by
the authors' library.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.explain.classifier import Classifier
from cifarcam.explain.methods._patches import PatchExplainer


class SHAP(PatchExplainer):
    """Shapley values of square patches, estimated over permutations; hidden patches are black.

    Section 3 of the paper defines the values. The ``PermutationExplainer`` of the library estimates
    them: it adds the patches in a random order and removes them in that order. The sum of an image's
    values is its score minus the score of the black image.

    The cost is `permutations` times (two forward passes per patch, and one), and one more. It needs
    ``pip install 'cifarcam[perturb]'``.

    Parameters
    ----------
    patch
        Side of a patch in pixels.
    permutations
        The number of random orders.
    seed
        Seed of the orders, combined with the image's values.

    Examples
    --------
    >>> explainer = SHAP(model, permutations=8)
    >>> heatmaps = explainer(images)
    """

    name = "shap"
    title = "SHAP"
    reference = "Lundberg & Lee (2017)"
    cost = "517 forward passes"
    package = "shap"

    def __init__(
        self,
        model: keras.Model | Classifier,
        layer: str | Sequence[str] | None = None,
        *,
        output: str | int | None = None,
        patch: int = 4,
        permutations: int = 4,
        seed: int = 0,
    ) -> None:
        if permutations < 1:
            raise CifarcamError(f"permutations is {permutations}; give at least 1")
        self.permutations = permutations
        super().__init__(model, layer, output=output, patch=patch, seed=seed)

    def _patch_values(self, image: np.ndarray, target: int, seed: int) -> np.ndarray:
        import shap

        segments = self._segments(image.shape[0], image.shape[1])
        count = int(segments.max()) + 1

        def score(present: np.ndarray) -> np.ndarray:
            shown = np.asarray(present, bool)[:, segments, np.newaxis] * image
            return self.classifier.scores(shown)[:, target].astype(np.float64)

        explainer = shap.PermutationExplainer(score, np.zeros((1, count)), seed=seed)
        explanation = explainer(
            np.ones((1, count)),
            max_evals=self.permutations * (2 * count + 1),
            batch_size=256,
            silent=True,
        )
        return explanation.values[0][segments]
