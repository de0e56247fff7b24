"""Which tensors of a network are maps of the image, and which are tokens that form such a map."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from cifarcam.errors import CifarcamError
from cifarcam.explain._keras import kind
from cifarcam.explain._opening import Call, Key, run_calls
from cifarcam.explain._random_images import on_fitting_size

Shape = tuple[int | None, ...]

MAP, HEADS, TOKENS = "map", "heads", "tokens"
MOST_PREFIX = 2  # class and distillation tokens, where the grid is not known


@dataclass(frozen=True)
class Grid:
    """How tokens, N x tokens x width, lie on the image, row by row.

    Attributes
    ----------
    height, width
        The numbers of rows and columns.
    prefix
        The number of tokens before the tokens of the grid: class, distillation and register tokens.
    """

    height: int
    width: int
    prefix: int

    def map_of(self, tokens: tf.Tensor) -> tf.Tensor:
        """N x height x width x channels, without the tokens before the grid."""
        on_grid = tokens[:, self.prefix :]
        return tf.reshape(on_grid, [-1, self.height, self.width, on_grid.shape[-1]])

    def tokens_of(self, grid: tf.Tensor, prefix: tf.Tensor | None) -> tf.Tensor:
        """N x tokens x channels, from the map and the tokens before it."""
        on_grid = tf.reshape(grid, [-1, self.height * self.width, grid.shape[-1]])
        return on_grid if prefix is None else tf.concat([prefix, on_grid], axis=1)


def checked_tokens(tokens: Any) -> tuple[int, int]:
    """The numbers of rows and columns of tokens that a user gives.

    Raises
    ------
    CifarcamError
        When it is not a pair of whole numbers above 0.
    """
    try:
        height, width = (int(number) for number in tokens)
        is_pair = (height, width) == tuple(tokens) and min(height, width) > 0
    except (TypeError, ValueError):
        is_pair = False
    if not is_pair:
        raise CifarcamError(
            f"tokens is {tokens!r}; give the numbers of rows and columns, such as (14, 14)"
        )
    return height, width


def grid_of_maps(count: int, maps: Sequence[tuple[int, int]]) -> Grid | None:
    """The grid of `count` tokens, from the heights and widths of the maps before them in order.

    It is the grid of the last map with as many positions as there are tokens, or up to two fewer;
    or else the last map's grid of square patches.
    """
    for height, width in reversed(maps):
        if 1 < height * width <= count <= height * width + MOST_PREFIX:
            return Grid(height, width, count - height * width)
    for prefix in range(MOST_PREFIX + 1) if maps and count > MOST_PREFIX + 1 else ():
        height, width = maps[-1]
        side = math.isqrt(height * width // (count - prefix))
        fits = side and height % side == width % side == 0
        if fits and height * width == side**2 * (count - prefix):
            return Grid(height // side, width // side, prefix)
    return None


def grid_of_user(count: int, tokens: tuple[int, int]) -> Grid | None:
    """The grid that a user gives, if `count` tokens fit it, with any number of tokens before it.

    They fit if fewer tokens come before the grid than are on the grid: DINOv2 has four registers
    beside the class token (Darcet et al. 2024, Vision Transformers Need Registers).
    """
    positions = tokens[0] * tokens[1]
    prefix = count - positions
    return Grid(*tokens, prefix) if 0 <= prefix < positions else None


def shapes_of(calls: Sequence[Call], images: Key, image_shape: Shape) -> dict[Key, Shape]:
    """The shape of each tensor as Keras knows it, with None for the number of images."""
    shapes: dict[Key, Shape] = {images: (None, *image_shape)}
    for call in calls:
        if call.node is None:  # a cast, or the end of an opened layer
            shapes.update(zip(call.outputs, (shapes[key] for key in call.inputs), strict=True))
        else:
            outputs = (tuple(symbol.shape) for symbol in call.node.outputs)
            shapes.update(zip(call.outputs, outputs, strict=True))
    return shapes


def traced_shapes(calls: Sequence[Call], images: Key, image_shape: Shape) -> dict[Key, Shape]:
    """The shape of each tensor for a batch of images, where any fits of the largest size that does.

    `image_shape` is the number of images, by default 2, height, width and channels. The first size
    of a tensor shows whether it is made of whole images, or of windows of images.

    Raises
    ------
    CifarcamError
        When the calls fail on images of every size.
    """
    keys = [images, *(key for call in calls for key in call.outputs)]

    def trace(*size: int) -> dict[Key, Shape]:
        graph = tf.function(
            lambda pixels: run_calls(calls, {images: pixels}, keys), autograph=False
        ).get_concrete_function(tf.TensorSpec([image_shape[0] or 2, *size], tf.float32))
        tensors = zip(keys, graph.structured_outputs, strict=True)
        # TensorFlow does not know how many axes the output of a Python function has.
        shapes = {key: tensor.shape for key, tensor in tensors}
        return {key: (None,) if s.rank is None else tuple(s) for key, s in shapes.items()}

    return on_fitting_size(image_shape[1:], trace, largest_first=True)


def roles_of(calls: Sequence[Call], shapes: Mapping[Key, Shape], images: Key) -> dict[Key, str]:
    """What tensors are: a map of the image, tokens, or tokens by attention heads; others have none.

    A tensor of four or more axes that is made of tokens belongs to attention heads, and so does
    what is made of it, until a call lays it out as a map again. That tells queries, N x tokens x
    heads x width, and attention, N x heads x tokens x tokens, from maps.
    """
    roles = {images: MAP}
    grids = {shapes[images][1:3]}
    counts: set[int | None] = set()
    for call in calls:
        for key in call.outputs:
            role = _role(call, key, shapes, roles, (grids, counts))
            if role is not None:
                roles[key] = role
            if role == MAP:
                grids.add(shapes[key][1:3])
            elif role == TOKENS:
                counts.add(shapes[key][1])
    return roles


def _role(
    call: Call,
    key: Key,
    shapes: Mapping[Key, Shape],
    roles: Mapping[Key, str],
    before: tuple[set[Shape], set[int | None]],
) -> str | None:
    shape = shapes[key]
    if call.node is None:  # a cast, or the end of an opened layer
        return roles.get(call.inputs[call.outputs.index(key)])
    if len(shape) < 3:
        return None
    if len(shape) == 3:
        return TOKENS if any(source in roles for source in call.inputs) else None
    grids, counts = before
    positions, is_grid = _positions(shape), 1 not in shape[1:3]
    deep = [source for source in call.inputs if len(shapes[source]) > 3]
    flat = [source for source in call.inputs if len(shapes[source]) == 3]
    if deep:
        is_map = any(roles[source] == MAP for source in deep) or (
            # Heads joined and laid out at once.
            kind(call.operation) == "reshape"
            and is_grid
            and shape[1:3] in grids
            and positions in counts
        )
    else:
        others = [(shapes[source][1] or 0) - positions for source in flat]
        is_map = not flat or (is_grid and any(0 <= count <= MOST_PREFIX for count in others))
    return MAP if is_map else HEADS


def _positions(shape: Shape) -> int:
    return math.prod(size or 0 for size in shape[1:3])


def choke_points(calls: Sequence[Call], images: Key, score: Key) -> set[Key]:
    """The tensors through which everything passes from the images to the score.

    `calls` are those on which the score depends. Images and score do not count.
    """
    last_use = {key: index for index, call in enumerate(calls) for key in call.inputs}
    live, points = {images}, set()
    for index, call in enumerate(calls):
        if not live.intersection(call.inputs) and call.inputs:
            continue  # made of constants alone
        live = {key for key in live if last_use[key] > index}
        live.update(key for key in call.outputs if last_use.get(key, -1) > index)
        if len(live) == 1:
            points |= live
    return points - {images, score}


def tokens_with_gradient(
    calls: Sequence[Call], images: Key, pixels: np.ndarray, score: Key, keys: Sequence[Key]
) -> list[np.ndarray]:
    """Which tokens the gradient of the score reaches, of tensors N x tokens x width.

    It is measured with random factors of the score's units.

    Parameters
    ----------
    calls, images, score
        The calls on which the score depends, and the keys of images and score.
    pixels
        Images, float32, N x H x W x C.
    keys
        The tensors in order; everything passes through the first.

    Returns
    -------
    list of numpy.ndarray
        One per key: bool, tokens.
    """
    start = next(index for index, call in enumerate(calls) if keys[0] in call.outputs) + 1
    (first,) = run_calls(calls[:start], {images: tf.constant(pixels)}, keys[:1])
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(first)
        end, *tensors = run_calls(calls[start:], {keys[0]: first}, [score, *keys])
        end = tf.cast(end, tf.float32)
        # A large factor keeps gradients in float16 above zero.
        factors = 1024 * np.random.default_rng(1).normal(size=end.shape).astype(np.float32)
        total = tf.reduce_sum(end * factors)
    gradients = tape.gradient(total, tensors)
    return [
        np.zeros(tensor.shape[1], bool)
        if gradient is None
        else (gradient.numpy() != 0).any(axis=(0, 2))
        for tensor, gradient in zip(tensors, gradients, strict=True)
    ]
