"""The base class of all explainers: images, targets, batches, and the stages of a heatmap.

The stages are, in this order: a signed map at the resolution of the layer or image, a ReLU, and a
half-pixel bilinear resize to the image. No stage scales values to [0, 1].
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from cifarcam.errors import CifarcamError
from cifarcam.explain._keras import float_32
from cifarcam.explain.classifier import NO_RIVAL, PREDICTED, Classifier, Targets
from cifarcam.explain.graph import INPUT, SplitModel

# Factors of a float16 score before its backward pass: see `_unscaled_gradients`.
GREATEST_SCALE, SCALE_STEP, LEAST_SCALE = 2.0**15, 2.0**3, 2.0**-9


class Explainer(ABC):
    """An explanation method bound to a model and a layer, traced once into a TensorFlow graph.

    Parameters
    ----------
    model
        A Keras classifier that `Classifier` accepts, or a `Classifier`, which several explainers
        can share.
    layer
        The name or path (``"backbone/conv5"``) of the layer to explain; by default the last layer
        with a 4-D output of more than one position, except paddings. With several layers, the
        heatmap is the mean of their heatmaps, each divided by its maximum. Methods that explain
        pixels take no layer.
    output
        The name or index of the output to explain, of a model that has several.

    Attributes
    ----------
    name
        The method's name in `METHODS` (an attribute of the class).
    title
        The method's name in text, such as ``"Grad-CAM"`` (an attribute of the class).
    reference
        Its paper (an attribute of the class).
    cost
        The computation for one image (an attribute of the class).
    layers
        The paths of the layers explained; empty for a method that explains pixels.
    classifier
        The model as a `Classifier`.
    classes
        The number of classes.

    Raises
    ------
    CifarcamError
        When the model has no such layer, its output is not spatial, no gradient of the score
        reaches it, or `Classifier` refuses the model.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    reference: ClassVar[str]
    cost: ClassVar[str]
    takes_layer: ClassVar[bool] = True
    takes_pairs: ClassVar[bool] = False  # whether it explains the difference of two scores
    seed: int | None = None  # set by methods that draw random numbers

    def __init__(
        self,
        model: keras.Model | Classifier,
        layer: str | Sequence[str] | None = None,
        *,
        output: str | int | None = None,
    ) -> None:
        self.classifier = model if isinstance(model, Classifier) else Classifier(model, output)
        self.classes = self.classifier.classes
        self._parts = self._split(layer)
        self.layers: tuple[str, ...] = tuple(part.layer for part in self._parts if part.layer)
        self._heatmap_batch = self._traced(self._heatmaps)

    @property
    def layer(self) -> str:
        """The path of the layer explained, of an explainer with one layer."""
        if len(self.layers) != 1:
            raise CifarcamError(
                f"this explainer has {len(self.layers)} layers; see its attribute layers"
            )
        return self.layers[0]

    def __call__(
        self, images: np.ndarray, targets: Targets = None, batch_size: int = 256
    ) -> np.ndarray:
        """Heatmaps of images: raw magnitudes, zero where the evidence is negative.

        Parameters
        ----------
        images
            N x H x W x C, any real dtype, in the model's range (0-255 for this package's models).
        targets
            The class to explain, one for all images or one per image; by default the class that
            the model predicts for each image. Methods that use gradients also take pairs of
            classes, N x 2: they explain the score of the first class minus the score of the second.
        batch_size
            The number of images explained at a time; it does not change the result.

        Returns
        -------
        numpy.ndarray
            Float32, N x H x W, at least 0. A heatmap without positive evidence is zero everywhere.

        Raises
        ------
        CifarcamError
            When images or targets do not fit the model, the method takes no pairs of classes, or a
            heatmap is not finite.
        """
        return self._in_batches(self._heatmap_batch, images, targets, batch_size)

    def signed_maps(
        self, images: np.ndarray, targets: Targets = None, batch_size: int = 256
    ) -> np.ndarray:
        """Maps before the ReLU and the resize: float32, N x h x w, at the layer's resolution.

        Parameters and errors are those of `__call__`. An explainer of several layers has no signed
        maps, because the resolutions of the layers differ.
        """
        if len(self._parts) > 1:
            raise CifarcamError("this explainer has several layers; signed maps need one layer")
        return self._in_batches(self._signed_batch, images, targets, batch_size)

    @abstractmethod
    def _signed(
        self, part: SplitModel, images: tf.Tensor, targets: tf.Tensor, seeds: tf.Tensor
    ) -> tf.Tensor:
        """Signed maps of a batch, float32, n x h x w.

        `targets`, n x 2, are classes or `PREDICTED`, each with its rival or `NO_RIVAL`; `seeds`,
        n x 2, decide each image's random numbers.
        """

    def _split(self, layer: str | Sequence[str] | None) -> list[SplitModel]:
        flat = self.classifier.flat
        if not self.takes_layer:
            if layer is not None:
                raise CifarcamError(f"{self.name} explains the pixels; it takes no layer")
            return [flat.split(INPUT)]
        if layer is None or isinstance(layer, str):
            return [flat.split(layer)]
        if not layer:
            raise CifarcamError("the list of layers is empty; give at least one")
        return [flat.split(name) for name in layer]

    @cached_property
    def _signed_batch(self) -> Any:
        return self._traced(self._first_signed)

    def _traced(self, function: Callable[..., tf.Tensor]) -> Any:
        """A function of images, targets and seeds, traced for batches of any size."""
        signature = [
            self.classifier.image_spec,
            tf.TensorSpec([None, 2], tf.int64),
            tf.TensorSpec([None, 2], tf.int32),
        ]
        # AutoGraph off: there is no Python loop to convert, and it would wrap our errors.
        traced = tf.function(function, input_signature=signature, autograph=False)
        return traced.get_concrete_function()

    def _first_signed(self, images: tf.Tensor, targets: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        return self._signed(self._parts[0], images, targets, seeds)

    def _heatmaps(self, images: tf.Tensor, targets: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        size = tf.shape(images)[1:3]
        maps = []
        for part in self._parts:
            positive = tf.nn.relu(self._signed(part, images, targets, seeds))
            maps.append(resized(positive, size))
        if len(maps) == 1:
            return maps[0]
        peaks = [tf.reduce_max(heatmap, axis=(1, 2), keepdims=True) for heatmap in maps]
        scaled = [tf.math.divide_no_nan(m, peak) for m, peak in zip(maps, peaks, strict=True)]
        return tf.add_n(scaled) / len(scaled)

    @float_32()
    def _in_batches(
        self,
        explain: Any,
        images: np.ndarray,
        targets: Targets,
        batch_size: int,
    ) -> np.ndarray:
        images = self.classifier.checked_images(images, batch_size)
        classes = self.classifier.checked_pairs(targets, len(images))
        if not self.takes_pairs and (classes[:, 1] != NO_RIVAL).any():
            raise CifarcamError(
                f"{self.name} explains one class, not the difference of two scores; give one class "
                "per image"
            )
        maps: np.ndarray | None = None
        for start in range(0, len(images), batch_size):
            chunk = slice(start, start + batch_size)
            batch = images[chunk].astype(np.float32, copy=False)
            inputs = (batch, classes[chunk], self._seeds(batch))
            results = explain(*map(tf.convert_to_tensor, inputs)).numpy()
            if maps is None:
                maps = np.empty((len(images), *results.shape[1:]), np.float32)
            maps[chunk] = results
        assert maps is not None  # there is at least one image
        if not np.isfinite(maps).all():
            raise CifarcamError(
                f"the maps of {self.name} are not finite; check the model's weights and precision"
            )
        return maps

    def _seeds(self, images: np.ndarray) -> np.ndarray:
        """Two numbers per image, from the seed and the image's values, not its position: n x 2."""
        if self.seed is None:
            return np.zeros((len(images), 2), np.int32)
        digests = [zlib.crc32(image.tobytes()) for image in np.ascontiguousarray(images)]
        return (
            np.array([[self.seed, d] for d in digests], np.int64).astype(np.uint32).view(np.int32)
        )

    def _target_scores(
        self, part: SplitModel, between: Sequence[tf.Tensor], targets: tf.Tensor
    ) -> tf.Tensor:
        """The score of each image's target class, minus that of its rival if any, float32, n."""
        scores = self.classifier.as_scores(part.head(between))
        of_class = tf.gather(scores, explained_classes(scores, targets), batch_dims=1)
        rivals = targets[:, 1]
        of_rival = tf.gather(scores, tf.maximum(rivals, 0), batch_dims=1)
        return of_class - tf.where(rivals == NO_RIVAL, 0.0, of_rival)

    def _gradients(
        self, part: SplitModel, between: Sequence[tf.Tensor], targets: tf.Tensor
    ) -> tf.Tensor:
        """Gradients of the target score with respect to the first tensor of `between`, float32."""

        def scaled(scales: tf.Tensor | float) -> tf.Tensor:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(between[0])
                # A score depends on its own image alone, so the sum has each score's gradient.
                score = tf.reduce_sum(self._target_scores(part, between, targets) * scales)
            gradients = tape.gradient(score, between[0])
            if gradients is None:
                raise CifarcamError(self._why_no_gradient(part))
            return tf.cast(gradients, tf.float32)

        if "float16" not in self.classifier.precisions:
            return scaled(1.0)
        return _unscaled_gradients(scaled, between[0])

    def _why_no_gradient(self, part: SplitModel) -> str:
        if part.layer:
            return f"no gradient of the score reaches layer {part.layer!r}"
        dtype = self.classifier.flat.image_dtype
        if tf.as_dtype(dtype).is_floating:
            return "no gradient of the score reaches the image"
        return (
            f"no gradient of the score reaches the image, which the model casts to {dtype}; build "
            "it with a keras.Input of float32"
        )


class GradientCAM(Explainer):
    """Base class of methods that combine a layer's activations with the gradients of the score.

    A method defines `_combine`. Only the part of the network after the layer runs backward.
    """

    cost = "1 forward pass, 1 backward pass from the layer on"
    takes_pairs = True

    @abstractmethod
    def _combine(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Signed maps, n x h x w, from activations and gradients, n x h x w x channels, float32."""

    def _signed(
        self, part: SplitModel, images: tf.Tensor, targets: tf.Tensor, seeds: tf.Tensor
    ) -> tf.Tensor:
        between = part.stem(images)
        gradients = self._gradients(part, between, targets)
        return self._combine(tf.cast(between[0], tf.float32), gradients)


def _unscaled_gradients(
    gradients_of: Callable[[tf.Tensor], tf.Tensor], values: tf.Tensor
) -> tf.Tensor:
    """Gradients through float16, whose positive numbers range from 6e-8 to 65,504.

    We multiply each image's score before the backward pass by a power of two, at most 2^15, that
    keeps its gradients finite, and divide its gradients by the same power afterwards. Powers of two
    cause no rounding.
    """

    def unfinished(scales: tf.Tensor, finite: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
        return tf.reduce_any(~finite & (scales > LEAST_SCALE))

    def step(
        scales: tf.Tensor, finite: tf.Tensor, _: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        scales = tf.where(finite, scales, scales / SCALE_STEP)
        gradients = gradients_of(scales)
        axes = list(range(1, len(gradients.shape)))
        return scales, tf.reduce_all(tf.math.is_finite(gradients), axes), gradients

    count = tf.shape(values)[0]
    scales, _, gradients = tf.while_loop(
        unfinished,
        step,
        (
            tf.fill([count], GREATEST_SCALE * SCALE_STEP),
            tf.fill([count], False),
            tf.zeros(tf.shape(values)),
        ),
        shape_invariants=(tf.TensorShape([None]), tf.TensorShape([None]), values.shape),
        parallel_iterations=1,
    )
    return gradients / tf.reshape(scales, [-1] + [1] * (len(values.shape) - 1))


def explained_classes(scores: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Each image's target class, the class of the highest score in place of `PREDICTED`: n."""
    classes = targets[:, 0]
    return tf.where(classes == PREDICTED, tf.argmax(scores, axis=1), classes)


def explained_pairs(scores: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """The targets, n x 2, the class of the highest score in place of `PREDICTED`."""
    return tf.stack([explained_classes(scores, targets), targets[:, 1]], axis=1)


def resized(maps: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Maps, N x h x w, resized bilinearly with half-pixel centres."""
    return tf.image.resize(maps[..., tf.newaxis], size, method="bilinear", antialias=False)[..., 0]


def in_chunks(score: Callable[[tf.Tensor], tf.Tensor], count: tf.Tensor, chunk: int) -> tf.Tensor:
    """``score(range(count))``, computed for `chunk` numbers at a time to save memory.

    `score` returns a float32 value for each number of a range.
    """

    def step(start: tf.Tensor, values: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        stop = tf.minimum(start + chunk, count)
        return stop, values.write(start // chunk, score(tf.range(start, stop)))

    values = tf.TensorArray(tf.float32, -(-count // chunk), element_shape=[None], infer_shape=False)
    _, values = tf.while_loop(
        lambda start, _: start < count, step, (tf.zeros_like(count), values), parallel_iterations=1
    )
    return tf.cond(count > 0, values.concat, lambda: tf.zeros([0]))
