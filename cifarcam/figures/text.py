"""Text in figures: typefaces, the width of a text, and texts broken or shortened to fit."""

from __future__ import annotations

import bisect
import textwrap
from collections.abc import Sequence
from functools import cache

from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.textpath import text_to_path

from cifarcam.errors import printable

TEXT = 8.0  # points, the smallest size of any text
LINE = 0.145  # inches from one line of text to the next at that size

# DejaVu Sans comes with Matplotlib. Letters that it lacks are taken from the first of these
# fallbacks that is installed and has them.
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


def text_width(text: str, weight: str = "normal") -> float:
    """Width in inches of one line of text at `TEXT` points."""
    if not text.strip():
        return 0.0
    font = FontProperties(family=list(FAMILY), weight=weight, size=TEXT)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width) / 72


def literal(text: str) -> str:
    r"""A user's text on one line, each letter without a glyph replaced by its code point.

    So ``\u732b`` stands for a letter that neither the typeface nor an installed fallback has.
    """
    return "".join(
        letter if ord(letter) in _glyphs(FAMILY) else letter.encode("unicode_escape").decode()
        for letter in printable(text)
    )


@cache
def _glyphs(family: tuple[str, ...]) -> frozenset[int]:
    """Code points that the typefaces together have, in normal and in bold type."""

    def of(weight: str) -> set[int]:
        paths = (findfont(FontProperties(family=[name], weight=weight)) for name in family)
        return {point for path in paths for point in get_font(path).get_charmap()}

    return frozenset(of("normal") & of("bold"))


def shortened(text: str, width: float, weight: str = "normal") -> str:
    """`literal` text, its middle replaced by … where it is wider than `width` inches."""
    text = literal(text)
    if text_width(text, weight) <= width:
        return text

    def cut(letters: int) -> str:
        return f"{text[: letters - letters // 2]}…{text[len(text) - letters // 2 :]}"

    lengths = range(len(text))
    fits = bisect.bisect_right(lengths, width, key=lambda n: text_width(cut(n), weight))
    return cut(max(fits - 1, 0))


def fitted(text: str, width: float) -> list[str]:
    """Break a text into lines of at most `width` inches; its own line breaks stay."""
    lines: list[str] = []
    for line in map(literal, str(text).split("\n")):
        letters = len(line)
        parts = [line]
        while letters > 4 and any(text_width(part) > width for part in parts):
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
