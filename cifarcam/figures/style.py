"""The house style: colours, sizes, Matplotlib's settings, and how notebooks show figures."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial, wraps
from types import MappingProxyType
from typing import Any, ParamSpec

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from cifarcam.errors import require
from cifarcam.figures.text import FAMILY, TEXT

WIDTH = 6.5  # inches, the text column of a printed page

# Okabe and Ito's palette, which colour-blind readers can tell apart.
BLACK = "#000000"
ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
BLUE = "#0072B2"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#666666"
PALE = "#D9D9D9"

HEAT = "viridis"  # heatmaps: even in lightness, for colour-blind readers and in grey print

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
        "legend.title_fontsize": TEXT,
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

# No date, so that the same figure is the same file. The name distinguishes our files from a user's.
METADATA: Mapping[str, Mapping[str, str | None]] = MappingProxyType(
    {
        "svg": {"Date": None, "Creator": "cifarcam"},
        "pdf": {"CreationDate": None, "Creator": "cifarcam"},
        "png": {"Software": "cifarcam"},
    }
)

Arguments = ParamSpec("Arguments")


def use_house_style() -> None:
    """Set Matplotlib's defaults, and in a notebook how figures are shown.

    A notebook shows a `Figure` that is a cell's last expression once, as SVG for screens and as
    PDF for print.
    """
    matplotlib.rcParams.update(STYLE)
    if "IPython" not in sys.modules:  # not a notebook
        return
    from IPython.core.getipython import get_ipython
    from IPython.core.pylabtools import print_figure

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
        with house_style():
            return draw(*args, **kwargs)

    return drawn


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in the house style, without a log entry for each fallback that has no bold type."""
    fonts = logging.getLogger("matplotlib.font_manager")
    level = fonts.level
    fonts.setLevel(logging.ERROR)
    try:
        with matplotlib.rc_context(dict(STYLE)):
            yield
    finally:
        fonts.setLevel(level)


def seaborn() -> Any:
    """The module Seaborn, imported only when a figure needs it.

    Raises
    ------
    MissingExtra
        When Seaborn is not installed.
    """
    require("report", "seaborn", "pandas")
    import seaborn

    return seaborn


def slant_names(axes: Axes) -> None:
    """Slant the names along the horizontal axis by 30 degrees, so that they do not overlap."""
    axes.tick_params(axis="x", length=0, rotation=30)
    for label in axes.get_xticklabels():
        label.set(ha="right", rotation_mode="anchor")


def log_ticks(axis: Axis, multiples: Sequence[int]) -> None:
    """Plain numbers along a logarithmic axis, at these multiples of each power of ten."""
    axis.set_major_locator(LogLocator(subs=multiples))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
