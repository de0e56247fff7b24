"""CIFAR-10: downloaded, verified against its published digests, split, and checked."""

from __future__ import annotations

from cifarcam.errors import require

# Before the imports that need them.
require("train", "filelock", "pooch", "requests", "sklearn", "tqdm")

from cifarcam.data.dataset import CLASS_NAMES, DIGESTS, Dataset, Split, load
from cifarcam.data.download import obtain

__all__ = ["CLASS_NAMES", "DIGESTS", "Dataset", "Split", "load", "obtain"]
