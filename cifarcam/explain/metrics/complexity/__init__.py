"""Complexity: how concentrated heatmaps are."""

from cifarcam.explain.metrics.complexity.sparsity import gini

__all__ = ["gini"]
