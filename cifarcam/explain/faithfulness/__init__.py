"""Measures of heatmaps: how faithful to the network, how stable, how sparse, where they lie.

All draw from a seed, work in batches, and give a value for each image, which `bootstrap_mean`
turns into a mean with an interval. Heatmaps are N x H x W; a probability is that of the target
class, by default the one that the model predicts for the unchanged image.
"""

from cifarcam.explain.faithfulness.agreement import rank_correlation, ssim
from cifarcam.explain.faithfulness.confidence import (
    ConfidenceChange,
    confidence_change,
    probability_without,
)
from cifarcam.explain.faithfulness.curves import Curve, deletion, insertion, road
from cifarcam.explain.faithfulness.intervals import (
    MeanInterval,
    bootstrap_difference,
    bootstrap_mean,
)
from cifarcam.explain.faithfulness.location import (
    Scenes,
    border_area,
    border_share,
    energy_inside,
    foreground,
    make_scenes,
    points_inside,
    upper_half,
)
from cifarcam.explain.faithfulness.randomisation import Randomised, randomisation
from cifarcam.explain.faithfulness.scorecard import MEASURES, Measure, scorecard
from cifarcam.explain.faithfulness.stability import gini, max_sensitivity, mu_fidelity

__all__ = [
    "MEASURES",
    "ConfidenceChange",
    "Curve",
    "MeanInterval",
    "Measure",
    "Randomised",
    "Scenes",
    "bootstrap_difference",
    "bootstrap_mean",
    "border_area",
    "border_share",
    "confidence_change",
    "deletion",
    "energy_inside",
    "foreground",
    "gini",
    "insertion",
    "make_scenes",
    "max_sensitivity",
    "mu_fidelity",
    "points_inside",
    "probability_without",
    "randomisation",
    "rank_correlation",
    "road",
    "scorecard",
    "ssim",
    "upper_half",
]
