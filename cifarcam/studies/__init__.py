"""Studies of this report: each module answers one question about runs and images.

Importing the package imports none of its modules, so that the import closure of a record holds
only the code of its own study.
"""

from cifarcam.errors import require

require("train", "skimage", "sklearn", "tqdm")  # before the modules that import them

__all__ = [
    "ablation",
    "agreement",
    "architecture_search",
    "architectures",
    "calibration",
    "classes",
    "classical",
    "comparison",
    "confidence",
    "depth",
    "faithfulness",
    "heatmaps",
    "imagenet",
    "ingredients",
    "leave_one_out",
    "maps",
    "measurements",
    "networks",
    "packing",
    "rankings",
    "records",
    "sizes",
    "stopping",
    "survey",
    "walkthrough",
    "wording",
]
