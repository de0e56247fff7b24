"""A user's own pictures: reading them, and all that the command line shows of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from cifarcam.data import CLASS_NAMES
from cifarcam.errors import CifarcamError
from cifarcam.explain.base import Explainer


@dataclass(frozen=True)
class Explained:
    """A picture with the explanation of its predicted class.

    Attributes
    ----------
    name
        What it is called.
    picture
        Uint8, H x W x 3.
    heatmap
        Float32, H x W, raw magnitudes: it explains the first class of `top`.
    top
        The three likeliest classes with their probabilities (0-1), likeliest first.
    """

    name: str
    picture: np.ndarray
    heatmap: np.ndarray
    top: list[tuple[str, float]]


def read_picture(path: Path, size: tuple[int, int]) -> np.ndarray:
    """A picture of any size and mode as the network takes it.

    Turned upright as its EXIF data say, made RGB (transparency over white), its shorter side scaled to
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
            if upright.mode.startswith("I"):  # 16-bit greyscale: scaled, where Pillow would clip
                values = np.asarray(upright, np.float64) * (255 / 65535)
                upright = Image.fromarray(np.rint(values).clip(0, 255).astype(np.uint8))
            layered = upright.convert("RGBA")
    except FileNotFoundError as error:
        raise CifarcamError(f"{path}: no such file") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise CifarcamError(
            f"{path}: not a picture that can be read; give a PNG or JPEG"
        ) from error
    ground = Image.new("RGBA", layered.size, "white")
    picture = Image.alpha_composite(ground, layered).convert("RGB")
    fitted = ImageOps.fit(picture, (size[1], size[0]), Image.Resampling.LANCZOS)
    return np.asarray(fitted)


def explain_pictures(
    explainer: Explainer,
    pictures: Sequence[np.ndarray],
    names: Sequence[str],
    *,
    class_names: Sequence[str] = CLASS_NAMES,
) -> list[Explained]:
    """The predicted class of each picture explained.

    Parameters
    ----------
    explainer
        Bound to a model of the classes named.
    pictures
        Uint8, H x W x 3 each, of the size that the model takes.
    names
        What to call them.
    class_names
        The model's classes in its order; CIFAR-10's by default.

    Raises
    ------
    CifarcamError
        When the numbers of names or classes do not fit, or the pictures do not fit the model.
    """
    if len(names) != len(pictures):
        raise CifarcamError(f"{len(names)} names for {len(pictures)} pictures; give one each")
    if len(class_names) != explainer.classes:
        raise CifarcamError(
            f"{len(class_names)} class names for the model's {explainer.classes} classes"
        )
    if not pictures:
        raise CifarcamError("there are no images to explain; give at least one")
    sizes = {np.shape(picture) for picture in pictures}
    if len(sizes) > 1:
        raise CifarcamError(f"pictures have different shapes: {sorted(sizes)}")
    images = np.stack(pictures)
    scores = explainer.scores(images).astype(np.float64)
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :3]
    heatmaps = explainer(images, order[:, 0])
    return [
        Explained(
            name=name,
            picture=image,
            heatmap=heatmap,
            top=[(class_names[index], float(row[index])) for index in likeliest],
        )
        for name, image, heatmap, row, likeliest in zip(
            names, images, heatmaps, probabilities, order, strict=True
        )
    ]
