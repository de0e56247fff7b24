"""Runs: finished training runs, made, looked up, loaded and verified."""

from __future__ import annotations

from cifarcam.errors import require

require("train", "filelock", "safetensors", "tqdm")  # before the imports that need them

from cifarcam.runs.making import at_hand, checkpoint_path, clean, load, make
from cifarcam.runs.progress import show_progress
from cifarcam.runs.run import Run, every, read

__all__ = [
    "Run",
    "at_hand",
    "checkpoint_path",
    "clean",
    "every",
    "load",
    "make",
    "read",
    "show_progress",
]
