"""Training: an experiment and a dataset in, a trained network and its history out."""

from __future__ import annotations

from cifarcam.errors import require

require("train", "pydantic", "safetensors")  # before the imports that need them

from cifarcam.training.experiment import Experiment, find
from cifarcam.training.history import Epoch, Progress
from cifarcam.training.loop import Trained, train

__all__ = ["Epoch", "Experiment", "Progress", "Trained", "find", "train"]
