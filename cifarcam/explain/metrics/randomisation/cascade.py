"""Whether heatmaps depend on what the network has learnt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cifarcam.explain.base import Explainer
from cifarcam.explain.classifier import Targets
from cifarcam.explain.metrics._checks import target_classes
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
    explainer: Explainer, images: np.ndarray, targets: Targets = None, *, seed: int = 0
) -> Randomised:
    """The model-parameter randomisation test, as a cascade from the output to the input.

    Adebayo et al. (2018), Sanity Checks for Saliency Maps, Section 3.1: one layer after another
    loses what it has learnt, and after each layer we compare the heatmaps with those of the trained
    network. A heatmap that stays similar does not depend on the weights. We randomise a layer by
    permuting the values within each of its variables, which keeps their distribution (variances
    stay positive). All heatmaps explain the class that the trained network predicts. At the end,
    also after an error, the network has its trained weights again.

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

    Raises
    ------
    CifarcamError
        When images and targets do not fit the model.
    """
    classifier = explainer.classifier
    classes = target_classes(classifier, np.asarray(classifier.checked_images(images)), targets)
    original = explainer(images, classes)
    layers = classifier.flat.weighted_layers()[::-1]
    rng = np.random.default_rng(seed)
    before = [(variable, variable.numpy()) for layer in layers for variable in layer.weights]
    correlations, similarities = [], []
    try:
        for layer in layers:
            for variable in layer.weights:
                values = variable.numpy()
                variable.assign(rng.permutation(values.ravel()).reshape(values.shape))
            maps = explainer(images, classes)
            correlations.append(rank_correlation(original, maps))
            similarities.append(ssim(original, maps))
    finally:
        for variable, values in before:
            variable.assign(values)
    return Randomised(
        tuple(layer.name for layer in layers), np.stack(correlations), np.stack(similarities)
    )
