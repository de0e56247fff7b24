"""The score before the softmax or sigmoid that ends a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from cifarcam.errors import CifarcamError
from cifarcam.explain._keras import function_name, kind, without_activation
from cifarcam.explain._opening import Call, Key, Opener

# Classes, in small letters, of layers and of ``keras.ops``.
# fmt: off
_ACTIVATIONS = {"softmax", "sigmoid"}
# Within a network their outputs are features; at the end of a network no linear score.
_FEATURES = {
    "relu", "relu6", "leakyrelu", "prelu", "elu", "celu", "selu", "gelu", "silu", "mish",
    "softplus", "softsign", "softshrink", "tanh", "tanhshrink", "hardtanh", "hardshrink",
    "hardsilu", "sparseplus", "squareplus", "threshold", "glu",
}
_NOT_LINEAR = _FEATURES | {
    "hardsigmoid", "sparsesigmoid", "logsoftmax", "logsigmoid", "sparsemax", "exp", "log", "lambda",
}
# Sums of products with weights: the output is a score for any input.
_WEIGHTED = {
    "dense", "einsumdense", "conv1d", "conv2d", "conv3d", "depthwiseconv1d", "depthwiseconv2d",
    "separableconv1d", "separableconv2d", "conv1dtranspose", "conv2dtranspose", "conv3dtranspose",
    "conv", "depthwiseconv", "separableconv", "convtranspose", "matmul", "dot", "tensordot",
    "einsum", "inner",
}
# The output is a score if every input is a score.
_CARRYING = {
    "activation", "identity", "dropout", "spatialdropout1d", "spatialdropout2d",
    "spatialdropout3d", "alphadropout", "gaussiandropout", "gaussiannoise",
    "activityregularization", "masking", "cast", "converttotensor", "copy", "stopgradient",
    "flatten", "reshape", "permute", "repeatvector", "transpose", "swapaxes", "moveaxis", "squeeze",
    "expanddims", "ravel", "getitem", "slice", "take", "split", "unstack", "concatenate", "stack",
    "hstack", "vstack", "broadcastto", "tile", "repeat", "flip", "roll", "pad", "zeropadding2d",
    "cropping2d", "upsampling2d", "resizing",
    "averagepooling1d", "averagepooling2d", "averagepooling3d", "maxpooling1d", "maxpooling2d",
    "maxpooling3d", "globalaveragepooling1d", "globalaveragepooling2d", "globalaveragepooling3d",
    "globalmaxpooling1d", "globalmaxpooling2d", "globalmaxpooling3d", "adaptiveaveragepooling2d",
    "adaptivemaxpooling2d", "maxpool", "averagepool", "mean", "sum", "max", "min", "amax", "amin",
    "logsumexp", "add", "subtract", "average", "maximum", "minimum", "negative", "rescaling",
    "normalization", "batchnormalization", "layernormalization",
    "groupnormalization", "rmsnormalization", "unitnormalization", "batchnorm", "layernorm",
    "rmsnorm", "normalize", "norm", "clip", "absolute", "square", "sqrt", "rsqrt", "power",
}
# The output is a score if one input is a score, which the other input scales.
_SCALING = {"multiply", "divide", "truedivide", "dividenonan"}
# fmt: on

ADVICE = "end the model in a Dense layer, or in a linear layer and a softmax or sigmoid after it"


def before_activation(opener: Opener, end: Key) -> tuple[Key, str]:
    """The score before the softmax or sigmoid that ends a model, and the activation's name.

    Operations after the activation are applied to the score instead. This is right if they only
    rearrange values (Flatten, Reshape, sigmoids joined) and wrong otherwise (the mean of two
    softmaxes); the caller therefore compares the result with the model's own output.

    Raises
    ------
    CifarcamError
        When the model ends in an unknown activation or in an operation that may not be linear.
    """
    return _Ends(opener).score(end, is_last=True)


class _Ends:
    """Searches for the scores of tensors, once for each tensor."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._scores: dict[Key, tuple[Key, str]] = {}

    def score(self, key: Key, *, is_last: bool) -> tuple[Key, str]:
        """The score of a tensor, and what follows the score: softmax, sigmoid or linear."""
        if key not in self._scores:
            self._scores[key] = self._score(key, is_last)
        return self._scores[key]

    def _score(self, key: Key, is_last: bool) -> tuple[Key, str]:
        call = self._opener.maker(key)
        if call is None:  # the images
            return key, "linear"
        operation = call.operation
        if _does_nothing(operation):
            return self.score(call.inputs[call.outputs.index(key)], is_last=is_last)
        name, family = activation_name(operation), kind(operation)
        if name in _ACTIVATIONS and family in (*_ACTIVATIONS, "activation"):
            return self._before(call.inputs[0], name), name
        if name in _ACTIVATIONS and isinstance(operation, keras.Layer):
            return self._repeated(call, key, call.inputs, without_activation(operation)), name
        is_feature = name.replace("_", "") in _FEATURES
        if name != "linear" and (is_last or not is_feature):
            raise CifarcamError(
                f"the model's scores come out of layer {operation.name!r} through {name}; only "
                "softmax, sigmoid and linear outputs can be explained"
            )
        if family in _WEIGHTED:
            return key, "linear"
        if is_feature or family in _CARRYING or family in _SCALING:
            return self._carried(call, key)
        outputs = self._opener.open(call)
        if outputs is None:
            raise CifarcamError(
                f"the model's scores come out of layer {operation.name!r} "
                f"({type(operation).__name__}), and it cannot be seen whether that layer returns "
                f"scores or probabilities{self._opener.why_closed(call)}; {ADVICE}"
            )
        return self.score(outputs[call.outputs.index(key)], is_last=is_last)

    def _before(self, key: Key, name: str) -> Key:
        """The input of a softmax or sigmoid, if it is linear."""
        call = self._opener.maker(key)
        while call is not None and _does_nothing(call.operation):
            key = call.inputs[call.outputs.index(key)]
            call = self._opener.maker(key)
        inner = "linear" if call is None else activation_name(call.operation)
        if call is not None and inner != "linear":
            raise CifarcamError(
                f"the model's scores come out of layer {call.operation.name!r} through {inner} "
                f"before {name}; only linear scores can be explained"
            )
        return key

    def _carried(self, call: Call, key: Key) -> tuple[Key, str]:
        """The score of the output of an operation whose inputs have scores."""
        sources = [self.score(source, is_last=False) for source in call.inputs]
        names = {name for _, name in sources}
        if names <= {"linear"} or ("linear" in names and kind(call.operation) in _SCALING):
            return key, "linear"
        if len(names) > 1:
            raise CifarcamError(
                f"the model's scores come out of layer {call.operation.name!r}, which joins "
                f"{' and '.join(sorted(names))} outputs; {ADVICE}"
            )
        scores = tuple(source for source, _ in sources)
        return self._repeated(call, key, scores, call.operation), names.pop()

    def _repeated(self, call: Call, key: Key, inputs: Sequence[Key], operation: Any) -> Key:
        """Add a call again with other inputs or another operation; return the key of its output."""
        return self._opener.repeat(call, inputs, operation)[call.outputs.index(key)]


def _does_nothing(operation: Any) -> bool:
    """Whether an operation returns its input in prediction: an identity, a cast, dropout."""
    if operation is None:
        return True
    family = kind(operation)
    if family == "activation":
        return activation_name(operation) == "linear"
    return family in ("identity", "dropout")


def activation_name(operation: Any) -> str:
    """The activation at the end of an operation; ``"linear"`` if it has none."""
    family = kind(operation)
    if family in _ACTIVATIONS or family in _NOT_LINEAR:
        return family
    activation = getattr(operation, "activation", None)
    if activation is None:
        return "linear"
    if isinstance(activation, keras.Operation):  # a layer, such as Softmax(), of any name
        return activation_name(activation) if kind(activation) else activation.name
    return function_name(activation)
