"""Whether a heatmap depends on what the network has learnt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cifarcam.explain.base import Explainer
from cifarcam.explain.classifier import Targets
from cifarcam.explain.metrics.faithfulness.confidence import target_classes
from cifarcam.explain.metrics.randomisation.agreement import rank_correlation, ssim


@dataclass(frozen=True)
class Randomised:
    """Likeness of the heatmaps to the original ones, by stage of the cascade and image.

    Attributes
    ----------
    layers
        Names of the layers in the order in which they were randomised, the output's first.
    rank_correlation, ssim
        Stages x N; NaN where a map is zero or constant.
    """

    layers: tuple[str, ...]
    rank_correlation: np.ndarray
    ssim: np.ndarray


def cascading_randomisation(
    explainer: Explainer, images: np.ndarray, targets: Targets = None, *, seed: int = 0
) -> Randomised:
    """The model-parameter randomisation test, as a cascade from the output down.

    After Adebayo et al. (2018), Sanity Checks for Saliency Maps, Section 3.1: layer after layer
    loses what it has learnt, and stays so, while the maps are compared with those of the trained
    network. A map that stays alike does not depend on the weights. A layer is randomised by
    permuting the values within each of its variables, which keeps their distribution (so that
    variances stay positive). The class explained stays the one of the trained network. The
    weights are put back at the end, whatever happens.

    Parameters
    ----------
    explainer
        The method, bound to its model.
    images
        N x H x W x C, in the model's range.
    targets
        Classes, as an explainer takes them.
    seed
        Of the permutations.

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
