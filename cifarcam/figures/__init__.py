"""Figures of the book and the command line, drawn from arrays with Matplotlib and Seaborn.

Each function returns a `matplotlib.figure.Figure` and computes no results. Text is at least 8 pt at
the column's width of 6.5 inches, and classes keep the dataset's order. Seaborn is imported only for
the figures that need it, so that `explanations` and `save` work in a base installation.
"""

from cifarcam.figures.architectures import architecture
from cifarcam.figures.claims import claims
from cifarcam.figures.confusions import confusions_by_accuracy
from cifarcam.figures.contact import contact_sheet
from cifarcam.figures.corruptions import (
    accuracy_by_kind,
    accuracy_by_severity,
    corruption_sheet,
)
from cifarcam.figures.explanations import MOST_ROWS, explanations
from cifarcam.figures.exports import accuracy_by_price
from cifarcam.figures.heatmaps import (
    heatmaps,
    mean_heatmaps,
)
from cifarcam.figures.ingredients import ablation, removals
from cifarcam.figures.matrices import confusion, correlations
from cifarcam.figures.methods import method_grid
from cifarcam.figures.mistakes import picture_groups, stacked_shares
from cifarcam.figures.networks import accuracy_by_cost, accuracy_by_seed, learning_curves
from cifarcam.figures.output import check_folder, check_output, is_own, save
from cifarcam.figures.people import (
    confusions_beside_people,
    likeness_by_accuracy,
    sureness_by_agreement,
)
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
from cifarcam.figures.twins import two_sets
from cifarcam.figures.where import dots_by_seed

__all__ = [
    "MOST_ROWS",
    "ablation",
    "accuracy_by_cost",
    "accuracy_by_kind",
    "accuracy_by_price",
    "accuracy_by_seed",
    "accuracy_by_severity",
    "architecture",
    "boxes",
    "check_folder",
    "check_output",
    "claims",
    "class_histogram",
    "confusion",
    "confusions_beside_people",
    "confusions_by_accuracy",
    "contact_sheet",
    "correlations",
    "corruption_sheet",
    "dots_by_seed",
    "explanations",
    "heatmaps",
    "image_pairs",
    "is_own",
    "learning_curves",
    "likeness_by_accuracy",
    "mean_heatmaps",
    "method_dots",
    "method_grid",
    "per_class",
    "picture_groups",
    "pipeline",
    "predictions",
    "reliability",
    "removal_curves",
    "removals",
    "samples",
    "save",
    "stacked_shares",
    "sureness_by_agreement",
    "training_curves",
    "two_sets",
    "use_house_style",
]
