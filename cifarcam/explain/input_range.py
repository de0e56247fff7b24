"""The input range of a model: what black and white are in its images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.explain._keras import ONLY_IN_TRAINING, kind
from cifarcam.explain._opening import Call, Key

# Black and white, each one number or one per channel.
RangeLike = tuple[float | Sequence[float], float | Sequence[float]]

# Of the spans of a range and of what the leading layer shows: 0-1 and 0-255 are mistaken for each
# other, and a part of a range is not.
MOST_RATIO = 50
# The greatest distance of a value from the range, in spans: pixels of 0-255 lie up to 254 spans
# outside of 0-1, and 55 outside of ImageNet's means and deviations; noise stays within a few.
MOST_SPANS = 20
SLACK = 0.05  # of a range's span: as far, its end may lie beyond another's that contains it
RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))  # that a leading layer may show
# Means and deviations of pixels in shares of the span from black to white: photographs have means
# of 0.4 to 0.5 and deviations of 0.2 to 0.3, MNIST's digits 0.13 and 0.31.
MEANS, DEVIATIONS = (0.1, 0.9), (0.1, 0.5)


@dataclass(frozen=True)
class InputRange:
    """What black and white are for a model.

    Attributes
    ----------
    black, white
        Float32, one value per channel.
    source
        Where the range comes from, such as ``"layer 'rescaling'"``.
    shift, scale
        What the layer that shows the range subtracts and then divides by, one value per channel;
        None without such a layer.
    """

    black: np.ndarray
    white: np.ndarray
    source: str
    shift: np.ndarray | None = None
    scale: np.ndarray | None = None

    @property
    def span(self) -> np.ndarray:
        """White minus black, float32, one value per channel."""
        return self.white - self.black

    def of_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels (0-255, N x H x W x C) in the model's range, float32."""
        return self.black + np.asarray(pixels, np.float32) * (self.span / np.float32(255))

    def __str__(self) -> str:
        return f"{_listed(self.black)} to {_listed(self.white)}"


def checked_range(limits: RangeLike, channels: int) -> InputRange:
    """The range that a user gives, as an `InputRange` for a number of channels.

    Raises
    ------
    CifarcamError
        When it is not a pair of numbers or of one number per channel, or black equals white.
    """
    wrong = CifarcamError(
        f"input_range is {limits!r}; give black and white, such as (0, 255), each one finite number "
        f"or one for each of the {channels} channels, and different"
    )
    try:
        black, white = (np.broadcast_to(np.asarray(e, np.float32), (channels,)) for e in limits)
    except (TypeError, ValueError) as error:
        raise wrong from error
    if not np.isfinite([black, white]).all() or (black == white).any():
        raise wrong
    return InputRange(black.copy(), white.copy(), "given")


def check_against_layer(limits: InputRange, of_layer: InputRange) -> None:
    """Check that a range that a user gives is possible in front of the model's leading layer.

    Raises
    ------
    CifarcamError
        When one range is `MOST_RATIO` times as wide as the other, or more. When neither contains
        the other and no pixels in the range that is given can have the layer's mean and deviation,
        as where means are subtracted in front of a layer that takes 0-255.
    """
    ratio = float(np.mean(np.abs(limits.span)) / np.mean(np.abs(of_layer.span)))
    is_possible = (
        _contains(limits, of_layer)
        or _contains(of_layer, limits)
        or _can_have(limits.black, limits.white, of_layer.shift, of_layer.scale)
    )
    if not 1 / MOST_RATIO < ratio < MOST_RATIO or not is_possible:
        raise CifarcamError(
            f"input_range is {limits}, but the model's {of_layer.source} takes images of {of_layer}; "
            "give the range of the images that the model takes, or leave input_range out"
        )


def _contains(outer: InputRange, inner: InputRange) -> bool:
    """Whether one range lies within another, in every channel."""
    (low, high), (inner_low, inner_high) = (
        np.sort([limits.black, limits.white], axis=0) for limits in (outer, inner)
    )
    slack = SLACK * (high - low)
    return bool((low - slack <= inner_low).all() and (inner_high <= high + slack).all())


def check_values(images: np.ndarray, limits: InputRange) -> None:
    """Check that images, N x H x W x C, are about as large as a model's range.

    Raises
    ------
    CifarcamError
        When a value lies more than `MOST_SPANS` spans outside of the range; or when the range is
        as wide as 0-255, and all values are within one of black but no whole numbers, as those of
        images from 0 to 1 or from -1 to 1.
    """
    # Over the images first: NumPy reduces the last axis of a large array much more slowly.
    ends = np.array(
        [images.min(axis=0).min(axis=(0, 1)), images.max(axis=0).max(axis=(0, 1))], np.float64
    )
    shares = (ends - limits.black) / limits.span
    is_far = max(-shares.min(), shares.max() - 1) > MOST_SPANS
    is_scaled = (
        np.abs(limits.span).min() >= 100
        and np.abs(ends - limits.black).max() <= 1
        and bool((images % 1).any())
    )
    if is_far or is_scaled:
        raise CifarcamError(
            f"images have values from {ends[0].min():.6g} to {ends[1].max():.6g}, but the model's "
            f"input range is {limits} ({limits.source}); scale the images to the input range"
        )


def range_of_calls(calls: Sequence[Call], images: Key, channels: int) -> InputRange | None:
    """The range that the leading layer of a model shows, a Rescaling or a Normalization.

    Layers that only act in training and casts may precede it. Such a layer maps x to (x - m) / s.
    An s of 1 shows nothing: many ranges have a mean that one may subtract. With a Rescaling and an m
    of 0, white is s; but it is 255 for an s of 127 to 256, and 1 for an s of 1/256 to 1/127, a layer
    that leads from 0-1 to 0-255. Otherwise m and s are the mean and the standard deviation of the
    pixels, or the centre and half of the range, and the range is the first of `RANGES` in which both
    are possible: no variable between black and white has a variance above (white - mean)
    (mean - black) (Bhatia & Davis 2000). Those of a Normalization also have to be of a usual size,
    `MEANS` and `DEVIATIONS`. None where no such layer leads, or it does not tell.
    """
    key = images
    while True:
        followers = [call for call in calls if key in call.inputs]
        if len(followers) != 1:
            return None
        (call,) = followers
        shifted = _shift_and_scale(call.operation)
        if shifted is not None:
            pair = _range_before(*shifted, is_rescaling=kind(call.operation) == "rescaling")
            if pair is None:
                return None
            black, white = (np.full(channels, value, np.float32) for value in pair)
            return InputRange(black, white, f"layer {call.path!r}", *shifted)
        if not _only_in_training(call.operation):
            return None
        key = call.outputs[0]


def _shift_and_scale(operation: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """The m and s of a layer that maps x to (x - m) / s."""
    family = kind(operation) if operation is not None else ""
    if family == "rescaling":
        scale, offset = (np.asarray(v, np.float64) for v in (operation.scale, operation.offset))
        if not (np.isfinite(scale).all() and (scale > 0).all()):
            return None
        return -offset / scale, 1 / scale
    if family == "normalization" and not operation.invert:
        mean, variance = (
            np.asarray(keras.ops.convert_to_numpy(v), np.float64)
            for v in (operation.mean, operation.variance)
        )
        return mean, np.sqrt(variance)
    return None


def _range_before(
    shift: np.ndarray, scale: np.ndarray, *, is_rescaling: bool
) -> tuple[float, float] | None:
    """Black and white of images that a layer shifts by `shift` and divides by `scale`."""
    # A layer that is adapted to standardised images has a scale near 1, too.
    if np.allclose(scale, 1, rtol=0.05):
        return None
    if is_rescaling and (shift == 0).all():
        white = float(np.mean(scale))
        if np.ptp(scale) > 0:
            return None
        # By 1 / 128 or 1 / 256 a model divides the whole numbers up to 255.
        if 127 <= white <= 256:
            return 0.0, 255.0
        return (0.0, 1.0) if 127 <= 1 / white <= 256 else (0.0, white)
    for black, white in RANGES:
        mean, deviation = (shift - black) / (white - black), scale / (white - black)
        is_usual = is_rescaling or (_within(mean, MEANS) and _within(deviation, DEVIATIONS))
        if is_usual and _can_have(black, white, shift, scale):
            return black, white
    return None


def _can_have(black: Any, white: Any, mean: Any, deviation: Any) -> bool:
    """Whether pixels between black and white can have a mean and a standard deviation."""
    # A Rescaling by 1 / 128 is meant for 0-255 as well, and statistics are rounded.
    return bool((deviation**2 <= 1.01 * (white - mean) * (mean - black)).all())


def _within(values: np.ndarray, ends: tuple[float, float]) -> bool:
    return bool((values >= ends[0]).all() and (values <= ends[1]).all())


def _only_in_training(operation: Any) -> bool:
    """Whether an operation passes images on unchanged in prediction."""
    family = kind(operation) if operation is not None else "identity"
    return family in ONLY_IN_TRAINING or family.startswith("random")


def _listed(values: np.ndarray) -> str:
    """One value, or one per channel in brackets."""
    if np.ptp(values) == 0:
        return f"{values[0]:.6g}"
    return "(" + ", ".join(f"{value:.6g}" for value in values) + ")"
