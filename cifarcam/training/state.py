"""The state of a training run, and its checkpoint file."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from safetensors import numpy as safetensors

from cifarcam import _devices, _files, models
from cifarcam.data import Split
from cifarcam.errors import CifarcamError
from cifarcam.training import optimization
from cifarcam.training.experiment import Experiment
from cifarcam.training.history import Epoch

ADAPTING_IMAGES = 5000  # the first training images, for layers that learn from pixels


@dataclass
class State:
    """Everything that decides how a training run goes on, besides its experiment and dataset.

    `losses` holds each image's loss when it was last trained on, where the experiment selects
    images by loss. `kept_weights` are the weights of epoch `kept_epoch`, which the run ends with.
    """

    model: keras.Model
    optimizer: keras.Optimizer
    losses: tf.Variable | None
    history: list[Epoch] = field(default_factory=list)
    kept_epoch: int = 0
    kept_weights: list[np.ndarray] = field(default_factory=list)

    @property
    def variables(self) -> list[Any]:
        """All variables that training changes."""
        # `model.variables`, not `model.weights`, which leave out the seeds of dropout.
        losses = [self.losses] if self.losses is not None else []
        return [*self.model.variables, *self.optimizer.variables, *losses]

    def finish_epoch(self, epoch: Epoch, *, keep_best: bool) -> None:
        """Add an epoch to the history and keep its weights.

        With `keep_best` they are kept only if the validation loss is the lowest so far.
        """
        lowest = min((past.validation_loss for past in self.history), default=math.inf)
        self.history.append(epoch)
        if not keep_best or epoch.validation_loss < lowest:
            self.kept_epoch = epoch.epoch
            self.kept_weights = self.model.get_weights()


def initial_state(experiment: Experiment, train: Split) -> State:
    """The state before the first epoch, decided by the experiment's seed and the images."""
    settings = experiment.training
    keras.utils.set_random_seed(settings.seed)
    precision = _devices.resolve_precision(settings.precision)
    model = models.build(experiment.architecture, experiment.options, precision)
    models.adapt(model, train.images[:ADAPTING_IMAGES])
    counts = [experiment.images_seen(n, len(train)) for n in range(1, settings.epochs + 1)]
    steps = sum(math.ceil(count / settings.batch_size) for count in counts)
    optimizer = optimization.optimizer(
        settings, experiment.schedule, steps, model.trainable_variables
    )
    losses = None
    if experiment.selection is not None:
        losses = tf.Variable(tf.zeros(len(train)), trainable=False)
    return State(model, optimizer, losses)


def save(state: State, path: Path, fingerprint: str) -> None:
    """Write the checkpoint of an experiment's training run, whole or not at all."""
    tensors = {f"variable.{i}": v.numpy() for i, v in enumerate(state.variables)}
    tensors |= {f"kept.{i}": array for i, array in enumerate(state.kept_weights)}
    tensors = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    metadata = {
        "sha256": _files.UNSEALED,
        "fingerprint": fingerprint,
        "history": json.dumps([asdict(epoch) for epoch in state.history]),
        "kept_epoch": str(state.kept_epoch),
        "made_with": _software(state),
    }
    with _files.writing_to(path.parent), _files.atomic_file(path) as temporary:
        safetensors.save_file(tensors, temporary, metadata)
        _files.seal(temporary)


def restore(state: State, path: Path, fingerprint: str) -> None:
    """Set a state to the checkpoint of the same experiment.

    Raises
    ------
    CifarcamError
        When the file is damaged, or was written by another experiment, other versions of the
        software or in another precision.
    """
    content = _files.read_sealed(path, "delete it to begin the training run anew")
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    metadata = header["__metadata__"]
    if metadata["fingerprint"] != fingerprint:
        raise CifarcamError(f"{path}: the checkpoint of another experiment; delete it")
    if metadata.get("made_with") != _software(state):
        raise CifarcamError(
            f"{path}: the checkpoint was written by other versions or in another precision, so "
            "that the training run cannot go on from it; delete it to begin anew"
        )
    stored = safetensors.load(content)
    for index, variable in enumerate(state.variables):
        variable.assign(stored[f"variable.{index}"])
    count = len(state.model.get_weights())
    state.kept_weights = [stored[f"kept.{i}"] for i in range(count)]
    state.history = [Epoch(**epoch) for epoch in json.loads(metadata["history"])]
    state.kept_epoch = int(metadata["kept_epoch"])


def _software(state: State) -> str:
    return json.dumps([_devices.versions(), state.model.dtype_policy.name], sort_keys=True)
