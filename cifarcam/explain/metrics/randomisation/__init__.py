"""Whether heatmaps change when the network's weights do, and how alike two heatmaps are."""

from cifarcam.explain.metrics.randomisation.agreement import rank_correlation, ssim
from cifarcam.explain.metrics.randomisation.cascade import Randomised, cascading_randomisation

__all__ = ["Randomised", "cascading_randomisation", "rank_correlation", "ssim"]
