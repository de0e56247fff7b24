"""What the texts of options mean: a range, the grid of tokens, a class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cifarcam.errors import CifarcamError

if TYPE_CHECKING:
    from cifarcam.explain.input_range import RangeLike

LARGEST = 1e38  # of float32, about


def range_of_text(text: str) -> RangeLike:
    """Black and white from text: ``"0,1"``, or ``"-104,-117,-124:151,138,131"`` by channel.

    Raises
    ------
    CifarcamError
        When the text is neither ``LOW,HIGH`` nor as many numbers before a colon as behind it.
    """
    sides = text.split(":") if ":" in text else text.split(",")
    try:
        black, white = ([float(number) for number in side.split(",")] for side in sides)
    except ValueError:
        black, white = [], []
    is_too_large = any(abs(number) > LARGEST for number in black + white)
    if not black or len(black) != len(white) or is_too_large:
        raise CifarcamError(
            f"--input-range is {text!r}; give LOW,HIGH, such as 0,1 or -1,1, or by channel "
            "LOW,LOW,LOW:HIGH,HIGH,HIGH"
        )
    if len(black) == 1:
        return black[0], white[0]
    return black, white


def tokens_of_text(text: str) -> tuple[int, int]:
    """Rows and columns of tokens from text, such as ``"14,14"``.

    Raises
    ------
    CifarcamError
        When the text is not ROWS,COLUMNS.
    """
    parts = text.split(",")
    if len(parts) != 2 or not all(part.isdecimal() and len(part) < 5 for part in parts):
        raise CifarcamError(f"--tokens is {text!r}; give ROWS,COLUMNS, such as 14,14")
    return int(parts[0]), int(parts[1])


def class_index(text: str, names: Sequence[str]) -> int:
    """The index of a class that a user gives by name or number.

    Raises
    ------
    CifarcamError
        When there is no such class, or several classes have that name.
    """
    indices = [index for index, name in enumerate(names) if name == text]
    if len(indices) > 1:
        raise CifarcamError(
            f"classes {indices[0]} and {indices[1]} are both called {text!r}; give the number"
        )
    if indices:
        return indices[0]
    numbers = [str(index) for index in range(len(names))]
    if text in numbers:
        return int(text)
    listed = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    raise CifarcamError(
        f"there is no class {text!r}; give a number from 0 to {len(names) - 1}, or a name: {listed}"
    )
