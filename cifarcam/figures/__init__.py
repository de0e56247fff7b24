"""Figures of the book and the command line, drawn from arrays with Matplotlib and Seaborn.

Each function returns a `matplotlib.figure.Figure` and computes no results. Text is at least 8 pt at
the column's width of 6.5 inches, and classes keep the dataset's order. Seaborn is imported only for
the figures that need it, so that `explanations` and `save` work in a base installation.
"""

from cifarcam.figures.architectures import architecture
from cifarcam.figures.explanations import MOST_ROWS, explanations
from cifarcam.figures.heatmaps import (
    heatmaps,
    mean_heatmaps,
)
from cifarcam.figures.matrices import confusion, correlations
from cifarcam.figures.methods import method_grid
from cifarcam.figures.networks import (
    ablation,
    accuracy_by_cost,
    confusions_by_network,
    learning_curves,
)
from cifarcam.figures.output import check_output, save
from cifarcam.figures.pictures import image_pairs, predictions, samples
from cifarcam.figures.pipeline import pipeline
from cifarcam.figures.results import (
    class_histogram,
    per_class,
    reliability,
    training_curves,
)
from cifarcam.figures.style import use_house_style

__all__ = [
    "MOST_ROWS",
    "ablation",
    "accuracy_by_cost",
    "architecture",
    "check_output",
    "class_histogram",
    "confusion",
    "confusions_by_network",
    "correlations",
    "explanations",
    "heatmaps",
    "image_pairs",
    "learning_curves",
    "mean_heatmaps",
    "method_grid",
    "per_class",
    "pipeline",
    "predictions",
    "reliability",
    "samples",
    "save",
    "training_curves",
    "use_house_style",
]
