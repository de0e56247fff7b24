"""Fifteen kinds of corruption in five severities: our rendering of CIFAR-10-C.

Hendrycks and Dietterich (2019) publish corrupted copies of the CIFAR-10 test images and the program
that made them (https://github.com/hendrycks/robustness, ``ImageNet-C/create_c/make_cifar_c.py``).
This package follows that recipe: kinds, constants, order of operations, and fractions of a level
cut off at the end. Random numbers differ, so that no image is the published one pixel by pixel.

To the constant: the three noises, defocus blur, glass blur, zoom blur, fog, brightness, contrast,
pixelate. Motion blur and the smeared flakes of snow follow what ImageMagick computes, on numbers
that are not rounded in between. Elastic interpolates where OpenCV rounds coordinates to 1/32 pixel.
JPEG is Pillow's, whose version decides the last level. Frost is not the published one: the recipe
lays photographs of ice over an image, and ours are generated textures, see `weather.frost`.

Defocus, glass, motion and zoom blur, brightness, contrast and elastic were computed beside OpenCV,
scikit-image, SciPy and a port of ImageMagick's motion blur with the same random numbers: no value
differs by more than one level.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from cifarcam.data.corruptions import blur, digital, noise, weather
from cifarcam.errors import CifarcamError

SEVERITIES = (1, 2, 3, 4, 5)
SIZE = 32  # pixels along each side; the constants are those of images of this size
CHUNK = 500  # images at a time

Render = Callable[[np.ndarray, int, Sequence[np.random.Generator]], np.ndarray]
_RENDER: Mapping[str, Mapping[str, Render]] = MappingProxyType(
    {
        "noise": {
            "gaussian noise": noise.gaussian,
            "shot noise": noise.shot,
            "impulse noise": noise.impulse,
        },
        "blur": {
            "defocus blur": blur.defocus,
            "glass blur": blur.glass,
            "motion blur": blur.motion,
            "zoom blur": blur.zoom,
        },
        "weather": {
            "snow": weather.snow,
            "frost": weather.frost,
            "fog": weather.fog,
            "brightness": weather.brightness,
        },
        "digital": {
            "contrast": digital.contrast,
            "elastic": digital.elastic,
            "pixelate": digital.pixelate,
            "JPEG": digital.jpeg,
        },
    }
)
GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {group: tuple(kinds) for group, kinds in _RENDER.items()}
)
KINDS = tuple(kind for kinds in GROUPS.values() for kind in kinds)


def corrupt(images: np.ndarray, kind: str, severity: int, seed: int = 0) -> np.ndarray:
    """Corrupted copies of images.

    The random numbers of an image are drawn from `seed`, the kind, the severity and the image's own
    pixels. The same image is therefore corrupted alike in every subset and order of images.

    Parameters
    ----------
    images
        uint8, N x 32 x 32 x 3, RGB.
    kind
        One of `KINDS`.
    severity
        1, the mildest, to 5.
    seed
        Of the random numbers, 0 or more.

    Returns
    -------
    numpy.ndarray
        uint8, N x 32 x 32 x 3.

    Raises
    ------
    CifarcamError
        When the images have another shape or dtype, or another argument is out of range.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (SIZE, SIZE, 3):
        raise CifarcamError(
            f"images are {images.dtype} of shape {images.shape}; give uint8, N x 32 x 32 x 3"
        )
    if kind not in KINDS:
        raise CifarcamError(f"corruption {kind!r} is not one of {', '.join(KINDS)}")
    if severity not in SEVERITIES:
        raise CifarcamError(f"severity {severity} is not one of 1 to 5")
    if seed < 0:
        raise CifarcamError(f"seed {seed}; give 0 or more")
    render = {name: one for kinds in _RENDER.values() for name, one in kinds.items()}[kind]
    corrupted = np.empty_like(images)
    for start in range(0, len(images), CHUNK):
        part = images[start : start + CHUNK]
        entropy = [seed, KINDS.index(kind), severity]
        generators = [np.random.default_rng([*entropy, _number(image)]) for image in part]
        corrupted[start : start + CHUNK] = render(part, severity, generators)
    return corrupted


def _number(image: np.ndarray) -> int:
    """A number of 64 bits that an image's pixels decide."""
    return int.from_bytes(hashlib.blake2b(image.tobytes(), digest_size=8).digest(), "little")
