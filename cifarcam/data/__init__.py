"""CIFAR-10: obtained, verified against its published digests, split, and looked over."""

from __future__ import annotations

from cifarcam.data.dataset import CLASS_NAMES, DIGESTS, Dataset, Split, load
from cifarcam.data.download import obtain

__all__ = ["CLASS_NAMES", "DIGESTS", "Dataset", "Split", "load", "obtain"]
