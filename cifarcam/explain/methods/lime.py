"""LIME, after Ribeiro et al. (2016), "Why Should I Trust You?", by the authors' own library."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

import keras
import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.explain.classifier import Classifier
from cifarcam.explain.methods.perturbing import PatchExplainer


class LIME(PatchExplainer):
    """Weights of a linear model of the score, fitted to images with patches turned black.

    Section 3 of the paper, with the library's defaults: cosine distance, a kernel of width 0.25,
    ridge regression. The interpretable parts are square patches of a grid instead of segments
    found in the image, so that the map's resolution is that of the other methods.

    Parameters
    ----------
    patch
        Side of a patch in pixels.
    samples
        Perturbed images.
    seed
        Of the perturbations, together with the image's values.
    """

    name = "lime"
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

        with contextlib.redirect_stderr(io.StringIO()):  # its progress bar cannot be turned off
            found = lime_image.LimeImageExplainer(random_state=seed).explain_instance(
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
        for index, weight in found.local_exp[0]:
            values[index] = weight
        return values[segments]
