"""Pictures of users: finding their files, and reading them."""

from __future__ import annotations

import io
import math
import stat
import warnings
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from cifarcam.errors import CifarcamError, check_readable, file_mode, first_line, unreadable

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
# The endings of files that are taken for pictures when a folder is given.
ENDINGS = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff"),
    *(".jp2", ".ppm", ".pgm", ".pbm", ".tga", ".heic"),  # HEIC is refused by name, not left out
)
PNG = b"\x89PNG\r\n\x1a\n"
# If no 16-bit value reaches this number, the picture may be dark, or its values may have only 8,
# 10, 12 or 14 bits.
FULL_16_BITS = 2**14
PHOTOMETRIC, WHITE_IS_ZERO = 262, 0  # a tag of TIFF, and a value of it
# Pixels of pictures that are explained at a time: 32 pictures of 256 x 256, fewer larger pictures.
# For a model of any size, the command line scales a picture with more pixels down.
MOST_PIXELS = 2**21


def picture_files(paths: Iterable[str | Path]) -> list[Path]:
    """The pictures that paths name: files as they are, and the pictures in folders, by name.

    A folder's pictures are the files in it with one of the `ENDINGS`; hidden files, and what is in
    folders within it, are left out.

    Raises
    ------
    CifarcamError
        When a folder contains no picture or cannot be read.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if not stat.S_ISDIR(file_mode(path) or 0):
            files.append(path)
            continue
        try:
            inside = sorted(
                file
                for file in path.iterdir()
                if file.suffix.lower() in ENDINGS
                and not file.name.startswith(".")
                and file.is_file()
            )
        except OSError as error:
            raise unreadable(path, error, "give another folder") from error
        if not inside:
            raise CifarcamError(
                f"{path}: a folder without pictures; give a folder that contains PNG or JPEG files"
            )
        files += inside
    return files


def read_picture(path: str | Path, size: Sequence[int | None]) -> np.ndarray:
    """A picture of any size and mode, as RGB at the size that a network takes.

    The picture is turned upright according to its EXIF data, transparent parts become white, the
    shorter side is resampled (Lanczos) to fit, and the longer side is cropped to its centre. Of
    several frames or pages, the first is read.

    Parameters
    ----------
    path
        The file.
    size
        Height and width in pixels. If one of them is None, the picture's shape decides it, up to
        `MOST_PIXELS` in all; if both are None, the picture keeps its own size.

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
    path = Path(path)
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
    height, width = _whole_size(size, picture)
    return np.asarray(ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS))


def _whole_size(size: Sequence[int | None], picture: Image.Image) -> tuple[int, int]:
    """Height and width at which a picture is read, the open side in proportion to the other."""
    height, width = size
    if height is not None and width is None:
        width = _open_side(height, picture.width / picture.height)
    elif width is not None and height is None:
        height = _open_side(width, picture.height / picture.width)
    return height or picture.height, width or picture.width


def _open_side(fixed: int, ratio: float) -> int:
    """A side in proportion to the fixed one, of at least a pixel and no more than fit."""
    return max(1, min(round(fixed * ratio), MOST_PIXELS // fixed))


def within(picture: np.ndarray, most_pixels: int) -> np.ndarray:
    """A picture as it is, or scaled down (Lanczos) to at most a number of pixels.

    Parameters
    ----------
    picture
        Uint8, H x W x 3.
    most_pixels
        Of height times width, at least 1.
    """
    height, width = picture.shape[:2]
    if height * width <= most_pixels:
        return picture
    share = math.sqrt(most_pixels / (height * width))
    # The shorter side has at least one pixel; the longer follows from it, so that the shape stays.
    short = max(1, int(share * min(height, width)))
    long = min(most_pixels // short, round(short * max(height, width) / min(height, width)))
    size = (long, short) if width > height else (short, long)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


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
