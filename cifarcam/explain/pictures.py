"""A user's own pictures: reading them, and all that the command line shows of them."""

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

# What turns a picture upright, by the number of its EXIF orientation (tag 274 of TIFF 6.0).
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
# Of 16-bit values none of which reaches this one, it is not known whether they stand for a dark
# picture or fill only 8, 10, 12 or 14 of the bits.
FULL_16_BITS = 2**14
PHOTOMETRIC, WHITE_IS_ZERO = 262, 0  # of TIFF


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


def read_picture(path: Path, size: Sequence[int | None]) -> np.ndarray:
    """A picture of any size and mode as the network takes it.

    Turned upright as its EXIF data say, made RGB (transparency over white), its shorter side scaled
    to fit by area-true resampling, and the centre cut out. Of several frames or pages the first.

    Parameters
    ----------
    path
        The file.
    size
        Height and width in pixels; the picture's own where they are None.

    Returns
    -------
    numpy.ndarray
        Uint8, height x width x 3. Grey values of 16 bits are scaled from 0-65535, of 12 bits from
        0-4095, whole numbers of 32 bits from 0-255 or 0-65535, floats from 0-1 or 0-255.

    Raises
    ------
    CifarcamError
        When the file is missing or no picture, is too large, or it cannot be known which of its
        values is white.
    """
    check_readable(path)
    try:
        with warnings.catch_warnings():  # a decoder's remarks on a picture that it reads
            warnings.simplefilter("ignore")
            picture = _decoded(path)
    # A decoder raises whatever damage leads it to.
    except Exception as error:
        raise CifarcamError(
            f"{path}: not a picture that can be read: {_why_no_picture(path, error)}"
        ) from error
    height, width = size[0] or picture.height, size[1] or picture.width
    return np.asarray(ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS))


def _decoded(path: Path) -> Image.Image:
    """A file's picture: RGB, upright, over white. Raises what its decoder raises."""
    try:
        return _picture(path)
    except Exception:
        with path.open("rb") as file:
            if file.read(len(PNG)) != PNG:
                raise
            return _picture(io.BytesIO(PNG + _seen(file.read())))


def _seen(chunks: bytes) -> bytes:
    """Those chunks of a PNG that decide what is seen: a spoilt text in it harms nobody.

    The standard lets readers pass over a chunk whose name begins with a small letter; Pillow gives
    up on some of them.
    """
    kept, start = [], 0
    while start + 12 <= len(chunks):
        end = start + 12 + int.from_bytes(chunks[start : start + 4], "big")
        chunk, start = chunks[start:end], end
        is_whole = zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")
        if chunk[4:5].isupper() or (chunk[4:8] in (b"tRNS", b"eXIf") and is_whole):
            kept.append(chunk)
    return b"".join(kept)


def _picture(source: Path | io.BytesIO) -> Image.Image:
    with Image.open(source) as opened:
        if opened.format == "EPS":
            raise ValueError("PostScript is a program, which is not run")
        layout = str(opened.tile)  # names the raw values, such as "I;16"; loading forgets it
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
    """A picture turned as its EXIF data say; data that cannot be read say nothing."""
    try:
        orientation = image.getexif().get(ORIENTATION)
    except Exception:  # whatever its parser makes of damage
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
        raise ValueError(f"values from {low:g} to {high:g}, which do not tell what is white")
    return Image.fromarray(np.rint(values * (255 / white)).astype(np.uint8))


def _check_depth(image: Image.Image, layout: str) -> None:
    """Refuse colours of 16 bits, of which Pillow keeps the upper 8, as `_eight_bits` does grey."""
    if ";16" not in layout:
        return
    ranges = np.reshape(image.getextrema(), (-1, 2))
    colours = [
        high for band, (_, high) in zip(image.getbands(), ranges, strict=True) if band != "A"
    ]
    if 0 < max(colours) < FULL_16_BITS >> 8:
        raise ValueError(f"16-bit values below {FULL_16_BITS}, which do not tell what is white")


def _why_no_picture(path: Path, error: Exception) -> str:
    """What is known of a file that gave no picture, and what to do."""
    if isinstance(error, Image.DecompressionBombError):
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        return f"it has more than {most} million pixels; scale it down"
    if isinstance(error, MemoryError):
        return "it does not fit into the memory; scale it down"
    if not isinstance(error, UnidentifiedImageError):
        return f"{first_line(error)}; give a whole PNG or JPEG of 8 bits a channel"
    with path.open("rb") as file:
        head = file.read(512)
    if head[4:8] == b"ftyp":
        return "HEIC, or a kin of it, is not read here; give a PNG or JPEG"
    if b"<svg" in head or head.startswith(b"%PDF"):
        return "a drawing has no pixels; give a PNG or JPEG"
    return "no format that is known here, or damaged; give a PNG or JPEG"


def explain_pictures(
    explainer: Explainer,
    pictures: Sequence[np.ndarray],
    names: Sequence[str],
    *,
    class_names: Sequence[str],
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
        The model's classes in its order.
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
    with np.errstate(over="ignore"):
        divisor = np.float32(scale)
    if not (divisor > 0 and np.isfinite(divisor)):
        raise CifarcamError(f"scale is {scale}; give a number above 0, such as 255")
    channels = explainer.classifier.image_shape[2]
    images = _with_channels(np.stack(pictures), channels) / divisor
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
