"""Arrays in, Matplotlib figures out: one visual language for the book and the command line.

Every function returns a `matplotlib.figure.Figure`; none computes a result. Text is at least 8 pt
at the column's width of 6.5 inches, classes always stand in the dataset's order.
"""

from cifarcam.figures.architectures import architecture
from cifarcam.figures.heatmaps import (
    MOST_ROWS,
    explanation,
    explanations,
    heatmaps,
    mean_heatmaps,
    scaled_for_display,
)
from cifarcam.figures.methods import correlations, method_grid
from cifarcam.figures.networks import (
    ablation,
    accuracy_by_cost,
    confusions_by_network,
    learning_curves,
)
from cifarcam.figures.pictures import image_pairs, predictions, samples
from cifarcam.figures.pipeline import pipeline
from cifarcam.figures.results import (
    class_histogram,
    confusion,
    per_class,
    reliability,
    training_curves,
)
from cifarcam.figures.style import check_output, save, use_house_style

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
    "explanation",
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
    "scaled_for_display",
    "training_curves",
    "use_house_style",
]
