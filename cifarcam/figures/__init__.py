"""Figures of the book and the command line, drawn from arrays with Matplotlib and Seaborn.

Each function returns a `matplotlib.figure.Figure` and computes no results. Text is at least 8 pt at
the column's width of 6.5 inches, and classes keep the dataset's order. Seaborn is imported only for
the figures that need it, so that `explanations` and `save` work in a base installation.
"""

from cifarcam.figures.architectures import architecture
from cifarcam.figures.claims import claims
from cifarcam.figures.explanations import MOST_ROWS, explanations
from cifarcam.figures.heatmaps import (
    heatmaps,
    mean_heatmaps,
)
from cifarcam.figures.ingredients import removals
from cifarcam.figures.matrices import confusion, correlations
from cifarcam.figures.methods import method_grid
from cifarcam.figures.networks import (
    ablation,
    accuracy_by_cost,
    accuracy_by_seed,
    confusions_by_accuracy,
    learning_curves,
)
from cifarcam.figures.output import check_output, save
from cifarcam.figures.pictures import boxes, image_pairs, predictions, samples
from cifarcam.figures.pipeline import pipeline
from cifarcam.figures.results import (
    class_histogram,
    per_class,
    reliability,
    training_curves,
)
from cifarcam.figures.style import use_house_style
from cifarcam.figures.trust import method_dots, removal_curves
from cifarcam.figures.where import dots_by_seed

__all__ = [
    "MOST_ROWS",
    "ablation",
    "accuracy_by_cost",
    "accuracy_by_seed",
    "architecture",
    "boxes",
    "check_output",
    "claims",
    "class_histogram",
    "confusion",
    "confusions_by_accuracy",
    "correlations",
    "dots_by_seed",
    "explanations",
    "heatmaps",
    "image_pairs",
    "learning_curves",
    "mean_heatmaps",
    "method_dots",
    "method_grid",
    "per_class",
    "pipeline",
    "predictions",
    "reliability",
    "removal_curves",
    "removals",
    "samples",
    "save",
    "training_curves",
    "use_house_style",
]
