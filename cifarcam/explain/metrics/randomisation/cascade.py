"""Whether heatmaps depend on what the network has learnt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import keras
import numpy as np

from cifarcam.errors import require
from cifarcam.explain.base import Explainer
from cifarcam.explain.classifier import BATCH, Classifier, Targets
from cifarcam.explain.metrics._checks import generator, target_array
from cifarcam.explain.metrics.complexity import discrete_entropy
from cifarcam.explain.metrics.randomisation.agreement import rank_correlation, ssim


@dataclass(frozen=True)
class Randomised:
    """Similarity of heatmaps before and after randomisation, for each stage and image.

    Attributes
    ----------
    layers
        Names of the layers in the order of randomisation, the output layer first.
    rank_correlation, ssim
        Stages x N; NaN where a heatmap is zero or constant.
    """

    layers: tuple[str, ...]
    rank_correlation: np.ndarray
    ssim: np.ndarray


def cascading_randomisation(
    explainer: Explainer,
    images: np.ndarray,
    targets: Targets = None,
    *,
    seed: int = 0,
    batch_size: int = BATCH,
) -> Randomised:
    """The model-parameter randomisation test, as a cascade from the output to the input.

    Adebayo et al. (2018), Sanity Checks for Saliency Maps, Section 3.1: one layer after another
    loses what it has learnt, and after each layer we compare the heatmaps with those of the trained
    network. A heatmap that stays similar does not depend on the weights. We randomise a layer by
    permuting the values within each of its variables, which keeps their distribution (variances
    stay positive). All heatmaps explain the class that the trained network predicts. At the end,
    also after an error, the network has its trained weights again. It needs
    ``pip install 'cifarcam[metrics]'``.

    Parameters
    ----------
    explainer
        An explanation method bound to a model.
    images
        N x H x W x C, in the model's range.
    targets
        Classes to explain, as for an explainer.
    seed
        Seed of the permutations.
    batch_size
        The number of images at a time; it does not change the result.

    Raises
    ------
    MissingExtra
        When scikit-image is not installed.
    CifarcamError
        When the seed is out of range, or images and targets do not fit the model.
    """
    require("metrics", "skimage")  # before the heatmaps, which take long
    classifier = explainer.classifier
    pixels = classifier.checked_images(images, batch_size)
    targets = target_array(classifier, pixels, targets, batch_size)
    rng = generator(seed)
    original = explainer(pixels, targets, batch_size=batch_size)
    layers = _learnt_layers(classifier)
    correlations, similarities = [], []
    with _weights_restored(layers):
        for layer in layers:
            _permute(layer, rng)
            maps = explainer(pixels, targets, batch_size=batch_size)
            correlations.append(rank_correlation(original, maps))
            similarities.append(ssim(original, maps))
    return Randomised(
        tuple(layer.name for layer in layers), np.stack(correlations), np.stack(similarities)
    )


def efficient_mprt(
    explainer: Explainer,
    images: np.ndarray,
    targets: Targets = None,
    *,
    bins: int = 100,
    seed: int = 0,
    batch_size: int = BATCH,
) -> np.ndarray:
    """The relative rise of a heatmap's entropy when the whole network is randomised.

    The efficient model-parameter randomisation test (eMPRT): Hedström et al. (2024), Sanity Checks
    Revisited: An Exploration to Repair the Model Parameter Randomisation Test. A heatmap that
    depends on what the network has learnt is more complex without it. The entropy is
    `discrete_entropy`; the weights are permuted as in `cascading_randomisation`, all at once, and
    restored.

    Parameters
    ----------
    explainer, images, targets, seed, batch_size
        As for `cascading_randomisation`.
    bins
        The number of bins of the entropy.

    Returns
    -------
    numpy.ndarray
        N, at least -1 (high values are best, 0 is a heatmap that ignores the weights); NaN where
        the heatmap of the trained network is constant, or the heatmap of the randomised network is
        zero: such a heatmap depends on the weights, but its entropy cannot show it.

    Raises
    ------
    CifarcamError
        When an option is out of range, or images and targets do not fit the model.
    """
    classifier = explainer.classifier
    pixels = classifier.checked_images(images, batch_size)
    targets = target_array(classifier, pixels, targets, batch_size)
    rng = generator(seed)
    before = discrete_entropy(explainer(pixels, targets, batch_size=batch_size), bins)
    layers = _learnt_layers(classifier)
    with _weights_restored(layers):
        for layer in layers:
            _permute(layer, rng)
        maps = explainer(pixels, targets, batch_size=batch_size)
    after = discrete_entropy(maps, bins)
    defined = (before > 0) & maps.any(axis=(1, 2))
    return np.divide(after - before, before, out=np.full(len(before), np.nan), where=defined)


def _learnt_layers(classifier: Classifier) -> list[keras.Layer]:
    """The layers with weights from the output to the input, without those that state the range."""
    layers = classifier.flat.weighted_layers()[::-1]
    return [layer for layer in layers if not isinstance(layer, keras.layers.Normalization)]


def _permute(layer: keras.Layer, rng: np.random.Generator) -> None:
    """Permute the values within each variable of a layer."""
    for variable in layer.weights:
        values = keras.ops.convert_to_numpy(variable)
        variable.assign(rng.permutation(values.ravel()).reshape(values.shape))


@contextmanager
def _weights_restored(layers: Sequence[keras.Layer]) -> Iterator[None]:
    """Give layers their present weights again at the end."""
    before = [
        (variable, keras.ops.convert_to_numpy(variable))
        for layer in layers
        for variable in layer.weights
    ]
    try:
        yield
    finally:
        for variable, values in before:
            variable.assign(values)
