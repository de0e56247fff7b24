"""The weights of an int8 export, turned back into float32.

LiteRT and ONNX store a kernel as whole numbers from -127 to 127, and for each output channel the
size of a step: its largest magnitude divided by 127 (Jacob et al. 2018, section 2; LiteRT's
quantisation specification). A batch normalisation that a converter folds into the kernel multiplies
each output channel by a number, and its step by the same number, so that the whole numbers stay.
"""

from __future__ import annotations

import keras
import numpy as np

LEVELS = 127  # on either side of zero
PROJECTIONS = ("query", "key", "value")  # the layers of Keras's attention before the heads


def dequantised(model: keras.Model) -> keras.Model:
    """A copy of a network whose kernels have been rounded to int8 and back, by output channel.

    Biases and normalisations stay as they are: exports keep these in 32 bits.
    """
    functional = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    copied = keras.models.clone_model(functional)
    copied.set_weights([_of_variable(variable) for variable in model.weights])
    return copied


def _of_variable(variable: keras.Variable) -> np.ndarray:
    value = variable.numpy()
    if variable.name != "kernel":
        return value
    # Attention's projections have two axes of outputs, the heads and what each head has.
    steps, size = quantised(value, 2 if variable.path.split("/")[-2] in PROJECTIONS else 1)
    return (steps * size).astype(np.float32)


def quantised(kernel: np.ndarray, outputs: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A kernel in whole numbers of steps, and the size of a step for each output channel.

    Parameters
    ----------
    kernel
        float32, with the output channels on its last axis or axes.
    outputs
        The number of these axes.

    Returns
    -------
    tuple
        int8, of the kernel's shape; float32, of the shape of the output axes.
    """
    inputs = tuple(range(kernel.ndim - outputs))
    size = np.abs(kernel).max(axis=inputs) / np.float32(LEVELS)
    steps = np.rint(np.divide(kernel, size, out=np.zeros_like(kernel), where=size > 0))
    return steps.astype(np.int8), size
