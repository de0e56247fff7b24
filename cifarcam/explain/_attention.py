"""The attention matrices of a vision transformer, as tensors of its flat list of calls."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from cifarcam.errors import CifarcamError
from cifarcam.explain._ends import activation_name
from cifarcam.explain._keras import kind
from cifarcam.explain._layers import FIX_SIZE, Layers
from cifarcam.explain._opening import Call, Key, run_calls
from cifarcam.explain._tokens import HEADS, TOKENS, Grid

_SCORES = "return_attention_scores"  # the argument of Keras's attention layers


@dataclass(frozen=True)
class Attention:
    """The self-attention of a network, all over the same tokens.

    Attributes
    ----------
    paths
        The paths of the layers or operations that make attention, in order.
    tokens
        The number of tokens.
    grid
        The grid that the tokens form on the image.
    readout
        The share of each token in what the network reads after its last attention: float32,
        tokens. It is 1 for a class token that is read alone, and 1 / tokens for an average.
    """

    paths: tuple[str, ...]
    tokens: int
    grid: Grid
    readout: np.ndarray
    _before: list[Call]  # before the first attention
    _after: list[Call]
    _between: list[Key]  # the tensors that `_after` takes
    _images: Key
    _score: Key
    _matrices: list[Key]
    _pooling: Key | None

    @property
    def pools(self) -> bool:
        """Whether a last softmax over the tokens weights them, in place of `readout`."""
        return self._pooling is not None

    def stem(self, images: tf.Tensor) -> list[tf.Tensor]:
        """Images -> the tensors that `head` takes."""
        return run_calls(self._before, {self._images: images}, self._between)

    def head(self, between: Sequence[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The tensors that `stem` returns -> the scores, and the attention.

        Attention is a list of matrices, n x heads x tokens x tokens or n x tokens x tokens: row i
        has the weights with which token i attends to the others. If `pools`, the weights of the
        tokens follow, n x ..., as many per head as there are tokens.
        """
        keys = [self._score, *self._matrices, *([self._pooling] if self._pooling else [])]
        values = dict(zip(self._between, between, strict=True))
        outputs, *attention = run_calls(self._after, values, keys)
        return outputs, attention


class _Weights(NamedTuple):
    """The weights of an attention: from how many tokens to how many, of the same or of others.

    0 stands for a number that is not known.
    """

    call: Call
    key: Key
    rows: int
    columns: int
    is_own: bool

    @property
    def is_layer(self) -> bool:
        return kind(self.call.operation) not in ("softmax", "activation")


def find_attention(layers: Layers, needer: str) -> Attention:
    """The self-attention of a network, for a method called `needer`.

    Attention is found in Keras's attention layers, in `keras.ops.dot_product_attention`, and in a
    softmax over N x heads x tokens x tokens or N x tokens x tokens. A last softmax over the tokens,
    as one weight for each, or the attention of a single query, weights the tokens for the readout.

    Raises
    ------
    CifarcamError
        When there is none, when it is not over the same tokens everywhere or is within windows of
        the image, or when the tokens form no known grid.
    """
    calls, every = [], []
    for index, call in enumerate(layers.calls):
        replacement, weights = _with_weights(call, -1 - index, layers)
        calls.append(replacement)
        if weights is not None:
            every.append(_Weights(call, weights, *_sizes(call, layers)))
    matrices = [each for each in every if each.rows == each.columns != 1]
    if not matrices:
        raise CifarcamError(
            f"{needer} needs attention, and none is seen in this model; give a vision transformer "
            "with keras.layers.MultiHeadAttention, or another method"
            + "".join(f"; {name} could not be opened: {why}" for name, why in layers.closed.items())
        )
    if None in layers.image_shape[1:] and any(0 in (each.rows, each.columns) for each in every):
        raise CifarcamError(
            f"{needer} needs to know how the tokens lie on the image, and the size of the image "
            f"decides how many tokens there are; {FIX_SIZE}"
        )
    count = matrices[-1].rows
    pooling = [
        each
        for each in every[every.index(matrices[-1]) + 1 :]
        if {each.rows, each.columns} == {1, count}
    ]
    for each in every:
        is_other = each not in matrices or each.rows != count or not each.is_own
        # A softmax of one row may be part of a gate.
        if is_other and each not in pooling and (min(each.rows, each.columns) > 1 or each.is_layer):
            raise CifarcamError(
                f"{needer} needs attention of {count} tokens to each other in all layers, and in "
                f"{each.call.path!r} {each.rows} tokens attend to {each.columns} others; give "
                "another method"
            )
    if any(key in layers.windows for each in matrices for key in each.call.outputs):
        raise CifarcamError(
            f"{needer} needs attention between all tokens of an image, and this model has "
            "attention between the tokens of a window; give another method"
        )
    tokens = layers.last_tokens(count)
    grid = None if tokens is None else layers.grid(tokens)
    if tokens is None or grid is None:
        raise CifarcamError(
            f"{needer} cannot see how the {count} tokens lie on the image; give tokens=(rows, "
            "columns)"
        )
    shares = layers.token_gradients[tokens]
    start = layers.calls.index(matrices[0].call)
    after = calls[start:]
    results = {output for call in after for output in call.outputs}
    between = dict.fromkeys(key for call in after for key in call.inputs if key not in results)
    return Attention(
        paths=tuple(each.call.path for each in matrices),
        tokens=count,
        grid=grid,
        readout=(shares / max(shares.sum(), 1)).astype(np.float32),
        _before=calls[:start],
        _after=after,
        _between=list(between),
        _images=layers.images,
        _score=layers.score,
        _matrices=[each.key for each in matrices],
        _pooling=pooling[-1].key if pooling else None,
    )


def _with_weights(call: Call, key: Key, layers: Layers) -> tuple[Call, Key | None]:
    """The call, with its attention weights as a further output `key`, and the weights' key.

    The call itself, and None, if it is no attention.
    """
    operation = call.operation
    if operation is None:
        return call, None
    if (
        isinstance(operation, keras.Layer)
        and _SCORES in inspect.signature(operation.call).parameters
    ):
        if len(call.outputs) == 2:  # the model itself asks for them
            return call, call.outputs[1]
        return _replaced(call, key, _layer_with_weights), key
    if kind(operation) == "dotproductattention":
        return _replaced(call, key, _product_with_weights), key
    output = call.outputs[0]
    is_softmax = activation_name(operation) == "softmax" and layers.role(output) in (HEADS, TOKENS)
    if is_softmax and kind(operation) in ("softmax", "activation"):
        axis, shape = getattr(operation, "axis", -1), layers.tensor_shape(output)
        rows, columns = shape[-2:]
        over_columns = axis in (-1, len(shape) - 1)
        if over_columns and (len(shape) == 4 or rows in (1, columns)):
            return call, output
        if not over_columns and len(shape) == 3 and axis in (1, -2) and columns == 1:
            return call, output
    return call, None


def _sizes(call: Call, layers: Layers) -> tuple[int, int, bool]:
    """From how many tokens to how many a call attends, and whether these may be the same."""
    operation = call.operation
    if kind(operation) in ("softmax", "activation"):
        rows, columns = layers.tensor_shape(call.outputs[0])[-2:]
        return rows or 0, columns or 0, True
    arguments = _arguments(call, list(call.inputs))
    query, value, *others = arguments.get("inputs") or [arguments["query"], arguments["value"]]
    key = next((each for each in (*others, arguments.get("key")) if each is not None), value)
    rows, columns = (layers.tensor_shape(source)[1] or 0 for source in (query, key))
    # Queries and keys of a product were made of tokens that it does not show.
    return rows, columns, query == key or kind(operation) == "dotproductattention"


def _arguments(call: Call, values: Sequence[Any]) -> dict[str, Any]:
    """The arguments of a call by name, with `values` in place of its tensors."""
    assert call.node is not None  # only a cast has none
    args, kwargs = call.node.arguments(values)
    return inspect.signature(call.operation.call).bind(*args, **kwargs).arguments


def _replaced(call: Call, key: Key, function: Any) -> Call:
    return dataclasses.replace(
        call,
        outputs=(*call.outputs, key),
        run=lambda values: keras.tree.flatten(function(call, values)),
    )


def _layer_with_weights(call: Call, values: Sequence[Any]) -> Any:
    """The output of an attention layer, and its weights."""
    assert call.node is not None  # only a cast has none
    args, kwargs = call.node.arguments(values)
    return call.operation(*args, **{**kwargs, "training": False, _SCORES: True})


def _product_with_weights(call: Call, values: Sequence[Any]) -> tuple[tf.Tensor, tf.Tensor]:
    """The output of `keras.ops.dot_product_attention`, and its weights.

    With the identity in place of the values, N x tokens x heads x tokens, the function returns its
    own weights.
    """
    arguments = _arguments(call, values)
    own = arguments.pop("value")
    count, heads = own.shape[1:3]
    eye = tf.eye(count, dtype=own.dtype)[tf.newaxis, :, tf.newaxis]
    eye = tf.tile(eye, [tf.shape(own)[0], 1, heads, 1])
    weights = tf.transpose(call.operation(**arguments, value=eye), [0, 2, 1, 3])
    own = tf.repeat(own, weights.shape[1] // heads, axis=2)  # heads may share values
    return tf.einsum("nhts,nshd->nthd", weights, own), weights
