"""What LIME and SHAP share: values of square patches, found image by image outside the graph."""

from __future__ import annotations

import importlib.util
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from cifarcam.errors import CifarcamError
from cifarcam.explain.base import Explainer, chosen_classes
from cifarcam.explain.classifier import Classifier
from cifarcam.explain.graph import SplitModel


class PatchExplainer(Explainer):
    """An explainer that hides patches of the image and looks at the score, by another library.

    Raises
    ------
    CifarcamError
        When the library is not installed, or the patch does not fit.
    """

    package: ClassVar[str]
    takes_layer = False

    def __init__(
        self,
        model: keras.Model | Classifier,
        layer: str | Sequence[str] | None = None,
        *,
        output: str | int | None = None,
        patch: int = 4,
        seed: int = 0,
    ) -> None:
        if importlib.util.find_spec(self.package) is None:
            raise CifarcamError(
                f"{self.name} needs the package {self.package}; pip install 'cifarcam[explain]'"
            )
        if patch < 1:
            raise CifarcamError(f"patch is {patch} pixels; give at least 1")
        self.patch, self.seed = patch, seed
        super().__init__(model, layer, output=output)

    @abstractmethod
    def _patch_values(self, image: np.ndarray, target: int, seed: int) -> np.ndarray:
        """Signed values by pixel, H x W, the same within a patch, of one image (float32)."""

    def _segments(self, height: int, width: int) -> np.ndarray:
        """The number of the patch of each pixel, H x W."""
        across = -(-width // self.patch)
        rows, columns = np.arange(height) // self.patch, np.arange(width) // self.patch
        return rows[:, np.newaxis] * across + columns

    def _signed(
        self, part: SplitModel, images: tf.Tensor, targets: tf.Tensor, seeds: tf.Tensor
    ) -> tf.Tensor:
        chosen = chosen_classes(self.classifier.score_tensor(images), targets)

        def values(images: tf.Tensor, chosen: tf.Tensor, seeds: tf.Tensor) -> np.ndarray:
            found = [
                self._patch_values(image, int(target), int(np.uint32(seed[0] ^ seed[1]) % 2**31))
                for image, target, seed in zip(
                    images.numpy(), chosen.numpy(), seeds.numpy(), strict=True
                )
            ]
            return np.asarray(found, np.float32)

        maps = tf.py_function(values, [images, chosen, seeds], tf.float32)
        return tf.ensure_shape(maps, [None, images.shape[1], images.shape[2]])
