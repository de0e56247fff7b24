"""The weights of a network in a run."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from safetensors import numpy as safetensors

from cifarcam import models
from cifarcam.training.experiment import Experiment

# Parameters; larger networks store their trained weights in half precision.
HALF_PRECISION_FROM = 1_000_000


def save_weights(model: keras.Model, path: Path) -> None:
    """Write a network's weights under their paths; trainable weights of large networks as float16.

    Weights that are not trained, such as means and variances of normalisation, stay float32.
    """
    half = model.count_params() > HALF_PRECISION_FROM
    weights = {
        name: variable.numpy().astype(np.float16 if half and variable.trainable else np.float32)
        for name, variable in _named_weights(model).items()
    }
    safetensors.save_file(weights, path)


def _named_weights(model: keras.Model) -> dict[str, keras.Variable]:
    """A network's weights by layer and name, in the order of ``model.weights``.

    In a Sequential model Keras puts the network's name in front, in a functional model not.
    """
    prefix = f"{model.name}/"
    return {variable.path.removeprefix(prefix): variable for variable in model.weights}


def with_weights(experiment: Experiment, content: bytes) -> keras.Model:
    """The network of an experiment in float32, with the weights of a safetensors file's content."""
    model = models.build(experiment.architecture, experiment.options)
    arrays = safetensors.load(content)
    tensors = {name.removeprefix(f"{model.name}/"): array for name, array in arrays.items()}
    model.set_weights([tensors[name].astype(np.float32) for name in _named_weights(model)])
    return model
