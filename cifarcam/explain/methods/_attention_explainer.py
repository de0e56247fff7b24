"""The base of methods that follow attention from the readout back to the image."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Unpack

import keras
import numpy as np
import tensorflow as tf

from cifarcam.errors import CifarcamError
from cifarcam.explain._attention import Attention, find_attention
from cifarcam.explain._random_images import on_fitting_size, random_images
from cifarcam.explain.base import Batch, Explainer
from cifarcam.explain.classifier import Classifier, ClassifierOptions
from cifarcam.explain.graph import INPUT, SplitModel


class AttentionExplainer(Explainer):
    """Base class of methods for vision transformers that combine the attention of all layers.

    A method defines `_matrices` and `_step`. The map starts at the tokens that the network
    reads after its last attention: the class token where it alone is read, else the mean of the
    tokens that are read. A softmax that weights the tokens for a last sum, as in the compact
    convolutional transformer, counts as the attention of a class token in one more layer.
    """

    takes_layer = False
    needs_attention = True
    _attention: Attention
    _shapes: list[tuple[int, int, int]]  # heads, rows and columns of each matrix

    def __init__(
        self,
        model: keras.Model | Classifier,
        layer: str | Sequence[str] | None = None,
        **options: Unpack[ClassifierOptions],
    ) -> None:
        super().__init__(model, layer, **options)
        self.layers = self._attention.paths

    def _split(self, layer: str | Sequence[str] | None) -> list[SplitModel]:
        if layer is not None:
            raise CifarcamError(f"{self.title} combines all layers of attention; it takes no layer")
        flat = self.classifier.flat
        self._attention = find_attention(flat.layers, self.title)

        def shapes_on(*size: int) -> list[tuple[int, ...]]:
            images = tf.constant(random_images(flat.batch_size or 2, *size))
            _, tensors = self._attention.head(self._attention.stem(images))
            return [tuple(tensor.shape) for tensor in tensors]

        shapes = on_fitting_size(flat.image_shape, shapes_on)
        self._shapes = [(int(np.prod(heads)), rows, columns) for _, *heads, rows, columns in shapes]
        if self._attention.pools:
            count = self._attention.tokens
            self._shapes[-1] = (int(np.prod(shapes[-1][1:])) // count, 1, count)
        return [flat.split(INPUT)]

    @abstractmethod
    def _matrices(self, batch: Batch) -> list[tf.Tensor]:
        """Matrices of all layers, float32, n x tokens x tokens, and the weights, n x 1 x tokens."""

    @abstractmethod
    def _step(self, shares: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
        """Shares of tokens, n x 1 x tokens, after a layer -> before it."""

    def _signed(self, part: SplitModel, batch: Batch) -> tf.Tensor:
        attention, matrices = self._attention, self._matrices(batch)
        if attention.pools:
            start = matrices.pop()
        else:
            readout = tf.constant(attention.readout)[tf.newaxis, tf.newaxis]
            start = tf.repeat(readout, tf.shape(batch.images)[0], axis=0)
        shares = start
        # A row of a product of matrices, from the left, takes no product of two matrices.
        for matrix in reversed(matrices):
            shares = self._step(shares, matrix)
        shares = self._without_start(shares, start)
        return attention.grid.map_of(tf.transpose(shares, [0, 2, 1]))[..., 0]

    def _without_start(self, shares: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
        """The shares that make the map, from all shares and the shares at the readout."""
        return shares

    def _heads(self, flat: tf.Tensor, shape: tuple[int, int, int]) -> tf.Tensor:
        """Float32, n x heads x rows x columns."""
        return tf.reshape(tf.cast(flat, tf.float32), [-1, *shape])
