"""The house style: type, colours, formats, and drawing in inches."""

from __future__ import annotations

import bisect
import logging
import os
import stat
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial, wraps
from pathlib import Path
from types import MappingProxyType
from typing import Any, ParamSpec

import matplotlib
import numpy as np
from IPython.core.getipython import get_ipython
from IPython.core.pylabtools import print_figure
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.textpath import text_to_path

from cifarcam import _files
from cifarcam.errors import CifarcamError, file_mode, printable

WIDTH = 6.5  # inches, the text column of a printed page
TEXT = 8.0  # points, the least size at which anything is written
LINE = 0.145  # inches from one line of text to the next at that size

# Okabe and Ito's palette, which colour-blind readers can tell apart.
BLACK = "#000000"
ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
YELLOW = "#F0E442"
BLUE = "#0072B2"
VERMILLION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#666666"
PALE = "#D9D9D9"

HEAT = "viridis"  # heatmaps: even in lightness, for colour-blind readers and in grey print
COUNTS = "Blues"  # counts and shares, nothing being white

# The typeface comes with Matplotlib. For the scripts that it lacks, those that are installed of
# these serve, letter by letter.
TYPEFACE = "DejaVu Sans"
FALLBACKS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Noto Sans JP",
    "Noto Sans SC",
    "Noto Sans KR",
    "Droid Sans Fallback",
    "WenQuanYi Zen Hei",
    "IPAGothic",
    "Hiragino Sans",
    "Hiragino Sans GB",
    "Apple SD Gothic Neo",
    "Yu Gothic",
    "Microsoft YaHei",
    "Malgun Gothic",
    "Arial Unicode MS",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Noto Emoji",
    "Segoe UI Emoji",
)
FAMILY = (TYPEFACE, *(name for name in FALLBACKS if name in fontManager.get_font_names()))

STYLE: Any = MappingProxyType(
    {
        "font.family": FAMILY,
        "font.size": TEXT,
        "text.parse_math": False,  # a dollar sign in a name is a dollar sign
        "axes.titlesize": 9.0,
        "axes.labelsize": TEXT,
        "xtick.labelsize": TEXT,
        "ytick.labelsize": TEXT,
        "legend.fontsize": TEXT,
        "figure.titlesize": 10.0,
        "figure.facecolor": "white",
        "figure.dpi": 100.0,
        "savefig.dpi": 200.0,
        "savefig.bbox": "tight",
        "savefig.pad_inches": 0.05,
        "savefig.facecolor": "white",
        "axes.facecolor": "white",
        "axes.edgecolor": GREY,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "grid.color": PALE,
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "image.composite_image": False,  # pictures keep their own pixels in SVG and PDF
        "svg.fonttype": "path",
        "pdf.fonttype": 42,  # TrueType, which any reader can search
        "svg.hashsalt": "cifarcam",
    }
)

# No date: the same figure is the same file. The name tells our own files from a user's.
METADATA: Mapping[str, Mapping[str, str | None]] = MappingProxyType(
    {
        "svg": {"Date": None, "Creator": "cifarcam"},
        "pdf": {"CreationDate": None, "Creator": "cifarcam"},
        "png": {"Software": "cifarcam"},
    }
)
# How that name stands in a file, and in how many bytes at its beginning (or, below 0, its end).
MARKS: Mapping[str, tuple[bytes, int]] = MappingProxyType(
    {
        "svg": (b"<dc:title>cifarcam</dc:title>", 4096),
        "pdf": (b"/Creator (cifarcam)", -65536),
        "png": (b"tEXtSoftware\0cifarcam", 4096),
    }
)

Arguments = ParamSpec("Arguments")


def use_house_style() -> None:
    """Set Matplotlib's defaults, and in IPython how a figure is shown.

    There, a `Figure` that is a cell's last expression is shown once, as SVG for screens and as
    PDF for print.
    """
    matplotlib.rcParams.update(STYLE)
    shell: Any = get_ipython()
    if shell is None:
        return
    formatters = shell.display_formatter.formatters
    for formatter in formatters.values():
        formatter.pop(Figure, None)
    for kind, mime in (("svg", "image/svg+xml"), ("pdf", "application/pdf")):
        show = partial(print_figure, fmt=kind, base64=True, metadata=METADATA[kind])
        formatters[mime].for_type(Figure, show)


def styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Make a function draw in the house style, whatever the caller's own defaults are."""

    @wraps(draw)
    def drawn(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        with _house_style():
            return draw(*args, **kwargs)

    return drawn


@contextmanager
def _house_style() -> Iterator[None]:
    """Draw in the house style, without a note for each fallback that has no bold type."""
    fonts = logging.getLogger("matplotlib.font_manager")
    level = fonts.level
    fonts.setLevel(logging.ERROR)
    try:
        with matplotlib.rc_context(dict(STYLE)):
            yield
    finally:
        fonts.setLevel(level)


def save(figure: Figure, path: Path | str) -> None:
    """Write a figure as SVG, PDF or PNG (200 dpi) by the name's ending.

    The same figure gives the same bytes. The file appears complete or not at all.

    Raises
    ------
    CifarcamError
        When `check_output` refuses the name, or the file cannot be written.
    """
    path = Path(path)
    check_output(path)
    kind = path.suffix.lower().removeprefix(".")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _house_style(), _files.atomic_file(path) as temporary:
            figure.savefig(temporary, format=kind, metadata=dict(METADATA[kind]))
    except OSError as error:
        raise CifarcamError(
            f"{path}: cannot be written ({error.strerror}); give a name in a folder that can be "
            "written to and has space"
        ) from error


def check_output(path: Path, inputs: Iterable[Path] = ()) -> None:
    """Refuse a name to which a figure must not be written, before any work is done for it.

    Parameters
    ----------
    path
        The figure's file; one that `save` wrote earlier may be replaced.
    inputs
        The files that the figure is made from.

    Raises
    ------
    CifarcamError
        When the ending is not that of SVG, PDF or PNG, the name is that of an input or of another
        file that `save` did not write, or its folder cannot be written to.
    """
    if path.suffix.lower().removeprefix(".") not in METADATA:
        raise CifarcamError(f"{path}: give a name that ends in .png, .svg or .pdf")
    mode = file_mode(path)
    if mode is not None and any(file_mode(one) and path.samefile(one) for one in inputs):
        raise CifarcamError(f"{path}: is read and would be replaced; give another name to write to")
    if (mode is not None or path.is_symlink()) and not _is_ours(path, mode):
        raise CifarcamError(
            f"{path}: is there and was not written by cifarcam; give another name to write to, "
            "or take it away"
        )
    folder = next(folder for folder in path.absolute().parents if file_mode(folder) is not None)
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise CifarcamError(f"{path}: cannot be written to {folder}; give another name to write to")


def _is_ours(path: Path, mode: int | None) -> bool:
    """Whether `save` wrote a file."""
    if mode is None or not stat.S_ISREG(mode):
        return False
    mark, reach = MARKS[path.suffix.lower().removeprefix(".")]
    try:
        with path.open("rb") as file:
            if reach < 0:
                file.seek(max(0, file.seek(0, os.SEEK_END) + reach))
            return mark in file.read(abs(reach))
    except OSError:  # what may not be read is somebody else's
        return False


def slant_names(axes: Axes) -> None:
    """Names along the horizontal axis, risen by 30 degrees so that they do not meet."""
    axes.tick_params(axis="x", length=0, rotation=30)
    for label in axes.get_xticklabels():
        label.set(ha="right", rotation_mode="anchor")


def sheet(height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """An empty figure whose axes measure inches from the upper left corner."""
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    axes.axis("off")
    return figure, axes


def place(axes: Axes, picture: np.ndarray, x: float, y: float, width: float) -> None:
    """Put an H x W x 3 uint8 picture on a sheet, its upper left corner at (x, y) inches.

    It is enlarged to about 100 pixels an inch by whole pixels, so that no viewer blurs it.
    """
    factor = max(1, round(100 * width / picture.shape[1]))
    enlarged = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    height = width * picture.shape[0] / picture.shape[1]
    axes.imshow(enlarged, extent=(x, x + width, y + height, y), interpolation="none", aspect="auto")


def mosaic(pictures: np.ndarray, columns: int, gap: int) -> np.ndarray:
    """Join N x H x W x 3 uint8 pictures row by row, `gap` white pixels between them."""
    height, width = pictures.shape[1:3]
    rows = -(-len(pictures) // columns)
    joined = np.full(
        (rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, dtype=np.uint8
    )
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        top, left = row * (height + gap), column * (width + gap)
        joined[top : top + height, left : left + width] = picture
    return joined


def text_width(text: str, size: float = TEXT, weight: str = "normal") -> float:
    """Inches that one line of text takes."""
    if not text.strip():
        return 0.0
    font = FontProperties(family=list(FAMILY), weight=weight, size=size)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width) / 72


def literal(text: str) -> str:
    r"""A user's text as it can be drawn: on one line, a letter without a glyph by its code point.

    So ``\u732b`` stands for a letter that neither the typeface nor an installed one of
    `FALLBACKS` has.
    """
    return "".join(
        letter if ord(letter) in _glyphs(FAMILY) else letter.encode("unicode_escape").decode()
        for letter in printable(text)
    )


@cache
def _glyphs(family: tuple[str, ...]) -> frozenset[int]:
    """The code points that some typefaces have together, in normal and in bold type."""

    def of(weight: str) -> set[int]:
        paths = (findfont(FontProperties(family=[name], weight=weight)) for name in family)
        return {point for path in paths for point in get_font(path).get_charmap()}

    return frozenset(of("normal") & of("bold"))


def shortened(text: str, width: float, weight: str = "normal") -> str:
    """A user's text, as `literal` gives it, without so much of its middle that it fits `width`."""
    text = literal(text)
    if text_width(text, weight=weight) <= width:
        return text

    def cut(letters: int) -> str:
        return f"{text[: letters - letters // 2]}…{text[len(text) - letters // 2 :]}"

    lengths = range(len(text))
    fits = bisect.bisect_right(lengths, width, key=lambda n: text_width(cut(n), weight=weight))
    return cut(max(fits - 1, 0))


def fitted(text: str, width: float, size: float = TEXT) -> list[str]:
    """Break a text into lines that fit `width` inches; given line breaks are kept."""
    lines: list[str] = []
    for line in map(literal, str(text).split("\n")):
        letters = len(line)
        parts = [line]
        while letters > 4 and any(text_width(part, size) > width for part in parts):
            letters -= 1
            parts = textwrap.wrap(line, letters, break_on_hyphens=False)
        lines += parts
    return lines


def title_rows(
    titles: Sequence[str], width: float, columns: int
) -> list[list[tuple[int, list[str]]]]:
    """Titles in rows of `columns`: for each its index, and its lines of at most `width` inches."""
    texts = [(index, fitted(title, width)) for index, title in enumerate(titles)]
    return [texts[start : start + columns] for start in range(0, len(texts), columns)]


def checked_pictures(images: Any, name: str = "images") -> np.ndarray:
    """`images` as an N x H x W x 3 uint8 array.

    Raises
    ------
    CifarcamError
        When they are something else.
    """
    pictures = np.asarray(images)
    if pictures.ndim != 4 or pictures.shape[-1] != 3 or pictures.dtype != np.uint8:
        raise CifarcamError(
            f"{name}: {pictures.dtype} of shape {pictures.shape} is not N x H x W x 3 uint8"
        )
    return pictures
