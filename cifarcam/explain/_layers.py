"""The layers of a model that can be explained: maps of the image, and tokens on a grid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.explain._opening import Call, Key, leading_to
from cifarcam.explain._random_images import on_fitting_size, random_images
from cifarcam.explain._tokens import (
    MAP,
    TOKENS,
    Grid,
    Shape,
    choke_points,
    grid_of_maps,
    grid_of_user,
    roles_of,
    shapes_of,
    tokens_with_gradient,
    traced_shapes,
)

Place = tuple[str, Key, Shape]
FIX_SIZE = (
    "fix the size, such as by images = keras.Input((224, 224, 3)) and keras.Model(images, "
    "model(images))"
)


class Layers:
    """The layers that can be explained, of a flat list of calls.

    Parameters
    ----------
    calls
        The calls on which the score depends, in order.
    places
        Path, key and shape of the output of each operation, in order.
    closed
        Paths of the layers that could not be opened, with the reason.
    images, score
        The keys of the images and of the score.
    image_shape
        Number of images, height, width and channels; None where any fits.
    tokens
        The numbers of rows and columns of layers of tokens; None for the patches' own.
    """

    def __init__(
        self,
        calls: Sequence[Call],
        places: Sequence[Place],
        closed: Mapping[str, str],
        images: Key,
        image_shape: Shape,
        score: Key,
        tokens: tuple[int, int] | None,
    ) -> None:
        self.calls, self.closed = calls, closed
        self.images, self.score = images, score
        self.image_shape = image_shape
        self.places, self._user_grid = places, tokens
        self._shapes = shapes_of(calls, images, image_shape[1:])
        if None not in image_shape[1:] and any(None in s[1:] for s in self._shapes.values()):
            # An inner model may take images of any size.
            self._shapes = {
                key: shape[:1] + (self.traced_shapes[key][1:] or shape[1:])
                for key, shape in self._shapes.items()
            }
        self._roles = roles_of(calls, self._shapes, images)
        self._grids: dict[Key, Grid | None] = {}

    def tensor_shape(self, key: Key) -> Shape:
        """The shape of a tensor, with None for the number of images."""
        return self._shapes[key]

    def role(self, key: Key) -> str | None:
        """What a tensor is, as `roles_of` says."""
        return self._roles.get(key)

    def grid(self, key: Key) -> Grid | None:
        """The grid of a tensor of tokens, N x tokens x width; None of any other tensor."""
        if key not in self._grids:
            self._grids[key] = self._grid_of(key)
        return self._grids[key]

    def _grid_of(self, key: Key) -> Grid | None:
        shape = self._shapes.get(key, ())
        if len(shape) != 3 or shape[1] is None or key in self.windows:
            return None
        if self._user_grid is not None:
            return grid_of_user(shape[1], self._user_grid)
        if self._roles.get(key) != TOKENS:
            return None
        before = {output for call in leading_to(self.calls, [key]) for output in call.outputs}
        maps = [
            (height, width)
            for each, role in self._roles.items()
            if role == MAP and (each in before or each == self.images)
            for height, width in [self._shapes[each][1:3]]
            if height and width and len(self._shapes[each]) == 4
        ]
        return grid_of_maps(shape[1], maps)

    def map_shape(self, key: Key) -> Shape:
        """Height, width and channels of the map that a tensor is, or that its tokens form."""
        grid, shape = self.grid(key), self._shapes[key]
        return shape[1:] if grid is None else (grid.height, grid.width, shape[-1])

    def find(self, layer: str) -> tuple[str, Key]:
        """The path and the key of a layer by name or path.

        Raises
        ------
        CifarcamError
            When there is no such layer, or its output is neither 4-D nor of tokens on a grid.
        """
        exact = [place for place in self.places if place[0] == layer]
        places = exact or [place for place in self.places if place[0].endswith("/" + layer)]
        if not places:
            self._check_outputs(layer)
            hidden = "".join(
                f"; {name} could not be opened: {why}" for name, why in self.closed.items()
            )
            raise CifarcamError(f"the model has no layer {layer!r}; {self.allowed()}{hidden}")
        if len({path for path, *_ in places}) > 1:
            paths = ", ".join(path for path, *_ in places)
            raise CifarcamError(f"several layers are called {layer!r}; give a path: {paths}")
        if len(places) > 1:
            raise CifarcamError(
                f"layer {layer!r} is used {len(places)} times in the model; {self.allowed()}"
            )
        path, key, shape = places[0]
        if len(shape) in (3, 4) and key in self.windows:
            raise CifarcamError(
                f"the first axis of the output of layer {path!r} is not the images, but such as "
                f"windows of images; {self.allowed()}"
            )
        if len(shape) == 3:
            self._check_grid(path, key, shape)
        elif len(shape) != 4:
            raise CifarcamError(f"layer {path!r} has no spatial (4-D) output; {self.allowed()}")
        elif self._roles.get(key, MAP) != MAP:
            raise CifarcamError(
                f"the output of layer {path!r}, {' x '.join(map(str, shape[1:]))}, belongs to "
                f"attention heads and is no map of the image; {self.allowed()}"
            )
        return path, key

    def _check_outputs(self, layer: str) -> None:
        """Check that a layer without a place is no layer of several outputs, opened or not."""
        if any(f"/{layer}/" in f"/{call.path}/" for call in self.calls):
            raise CifarcamError(
                f"layer {layer!r} has several outputs, and a layer with one is needed; "
                f"{self.allowed()}"
            )

    def _check_grid(self, path: str, key: Key, shape: Shape) -> None:
        """Check that the tokens of a layer form a grid."""
        shape = self._shapes.get(key, shape)
        if self.has_open_tokens(key):
            raise CifarcamError(
                f"the rows and columns of the tokens of layer {path!r} depend on the size of the "
                f"image; {FIX_SIZE}"
            )
        if self.grid(key) is None:
            problem = (
                "the rows and columns of its tokens are not known; give tokens=(rows, columns)"
                if self._user_grid is None
                else f"tokens={self._user_grid} do not fit them"
            )
            raise CifarcamError(
                f"layer {path!r} has {shape[1]} tokens of {shape[2]} numbers, and {problem}; "
                f"{self.allowed()}"
            )

    def is_map(self, key: Key) -> bool:
        """Whether a tensor is a map of the image, N x h x w x channels."""
        is_map = self._roles.get(key) == MAP and len(self._shapes[key]) == 4
        return is_map and key not in self.windows

    def has_open_tokens(self, key: Key) -> bool:
        """Whether the size of the image decides how many tokens a tensor has."""
        shape = self._shapes.get(key, ())
        return None in self.image_shape[1:] and len(shape) == 3 and shape[1] is None

    @cached_property
    def traced_shapes(self) -> dict[Key, Shape]:
        """The shapes of all tensors for a batch of images of a size that fits."""
        return traced_shapes(self.calls, self.images, self.image_shape)

    @cached_property
    def windows(self) -> set[Key]:
        """The tensors whose first axis is not that of the images, such as windows of images."""
        if all(len(shape) in (0, 1, 2, 4) for shape in self._shapes.values()):
            return set()  # windows are cut out of a map with more axes
        count, *_ = self.traced_shapes[self.images]
        return {
            key
            for key, shape in self.traced_shapes.items()
            if key in self._roles and shape[0] not in (None, count)
        }

    def allowed(self) -> str:
        """The layers that can be given, for an error."""
        maps = _paths(place for place in self.places if self.is_map(place[1]))
        tokens = _paths(place for place in self.places if self.grid(place[1]) is not None)
        listed = [f"layers with a 4-D output are {maps}"] * bool(maps)
        listed += [f"layers of tokens are {tokens}"] * bool(tokens)
        return "; ".join(listed) or "no layer has a spatial (4-D) output"

    def check_tokens(self) -> None:
        """Check that a layer has as many tokens as a user gives.

        Raises
        ------
        CifarcamError
            When none has.
        """
        if all(self.grid(key) is None for _, key, _ in self.places):
            assert self._user_grid is not None
            if any(self.has_open_tokens(key) for _, key, _ in self.places):
                raise CifarcamError(
                    f"tokens is {self._user_grid}, but the size of the image decides how many "
                    f"tokens there are; {FIX_SIZE}"
                )
            height, width = self._user_grid
            shapes = [self._shapes.get(k, s) for _, k, s in self.places if k not in self.windows]
            counts = {shape[1] for shape in shapes if len(shape) == 3}
            raise CifarcamError(
                f"tokens is {self._user_grid}, but no layer has {height * width} tokens, or some more "
                "for the class and registers; layers have "
                f"{', '.join(map(str, sorted(c for c in counts if c))) or 'none'}"
            )

    @cached_property
    def choke_points(self) -> set[Key]:
        """The tensors through which everything passes from the images to the score."""
        return choke_points(self.calls, self.images, self.score)

    def last_tokens(self, count: int) -> Key | None:
        """The last tensor of `count` tokens through which everything passes to the score."""
        keys = [key for key, reached in self.token_gradients.items() if len(reached) == count]
        return keys[-1] if keys else None

    @cached_property
    def token_gradients(self) -> dict[Key, np.ndarray]:
        """Which tokens get a gradient of the score (bool, tokens), by the key of their tensor.

        These are the tensors of tokens on a grid through which everything passes to the score, in
        order. A network may read the class token alone.
        """
        named = {key for _, key, _ in self.places if key in self.choke_points and self.grid(key)}
        keys = [key for call in self.calls for key in call.outputs if key in named]
        if not keys:
            return {}

        def measure(*size: int) -> list[np.ndarray]:
            pixels = random_images(self.image_shape[0] or 2, *size)
            return tokens_with_gradient(self.calls, self.images, pixels, self.score, keys)

        return dict(zip(keys, on_fitting_size(self.image_shape[1:], measure), strict=True))


def _paths(places: Iterable[Place]) -> str:
    return ", ".join(dict.fromkeys(path for path, *_ in places))
