"""Studies of this report: each module answers one question about runs and images.

Importing the package imports none of its modules, so that the import closure of a record holds
only the code of its own study.
"""

from cifarcam.errors import require

require("train", "skimage", "sklearn", "tqdm")  # before the modules that import them

__all__ = [
    "ablation",
    "architecture_search",
    "classical",
    "faithfulness",
    "heatmaps",
    "measurements",
    "records",
]
