"""The base class of LIME and SHAP: values of square patches, image by image outside the graph."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from cifarcam.errors import CifarcamError, require
from cifarcam.explain.base import Explainer, explained_classes
from cifarcam.explain.classifier import Classifier
from cifarcam.explain.graph import SplitModel


class PatchExplainer(Explainer):
    """Base class of methods that hide patches of the image and use a library of other authors.

    Raises
    ------
    MissingExtra
        When the library is not installed.
    CifarcamError
        When the patch has no pixels, or `Explainer` refuses the model.
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
        require("perturb", self.package)
        if patch < 1:
            raise CifarcamError(f"patch is {patch} pixels; give at least 1")
        self.patch, self.seed = patch, seed
        super().__init__(model, layer, output=output)

    @abstractmethod
    def _patch_values(self, image: np.ndarray, target: int, seed: int) -> np.ndarray:
        """Signed values of one image (float32), H x W, constant within a patch."""

    def _segments(self, height: int, width: int) -> np.ndarray:
        """The index of the patch to which each pixel belongs, H x W."""
        across = -(-width // self.patch)
        rows, columns = np.arange(height) // self.patch, np.arange(width) // self.patch
        return rows[:, np.newaxis] * across + columns

    def _signed(
        self, part: SplitModel, images: tf.Tensor, targets: tf.Tensor, seeds: tf.Tensor
    ) -> tf.Tensor:
        classes = explained_classes(self.classifier.score_tensor(images), targets)

        def values(images: tf.Tensor, classes: tf.Tensor, seeds: tf.Tensor) -> np.ndarray:
            maps = [
                self._patch_values(image, int(target), int(np.uint32(seed[0] ^ seed[1]) % 2**31))
                for image, target, seed in zip(
                    images.numpy(), classes.numpy(), seeds.numpy(), strict=True
                )
            ]
            return np.asarray(maps, np.float32)

        maps = tf.py_function(values, [images, classes, seeds], tf.float32)
        return tf.ensure_shape(maps, [None, images.shape[1], images.shape[2]])
