"""The base class of all explainers: images, targets, batches, and the stages of a heatmap.

The stages are, in this order: a signed map at the resolution of the layer or image, a ReLU, and a
half-pixel bilinear resize to the image. Only the maps of several layers, whose magnitudes differ,
are divided by their maxima before their mean is taken; no other stage scales values.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from typing import Any, ClassVar, NamedTuple, Unpack

import keras
import numpy as np
import tensorflow as tf

from cifarcam.errors import CifarcamError
from cifarcam.explain._draws import image_digests
from cifarcam.explain._failures import named_failures
from cifarcam.explain._keras import float_32
from cifarcam.explain._options import checked_count, checked_names
from cifarcam.explain._targets import Targets
from cifarcam.explain.classifier import BATCH, Classifier, ClassifierOptions
from cifarcam.explain.graph import INPUT, SplitModel
from cifarcam.explain.input_range import InputRange


class Batch(NamedTuple):
    """What a method is given for a batch of images.

    Attributes
    ----------
    images
        Float32, n x H x W x C.
    targets
        As `Classifier.checked_targets` returns them.
    seeds
        Int32, n x 2: they decide each image's random numbers.
    batch_size
        Int32: the number of altered copies of images that run at a time.
    """

    images: tf.Tensor
    targets: tf.Tensor
    seeds: tf.Tensor
    batch_size: tf.Tensor


class Explainer(ABC):
    """An explanation method bound to a model and a layer, traced once into a TensorFlow graph.

    Parameters
    ----------
    model
        A Keras classifier that `Classifier` accepts, or a `Classifier`, which several explainers
        can share.
    layer
        The name or path (``"backbone/conv5"``) of the layer to explain, with an output that is 4-D
        or of tokens. By default it is the last layer through which everything passes to the score:
        a map of more than one position that is no padding, cropping or pooling, or tokens of which
        more than a class token gets a gradient, before their last normalisation. Where the output
        is a map, as in segmentation, it is the bottleneck, the last map with the fewest positions.
        With several layers, the heatmap is the mean of their heatmaps, each divided by its
        maximum. Methods that explain pixels take no layer.
    **options
        `output`, `input_range`, `score` and `tokens`, as for `Classifier`; leave them out where
        `model` is a `Classifier`.

    Attributes
    ----------
    name
        The method's name in `METHODS` (an attribute of the class).
    title
        The method's name in text, such as ``"Grad-CAM"`` (an attribute of the class).
    reference
        Its paper (an attribute of the class).
    cost
        The computation for one image with the explainer's options.
    is_fast
        Whether the method explains an image in a few passes through the network, whatever the layer
        and the options (an attribute of the class).
    layers
        The paths of the layers explained; empty for a method that explains pixels.
    classifier
        The model as a `Classifier`.

    Raises
    ------
    CifarcamError
        When the model has no such layer, its output is not spatial, no gradient of the score
        reaches it, no layer alone has all evidence and `layer` is not given, an option has an
        impossible value, or `Classifier` refuses the model.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    reference: ClassVar[str]
    cost: str
    is_fast: ClassVar[bool] = False
    takes_layer: ClassVar[bool] = True
    needs_range: ClassVar[bool] = False  # whether it needs to know what black and white are
    needs_attention: ClassVar[bool] = False  # whether it only explains models with self-attention
    seed: int | None = None  # methods that draw random numbers set it before `__init__`
    _limits: InputRange  # what black and white are, where a method needs to know it

    def __init__(
        self,
        model: keras.Model | Classifier,
        layer: str | Sequence[str] | None = None,
        **options: Unpack[ClassifierOptions],
    ) -> None:
        if "seed" in vars(self):
            self.seed = checked_count("seed", self.seed, least=0)
        if not isinstance(model, Classifier):
            model = Classifier(model, **options)
        elif options:
            raise CifarcamError(
                f"{', '.join(options)}: a Classifier has its own already; give these options to "
                "Classifier"
            )
        self.classifier = model
        if self.needs_range:
            self._limits = model.needed_range(self.title)
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
        self,
        images: np.ndarray,
        targets: Targets = None,
        *,
        against: Targets = None,
        batch_size: int = BATCH,
    ) -> np.ndarray:
        """Heatmaps of images: zero where the evidence is negative.

        Parameters
        ----------
        images
            N x H x W x C, any real dtype, in the model's range (0-255 for this package's models).
        targets
            The class to explain, one for all images or one per image; by default the class that
            the model predicts for each image. With a `score`, what it takes, N x ....
        against
            Classes, as `targets`. The heatmaps then explain the score of the target minus the score
            of this class: why a dog and not a cat (contrast; the difference of two scores,
            as in Zhang et al. 2025, Finer-CAM).
        batch_size
            The number of images, and of altered copies of images, that run at a time; it does not
            change the result.

        Returns
        -------
        numpy.ndarray
            Float32, N x H x W, at least 0: raw magnitudes, or shares of each layer's maximum where
            there are several layers. A heatmap without positive evidence is zero everywhere.

        Raises
        ------
        CifarcamError
            When images or targets do not fit the model or its input range, or a heatmap is not
            finite.
        """
        return self._in_batches(self._heatmap_batch, images, targets, against, batch_size)

    def signed_maps(
        self,
        images: np.ndarray,
        targets: Targets = None,
        *,
        against: Targets = None,
        batch_size: int = BATCH,
    ) -> np.ndarray:
        """Maps before the ReLU and the resize: float32, N x h x w, at the layer's resolution.

        Parameters and errors are those of `__call__`. An explainer of several layers has no signed
        maps, because the resolutions of the layers differ.
        """
        if len(self._parts) > 1:
            raise CifarcamError("this explainer has several layers; signed maps need one layer")
        return self._in_batches(self._signed_batch, images, targets, against, batch_size)

    @abstractmethod
    def _signed(self, part: SplitModel, batch: Batch) -> tf.Tensor:
        """Signed maps of a batch, float32, n x h x w."""

    def _split(self, layer: str | Sequence[str] | None) -> list[SplitModel]:
        flat = self.classifier.flat
        if not self.takes_layer:
            if layer is not None:
                raise CifarcamError(f"{self.title} explains the pixels; it takes no layer")
            return [flat.split(INPUT)]
        if layer is None:
            return [flat.split(None)]
        return [flat.split(name) for name in checked_names(layer)]

    @cached_property
    def _signed_batch(self) -> Any:
        return self._traced(self._first_signed)

    def _traced(self, function: Callable[[Batch], tf.Tensor]) -> Any:
        """A function of the tensors of a `Batch`, traced for batches of any size."""
        has_classes = self.classifier.score is None

        @cache
        def traced(*target_shape: int | None) -> Any:
            targets = tf.TensorSpec([None, *target_shape], tf.int64 if has_classes else tf.float32)
            # AutoGraph off: there is no Python loop to convert, and it would wrap our errors.
            return tf.function(
                lambda *tensors: function(Batch(*tensors)), autograph=False
            ).get_concrete_function(
                self.classifier.image_spec,
                targets,
                tf.TensorSpec([None, 2], tf.int32),
                tf.TensorSpec([], tf.int32),
            )

        if has_classes:
            return traced(2)

        def run(images: tf.Tensor, targets: tf.Tensor, *others: tf.Tensor) -> tf.Tensor:
            shape = targets.shape.as_list()[1:]
            if len(shape) > 1:  # masks, whose height and width follow the images
                shape[:2] = [None, None]
            return traced(*shape)(images, targets, *others)

        return run

    def _first_signed(self, batch: Batch) -> tf.Tensor:
        return self._signed(self._parts[0], batch)

    def _heatmaps(self, batch: Batch) -> tf.Tensor:
        size = tf.shape(batch.images)[1:3]
        maps = [resized(tf.nn.relu(self._signed(part, batch)), size) for part in self._parts]
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
        against: Targets,
        batch_size: int,
    ) -> np.ndarray:
        images = self._checked_images(images, batch_size)
        if targets is None and against is not None and self.classifier.classes:
            # Only a class that we know shows whether it is explained against itself.
            targets = self.classifier.scores(images, batch_size).argmax(axis=1)
        targets = self.classifier.checked_targets(targets, against, len(images))
        maps: np.ndarray | None = None
        for start in range(0, len(images), batch_size):
            rows = slice(start, start + batch_size)
            batch = images[rows].astype(np.float32, copy=False)
            inputs = (batch, targets[rows], self._seeds(batch), np.int32(batch_size))
            with named_failures(
                batch.shape, targets[rows].shape if self.classifier.score else None
            ):
                results = explain(*map(tf.convert_to_tensor, inputs)).numpy()
            if len(results) != len(batch):
                raise CifarcamError(
                    f"{', '.join(self.layers)}: {len(results)} maps for {len(batch)} images, such as one "
                    "for each window; give a layer whose first axis is the images"
                )
            if maps is None:
                maps = np.empty((len(images), *results.shape[1:]), np.float32)
            maps[rows] = results
        assert maps is not None  # there is at least one image
        if not np.isfinite(maps).all():
            raise CifarcamError(
                f"the maps of {self.title} are not finite; check the model's weights and precision"
            )
        return maps

    def _checked_images(self, images: np.ndarray, batch_size: int) -> np.ndarray:
        """The images as an array, if they fit the model and the method's options."""
        return self.classifier.checked_images(images, batch_size)

    def _resolved(self, batch: Batch) -> tuple[Batch, tf.Tensor]:
        """The batch with the predicted classes in its targets, and each image's score: n."""
        outputs = self.classifier.flat.outputs(batch.images)
        targets = self.classifier.resolved(outputs, batch.targets)
        return batch._replace(targets=targets), self.classifier.target_scores(outputs, targets)

    def _seeds(self, images: np.ndarray) -> np.ndarray:
        """Two numbers per image, from the seed and the image, not its position: int32, n x 2.

        Twins of an image in other input ranges have the same two.
        """
        if self.seed is None:
            return np.zeros((len(images), 2), np.int32)
        if self.classifier.input_range is not None:
            # Where white lies below black, the twin of an image is its negative.
            images = images * np.sign(self.classifier.input_range.span)
        digests = image_digests(images)
        seeds = np.full(len(images), self.seed % 2**32, np.uint32)
        return np.stack([seeds, digests], axis=1).view(np.int32)


def resized(maps: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Maps, N x h x w, resized bilinearly with half-pixel centres."""
    return tf.image.resize(maps[..., tf.newaxis], size, method="bilinear", antialias=False)[..., 0]
