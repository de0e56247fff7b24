"""A user's own pictures: reading them, and all that the command line shows of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from cifarcam.data import CLASS_NAMES
from cifarcam.errors import CifarcamError
from cifarcam.explain.base import Explainer


@dataclass(frozen=True)
class Explained:
    """A picture (uint8, H x W x 3) with its heatmap (float32, H x W) and the top three classes.

    `top` holds pairs of a class name and its probability, the likeliest first; the heatmap
    explains the first.
    """

    name: str
    picture: np.ndarray
    heatmap: np.ndarray
    top: list[tuple[str, float]]


def read_picture(path: Path, size: tuple[int, int]) -> np.ndarray:
    """A picture of any size and mode as the network takes it.

    Turned as its EXIF data say, made RGB (transparency over white), its shorter side scaled to
    fit by area-true resampling, and the centre cut out.

    Parameters
    ----------
    path
        The file.
    size
        Height and width in pixels.

    Returns
    -------
    numpy.ndarray
        Uint8, height x width x 3.

    Raises
    ------
    CifarcamError
        When the file is missing or no picture.
    """
    try:
        with Image.open(path) as opened:
            upright = ImageOps.exif_transpose(opened)
            if upright.mode.startswith("I"):  # 16 or 32 bits: scaled, where Pillow would clip
                values = np.asarray(upright, np.float64)
                upright = Image.fromarray((values * (255 / 65535)).clip(0, 255).astype(np.uint8))
            layered = upright.convert("RGBA")
    except FileNotFoundError as error:
        raise CifarcamError(f"{path}: no such file") from error
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise CifarcamError(
            f"{path}: not a picture that can be read; give a PNG or JPEG"
        ) from error
    ground = Image.new("RGBA", layered.size, "white")
    picture = Image.alpha_composite(ground, layered).convert("RGB")
    fitted = ImageOps.fit(picture, (size[1], size[0]), Image.Resampling.LANCZOS)
    return np.asarray(fitted)


def explain_pictures(
    explainer: Explainer, pictures: Sequence[np.ndarray], names: Sequence[str]
) -> list[Explained]:
    """The predicted class of each picture explained.

    Parameters
    ----------
    explainer
        Bound to a model of CIFAR-10's ten classes.
    pictures
        Uint8, H x W x 3 each.
    names
        What to call them.
    """
    images = np.stack(pictures)
    probabilities = explainer.model.predict(images, verbose=0)
    heatmaps = explainer(images)
    return [
        Explained(
            name=name,
            picture=image,
            heatmap=heatmap,
            top=[(CLASS_NAMES[i], float(row[i])) for i in np.argsort(-row, kind="stable")[:3]],
        )
        for name, image, heatmap, row in zip(names, images, heatmaps, probabilities, strict=True)
    ]
