"""Glued values and tables."""

from __future__ import annotations

import base64
import dataclasses
import html
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from IPython.display import display
from myst_nb import glue as myst_glue

from cifarcam import _devices, _store
from cifarcam.errors import CifarcamError
from cifarcam.studies.inference import Effect

NO_EFFECT = "–"  # in place of an interval where nothing was measured


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


def values(prefix: str, result: Any) -> None:
    """Name all numbers and texts of a frozen dataclass, so that the prose of any page can show them.

    A field ``mean_depth`` is glued as ``<prefix>-mean-depth``, and the fields of a nested dataclass
    under the field's name in turn. An `Effect` is glued as text too, see `interval`: as
    ``<prefix>-interval`` where the field is called ``effect``, else as ``<prefix>-<field>-interval``.
    A sign stands before the values of an effect that is compared with 0.

    Fields that hold anything else, such as None, a truth value, a tuple or an array, are left out.
    The interval of an ``effect`` that is None is a dash.

    Parameters
    ----------
    prefix
        Begins with the chapter's name.
    result
        An instance of a dataclass.

    Raises
    ------
    CifarcamError
        When `result` is no dataclass.
    """
    if not dataclasses.is_dataclass(result) or isinstance(result, type):
        raise CifarcamError(f"values {prefix!r}: {result!r}; give an instance of a dataclass")
    if isinstance(result, Effect):
        signed = result.null == 0
        glue(f"{prefix.removesuffix('-effect')}-interval", interval(result, signed=signed))
    for field in dataclasses.fields(result):
        name, value = f"{prefix}-{_dashed(field.name)}", getattr(result, field.name)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            values(name, value)
        elif isinstance(value, str):
            glue(name, str(value))  # of a `StrEnum` the text
        elif isinstance(value, int | float | np.number) and not isinstance(value, bool):
            glue(name, value)
        elif value is None and field.name == "effect":
            glue(f"{prefix}-interval", NO_EFFECT)


def findings(prefix: str, results: Mapping[str, Any]) -> None:
    """Name the fields of several findings, see `values`.

    Parameters
    ----------
    prefix
        Begins with the chapter's name.
    results
        Findings by the id of their condition, as `cifarcam.studies.claims.judge` returns them. The
        prefix of ``"plateau.level"`` is ``<prefix>-plateau-level``.
    """
    for name, finding in results.items():
        values(f"{prefix}-{_dashed(name)}", finding)


def interval(effect: Effect, digits: int | None = None, *, signed: bool = True) -> str:
    """An effect as text with a typeset minus, ``"+1.2 [0.8, 1.5]"``.

    An effect without an interval is its value alone.

    Parameters
    ----------
    effect
        Its unit is left to the prose.
    digits
        Decimal places; by default see `digits_of`.
    signed
        Whether a positive value has a plus sign, as for differences.
    """
    if digits is None:
        digits = digits_of(effect)
    return effect.text(digits, signed=signed)


def digits_of(effect: Effect) -> int:
    """Decimal places for an effect and its interval, one to three.

    With them half the interval's width is two units of the last place or more.
    """
    half = abs(effect.high - effect.low) / 2
    if not math.isfinite(half) or half == 0:
        return 1
    return min(max(math.ceil(-math.log10(half / 2)), 1), 3)


def _dashed(name: str) -> str:
    return name.replace("_", "-").replace(".", "-")


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
            if text.startswith("%"):  # begins a comment, which is not shown
                text = f"\\{text}"
            text = f"[{text}]{{.number}}" if is_number[index] and text else text
            lines.append(f"{'* -' if index == 0 else '  -'} {text}")
    return "\n".join([*lines, ":::"])


def _html_table(rows: Sequence[Sequence[Any]], header: Sequence[str], caption: str) -> str:
    """The table in HTML with each cell escaped; ``**words**`` of the caption are bold."""
    head = "".join(f"<th>{html.escape(str(cell))}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    title = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", html.escape(caption))
    return f"<table><caption>{title}</caption><tr>{head}</tr>{body}</table>"


def interactive(attributes: str, fallback: str, files: Mapping[str, bytes]) -> None:
    """Display an element that a script of the page fills, with its files in the output's metadata.

    Parameters
    ----------
    attributes
        Of the element, by which the script finds it.
    fallback
        Text in its place in print, in Jupyter and in browsers that run no scripts.
    files
        By name; `cifarcam.publish.sphinx_ext` writes them beside the pages.
    """
    page = (
        f"```{{raw}} html\n<div {attributes}><p>{fallback}</p></div>\n```\n\n"
        f"```{{only}} latex\n{fallback}\n```"
    )
    packed = {name: base64.b64encode(content).decode() for name, content in files.items()}
    display(
        {"text/markdown": page, "text/html": f"<p>{fallback}</p>"},
        raw=True,
        metadata={_store.FILES: packed},
    )


def machine() -> dict[str, str | int]:
    """Versions of Python and of the packages that decide a result, device, threads and system."""
    return _devices.versions() | _devices.describe()
