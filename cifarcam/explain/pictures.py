"""A user's own pictures: reading them, and all that the command line shows of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from PIL import Image, ImageOps

from cifarcam.data import CLASS_NAMES
from cifarcam.errors import CifarcamError, first_line
from cifarcam.explain.base import Explainer
from cifarcam.explain.classifier import Classifier


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
        Float32, H x W, raw magnitudes.
    target
        The class that the heatmap explains.
    top
        The three likeliest classes with their probabilities (0-1), likeliest first.
    """

    name: str
    picture: np.ndarray
    heatmap: np.ndarray
    target: str
    top: list[tuple[str, float]]


def read_model(path: Path) -> keras.Model:
    """A Keras model from a file (``.keras`` or ``.h5``), in safe mode: its code is not run.

    Raises
    ------
    CifarcamError
        When the file is missing, or no model that can be read so.
    """
    if not path.is_file():
        raise CifarcamError(f"{path}: no such file")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    # A stranger's file may fail in any way; what Keras says of it is passed on in one line.
    except Exception as error:
        raise CifarcamError(
            f"{path}: not a model that Keras can read safely: {first_line(error)}"
        ) from error
    if not isinstance(model, keras.Model):
        raise CifarcamError(f"{path}: holds a {type(model).__name__}, not a model")
    return model


def class_names(classifier: Classifier, path: Path | None, *, is_own: bool) -> list[str]:
    """The names of a model's classes: from a text file, a line each, CIFAR-10's, or numbers.

    Parameters
    ----------
    path
        The file, if there is one.
    is_own
        Whether the model is a user's own, of whose classes nothing is known.

    Raises
    ------
    CifarcamError
        When the file is missing or has not a line for each class.
    """
    if path is None:
        names = [f"class {index}" for index in range(classifier.classes)]
        return names if is_own else list(CLASS_NAMES)
    try:
        names = path.read_text().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CifarcamError(f"{path}: not a text file that can be read") from error
    names = [name.strip() for name in names if name.strip()]
    if len(names) != classifier.classes:
        raise CifarcamError(
            f"{path}: {len(names)} class names for the model's {classifier.classes} classes"
        )
    return names


def class_index(text: str, names: Sequence[str]) -> int:
    """The class that a user names, or gives by its number.

    Raises
    ------
    CifarcamError
        When there is no such class.
    """
    if text in names:
        return list(names).index(text)
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    listed = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    raise CifarcamError(f"no class {text!r}; give 0 to {len(names) - 1}, or one of {listed}")


def read_picture(path: Path, size: Sequence[int | None]) -> np.ndarray:
    """A picture of any size and mode as the network takes it.

    Turned upright as its EXIF data say, made RGB (transparency over white), its shorter side scaled to
    fit by area-true resampling, and the centre cut out.

    Parameters
    ----------
    path
        The file.
    size
        Height and width in pixels; the picture's own where they are None.

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
    height, width = size[0] or picture.height, size[1] or picture.width
    fitted = ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)
    return np.asarray(fitted)


def explain_pictures(
    explainer: Explainer,
    pictures: Sequence[np.ndarray],
    names: Sequence[str],
    *,
    class_names: Sequence[str] = CLASS_NAMES,
    target: int | None = None,
    scale: float = 1.0,
) -> list[Explained]:
    """Each picture explained, for the class that the model predicts or another.

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
    target
        The class to explain; each picture's predicted one by default.
    scale
        What pixels are divided by before the model gets them.

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
    if not scale > 0:
        raise CifarcamError(f"scale is {scale}; give a number above 0")
    channels = explainer.classifier.image_shape[2]
    images = _with_channels(np.stack(pictures), channels) / np.float32(scale)
    scores = explainer.classifier.scores(images)
    probabilities = explainer.classifier.as_probabilities(scores)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :3]
    targets = order[:, 0] if target is None else np.full(len(images), target)
    heatmaps = explainer(images, targets)
    return [
        Explained(
            name=name,
            picture=picture,
            heatmap=heatmap,
            target=class_names[chosen],
            top=[(class_names[index], float(row[index])) for index in likeliest],
        )
        for name, picture, heatmap, chosen, row, likeliest in zip(
            names, pictures, heatmaps, targets, probabilities, order, strict=True
        )
    ]


def _with_channels(pictures: np.ndarray, channels: int | None) -> np.ndarray:
    """RGB pictures, N x H x W x 3, as float32 with the channels that a model takes."""
    if channels in (None, 3):
        return pictures.astype(np.float32)
    if channels == 1:  # luma, ITU-R BT.601, as Pillow's mode L
        return (pictures @ np.array([0.299, 0.587, 0.114], np.float32))[..., np.newaxis]
    raise CifarcamError(f"the model takes {channels} channels; a picture gives it 1 or 3")
