"""What each ingredient of a recipe buys: the records of the ablation judged over seeds, in pairs.

Two training runs of the same seed start from the same weights where their networks are the same,
and see the images in the same order. Differences between recipes are therefore taken seed by seed.
"""

from cifarcam.studies.ingredients.added import (
    BUNDLE,
    Precision,
    Step,
    Steps,
    precision,
    rebuilt,
    steps,
)
from cifarcam.studies.ingredients.arms import (
    Comparison,
    augmentation,
    augmentation_arms,
    dropout,
    dropout_arms,
    dropout_timing,
    final_losses,
    histories,
)
from cifarcam.studies.ingredients.paired import Change, Outcome, by_seed, pairs
from cifarcam.studies.ingredients.removed import Removal, Removals, removals

__all__ = [
    "BUNDLE",
    "Change",
    "Comparison",
    "Outcome",
    "Precision",
    "Removal",
    "Removals",
    "Step",
    "Steps",
    "augmentation",
    "augmentation_arms",
    "by_seed",
    "dropout",
    "dropout_arms",
    "dropout_timing",
    "final_losses",
    "histories",
    "pairs",
    "precision",
    "rebuilt",
    "removals",
    "steps",
]
