"""The kernels of an int8 export, turned back into float32.

LiteRT and ONNX store a kernel as whole numbers from -127 to 127, and for each output channel the
size of a step: its largest magnitude divided by 127 (Jacob et al. 2018, section 2; LiteRT's
quantisation specification). A batch normalisation that a converter folds into the kernel multiplies
each output channel by a number, and its step by the same number, so that the whole numbers stay, or
change their sign; where float32 rounds the product to the other side of a half, a number is a step
away (in our networks at most 1 in 10,000).
"""

from __future__ import annotations

import keras
import numpy as np

LEVELS = 127  # on either side of zero
PROJECTIONS = ("query", "key", "value")  # the layers of Keras's attention before the heads


def dequantised(model: keras.Model) -> keras.Model:
    """A copy of a network whose kernels have been rounded to int8 and back, by output channel.

    Everything else stays as it is. An int8 export rounds more than this: activations, and what it
    adds to them or multiplies them with, such as normalisations that no kernel precedes.

    Parameters
    ----------
    model
        A network of `cifarcam.models`.
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
    return steps * size


def quantised(kernel: np.ndarray, outputs: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A kernel in whole numbers of steps, and the size of a step for each output channel.

    These are the numbers that LiteRT's converter gives: it multiplies by the inverse of a step in
    float32, and rounds halves away from zero. ONNX Runtime's converter divides by the step, and
    rounds halves to even numbers.

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
    has_inverse = size >= np.finfo(np.float32).tiny
    inverse = np.divide(np.float32(1), size, out=np.zeros_like(size), where=has_inverse)
    quotient = (kernel * inverse).astype(np.float64)  # in which adding a half is exact
    steps = np.copysign(np.floor(np.abs(quotient) + 0.5), quotient)
    return steps.astype(np.int8), size
