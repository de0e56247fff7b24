"""Training: an experiment and a dataset in, a trained network and its history out."""

from __future__ import annotations

from cifarcam.training.experiment import Experiment, find
from cifarcam.training.loop import Epoch, Progress, Trained, train

__all__ = ["Epoch", "Experiment", "Progress", "Trained", "find", "train"]
