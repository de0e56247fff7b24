"""A network's weights as a run stores them."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from safetensors import numpy as safetensors

from cifarcam import models
from cifarcam.training.experiment import Experiment

# Networks with more parameters than this keep their trained weights in half precision.
HALF_PRECISION_FROM = 1_000_000


def save_weights(model: keras.Model, path: Path) -> None:
    """Write a network's weights by their paths, those of large networks rounded to float16.

    Statistics of normalisation stay float32.
    """
    half = model.count_params() > HALF_PRECISION_FROM
    weights = {
        name: variable.numpy().astype(np.float16 if half and variable.trainable else np.float32)
        for name, variable in _named_weights(model).items()
    }
    safetensors.save_file(weights, path)


def _named_weights(model: keras.Model) -> dict[str, keras.Variable]:
    """A network's weights by layer and name, in its own order.

    Keras puts the network's name before the layer's in a Sequential model, not in a functional one.
    """
    prefix = f"{model.name}/"
    return {variable.path.removeprefix(prefix): variable for variable in model.weights}


def with_weights(wanted: Experiment, stored: bytes) -> keras.Model:
    """The network of an experiment in float32, with weights as safetensors stores them."""
    model = models.build(wanted.architecture, wanted.options)
    arrays = safetensors.load(stored)
    tensors = {name.removeprefix(f"{model.name}/"): array for name, array in arrays.items()}
    model.set_weights([tensors[name].astype(np.float32) for name in _named_weights(model)])
    return model
