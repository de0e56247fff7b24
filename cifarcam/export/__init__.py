"""A run's network as a file for other runtimes, and the proof that the file answers as the run does.

Every export takes what the network takes: pixels from 0 to 255 as float32, N x 32 x 32 x 3, red,
green and blue. Every export gives class probabilities, float32, N x 10. LiteRT files take one image
at a time. The package `onnxruntime` and the like come with the extra ``export``; Keras files and
SavedModels need TensorFlow alone.
"""

from __future__ import annotations

from cifarcam.errors import require

require("train", "safetensors", "tqdm")  # before the imports that need them

from cifarcam.export.calibration import IMAGES
from cifarcam.export.card import Card, read_card
from cifarcam.export.comparison import (
    CALLS,
    Comparison,
    busy,
    check,
    check_origin,
    table,
    verdict,
)
from cifarcam.export.int8 import dequantised
from cifarcam.export.writing import (
    FORMATS,
    PRECISIONS,
    Unrepresentable,
    default_name,
    write,
)

__all__ = [
    "CALLS",
    "FORMATS",
    "IMAGES",
    "PRECISIONS",
    "Card",
    "Comparison",
    "Unrepresentable",
    "busy",
    "check",
    "check_origin",
    "default_name",
    "dequantised",
    "read_card",
    "table",
    "verdict",
    "write",
]
