"""Metrics of heatmaps: faithfulness, robustness, complexity, localisation, randomisation.

Each metric returns one value per image; `bootstrap_mean` computes their mean with an interval.
Heatmaps are N x H x W. Probabilities are those of the target class, by default the class that the
model predicts for the unchanged image. Random numbers come from a seed.
"""

from cifarcam.explain.metrics.complexity import gini
from cifarcam.explain.metrics.faithfulness import (
    ConfidenceChange,
    Curve,
    PatchRemovals,
    confidence_change,
    deletion,
    insertion,
    mu_fidelity,
    patch_removals,
    probability_without,
    road,
)
from cifarcam.explain.metrics.intervals import (
    MeanInterval,
    bootstrap_difference,
    bootstrap_mean,
)
from cifarcam.explain.metrics.localisation import (
    Grids,
    border_area,
    border_share,
    energy_inside,
    foreground,
    make_grids,
    pointing,
    recognised,
    upper_half,
)
from cifarcam.explain.metrics.randomisation import (
    Randomised,
    cascading_randomisation,
    rank_correlation,
    ssim,
)
from cifarcam.explain.metrics.robustness import max_sensitivity
from cifarcam.explain.metrics.scorecard import MEASURES, Measure, scorecard

__all__ = [
    "MEASURES",
    "ConfidenceChange",
    "Curve",
    "Grids",
    "MeanInterval",
    "Measure",
    "PatchRemovals",
    "Randomised",
    "bootstrap_difference",
    "bootstrap_mean",
    "border_area",
    "border_share",
    "cascading_randomisation",
    "confidence_change",
    "deletion",
    "energy_inside",
    "foreground",
    "gini",
    "insertion",
    "make_grids",
    "max_sensitivity",
    "mu_fidelity",
    "patch_removals",
    "pointing",
    "probability_without",
    "rank_correlation",
    "recognised",
    "road",
    "scorecard",
    "ssim",
    "upper_half",
]
