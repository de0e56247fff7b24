"""LIME: Ribeiro et al. (2016), "Why Should I Trust You?", computed by the authors' library."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

import keras
import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.explain.classifier import Classifier
from cifarcam.explain.methods._patches import PatchExplainer


class LIME(PatchExplainer):
    """Weights of a linear model of the score, fitted to images with black patches.

    Section 3 of the paper, with the defaults of the library: cosine distance, a kernel of width
    0.25, ridge regression. The interpretable parts are square patches of a grid instead of
    segments of the image, so that the map is about as fine as the maps of other methods.

    The cost is `samples` forward passes, and one more. The method needs
    ``pip install 'cifarcam[perturb]'``.

    Parameters
    ----------
    patch
        Side of a patch in pixels.
    samples
        The number of perturbed images.
    seed
        Seed of the perturbations, combined with the image's values.

    Examples
    --------
    >>> explainer = LIME(model, samples=1000)
    >>> heatmaps = explainer(images)
    """

    name = "lime"
    title = "LIME"
    reference = "Ribeiro et al. (2016)"
    cost = "513 forward passes"
    package = "lime"

    def __init__(
        self,
        model: keras.Model | Classifier,
        layer: str | Sequence[str] | None = None,
        *,
        output: str | int | None = None,
        patch: int = 4,
        samples: int = 512,
        seed: int = 0,
    ) -> None:
        if samples < 2:
            raise CifarcamError(f"samples is {samples}; give at least 2")
        self.samples = samples
        super().__init__(model, layer, output=output, patch=patch, seed=seed)

    def _patch_values(self, image: np.ndarray, target: int, seed: int) -> np.ndarray:
        from lime import lime_image

        segments = self._segments(image.shape[0], image.shape[1])

        def score(perturbed: np.ndarray) -> np.ndarray:
            return self.classifier.scores(np.asarray(perturbed, np.float32))[:, [target]]

        with contextlib.redirect_stderr(io.StringIO()):  # it always draws a progress bar
            explanation = lime_image.LimeImageExplainer(random_state=seed).explain_instance(
                image.astype(np.float64),
                score,
                labels=(0,),
                top_labels=None,
                hide_color=0,
                num_samples=self.samples,
                batch_size=256,
                segmentation_fn=lambda _: segments,
                random_seed=seed,
            )
        values = np.zeros(segments.max() + 1)
        for index, weight in explanation.local_exp[0]:
            values[index] = weight
        return values[segments]
