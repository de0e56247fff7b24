"""Whether heatmaps stay when the image hardly changes."""

from cifarcam.explain.metrics.robustness.sensitivity import max_sensitivity

__all__ = ["max_sensitivity"]
