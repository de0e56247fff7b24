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

We have not had a hundred machines. The table says what they would move.

| | `baseline`, two cores a worker | `resnet18-long`, an H200 a worker |
|---|---|---|
| one epoch | 20 s | 3.6 s |
| one training run | 50 epochs, 17 min | 40 epochs, 2.4 min |
| data read at its start | 184 MB | 184 MB |
| checkpoint after each epoch | 3.6 MB | 134 MB |
| finished run | 1.3 MB | 23 MB |
| a hundred workers read | 18 MB/s | 130 MB/s |
| a hundred workers write | 18 MB/s | 3.7 GB/s |

Sizes are those of the files: CIFAR-10 in the cache, the two runs in the repository, and checkpoints that
we wrote. A checkpoint holds float32 numbers: the weights, the weights that the run would end with, and
the optimiser's means, two for each weight with Adam, one with Muon. The baseline's times are its run's.
The GPU's times follow from the 13,800 images a second that one H200 trained on (`benchmarks/README.md`).

- **The start**: a hundred processes that begin together read 18 GB, which takes two and a half minutes
  over a link of 1 Gbit/s. Later they begin at different times. The environment belongs on each machine's
  own disk, because TensorFlow's libraries alone have 1.3 GB.
- **Small networks**: nothing else is in the way.
- **Large networks**: the shared disk is the bottleneck, because an epoch ends when its checkpoint is on the
  disk. At 1 GB/s a hundred checkpoints take 13 s, nearly four times as long as the epoch. Such a disk
  carries about 28 workers; a hundred workers would finish their runs no sooner.
- **The scheduler**: a training run is one task and sends at most two messages of 140 bytes a second. That
  makes 200 messages a second for all. A task took 2.0 ms and a message 2.3 ms on two cores that the
  scheduler shared with worker and client (`benchmarks/sweep.py`), so that these messages would keep such
  a machine about half busy.
- **The last runs**: the unit is a whole training run, so that on a hundred workers 101 runs take as long
  as 200.
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
