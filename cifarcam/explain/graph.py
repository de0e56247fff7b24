"""A Keras classifier as a flat list of calls, split at a layer and cut before its softmax."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from cifarcam.errors import CifarcamError
from cifarcam.explain._ends import before_activation
from cifarcam.explain._keras import Symbol, inner_layers, is_keras_2, kind
from cifarcam.explain._opening import Call, Key, Opener, check_input, open_model, run_calls

_PADDINGS = ("zeropadding2d", "cropping2d", "pad")  # a heatmap there shows nothing new
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
        channels) first, then the other tensors that `head` needs, which bypass the layer.
    head
        That list -> scores before the softmax, N x outputs.
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
    outputs
        The number of units of that output.
    activation
        ``"softmax"``, ``"sigmoid"`` or ``"linear"``: what follows the score.
    """

    image_shape: tuple[int | None, ...]
    image_dtype: str
    batch_size: int | None
    output: int
    outputs: int
    activation: str
    _input: Key
    _score: Key
    _calls: list[Call]
    _places: list[tuple[str, Key, tuple[int | None, ...]]]  # path, key, shape, in order
    _closed: Mapping[str, str] = field(default_factory=dict)  # layers not opened, with the reason

    def score(self, images: Any) -> Any:
        """Images (float32) -> scores before the softmax, N x outputs."""
        return self.split(INPUT).head([images])

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

    def layer_shape(self, layer: str | None = None) -> tuple[int | None, ...]:
        """Height, width and channels of a layer's output, by default of the layer explained.

        Raises
        ------
        CifarcamError
            When there is no such layer, or its output is not 4-D.
        """
        _, key = self._find(layer)
        return next(shape[1:] for _, place, shape in self._places if place == key)

    def split(self, layer: str | None) -> SplitModel:
        """Split at a layer; by default at the last layer with more than one spatial position.

        A padding or cropping is never the default layer.

        Raises
        ------
        CifarcamError
            When there is no such layer, its output is not 4-D, or the score does not depend on it.
        """
        path, key = (INPUT, self._input) if layer == INPUT else self._find(layer)
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
        computed = {output for call in head_calls for output in call.outputs}
        bypassing = dict.fromkeys(k for c in head_calls for k in c.inputs if k not in computed)
        bypassing.pop(key, None)
        between = [key, *bypassing]
        stem_calls = self._leading_to(between)

        def stem(images: Any) -> list[Any]:
            return run_calls(stem_calls, {self._input: images}, between)

        def head(tensors: Sequence[Any]) -> Any:
            tensors_by_key = dict(zip(between, tensors, strict=True))
            return run_calls(head_calls, tensors_by_key, [self._score])[0]

        return SplitModel(path, stem, head)

    def _leading_to(self, keys: Iterable[Key]) -> list[Call]:
        """The calls on which tensors depend, in order."""
        needed = set(keys)
        calls = []
        for call in reversed(self._calls):
            if needed.intersection(call.outputs):
                needed.update(call.inputs)
                calls.append(call)
        return calls[::-1]

    def _find(self, layer: str | None) -> tuple[str, Key]:
        """The path and the key of a layer by name or path, or of the default layer."""
        if layer is None:
            return self._default_layer()
        spatial = [path for path, _, shape in self._places if len(shape) == 4]
        allowed = "layers with a 4-D output are " + ", ".join(spatial)
        exact = [place for place in self._places if place[0] == layer]
        places = exact or [place for place in self._places if place[0].endswith("/" + layer)]
        if not places:
            hidden = "".join(
                f"; {name} could not be opened: {why}" for name, why in self._closed.items()
            )
            raise CifarcamError(f"the model has no layer {layer!r}; {allowed}{hidden}")
        if len({path for path, *_ in places}) > 1:
            paths = ", ".join(path for path, *_ in places)
            raise CifarcamError(f"several layers are called {layer!r}; give a path: {paths}")
        if len(places) > 1:
            raise CifarcamError(
                f"layer {layer!r} is used {len(places)} times in the model; {allowed}"
            )
        path, key, shape = places[0]
        if len(shape) != 4:
            raise CifarcamError(f"layer {layer!r} has no spatial (4-D) output; {allowed}")
        return path, key

    def _default_layer(self) -> tuple[str, Key]:
        on_the_way = {
            key
            for call in self._leading_to([self._score])
            if call.operation is None or kind(call.operation) not in _PADDINGS
            for key in call.outputs
        }
        wide = [
            (path, key)
            for path, key, shape in self._places
            if len(shape) == 4 and tuple(shape[1:3]) != (1, 1) and key in on_the_way
        ]
        if not wide:
            raise CifarcamError("the model has no layer with a spatial (4-D) output to explain")
        return wide[-1]


def flatten(model: keras.Model, output: str | int | None = None) -> FlatModel:
    """Open a classifier into a flat list of calls that ends before its softmax or sigmoid.

    Parameters
    ----------
    model
        Sequential, functional or subclassed, with one input, N x H x W x C, and at least one
        output of N x units.
    output
        The name or index of the output to explain, of a model that has several.

    Raises
    ------
    CifarcamError
        When the model is of another kind, not built, or ends in an activation without a score.
    """
    if not isinstance(model, keras.Model):
        advice = " of Keras 3 but of Keras 2; build it with Keras 3 and load its weights"
        raise CifarcamError(
            f"{type(model).__name__} is not a Keras model{advice * is_keras_2(model)}"
        )
    opened = Opener()
    graph, names = open_model(model)
    check_input(graph.inputs)
    index = _output_index(graph.outputs, names, output)
    start = opened.key()
    ends = opened.add(graph, [start], prefix="")
    score, activation = before_activation(opened, ends[index])
    return FlatModel(
        image_shape=tuple(graph.inputs[0].shape[1:]),
        image_dtype=graph.inputs[0].dtype,
        batch_size=graph.inputs[0].shape[0],
        output=index,
        outputs=int(graph.outputs[index].shape[-1]),
        activation=activation,
        _input=start,
        _score=score,
        _calls=opened.calls,
        _places=opened.places,
        _closed=opened.closed,
    )


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
    shape = outputs[index].shape
    if len(shape) != 2 or shape[1] is None:
        raise CifarcamError(f"the model's output has shape {shape}, not N x classes")
    return index
