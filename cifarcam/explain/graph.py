"""A Keras classifier as a flat list of calls, split at a layer and cut before its softmax."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import keras

from cifarcam.errors import CifarcamError
from cifarcam.explain._default_layer import default_layer
from cifarcam.explain._ends import before_activation
from cifarcam.explain._keras import Symbol, inner_layers, is_keras_2
from cifarcam.explain._layers import Layers
from cifarcam.explain._opening import (
    Call,
    Key,
    Opener,
    leading_to,
    run_calls,
)
from cifarcam.explain._tokens import Grid, Shape, checked_tokens
from cifarcam.explain._tracing import check_input, open_model
from cifarcam.explain.input_range import InputRange, range_of_calls

INPUT = ""  # the name of the images where a layer is named


@dataclass(frozen=True)
class SplitModel:
    """A classifier in two parts that share its variables.

    Attributes
    ----------
    layer
        The path of the layer at which it is split, such as ``backbone/conv5``.
    stem
        Images (float32, N x H x W x C) -> list of tensors: the layer's activations (N x h x w x
        channels) first, then the other tensors that `head` needs: tensors that bypass the layer, and
        the class token of a layer of tokens.
    head
        That list -> scores before the softmax, N x units.
    """

    layer: str
    stem: Callable[[Any], list[Any]]
    head: Callable[[Sequence[Any]], Any]


@dataclass
class FlatModel:
    """A classifier's calls in order, from its one input to the output explained.

    Attributes
    ----------
    image_shape
        Height, width and channels; None where any size fits.
    image_dtype
        The type to which the model casts images first.
    batch_size
        The number of images that the model requires; None where any number fits.
    output
        The index of the output explained.
    units
        The number of units of that output.
    activation
        ``"softmax"``, ``"sigmoid"`` or ``"linear"``: what follows the score.
    """

    image_shape: tuple[int | None, ...]
    image_dtype: str
    batch_size: int | None
    output: int
    units: int
    activation: str
    _input: Key
    _score: Key
    _calls: list[Call]
    _places: list[tuple[str, Key, tuple[int | None, ...]]]  # path, key, shape, in order
    _closed: Mapping[str, str] = field(default_factory=dict)  # layers not opened, with the reason
    _tokens: tuple[int, int] | None = None  # rows and columns of tokens, of a user

    def outputs(self, images: Any) -> Any:
        """Images (float32) -> scores before the softmax, N x units."""
        return self.split(INPUT).head([images])

    def input_range(self, channels: int) -> InputRange | None:
        """What black and white are, where the leading layer shows it."""
        return range_of_calls(self._leading_to([self._score]), self._input, channels)

    def weighted_layers(self) -> list[keras.Layer]:
        """The layers that have weights, each once, from the images to the score."""
        calls = self._leading_to([self._score])
        used = [operation for call in calls for operation in (call.owner, call.operation)]
        return list(dict.fromkeys(o for o in used if isinstance(o, keras.Layer) and o.weights))

    def precisions(self) -> set[str]:
        """The number formats of the layers before the score, such as ``"float16"``."""
        layers = [
            layer
            for call in self._leading_to([self._score])
            if isinstance(call.operation, keras.Layer)
            for layer in (call.operation, *inner_layers(call.operation))
        ]
        formats = {layer.compute_dtype for layer in layers}
        return formats | {layer.quantization_mode for layer in layers if layer.quantization_mode}

    @cached_property
    def layers(self) -> Layers:
        """The layers that can be explained."""
        image_shape = (self.batch_size, *self.image_shape)
        calls = self._leading_to([self._score])
        return Layers(
            calls, self._places, self._closed, self._input, image_shape, self._score, self._tokens
        )

    def _place(self, layer: str | None) -> tuple[str, Key]:
        """The path and key of a layer, by default of the layer explained by default."""
        return self._default if layer is None else self.layers.find(layer)

    @cached_property
    def _default(self) -> tuple[str, Key]:
        return default_layer(self.layers)

    def map_shape(self, layer: str | None = None) -> Shape:
        """Height, width and channels of a layer's map, by default of the layer explained.

        Raises
        ------
        CifarcamError
            When there is no such layer, or its output is neither 4-D nor of tokens on a grid.
        """
        _, key = self._place(layer)
        return self.layers.map_shape(key)

    def split(self, layer: str | None) -> SplitModel:
        """Split at a layer; by default at the layer that `default_layer` names.

        Raises
        ------
        CifarcamError
            When there is no such layer, or its output is neither 4-D nor of tokens on a grid.
        """
        path, key = (INPUT, self._input) if layer == INPUT else self._place(layer)
        after = {key}
        for call in self._calls:
            if any(source in after for source in call.inputs):
                after.update(call.outputs)
        if self._score not in after:
            raise CifarcamError(
                f"the score does not depend on layer {path!r}, so no gradient reaches it; "
                "give a layer on the way to the output"
            )
        head_calls = [
            call
            for call in self._leading_to([self._score])
            if after.intersection(call.outputs) and key not in call.outputs
        ]
        outputs = {output for call in head_calls for output in call.outputs}
        bypassing = dict.fromkeys(k for c in head_calls for k in c.inputs if k not in outputs)
        bypassing.pop(key, None)
        between = [key, *bypassing]
        stem_calls = self._leading_to(between)

        def stem(images: Any) -> list[Any]:
            return run_calls(stem_calls, {self._input: images}, between)

        def head(tensors: Sequence[Any]) -> Any:
            tensors_by_key = dict(zip(between, tensors, strict=True))
            return run_calls(head_calls, tensors_by_key, [self._score])[0]

        grid = None if path == INPUT else self.layers.grid(key)
        return SplitModel(path, stem, head) if grid is None else _on_grid(path, stem, head, grid)

    def _leading_to(self, keys: Iterable[Key]) -> list[Call]:
        return leading_to(self._calls, keys)


def _on_grid(
    path: str,
    stem: Callable[[Any], list[Any]],
    head: Callable[[Sequence[Any]], Any],
    grid: Grid,
) -> SplitModel:
    """A split at a layer of tokens whose stem returns the map, and the tokens before it last."""

    def map_stem(images: Any) -> list[Any]:
        tokens, *others = stem(images)
        prefix = [tokens[:, : grid.prefix]] if grid.prefix else []
        return [grid.map_of(tokens), *others, *prefix]

    def map_head(tensors: Sequence[Any]) -> Any:
        on_grid, *others = tensors
        prefix = others.pop() if grid.prefix else None
        return head([grid.tokens_of(on_grid, prefix), *others])

    return SplitModel(path, map_stem, map_head)


def flatten(
    model: keras.Model,
    output: str | int | None = None,
    *,
    is_classifier: bool = True,
    tokens: tuple[int, int] | None = None,
) -> FlatModel:
    """Open a classifier into a flat list of calls that ends before its softmax or sigmoid.

    Parameters
    ----------
    model
        Sequential, functional or subclassed, with one input, N x H x W x C, and at least one
        output of N x units.
    output
        The name or index of the output to explain, of a model that has several.
    is_classifier
        Whether the output is N x classes. Of another model the list ends with the model, and the
        output has any shape.
    tokens
        The numbers of rows and columns of layers of tokens; by default the patches' own.

    Raises
    ------
    CifarcamError
        When the model is of another kind, not built, or ends in an activation without a score, or
        no layer has as many tokens.
    """
    if not isinstance(model, keras.Model):
        advice = " of Keras 3 but of Keras 2; build it with Keras 3 and load its weights"
        raise CifarcamError(
            f"{type(model).__name__} is not a Keras model{advice * is_keras_2(model)}"
        )
    opener = Opener()
    graph, names = open_model(model)
    check_input(graph.inputs)
    index = _output_index(graph.outputs, names, output)
    if is_classifier:
        _check_classes(graph.outputs[index].shape)
    start = opener.key()
    ends = opener.add(graph, [start], prefix="")
    end = ends[index]
    score, activation = before_activation(opener, end) if is_classifier else (end, "linear")
    flat = FlatModel(
        image_shape=tuple(graph.inputs[0].shape[1:]),
        image_dtype=graph.inputs[0].dtype,
        batch_size=graph.inputs[0].shape[0],
        output=index,
        units=int(graph.outputs[index].shape[-1] or 0),
        activation=activation,
        _input=start,
        _score=score,
        _calls=opener.calls,
        _places=opener.places,
        _closed=opener.closed,
        _tokens=None if tokens is None else checked_tokens(tokens),
    )
    if tokens is not None:
        flat.layers.check_tokens()
    return flat


def _output_index(outputs: Sequence[Symbol], names: Sequence[str], output: str | int | None) -> int:
    """The index of the output to explain, given by name or index."""
    listed = ", ".join(f"{index} ({name})" for index, name in enumerate(names))
    if output is None:
        if len(outputs) > 1:
            raise CifarcamError(
                f"the model has {len(outputs)} outputs; name the output to explain: {listed}"
            )
        index = 0
    elif isinstance(output, str) and output in names:
        index = list(names).index(output)
    elif str(output) in map(str, range(len(outputs))):
        index = int(output)
    else:
        raise CifarcamError(f"the model has no output {output!r}; its outputs are {listed}")
    return index


def _check_classes(shape: tuple[int | None, ...]) -> None:
    if len(shape) != 2 or shape[1] is None:
        raise CifarcamError(
            f"the model's output has shape {shape}, not N x classes; give Classifier(model, "
            "score=...), a function of outputs and targets that returns one number per image"
        )
