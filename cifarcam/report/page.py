"""Glued values and tables."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
from IPython.display import display
from myst_nb import glue as myst_glue

from cifarcam import _devices
from cifarcam.errors import CifarcamError


def glue(name: str, value: float | int | str | np.generic) -> None:
    """Name a number or a text, so that the prose of any page can show it.

    Parameters
    ----------
    name
        Unique in the whole book; it starts with the chapter's name.
    value
        A Python or NumPy scalar, or a text.

    Raises
    ------
    CifarcamError
        When `value` is neither, such as an array, a truth value or None.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, float | int | str):
        raise CifarcamError(f"glue {name!r}: {value!r}; give a number or a text")
    myst_glue(name, value, display=False)


def plus_minus(mean: float, half: float, digits: int = 1, *, signed: bool = False) -> str:
    """A mean and half the width of its interval as text, with a typeset minus.

    Parameters
    ----------
    mean, half
        Both in the same unit.
    digits
        Decimal places.
    signed
        Whether a positive mean has a plus sign, as for differences.
    """
    sign = "+" if signed else ""
    return f"{mean:{sign}.{digits}f} ± {half:.{digits}f}".replace("-", "−")


def table(rows: Sequence[Sequence[Any]], *, header: Sequence[str], caption: str, name: str) -> None:
    """Show a numbered table.

    The book shows a MyST ``list-table``, which it numbers and typesets in LaTeX too; Jupyter and
    Colab show HTML. Cells of a column without letters have the class ``number``, which the book's
    style aligns to the right.

    Parameters
    ----------
    rows
        Cells by row: MyST text or numbers.
    header
        The columns' titles.
    caption, name
        The caption, and the label for ``{numref}``.

    Raises
    ------
    CifarcamError
        When a row's length differs from the header's.
    """
    for row in rows:
        if len(row) != len(header):
            raise CifarcamError(
                f"table {name!r}: row {list(row)!r}; give {len(header)} cells, as in the header"
            )
    markdown, page = _list_table(rows, header, caption, name), _html_table(rows, header, caption)
    display({"text/markdown": markdown, "text/html": page}, raw=True)


def _list_table(
    rows: Sequence[Sequence[Any]], header: Sequence[str], caption: str, name: str
) -> str:
    """The table in MyST Markdown."""
    lines = [f":::{{list-table}} {caption}", ":header-rows: 1", f":name: {name}", ""]
    is_number = [
        not any(c.isalpha() for row in rows for c in str(row[k])) for k in range(len(header))
    ]
    for row in [header, *rows]:
        for index, cell in enumerate(row):
            text = str(cell).replace("\n", "\n    ")  # further lines stay in the cell
            text = f"[{text}]{{.number}}" if is_number[index] and text else text
            lines.append(f"{'* -' if index == 0 else '  -'} {text}")
    return "\n".join([*lines, ":::"])


def _html_table(rows: Sequence[Sequence[Any]], header: Sequence[str], caption: str) -> str:
    """The table in HTML, each cell's text escaped."""
    head = "".join(f"<th>{html.escape(str(cell))}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table><caption>{html.escape(caption)}</caption><tr>{head}</tr>{body}</table>"


def machine() -> dict[str, str | int]:
    """Versions of Python and of the packages that decide a result, device, threads and system."""
    return _devices.versions() | _devices.describe()
