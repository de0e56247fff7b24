"""Sweeps: many training runs side by side, on this machine or on a Dask cluster."""

from __future__ import annotations

from cifarcam.errors import require

require("train", "filelock", "tqdm")  # before the imports that need them

from cifarcam.sweeps.cluster import Cluster
from cifarcam.sweeps.jobs import Job, obtain_data, plan
from cifarcam.sweeps.local import Local
from cifarcam.sweeps.progress import Display, time_left
from cifarcam.sweeps.running import Outcome, Workers, sweep

__all__ = [
    "Cluster",
    "Display",
    "Job",
    "Local",
    "Outcome",
    "Workers",
    "obtain_data",
    "plan",
    "sweep",
    "time_left",
]
