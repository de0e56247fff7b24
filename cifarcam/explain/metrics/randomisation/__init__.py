"""Randomisation: whether heatmaps depend on the network's weights, and how similar two are."""

from cifarcam.explain.metrics.randomisation.agreement import rank_correlation, ssim
from cifarcam.explain.metrics.randomisation.cascade import (
    Randomised,
    cascading_randomisation,
    efficient_mprt,
)

__all__ = ["Randomised", "cascading_randomisation", "efficient_mprt", "rank_correlation", "ssim"]
