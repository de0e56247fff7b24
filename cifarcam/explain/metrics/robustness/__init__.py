"""Robustness: how far heatmaps change under small changes of the image."""

from cifarcam.explain.metrics.robustness.sensitivity import max_sensitivity

__all__ = ["max_sensitivity"]
