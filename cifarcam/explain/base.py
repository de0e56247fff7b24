"""What all explainers share: the explained layer, the pre-softmax score, batches, the stages.

The stages of a heatmap, in this order: signed map at the layer's resolution -> ReLU -> half-pixel
bilinear resize to the image. Nothing is scaled to [0, 1] here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import keras
import numpy as np
import tensorflow as tf

from cifarcam.errors import CifarcamError

Targets = int | np.ndarray | list[int] | None


class Explainer(ABC):
    """A method bound to a model and a layer, traced once.

    Parameters
    ----------
    model
        A Keras image classifier with one input N x H x W x C and one output N x classes: a
        Sequential or functional model that ends in a ``Dense`` layer, with the softmax as its
        activation, as a layer after it, or left out.
    layer
        The name of the layer to explain; the last one with a spatial (4-D) output by default.

    Raises
    ------
    CifarcamError
        When the layer is unknown or not spatial, or the pre-softmax score cannot be reached.
    """

    def __init__(self, model: keras.Model, layer: str | None = None) -> None:
        if not model.built:
            raise CifarcamError(f"{model.name} is not built; call it on a batch of images first")
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            raise CifarcamError(f"{model.name}: give a model with one input and one output")
        self.model = model
        explained = _find_layer(model, layer)
        self.layer: str = explained.name
        self._to_layer = keras.Model(model.inputs, explained.output)
        self._to_score = keras.Model(explained.output, _score_before_softmax(model))
        self.classes = int(self._to_score.output_shape[-1])
        self._image_shape = tuple(model.input_shape[1:])
        self._map_batch = tf.function(
            self._signed_batch,
            input_signature=[
                tf.TensorSpec([None, *self._image_shape], tf.float32),
                tf.TensorSpec([None], tf.int64),
            ],
        )

    def __call__(
        self, images: np.ndarray, targets: Targets = None, batch_size: int = 256
    ) -> np.ndarray:
        """Heatmaps at the images' resolution: raw magnitudes, zero where evidence is negative.

        Parameters
        ----------
        images
            N x H x W x C, any real dtype, in the range that the model takes (0-255 for ours).
        targets
            The class to explain, one for all or one an image; by default the class that the
            model predicts for each.
        batch_size
            Images explained at a time. It does not change the result.

        Returns
        -------
        numpy.ndarray
            Float32, N x H x W, at least 0. A map without positive evidence is zero everywhere.

        Raises
        ------
        CifarcamError
            When images or targets do not fit the model.
        """
        maps = np.maximum(self.signed_maps(images, targets, batch_size), 0)
        size = self._image_shape[:2]
        return np.concatenate(
            [
                tf.image.resize(maps[i : i + batch_size, ..., np.newaxis], size, "bilinear")
                .numpy()
                .squeeze(-1)
                for i in range(0, len(maps), batch_size)
            ]
        )

    def signed_maps(
        self, images: np.ndarray, targets: Targets = None, batch_size: int = 256
    ) -> np.ndarray:
        """The maps before ReLU and resizing: float32, N x h x w, the layer's resolution.

        Parameters and errors are those of calling the explainer.
        """
        images = np.asarray(images)
        if images.shape[1:] != self._image_shape or not len(images):
            expected = " x ".join(map(str, self._image_shape))
            raise CifarcamError(
                f"images have shape {images.shape}; {self.model.name} takes N x {expected}, "
                "N at least 1"
            )
        if batch_size < 1:
            raise CifarcamError(f"batch_size is {batch_size}; give at least 1")
        chosen = self._check_targets(targets, len(images))
        parts = [
            self._map_batch(
                tf.cast(images[start : start + batch_size], tf.float32),
                chosen[start : start + batch_size],
            ).numpy()
            for start in range(0, len(images), batch_size)
        ]
        return np.concatenate(parts)

    @abstractmethod
    def _signed_maps(
        self, activations: tf.Tensor, gradients: tf.Tensor, score: tf.Tensor
    ) -> tf.Tensor:
        """Signed maps (n x h x w) from activations and gradients (n x h x w x k) and scores (n)."""

    def _signed_batch(self, images: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Gradients start at the explained layer: the layers before it are only run forward."""
        activations = self._to_layer(images, training=False)
        with tf.GradientTape() as tape:
            tape.watch(activations)
            logits = self._to_score(activations, training=False)
            predicted = tf.argmax(logits, axis=1)
            chosen = tf.where(targets < 0, predicted, targets)
            score = tf.gather(logits, chosen, axis=1, batch_dims=1)
        gradients = tape.gradient(score, activations)
        if gradients is None:
            raise CifarcamError(f"the score's gradient does not reach layer {self.layer!r}")
        return self._signed_maps(activations, gradients, score)

    def _check_targets(self, targets: Targets, count: int) -> np.ndarray:
        """One class an image, int64; -1 stands for the predicted one."""
        if targets is None:
            return np.full(count, -1, np.int64)
        array = np.asarray(targets)
        if array.dtype.kind not in "iu":
            raise CifarcamError(f"targets are of type {array.dtype}; give whole numbers")
        if array.ndim == 0:
            array = np.full(count, array)
        if array.shape != (count,):
            raise CifarcamError(f"{array.shape} targets for {count} images; give one an image")
        wrong = array[(array < 0) | (array >= self.classes)]
        if wrong.size:
            raise CifarcamError(f"class {wrong[0]} is not one of 0 to {self.classes - 1}")
        return array.astype(np.int64)


def _find_layer(model: keras.Model, name: str | None) -> keras.layers.Layer:
    spatial = [
        layer
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer) and len(layer.output.shape) == 4
    ]
    names = ", ".join(layer.name for layer in spatial)
    if name is None:
        if not spatial:
            raise CifarcamError(f"{model.name} has no layer with a spatial (4-D) output")
        return spatial[-1]
    for layer in spatial:
        if layer.name == name:
            return layer
    known = any(layer.name == name for layer in model.layers)
    problem = "has no spatial (4-D) output" if known else f"is not in {model.name}"
    raise CifarcamError(f"layer {name!r} {problem}; choose one of {names}")


def _score_before_softmax(model: keras.Model) -> keras.KerasTensor:
    """The output before the softmax, whether that is an activation, a layer or left out."""
    last = model.layers[-1]
    if isinstance(last, keras.layers.Softmax) or (
        isinstance(last, keras.layers.Activation) and last.activation is keras.activations.softmax
    ):
        return last.input
    if isinstance(last, keras.layers.Dense):
        if last.activation is keras.activations.linear:
            return last.output
        if last.activation is keras.activations.softmax:
            linear = keras.layers.Dense(last.units, use_bias=last.use_bias, name="pre_softmax")
            score = linear(last.input)
            linear.set_weights(last.get_weights())
            return score
    raise CifarcamError(
        f"{model.name} ends in layer {last.name!r}, from which the score before the softmax "
        "cannot be told; end it in Dense, with a softmax or without"
    )
