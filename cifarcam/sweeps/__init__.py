"""Sweeps: many training runs, or parts of a measurement, side by side, here or on a Dask cluster.

Each training run has a process of its own and gets the same bits as `cifarcam train` on the same kind
of machine. It holds a lock beside its checkpoint, so that no other process trains it meanwhile, and
it writes a checkpoint after each epoch. A worker of Dask starts and follows such processes and computes
nothing itself. When the worker is lost, its training process ends as well, the scheduler gives the run
to another worker, and the run goes on after its last whole epoch.

A part of a long measurement (`cifarcam.studies.parts`) is made in the same way. It has no checkpoint, so
that a lost part is measured again; the parts that are measured stay in the cache until all of them are.

## On a cluster

Workers share two folders: the directory of runs, and the user's cache with data, checkpoints and locks
(`XDG_CACHE_HOME` moves it). A sweep asks each worker whether it sees both folders and their locks, and
which device, threads, versions and code it has. It refuses workers that differ, because the number of
threads decides the last bits of the weights. `--nthreads` of `dask worker` is the number of training
runs that the worker makes side by side. Whoever reaches a scheduler can run code on its workers, so
that it belongs in a network that you trust.

## A hundred workers, on paper

We have not had a hundred machines. This is what they would move, by the sizes of the files.

| | baseline, two cores a worker | ResNet-18, a GPU a worker |
|---|---|---|
| one epoch | 20 s | 17 s |
| one training run | 50 epochs, 17 min | 40 epochs, 11 min |
| data read at the start of a run | 0.2 GB | 0.2 GB |
| checkpoint after each epoch | 3.6 MB | 134 MB |
| finished run | 1.3 MB | 23 MB |
| a hundred workers read | 20 MB/s | 30 MB/s |
| a hundred workers write | 18 MB/s | 800 MB/s |

A checkpoint holds float32 numbers: the weights, the weights that the run would end with, and the
optimiser's means, two for each weight with Adam, one with Muon. The scheduler sees little. A training
run is one task, which costs it milliseconds, and sends a hundred bytes at most twice a second: 200
messages a second for all, where Dask handles thousands.

- For small networks nothing is in the way but the start: a hundred processes that begin together read 20
  GB, which takes three minutes over a link of 1 Gbit/s. After that they begin at different times.
- For large networks the shared disk is the bottleneck. Each epoch ends when its checkpoint is flushed. At
  1 GB/s a hundred checkpoints take 13 s if they come together, nearly as long as the epoch. Such a disk
  serves about thirty workers well.
- The unit is a whole training run: on a hundred workers, 101 runs take as long as 200.
"""

from __future__ import annotations

from cifarcam.errors import require

require("train", "filelock", "tqdm")  # before the imports that need them

from cifarcam.sweeps.cluster import Cluster
from cifarcam.sweeps.jobs import Job, Part, Training, obtain_data, plan, plan_parts
from cifarcam.sweeps.local import Local
from cifarcam.sweeps.progress import Display
from cifarcam.sweeps.running import Outcome, Workers, finish, sweep

__all__ = [
    "Cluster",
    "Display",
    "Job",
    "Local",
    "Outcome",
    "Part",
    "Training",
    "Workers",
    "finish",
    "obtain_data",
    "plan",
    "plan_parts",
    "sweep",
]
