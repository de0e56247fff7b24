"""Pictures of users: reading them, and explaining them for the command line."""

from __future__ import annotations

import io
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from cifarcam.errors import CifarcamError, check_readable, first_line
from cifarcam.explain.base import Explainer

# EXIF orientation (tag 274 of TIFF 6.0) -> the operation that turns the picture upright.
ORIENTATION = 0x0112
TURNS: Mapping[int, Image.Transpose] = MappingProxyType(
    {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
)
PNG = b"\x89PNG\r\n\x1a\n"
# If no 16-bit value reaches this number, the picture may be dark, or its values may have only 8,
# 10, 12 or 14 bits.
FULL_16_BITS = 2**14
PHOTOMETRIC, WHITE_IS_ZERO = 262, 0  # a tag of TIFF, and a value of it


@dataclass(frozen=True)
class Explained:
    """A picture with the explanation of its predicted class.

    Attributes
    ----------
    name
        The picture's name.
    picture
        Uint8, H x W x 3.
    heatmap
        Float32, H x W, raw magnitudes.
    target
        The name of the class that the heatmap explains.
    top
        The three most likely classes with their probabilities (0-1), most likely first.
    """

    name: str
    picture: np.ndarray
    heatmap: np.ndarray
    target: str
    top: list[tuple[str, float]]


def read_picture(path: Path, size: Sequence[int | None]) -> np.ndarray:
    """A picture of any size and mode, as RGB at the size that a network takes.

    The picture is turned upright according to its EXIF data, transparent parts become white, the
    shorter side is resampled (Lanczos) to fit, and the longer side is cropped to its centre. Of
    several frames or pages, the first is read.

    Parameters
    ----------
    path
        The file.
    size
        Height and width in pixels; None keeps the picture's own.

    Returns
    -------
    numpy.ndarray
        Uint8, height x width x 3. Grey values are scaled to 0-255: 16-bit values from 0-65535,
        12-bit values from 0-4095, 32-bit integers from 0-255 or 0-65535, floats from 0-1 or 0-255.

    Raises
    ------
    CifarcamError
        When the file is missing, too large or not a picture, or its values do not show which of
        them is white.
    """
    check_readable(path)
    try:
        with warnings.catch_warnings():  # a decoder warns about pictures that it can read
            warnings.simplefilter("ignore")
            picture = _decoded(path)
    # A decoder may raise anything on a damaged file.
    except Exception as error:
        raise CifarcamError(
            f"{path}: not a picture that can be read: {_why_no_picture(path, error)}"
        ) from error
    height, width = size[0] or picture.height, size[1] or picture.width
    return np.asarray(ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS))


def _decoded(path: Path) -> Image.Image:
    """The picture of a file: RGB, upright, over white. Errors of the decoder pass through."""
    try:
        return _picture(path)
    except Exception:
        with path.open("rb") as file:
            if file.read(len(PNG)) != PNG:
                raise
            return _picture(io.BytesIO(PNG + _visible_chunks(file.read())))


def _visible_chunks(chunks: bytes) -> bytes:
    """The chunks of a PNG that determine its pixels, without texts and other annotations.

    The standard lets a reader skip chunks whose name begins with a small letter, but Pillow refuses
    a file if some of them are damaged.
    """
    visible, start = [], 0
    while start + 12 <= len(chunks):
        end = start + 12 + int.from_bytes(chunks[start : start + 4], "big")
        chunk, start = chunks[start:end], end
        is_whole = zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")
        if chunk[4:5].isupper() or (chunk[4:8] in (b"tRNS", b"eXIf") and is_whole):
            visible.append(chunk)
    return b"".join(visible)


def _picture(source: Path | io.BytesIO) -> Image.Image:
    with Image.open(source) as opened:
        if opened.format == "EPS":
            raise ValueError("it is PostScript, a program, which is not run")
        layout = str(opened.tile)  # names the format of raw values, such as "I;16", until loading
        is_negative = getattr(opened, "tag_v2", {}).get(PHOTOMETRIC) == WHITE_IS_ZERO
        opened.load()
        if 0 in opened.size:
            raise ValueError("it has no pixels")
        image = _upright(opened)
        if image.mode == "F" or image.mode.startswith("I"):
            image = _eight_bits(image, layout)
            return (ImageOps.invert(image) if is_negative else image).convert("RGB")
        _check_depth(image, layout)
        if image.getbands()[-1] in "Aa" or "transparency" in image.info:
            layered = image.convert("RGBA")
            ground = Image.new("RGBA", layered.size, "white")
            image = Image.alpha_composite(ground, layered)
        return image.convert("RGB")


def _upright(image: Image.Image) -> Image.Image:
    """A picture turned according to its EXIF data; unreadable data are ignored."""
    try:
        orientation = image.getexif().get(ORIENTATION)
    except Exception:  # the parser may raise anything on damaged data
        return image
    turn = TURNS.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _eight_bits(image: Image.Image, layout: str) -> Image.Image:
    """Grey values of 12, 16 or 32 bits, scaled so that white is 255."""
    values = np.asarray(image, np.float64)
    low, high = float(values.min()), float(values.max())
    if image.mode == "F":
        white = 1 if high <= 1 else 255
    elif ";12" in layout:
        white = 4095
    elif image.mode == "I" and ";16" not in layout and high <= 255:
        white = 255
    else:
        white = 65535
    is_dark = white == 65535 and 0 < high < FULL_16_BITS
    if not 0 <= low <= high <= white or is_dark:
        raise ValueError(f"its values from {low:g} to {high:g} do not show what is white")
    return Image.fromarray(np.rint(values * (255 / white)).astype(np.uint8))


def _check_depth(image: Image.Image, layout: str) -> None:
    """Check 16-bit colours as `_eight_bits` checks grey; Pillow keeps their upper 8 bits."""
    if ";16" not in layout:
        return
    ranges = np.reshape(image.getextrema(), (-1, 2))
    maxima = [high for band, (_, high) in zip(image.getbands(), ranges, strict=True) if band != "A"]
    if 0 < max(maxima) < FULL_16_BITS >> 8:
        raise ValueError(f"its 16-bit values below {FULL_16_BITS} do not show what is white")


def _why_no_picture(path: Path, error: Exception) -> str:
    """Why a file cannot be read as a picture, and what to do."""
    if isinstance(error, Image.DecompressionBombError):
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        return f"it has more than {most} million pixels; scale it down"
    if isinstance(error, MemoryError):
        return "it does not fit into memory; scale it down"
    if not isinstance(error, UnidentifiedImageError):
        return f"{first_line(error)}; give a whole PNG or JPEG of 8 bits a channel"
    with path.open("rb") as file:
        head = file.read(512)
    if head[4:8] == b"ftyp":
        return "HEIC and related formats are not supported; give a PNG or JPEG"
    if b"<svg" in head or head.startswith(b"%PDF"):
        return "it is a drawing without pixels; give a PNG or JPEG"
    return "its format is unknown, or it is damaged; give a PNG or JPEG"


def explain_pictures(
    explainer: Explainer,
    pictures: Sequence[np.ndarray],
    names: Sequence[str],
    *,
    class_names: Sequence[str],
    target: int | None = None,
    scale: float = 1.0,
) -> list[Explained]:
    """Explain pictures, each for the class that the model predicts or for a class of your choice.

    Parameters
    ----------
    explainer
        An explanation method bound to a model.
    pictures
        Uint8, H x W x 3 each, of the size that the model takes.
    names
        A name for each picture.
    class_names
        The names of the model's classes in its order.
    target
        The class to explain; by default the class that the model predicts for each picture.
    scale
        Pixels are divided by this number before the model takes them.

    Raises
    ------
    CifarcamError
        When the numbers of names or classes do not fit, or the pictures do not fit the model.
    """
    if len(names) != len(pictures):
        raise CifarcamError(
            f"{len(names)} names for {len(pictures)} pictures; give one name per picture"
        )
    if len(class_names) != explainer.classes:
        raise CifarcamError(
            f"{len(class_names)} class names for the model's {explainer.classes} classes"
        )
    images = _model_images(pictures, explainer.classifier.image_shape[2], scale)
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
            target=class_names[index_of_target],
            top=[(class_names[index], float(row[index])) for index in indices],
        )
        for name, picture, heatmap, index_of_target, row, indices in zip(
            names, pictures, heatmaps, targets, probabilities, order, strict=True
        )
    ]


def _model_images(pictures: Sequence[np.ndarray], channels: int | None, scale: float) -> np.ndarray:
    """Pictures as a model takes them: float32, N x H x W x channels, divided by `scale`."""
    if not pictures:
        raise CifarcamError("there are no pictures to explain; give at least one")
    sizes = {np.shape(picture) for picture in pictures}
    if len(sizes) > 1:
        raise CifarcamError(f"pictures have different shapes: {sorted(sizes)}; give one shape")
    with np.errstate(over="ignore"):
        divisor = np.float32(scale)
    if not (divisor > 0 and np.isfinite(divisor)):
        raise CifarcamError(f"scale is {scale}; give a number above 0, such as 255")
    return _with_channels(np.stack(pictures), channels) / divisor


def _with_channels(pictures: np.ndarray, channels: int | None) -> np.ndarray:
    """RGB pictures, N x H x W x 3, as float32 with the number of channels that a model takes."""
    if channels in (None, 3):
        return pictures.astype(np.float32)
    if channels == 1:  # luma, ITU-R BT.601, as Pillow's mode L
        return (pictures @ np.array([0.299, 0.587, 0.114], np.float32))[..., np.newaxis]
    raise CifarcamError(f"the model takes {channels} channels; a picture has 1 or 3")
