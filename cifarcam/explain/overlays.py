"""Heatmaps over their pictures, as plain arrays of pixels."""

from __future__ import annotations

import numpy as np

from cifarcam.errors import CifarcamError

OPACITY = 0.65  # of an overlay where the heatmap has its maximum

# Viridis (van der Walt and Smith 2015, CC0), red, green and blue of 256 steps: even in lightness,
# for colour-blind readers and in grey print. The figures of a report have the same colours.
_VIRIDIS = (
    "44015444025544035745055845065a45085b46095c460b5e460c5f460e61470f62471163471265471466471567"
    "47166947186a48196b481a6c481c6e481d6f481e70482071482172482273482374472575472676472777472878"
    "472a79472b7a472c7b462d7c462f7c46307d46317e45327f45347f453580453681443781443982433a83433b83"
    "433c84423d84423e854240854141864142864043874044873f45873f47883e48883e49893d4a893d4b893d4c89"
    "3c4d8a3c4e8a3b508a3b518a3a528b3a538b39548b39558b38568b38578c37588c37598c365a8c365b8c355c8c"
    "355d8c345e8d345f8d33608d33618d32628d32638d31648d31658d31668d30678d30688d2f698d2f6a8d2e6b8e"
    "2e6c8e2e6d8e2d6e8e2d6f8e2c708e2c718e2c728e2b738e2b748e2a758e2a768e2a778e29788e29798e287a8e"
    "287a8e287b8e277c8e277d8e277e8e267f8e26808e26818e25828e25838d24848d24858d24868d23878d23888d"
    "23898d22898d228a8d228b8d218c8d218d8c218e8c208f8c20908c20918c1f928c1f938b1f948b1f958b1f968b"
    "1e978a1e988a1e998a1e998a1e9a891e9b891e9c891e9d881e9e881e9f881ea0871fa1871fa2861fa38620a485"
    "20a58521a68521a78422a78423a88323a98224aa8225ab8126ac8127ad8028ae7f29af7f2ab07e2bb17d2cb17d"
    "2eb27c2fb37b30b47a32b57a33b67935b77836b87738b97639b9763bba753dbb743ebc7340bd7242be7144be70"
    "45bf6f47c06e49c16d4bc26c4dc26b4fc36951c46853c56755c66657c66559c7645bc8625ec96160c96062ca5f"
    "64cb5d67cc5c69cc5b6bcd596dce5870ce5672cf5574d05477d05279d1517cd24f7ed24e81d34c83d34b86d449"
    "88d5478bd5468dd64490d64392d74195d73f97d83e9ad83c9dd93a9fd938a2da37a5da35a7db33aadb32addc30"
    "afdc2eb2dd2cb5dd2bb7dd29bade27bdde26bfdf24c2df22c5df21c7e01fcae01ecde01dcfe11cd2e11bd4e11a"
    "d7e219dae218dce218dfe318e1e318e4e318e7e419e9e419ece41aeee51bf1e51cf3e51ef6e61ff8e621fae622"
    "fde724"
)
_COLOURS = np.frombuffer(bytes.fromhex(_VIRIDIS), np.uint8).reshape(256, 3)


def overlay(image: np.ndarray, heatmap: np.ndarray, *, opacity: float = OPACITY) -> np.ndarray:
    """A heatmap in colours over its picture, more opaque where the heatmap is higher.

    The heatmap is divided by its own maximum for display. Where it is zero, the picture keeps its
    own colour, so that a heatmap without positive evidence leaves the picture as it is.

    Parameters
    ----------
    image
        The picture, uint8, H x W x 3; or grey, H x W or H x W x 1.
    heatmap
        H x W, raw magnitudes of at least 0, as an explainer returns them.
    opacity
        The opacity where the heatmap has its maximum, 0-1.

    Returns
    -------
    numpy.ndarray
        Uint8, H x W x 3.

    Raises
    ------
    CifarcamError
        When the picture is not uint8, the sizes differ, a value of the heatmap is negative or not
        finite, or the opacity is not from 0 to 1.
    """
    picture = _rgb(image)
    values = np.asarray(heatmap, np.float64)
    if values.shape != picture.shape[:2]:
        raise CifarcamError(
            f"the heatmap has shape {values.shape} and the picture {picture.shape[:2]}; give a "
            "heatmap of the picture's height and width"
        )
    if not 0 <= opacity <= 1:
        raise CifarcamError(f"opacity is {opacity}; give a number from 0 to 1")
    scaled = scaled_for_display(values)
    share = opacity * scaled[..., np.newaxis]
    return np.rint(picture * (1 - share) + coloured(scaled) * share).astype(np.uint8)


def scaled_for_display(heatmap: np.ndarray) -> np.ndarray:
    """A heatmap divided by its maximum, float64; a zero map stays zero.

    Raises
    ------
    CifarcamError
        When a value is negative or not finite.
    """
    values = np.asarray(heatmap, np.float64)
    if not np.isfinite(values).all() or (values < 0).any():
        raise CifarcamError(
            "the heatmap has values that are negative or not finite; give raw magnitudes of at "
            "least 0, as an explainer returns them"
        )
    return values / values.max() if values.any() else values


def coloured(scaled: np.ndarray) -> np.ndarray:
    """The colours of values from 0 to 1: uint8, ... x 3."""
    return _COLOURS[np.minimum((scaled * len(_COLOURS)).astype(int), len(_COLOURS) - 1)]


def _rgb(image: np.ndarray) -> np.ndarray:
    """A picture in colour or grey as uint8, H x W x 3."""
    picture = np.asarray(image)
    if picture.ndim == 2:
        picture = picture[..., np.newaxis]
    if picture.ndim != 3 or picture.shape[2] not in (1, 3) or picture.dtype != np.uint8:
        raise CifarcamError(
            f"the picture is {picture.dtype} of shape {np.shape(image)}; give uint8 pixels (0-255), "
            "height x width x 3, or height x width for grey"
        )
    return np.broadcast_to(picture, (*picture.shape[:2], 3))
