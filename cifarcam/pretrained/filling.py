"""Filling a Keras network with tensors that have PyTorch's names and axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from cifarcam.errors import CifarcamError


def set_weights(
    model: keras.Model,
    stored: dict[str, np.ndarray],
    names: Callable[[keras.layers.Layer], list[str]],
    source: str,
    kind: str,
) -> None:
    """Fill a network; every tensor is used, and is of the layer's shape and of real numbers.

    Parameters
    ----------
    model
        The network, whose weights are replaced.
    stored
        Tensors by PyTorch's names; they are taken out.
    names
        The names of a layer's tensors, in Keras's order.
    source, kind
        The file and the network, ``"a ResNet-18"``, for an error.

    Raises
    ------
    CifarcamError
        When a tensor is missing, unknown, of another shape or of whole numbers.
    """
    for layer in model.layers:
        if not layer.weights:
            continue
        tensors = [stored.pop(name, None) for name in names(layer)]
        values = [_as_keras(layer, tensor) for tensor in tensors if tensor is not None]
        if [value.shape for value in values] != [tuple(w.shape) for w in layer.weights] or any(
            value.dtype.kind != "f" for value in values
        ):
            raise CifarcamError(f"{source}: no fitting weights for {layer.name}; not {kind}")
        layer.set_weights(values)
    unused = [name for name in stored if not name.endswith("num_batches_tracked")]
    if unused:
        raise CifarcamError(f"{source}: unknown tensor {unused[0]}; not {kind}")


def parameters(layer: keras.layers.Layer, stem: str) -> list[str]:
    """PyTorch's names of the parameters of a layer called `stem`, in Keras's order."""
    if isinstance(layer, keras.layers.BatchNormalization):
        return [f"{stem}.{name}" for name in ("weight", "bias", "running_mean", "running_var")]
    bias = [f"{stem}.bias"] if isinstance(layer, keras.layers.Dense) else []
    return [f"{stem}.weight", *bias]


def _as_keras(layer: Any, tensor: np.ndarray) -> np.ndarray:
    """A kernel as H x W x in x out, a matrix transposed, a vector unchanged."""
    if isinstance(layer, keras.layers.DepthwiseConv2D) and tensor.ndim == 4:
        return tensor.transpose(2, 3, 0, 1)  # H x W x channels x 1
    axes = {4: (2, 3, 1, 0), 2: (1, 0)}.get(tensor.ndim)
    return tensor.transpose(axes) if axes else tensor
