"""Studies of this report: each module answers one question about runs and images.

Importing the package imports none of its modules, so that the import closure of a record holds
only the code of its own study.
"""

from cifarcam.errors import require

require("train", "skimage", "sklearn", "tqdm")  # before the modules that import them

__all__ = [
    "ablation",
    "agreement",
    "answer",
    "architecture_search",
    "architectures",
    "calibration",
    "classes",
    "classical",
    "comparison",
    "confidence",
    "confusion_pairs",
    "corrupted_maps",
    "corruption_findings",
    "corruptions",
    "depth",
    "duplicates",
    "export_findings",
    "exports",
    "faithfulness",
    "gallery_images",
    "hardest",
    "heatmaps",
    "image_facts",
    "imagenet",
    "ingredients",
    "labels",
    "leave_one_out",
    "maps",
    "measurements",
    "mistakes",
    "networks",
    "packing",
    "peers",
    "people",
    "people_findings",
    "people_networks",
    "people_table",
    "rankings",
    "records",
    "relabelled",
    "sizes",
    "steady_maps",
    "stopping",
    "sure",
    "survey",
    "twin_control",
    "twin_search",
    "twins",
    "walkthrough",
    "wording",
]
