"""Faithfulness: whether the score depends on the pixels that a heatmap highlights."""

from cifarcam.explain.metrics.faithfulness.confidence import (
    ConfidenceChange,
    confidence_change,
    probability_without,
)
from cifarcam.explain.metrics.faithfulness.correlation import mu_fidelity
from cifarcam.explain.metrics.faithfulness.curves import Curve, deletion, insertion, road

__all__ = [
    "ConfidenceChange",
    "Curve",
    "confidence_change",
    "deletion",
    "insertion",
    "mu_fidelity",
    "probability_without",
    "road",
]
