"""Measurements that take more than about two minutes, kept as records under ``runs/records``."""

from __future__ import annotations

import hashlib
import inspect
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cifarcam import data, devices, experiment, files, models, runs, training
from cifarcam.errors import CifarcamError
from cifarcam.models import custom_cnn

# What the original report gives for epoch 50, in percent: the training accuracy that it logged
# and its test accuracy, for which the validation accuracy stands in here.
ORIGINAL_TRAINING, ORIGINAL_TEST = 94.9, 71.5

SEARCH_MEMBERS = (
    custom_cnn.Options(filters=(32, 64), dense=128, dropout=0.5),
    custom_cnn.Options(filters=(32, 64, 64), dense=64, dropout=0.2),
    custom_cnn.Options(filters=(32, 64, 64), dense=128, dropout=0.3),
    custom_cnn.Options(filters=(32, 64, 128), dense=64, dropout=0.2),
)


def measure(name: str, place: Path) -> Path:
    """Make a record and return its file.

    Parameters
    ----------
    name
        One of `MEASUREMENTS`.
    place
        The directory of runs; records go to ``records`` in it.

    Raises
    ------
    CifarcamError
        When there is no measurement of that name.
    """
    if name not in MEASUREMENTS:
        raise CifarcamError(f"measurement {name!r} is not one of {', '.join(MEASUREMENTS)}")
    content = MEASUREMENTS[name]()
    source = inspect.getsource(MEASUREMENTS[name])
    inputs = json.dumps([source, content["inputs"]])
    record = {
        "name": name,
        "fingerprint": hashlib.sha256(inputs.encode()).hexdigest(),
        "versions": devices.versions(),
        **content,
    }
    path = place / "records" / f"{name}.json"
    with files.writing_to(path.parent), files.atomic_file(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n")
    return path


def architecture_search() -> dict[str, Any]:
    """Train members of the custom CNN's family as the baseline is trained, and rank them.

    Each is judged at the last epoch by its distance in percentage points from the original's
    training and test accuracy; the validation accuracy stands in for the latter. The test split
    is not used. Members already trained are taken from their checkpoints.
    """
    baseline = experiment.find("baseline")
    dataset = data.load(baseline.data.dataset, seed=baseline.data.split_seed)
    members = []
    inputs = []
    for options in SEARCH_MEMBERS:
        member = replace(baseline, options=options, early_stopping=None)
        fingerprint = member.fingerprint(dataset.digest)
        inputs.append(fingerprint)
        checkpoint = files.cache_dir() / "checkpoints" / f"{fingerprint}.safetensors"
        trained = training.train(
            member, dataset, checkpoint=checkpoint, report=runs.show_progress(member)
        )
        last = trained.history[-1]
        members.append(
            {
                **asdict(options),
                "parameters": models.build(member.architecture, options).count_params(),
                "train_accuracy": last.train_accuracy,
                "validation_accuracy": last.validation_accuracy,
                "distance": math.hypot(
                    100 * last.train_accuracy - ORIGINAL_TRAINING,
                    100 * last.validation_accuracy - ORIGINAL_TEST,
                ),
                "chosen": options == baseline.options,
            }
        )
    members.sort(key=lambda found: found["distance"])
    return {"inputs": inputs, "members": members}


MEASUREMENTS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "architecture-search": architecture_search,
}
