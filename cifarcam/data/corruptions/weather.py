"""Weather: snow, frost, fog and bright light."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cifarcam.data.corruptions.blur import smear, zoom_matrix
from cifarcam.data.corruptions.levels import drawn, to_levels, to_unit

# Mean and deviation of the flakes, their enlargement, threshold, smear (radius and deviation in
# pixels), and the share of the image that is not whitened.
SNOW = (
    (0.1, 0.2, 1.0, 0.6, 8, 3, 0.95),
    (0.1, 0.2, 1.0, 0.5, 10, 4, 0.9),
    (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
    (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
    (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
FROST = ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))  # of the image, of the ice
# Of crops of the recipe's five photographs, shrunk as it shrinks them: mean and deviation of the
# levels of each channel. Two of the five photographs are the same.
ICE = (
    ((78, 149, 165), (22, 13, 13)),
    ((199, 203, 213), (18, 18, 18)),
    ((199, 203, 213), (18, 18, 18)),
    ((144, 159, 171), (26, 26, 27)),
    ((103, 114, 126), (35, 34, 34)),
)
GRAIN = 0.6  # of the texture's variance; neighbouring pixels then correlate as in the photographs
DRIFT = 1.3  # the smoothness of the other part
FOG = ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))  # thickness, smoothness
BRIGHTER = (0.05, 0.1, 0.15, 0.2, 0.3)


def snow(
    images: np.ndarray, severity: int, generators: Sequence[np.random.Generator]
) -> np.ndarray:
    """Whiten the image and add flakes, smeared downwards, and the same flakes turned around."""
    mean, deviation, factor, threshold, radius, length, share = SNOW[severity - 1]
    size = images.shape[1]
    matrix = zoom_matrix(factor, size)
    normal = drawn(generators, lambda rng: rng.standard_normal((size, size)))
    flakes = matrix @ (mean + deviation * normal) @ matrix.T
    flakes[flakes < threshold] = 0
    angles = drawn(generators, lambda rng: rng.uniform(-135, -45, ()))
    levels = to_levels(flakes).astype(np.float32)[..., None]
    layer = np.rint(smear(levels, int(radius), length, angles)) / np.float32(255)
    values = to_unit(images)
    pale = (values @ LUMA)[..., None] * 1.5 + 0.5
    whitened = share * values + (1 - share) * np.maximum(values, pale)
    return to_levels(whitened + layer + layer[:, ::-1, ::-1])


def frost(
    images: np.ndarray, severity: int, generators: Sequence[np.random.Generator]
) -> np.ndarray:
    """Lay ice over the image, in shares of the image and of the ice.

    The recipe cuts the ice out of five photographs, whose licence is not known. Ours is a generated
    texture with the mean and the deviation of one of them in each channel, and about their
    correlation of neighbouring pixels: *not* the published frost.
    """
    own, other = FROST[severity - 1]
    which = drawn(generators, lambda rng: rng.integers(len(ICE), size=()))
    size = images.shape[1]
    grain = drawn(generators, lambda rng: rng.standard_normal((size, size)))
    drift = _standardised(plasma(generators, size, DRIFT))
    texture = _standardised(math.sqrt(GRAIN) * grain + math.sqrt(1 - GRAIN) * drift)
    means, deviations = np.moveaxis(np.array(ICE, float)[which][:, None, None], 3, 0)
    ice = np.clip(means + deviations * texture[..., None], 0, 255) / 255
    return to_levels(own * to_unit(images) + other * ice)


def fog(images: np.ndarray, severity: int, generators: Sequence[np.random.Generator]) -> np.ndarray:
    """Add a plasma fractal and scale back to the image's former maximum."""
    thickness, smoothness = FOG[severity - 1]
    values = to_unit(images)
    most = values.max(axis=(1, 2, 3), keepdims=True)
    clouds = plasma(generators, images.shape[1], smoothness)[..., None]
    return to_levels((values + thickness * clouds) * most / (most + thickness))


def plasma(generators: Sequence[np.random.Generator], size: int, smoothness: float) -> np.ndarray:
    """Plasma fractals by the diamond-square algorithm on a torus: float64, N x size x size, 0-1.

    A midpoint is the mean of its four neighbours plus an even random number. The range of that
    number is the square of an amplitude which falls by the factor `smoothness` at every halving of
    the distance.

    Parameters
    ----------
    generators
        One for each fractal.
    size
        A power of two.
    smoothness
        Above 1.
    """

    def wobble(cells: int, reach: float) -> np.ndarray:
        return drawn(generators, lambda rng: rng.uniform(-reach, reach, (cells, cells)))

    field = np.zeros((len(generators), size, size))
    step, amplitude = size, 100.0
    while step >= 2:
        half, cells, reach = step // 2, size // step, amplitude**2
        corners = field[:, ::step, ::step]
        across = corners + np.roll(corners, -1, axis=2)
        down = corners + np.roll(corners, -1, axis=1)
        centres = (across + np.roll(across, -1, axis=1)) / 4 + wobble(cells, reach)
        field[:, half::step, half::step] = centres
        above = centres + np.roll(centres, 1, axis=1)
        beside = centres + np.roll(centres, 1, axis=2)
        field[:, ::step, half::step] = (above + across) / 4 + wobble(cells, reach)
        field[:, half::step, ::step] = (beside + down) / 4 + wobble(cells, reach)
        step, amplitude = half, amplitude / smoothness
    field -= field.min(axis=(1, 2), keepdims=True)
    return field / field.max(axis=(1, 2), keepdims=True)


def _standardised(fields: np.ndarray) -> np.ndarray:
    """Each field with mean 0 and deviation 1."""
    centred = fields - fields.mean(axis=(1, 2), keepdims=True)
    return np.asarray(centred / centred.std(axis=(1, 2), keepdims=True))


def brightness(
    images: np.ndarray, severity: int, generators: Sequence[np.random.Generator]
) -> np.ndarray:
    """Raise the value of hue, saturation and value, that is, the largest channel of each pixel.

    With hue and saturation kept, all channels of a pixel grow by one factor; black becomes grey.
    """
    values = to_unit(images)
    most = values.max(axis=3, keepdims=True)
    raised = np.minimum(most + np.float32(BRIGHTER[severity - 1]), 1)
    factor = np.divide(raised, most, out=np.ones_like(most), where=most > 0)
    return to_levels(np.where(most > 0, values * factor, raised))
