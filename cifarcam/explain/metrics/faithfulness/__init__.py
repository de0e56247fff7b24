"""Faithfulness: whether the score depends on the pixels that a heatmap highlights."""

from cifarcam.explain.metrics.faithfulness.confidence import (
    ConfidenceChange,
    confidence_change,
    probability_without,
)
from cifarcam.explain.metrics.faithfulness.correlation import (
    PatchRemovals,
    mu_fidelity,
    patch_removals,
)
from cifarcam.explain.metrics.faithfulness.curves import Curve, deletion, insertion, road

__all__ = [
    "ConfidenceChange",
    "Curve",
    "PatchRemovals",
    "confidence_change",
    "deletion",
    "insertion",
    "mu_fidelity",
    "patch_removals",
    "probability_without",
    "road",
]
