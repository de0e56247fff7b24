"""The layer that a method explains by default."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from cifarcam.errors import CifarcamError
from cifarcam.explain._keras import ONLY_IN_TRAINING, kind
from cifarcam.explain._layers import FIX_SIZE, Layers
from cifarcam.explain._opening import Call, Key
from cifarcam.explain._tokens import TOKENS

# Of these layers a heatmap shows nothing that the layer before does not show more finely.
_PADDINGS = ("zeropadding2d", "cropping2d", "pad")
_POOLINGS = ("maxpooling2d", "averagepooling2d", "maxpool", "averagepool")
# And of these layers of tokens: a map laid out as tokens, a part of them, or their normalisation.
_PASSED_TOKENS = (
    *("reshape", "permute", "transpose"),
    *("getitem", "slice", "cropping1d"),
    *("layernormalization", "rmsnormalization", "layernorm", "rmsnorm"),
)
# With their weights alone, a map is still an image.
_OF_IMAGES = ("normalization", "batchnormalization")


def default_layer(layers: Layers) -> tuple[str, Key]:
    """The path and key of the layer explained by default.

    The last layer through which everything passes to the score: a map with more than one
    position that is no padding, cropping or pooling, or tokens on a grid that get a gradient
    and are no normalisation of the tokens before. Of the last layer of a vision transformer
    only the class token may get one. Layers that only act in training, as Dropout, are none.

    Where the output itself is a map, as in segmentation, it is the bottleneck: the last of the maps
    with the fewest positions. Vinogradova et al. (2020), Towards Interpretable Semantic
    Segmentation via Gradient-Weighted Class Activation Mapping, find the bottleneck of a U-Net
    more informative than the layers near the output, whose maps resemble the output.

    Raises
    ------
    CifarcamError
        When there is none, the score needs several maps of which none has all evidence, or it is
        made of tokens whose number depends on the size of the image.
    """
    candidates = _candidates(layers)
    maps = [(path, key) for path, key in candidates if len(layers.tensor_shape(key)) == 4]
    output = layers.tensor_shape(layers.score)
    if len(output) == 4 and output[1:3] != (1, 1):
        own = _output_alone(layers)
        before = [(path, key) for path, key in maps if key not in own]
        if before:
            return _bottleneck(layers, before)
    whole = {
        key
        for key, reached in layers.token_gradients.items()
        if (grid := layers.grid(key)) is not None and reached[grid.prefix :].any()
    }
    whole.update(key for _, key in maps if key in layers.choke_points)
    last = [(path, key) for path, key in candidates if key in whole]
    _check_open_tokens(layers, last)
    ends = _ends(layers, maps) if not last else last[-1:]
    if not ends:
        raise CifarcamError(
            "the model has no layer with a spatial (4-D) output to explain, and no tokens whose "
            "grid is known; give tokens=(rows, columns) if it is a vision transformer"
        )
    if len(ends) > 1:
        raise CifarcamError(
            f"the score is made of {len(ends)} maps, and no layer has the evidence of all; give "
            f"layer={[path for path, _ in ends]}, or one of them"
        )
    return ends[0]


def _candidates(layers: Layers) -> list[tuple[str, Key]]:
    """Path and key of the maps and of the tokens on a grid that can be the default, in order.

    Images that are only rescaled or normalised are none, if there is any other.
    """
    families = _families(layers)
    candidates = [
        (path, key)
        for path, key, _ in layers.places
        if key in families and _can_be_default(layers, key, families[key])
    ]
    features: set[Key] = set()
    for call in layers.calls:
        if features.intersection(call.inputs) or _is_weighted(call):
            features.update(call.outputs)
    return [(path, key) for path, key in candidates if key in features] or candidates


def _families(layers: Layers) -> dict[Key, str]:
    """The kind of the operation that makes each tensor."""
    return {
        key: "" if call.operation is None else kind(call.operation)
        for call in layers.calls
        for key in call.outputs
    }


def _can_be_default(layers: Layers, key: Key, family: str) -> bool:
    if family in ONLY_IN_TRAINING:
        return False
    if len(layers.tensor_shape(key)) == 3:
        return layers.grid(key) is not None and family not in _PASSED_TOKENS
    is_spatial = layers.is_map(key) and layers.tensor_shape(key)[1:3] != (1, 1)
    return is_spatial and family not in (*_PADDINGS, *_POOLINGS)


def _check_open_tokens(layers: Layers, last: Sequence[tuple[str, Key]]) -> None:
    """Check that no tokens after the patch embedding are as many as the image's size decides."""
    if last and _weighted_layers(layers, last[-1][1]) > 1:
        return  # the sequence of a network of convolutions, as in reading
    families = _families(layers)
    for path, key, _ in reversed(layers.places):
        if last and key == last[-1][1]:
            return
        is_tokens = key in layers.choke_points and layers.role(key) == TOKENS
        if is_tokens and layers.has_open_tokens(key) and families[key] not in _PASSED_TOKENS:
            raise CifarcamError(
                f"layer {path!r} has tokens whose rows and columns depend on the size of the "
                f"image; {FIX_SIZE}, or give an earlier layer: {layers.allowed()}"
            )


def _weighted_layers(layers: Layers, key: Key) -> int:
    """The number of layers with weights that lead from the images to a tensor."""
    needed, count = {key}, 0
    for call in reversed(layers.calls):
        if needed.intersection(call.outputs):
            needed.update(call.inputs)
            count += _is_weighted(call)
    return count


def _is_weighted(call: Call) -> bool:
    """Whether a call has weights that make more of an image than another image."""
    operation = call.operation
    has_weights = isinstance(operation, keras.Layer) and bool(operation.weights)
    return has_weights and kind(operation) not in _OF_IMAGES


def _ends(layers: Layers, maps: Sequence[tuple[str, Key]]) -> list[tuple[str, Key]]:
    """Those of the maps of which no other is made."""
    ends = []
    for path, key in maps:
        after = {key}
        for call in layers.calls:
            if after.intersection(call.inputs):
                after.update(call.outputs)
        if not any(other in after for _, other in maps if other != key):
            ends.append((path, key))
    return ends


def _output_alone(layers: Layers) -> set[Key]:
    """The output, and the tensors that only lack an activation or a resize to be the output."""
    makers = {key: call for call in layers.calls for key in call.outputs}
    keys, key = {layers.score}, layers.score
    while key in makers:
        call = makers[key]
        if len(call.inputs) != 1 or (
            isinstance(call.operation, keras.Layer) and call.operation.weights
        ):
            break
        (key,) = call.inputs
        keys.add(key)
    return keys


def _bottleneck(layers: Layers, maps: Sequence[tuple[str, Key]]) -> tuple[str, Key]:
    """The last of the maps with the fewest positions."""
    shapes = [layers.tensor_shape(key) for _, key in maps]
    if any(None in shape[1:3] for shape in shapes):
        shapes = [layers.traced_shapes[key] for _, key in maps]
    positions = [(shape[1] or 0) * (shape[2] or 0) for shape in shapes]
    least = min(positions)
    return [place for place, count in zip(maps, positions, strict=True) if count == least][-1]
