"""What all explainers share: images, targets, batches, and the stages of a heatmap.

The stages, in this order: signed map (at the layer's resolution, or the image's) -> ReLU ->
half-pixel bilinear resize to the image. Nothing is scaled to [0, 1] here.
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
from cifarcam.explain.classifier import PREDICTED, Classifier, Targets
from cifarcam.explain.graph import INPUT, SplitModel

# Of a score in float16, before its backward pass: see `_unscaled_gradients`.
GREATEST_SCALE, SCALE_STEP, LEAST_SCALE = 2.0**15, 2.0**3, 2.0**-9


class Explainer(ABC):
    """A method bound to a model; its graph is traced once, here.

    Parameters
    ----------
    model
        A Keras classifier, as `Classifier` takes it, or a `Classifier`, which several explainers
        can share.
    layer
        The layer to explain, by name or by path (``"backbone/conv5"``); by default the last one
        with a 4-D output of more than one position, paddings left out. Several layers give the
        mean of their heatmaps, each divided by its own maximum first. A method that explains the
        pixels themselves takes none.
    output
        The name or index of the output to explain, of a model that has several.

    Attributes
    ----------
    name, reference, cost
        Of the class: the method's name in `METHODS`, its paper, and what it takes for each image.
    layers
        The paths of the layers explained; empty for a method that explains pixels.
    classifier, classes
        The model as it is explained, and its number of classes.

    Raises
    ------
    CifarcamError
        When the layer is unknown or not spatial, the gradient of the score does not reach it, or
        the model is of another kind.
    """

    name: ClassVar[str]
    reference: ClassVar[str]
    cost: ClassVar[str]
    takes_layer: ClassVar[bool] = True
    seed: int | None = None  # of a method that draws random numbers

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
        """The layer explained, of an explainer that has one."""
        if len(self.layers) != 1:
            raise CifarcamError(f"{self.name} explains {len(self.layers)} layers here, not one")
        return self.layers[0]

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
            When images or targets do not fit the model, or a map is not finite.
        """
        return self._in_batches(self._heatmap_batch, images, targets, batch_size)

    def signed_maps(
        self, images: np.ndarray, targets: Targets = None, batch_size: int = 256
    ) -> np.ndarray:
        """The maps before ReLU and resizing: float32, N x h x w, the layer's resolution.

        Parameters and errors are those of calling the explainer; of several layers there is no
        common resolution, hence no signed map.
        """
        if len(self._parts) > 1:
            raise CifarcamError("signed maps are those of one layer; this explainer has several")
        return self._in_batches(self._signed_batch, images, targets, batch_size)

    @abstractmethod
    def _signed(
        self, part: SplitModel, images: tf.Tensor, targets: tf.Tensor, seeds: tf.Tensor
    ) -> tf.Tensor:
        """Signed maps, float32, n x h x w, of a batch.

        `targets` are classes or `PREDICTED`; `seeds`, n x 2, decide an image's random numbers.
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
        return [flat.split(one) for one in layer]

    @cached_property
    def _signed_batch(self) -> Any:
        return self._traced(self._first_signed)

    def _traced(self, function: Callable[..., tf.Tensor]) -> Any:
        """The one trace of a function of images, targets and seeds."""
        signature = [
            self.classifier.image_spec,
            tf.TensorSpec([None], tf.int64),
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
        chosen = self.classifier.checked_targets(targets, len(images))
        maps: np.ndarray | None = None
        for start in range(0, len(images), batch_size):
            chunk = slice(start, start + batch_size)
            batch = images[chunk].astype(np.float32, copy=False)
            inputs = (batch, chosen[chunk], self._seeds(batch))
            found = explain(*map(tf.convert_to_tensor, inputs)).numpy()
            if maps is None:
                maps = np.empty((len(images), *found.shape[1:]), np.float32)
            maps[chunk] = found
        assert maps is not None  # there is at least one image
        if not np.isfinite(maps).all():
            raise CifarcamError(
                f"the maps of {self.name} are not finite; check the model's weights and precision"
            )
        return maps

    def _seeds(self, images: np.ndarray) -> np.ndarray:
        """Two numbers an image, from the seed and the image's values: its place plays no part."""
        if self.seed is None:
            return np.zeros((len(images), 2), np.int32)
        digests = [zlib.crc32(image.tobytes()) for image in np.ascontiguousarray(images)]
        return (
            np.array([[self.seed, d] for d in digests], np.int64).astype(np.uint32).view(np.int32)
        )

    def _target_scores(
        self, part: SplitModel, between: Sequence[tf.Tensor], targets: tf.Tensor
    ) -> tf.Tensor:
        """Each image's score of its target class, float32, n."""
        scores = self.classifier.as_scores(part.head(between))
        return tf.gather(scores, chosen_classes(scores, targets), batch_dims=1)

    def _gradients(
        self, part: SplitModel, between: Sequence[tf.Tensor], targets: tf.Tensor
    ) -> tf.Tensor:
        """The target score's gradients by the first of `between`, float32, of its shape."""

        def scaled(scales: tf.Tensor | float) -> tf.Tensor:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(between[0])
                # Images do not mix in the network, so the sum's gradient is each score's own.
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
            f"no gradient of the score reaches the image, which the model takes as {dtype}; make "
            "it with a keras.Input of float32"
        )


class GradientCAM(Explainer):
    """An explainer that combines a layer's activations with the score's gradients by them.

    A method gives its combination, `_combine`; everything else is shared. The gradient starts at
    the layer: what lies before it is only run forward.
    """

    cost = "1 forward pass, 1 backward pass from the layer on"

    @abstractmethod
    def _combine(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Signed maps, n x h x w, from activations and gradients, float32, n x h x w x channels."""

    def _signed(
        self, part: SplitModel, images: tf.Tensor, targets: tf.Tensor, seeds: tf.Tensor
    ) -> tf.Tensor:
        between = part.stem(images)
        gradients = self._gradients(part, between, targets)
        return self._combine(tf.cast(between[0], tf.float32), gradients)


def _unscaled_gradients(
    gradients_of: Callable[[tf.Tensor], tf.Tensor], values: tf.Tensor
) -> tf.Tensor:
    """Gradients through float16, whose least number above zero is 6e-8 and greatest 65,504.

    Each image's score is multiplied before the backward pass, by the greatest power of two up to
    2^15 that leaves its gradients finite, and its gradients are divided by the same after it. Powers
    of two round nothing.
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


def chosen_classes(scores: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """The targets, with `PREDICTED` replaced by the class of the highest score."""
    return tf.where(targets == PREDICTED, tf.argmax(scores, axis=1), targets)


def resized(maps: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """N x h x w maps at another size, bilinearly, by half-pixel centres (as TensorFlow 2 does)."""
    return tf.image.resize(maps[..., tf.newaxis], size, method="bilinear", antialias=False)[..., 0]


def in_chunks(score: Callable[[tf.Tensor], tf.Tensor], count: tf.Tensor, chunk: int) -> tf.Tensor:
    """Values of ``score(range)`` for ranges of at most `chunk` numbers up to `count`, joined.

    One range after the other, in the graph, so that memory stays that of one. `score` gives a
    float32 value for each number of its range.
    """

    def step(start: tf.Tensor, found: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        stop = tf.minimum(start + chunk, count)
        return stop, found.write(start // chunk, score(tf.range(start, stop)))

    found = tf.TensorArray(tf.float32, -(-count // chunk), element_shape=[None], infer_shape=False)
    _, found = tf.while_loop(
        lambda start, _: start < count, step, (tf.zeros_like(count), found), parallel_iterations=1
    )
    return tf.cond(count > 0, found.concat, lambda: tf.zeros([0]))
