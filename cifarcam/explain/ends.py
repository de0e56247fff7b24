"""How a classifier ends: the score before its softmax or sigmoid, wherever it can be seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras

from cifarcam.errors import CifarcamError

if TYPE_CHECKING:
    from cifarcam.explain.graph import Call, Key, Opener

# Classes, in small letters, of layers and of ``keras.ops``.
# fmt: off
_ACTIVATIONS = {"softmax", "sigmoid"}
# Within a network these give features; at its end what they give is no linear score.
_FEATURES = {
    "relu", "relu6", "leakyrelu", "prelu", "elu", "celu", "selu", "gelu", "silu", "mish",
    "softplus", "softsign", "softshrink", "tanh", "tanhshrink", "hardtanh", "hardshrink",
    "hardsilu", "sparseplus", "squareplus", "threshold", "glu",
}
_NOT_LINEAR = _FEATURES | {
    "hardsigmoid", "sparsesigmoid", "logsoftmax", "logsigmoid", "sparsemax", "exp", "log", "lambda",
}
# Sums of products with weights: what they give is a score, whatever they are given.
_WEIGHTED = {
    "dense", "einsumdense", "conv1d", "conv2d", "conv3d", "depthwiseconv1d", "depthwiseconv2d",
    "separableconv1d", "separableconv2d", "conv1dtranspose", "conv2dtranspose", "conv3dtranspose",
    "conv", "depthwiseconv", "separableconv", "convtranspose", "matmul", "dot", "tensordot",
    "einsum", "inner",
}
# These give scores if all that they are given are scores.
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
# These give scores if one of what they are given is: the other stretches it.
_SCALING = {"multiply", "divide", "truedivide", "dividenonan"}
# fmt: on

ADVICE = "end the model in a Dense layer, or in a linear layer and a softmax or sigmoid after it"


def before_activation(opened: Opener, end: Key) -> tuple[Key, str]:
    """The score before the softmax or sigmoid that ends a model, and the activation's name.

    What follows the activation is done to the score instead. That is right where values are only
    laid out anew (Flatten, Reshape, sigmoids joined) and wrong elsewhere (the mean of two
    softmaxes); whoever calls this compares the outcome with the model's own output.

    Raises
    ------
    CifarcamError
        When the end is no known activation and it is not known to be linear.
    """
    return _Ends(opened).score(end, is_last=True)


class _Ends:
    """Looks for the score of a tensor, each tensor once."""

    def __init__(self, opened: Opener) -> None:
        self._opened = opened
        self._scores: dict[Key, tuple[Key, str]] = {}

    def score(self, key: Key, *, is_last: bool) -> tuple[Key, str]:
        """A tensor's score, and what follows it: softmax, sigmoid or linear."""
        if key not in self._scores:
            self._scores[key] = self._score(key, is_last)
        return self._scores[key]

    def _score(self, key: Key, is_last: bool) -> tuple[Key, str]:
        call = self._opened.maker(key)
        if call is None:  # the images
            return key, "linear"
        operation = call.operation
        if does_nothing(operation):
            return self.score(call.inputs[call.outputs.index(key)], is_last=is_last)
        name, family = activation_name(operation), kind(operation)
        if name in _ACTIVATIONS and family in (*_ACTIVATIONS, "activation"):
            return self._before(call.inputs[0], name), name
        if name in _ACTIVATIONS and isinstance(operation, keras.Layer):
            return self._repeated(call, key, call.inputs, without_activation(operation)), name
        is_feature = _plain(name) in _FEATURES
        if name != "linear" and (is_last or not is_feature):
            raise CifarcamError(
                f"the model's scores come out of layer {operation.name!r} through {name}; only "
                "softmax, sigmoid and linear outputs can be explained"
            )
        if family in _WEIGHTED:
            return key, "linear"
        if is_feature or family in _CARRYING or family in _SCALING:
            return self._carried(call, key)
        made = self._opened.open(call)
        if made is None:
            raise CifarcamError(
                f"the model's scores come out of layer {operation.name!r} "
                f"({type(operation).__name__}), of which it cannot be seen whether it gives scores "
                f"or probabilities{self._opened.why_closed(call)}; {ADVICE}"
            )
        return self.score(made[call.outputs.index(key)], is_last=is_last)

    def _before(self, key: Key, name: str) -> Key:
        """What a softmax or sigmoid is given, if it is linear."""
        call = self._opened.maker(key)
        while call is not None and does_nothing(call.operation):
            key = call.inputs[call.outputs.index(key)]
            call = self._opened.maker(key)
        inner = "linear" if call is None else activation_name(call.operation)
        if call is not None and inner != "linear":
            raise CifarcamError(
                f"the model's scores come out of layer {call.operation.name!r} through {inner} "
                f"before {name}; only linear scores can be explained"
            )
        return key

    def _carried(self, call: Call, key: Key) -> tuple[Key, str]:
        """The score of what an operation makes of other tensors, each with a score."""
        found = [self.score(source, is_last=False) for source in call.inputs]
        names = {name for _, name in found}
        if names <= {"linear"} or ("linear" in names and kind(call.operation) in _SCALING):
            return key, "linear"
        if len(names) > 1:
            raise CifarcamError(
                f"the model's scores come out of layer {call.operation.name!r}, which joins "
                f"{' and '.join(sorted(names))} outputs; {ADVICE}"
            )
        scores = tuple(source for source, _ in found)
        return self._repeated(call, key, scores, call.operation), names.pop()

    def _repeated(self, call: Call, key: Key, inputs: Sequence[Key], operation: Any) -> Key:
        """Add a call again, of other tensors or by another operation; the key of its output."""
        return self._opened.repeat(call, inputs, operation)[call.outputs.index(key)]


def does_nothing(operation: Any) -> bool:
    """Whether an operation only passes its input on in prediction: an identity, a cast, dropout."""
    if operation is None:
        return True
    family = kind(operation)
    if family == "activation":
        return activation_name(operation) == "linear"
    return family in ("identity", "dropout")


def kind(operation: Any) -> str:
    """The class, in small letters, of Keras's own that an operation behaves as; else empty.

    A stranger's subclass behaves so as long as it does not write its own ``call``. By name, since
    ``keras.ops.softmax`` makes operations of classes that are not public.
    """
    if not is_keras(operation.call):
        return ""
    return next(each.__name__ for each in type(operation).__mro__ if is_keras(each)).lower()


def is_keras(thing: Any) -> bool:
    """Whether Keras itself defines a class or a method."""
    return thing.__module__.split(".")[0] == "keras"


def activation_name(operation: Any) -> str:
    """The activation that an operation ends with, ``"linear"`` for one without."""
    family = kind(operation)
    if family in _ACTIVATIONS or family in _NOT_LINEAR:
        return family
    activation = getattr(operation, "activation", None)
    if activation is None:
        return "linear"
    if isinstance(activation, keras.Operation):  # a layer, such as Softmax(), whatever its name
        return activation_name(activation) if kind(activation) else activation.name
    name = str(getattr(activation, "__name__", activation))
    return "softmax" if name == "softmax_v2" else name  # TensorFlow's name of its tf.nn.softmax


def _plain(name: str) -> str:
    return name.replace("_", "")


def without_activation(layer: keras.Layer) -> keras.Layer:
    """A layer that computes as another does, with its variables, but for its activation.

    Its own ``call`` runs, so that scales of quantised weights and added ones (LoRA) count. The
    other layer stays as it is; the two share all that they hold.
    """
    twin = object.__new__(type(layer))
    twin.__dict__.update(layer.__dict__)
    # Not by the layer's own setter, which would note it in what the two share.
    twin.__dict__["activation"] = keras.activations.linear
    return twin
