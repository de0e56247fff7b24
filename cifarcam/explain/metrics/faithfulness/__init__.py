"""Faithfulness: whether the score depends on the pixels that a heatmap highlights."""

from cifarcam.explain.metrics.faithfulness.confidence import (
    ConfidenceChange,
    confidence_change,
    probability_without,
)
from cifarcam.explain.metrics.faithfulness.correlation import (
    PatchRemovals,
    faithfulness_correlation,
    infidelity,
    mu_fidelity,
    patch_removals,
)
from cifarcam.explain.metrics.faithfulness.curves import (
    Curve,
    deletion,
    insertion,
    pixel_flipping,
)
from cifarcam.explain.metrics.faithfulness.imputation import imputed_images, road

__all__ = [
    "ConfidenceChange",
    "Curve",
    "PatchRemovals",
    "confidence_change",
    "deletion",
    "faithfulness_correlation",
    "imputed_images",
    "infidelity",
    "insertion",
    "mu_fidelity",
    "patch_removals",
    "pixel_flipping",
    "probability_without",
    "road",
]
