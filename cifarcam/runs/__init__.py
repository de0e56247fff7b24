"""Runs: finished training runs, made, found again, loaded and verified."""

from __future__ import annotations

from cifarcam.runs.making import checkpoint_path, clean, load, make
from cifarcam.runs.progress import show_progress
from cifarcam.runs.run import Run, every, read

__all__ = ["Run", "checkpoint_path", "clean", "every", "load", "make", "read", "show_progress"]
