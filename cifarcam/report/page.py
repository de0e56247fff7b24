"""What a chapter puts on its page besides prose and figures: values, tables, its provenance."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from IPython.display import display
from myst_nb import glue as myst_glue

from cifarcam import _devices, _store
from cifarcam.errors import CifarcamError


def glue(name: str, value: float | int | str | np.generic) -> None:
    """Give a number or a word a name by which the prose of any page can show it.

    Parameters
    ----------
    name
        Unique over the whole book; it starts with the chapter's name.
    value
        A plain or NumPy scalar, or a text.

    Raises
    ------
    CifarcamError
        When `value` is something else, such as an array or None.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, float | int | str):
        raise CifarcamError(f"glue {name!r}: {value!r} is not a number or a text")
    myst_glue(name, value, display=False)


def plus_minus(mean: float, half: float, digits: int = 1, *, signed: bool = False) -> str:
    """A mean and the half width of its interval as text, with a typeset minus.

    Parameters
    ----------
    mean, half
        The two numbers.
    digits
        Behind the point.
    signed
        Whether a positive mean has its sign, as differences do.
    """
    sign = "+" if signed else ""
    return f"{mean:{sign}.{digits}f} ± {half:.{digits}f}".replace("-", "−")


def table(rows: Sequence[Sequence[Any]], *, header: Sequence[str], caption: str, name: str) -> None:
    """Show a numbered table.

    The book gets it as a MyST ``list-table``, so that it is numbered as a table and typeset in
    LaTeX; Jupyter and Colab get it as HTML. Cells of a column without letters carry the class
    ``number``, by which the book's style aligns them.

    Parameters
    ----------
    rows
        Cells by row, MyST text or anything that prints well.
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
            raise CifarcamError(f"table {name!r}: row {list(row)!r} has not {len(header)} cells")
    lines = [f":::{{list-table}} {caption}", ":header-rows: 1", f":name: {name}", ""]
    is_number = [
        not any(c.isalpha() for row in rows for c in str(row[k])) for k in range(len(header))
    ]
    for row in [header, *rows]:
        for index, cell in enumerate(row):
            text = f"[{cell}]{{.number}}" if is_number[index] and str(cell) else str(cell)
            lines.append(f"{'* -' if index == 0 else '  -'} {text}")
    lines.append(":::")
    head = "".join(f"<th>{html.escape(str(cell))}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    page = f"<table><caption>{html.escape(caption)}</caption><tr>{head}</tr>{body}</table>"
    display({"text/markdown": "\n".join(lines), "text/html": page}, raw=True)


def machine() -> dict[str, str | int]:
    """What a chapter runs on: versions of Python and of the packages that decide a result, device,
    threads, system.
    """
    return _devices.versions() | _devices.describe()


def computed_from() -> None:
    """Close a chapter by what it was computed from: all that the library handed to its process.

    Shows the datasets' digests, the runs' and records' fingerprints, versions, device and date,
    and says of each record whether other code or data made it. The book's builder reads the same
    from the output's metadata, to know when the chapter is stale.
    """
    used = {kind: _store.handed_out(kind) for kind in _store.KINDS}
    lines = []
    for name, dataset in used["datasets"].items():
        note = " (the committed sample, not the whole dataset)" if name == "sample" else ""
        lines.append(f"- Dataset: {name}{note}, SHA-256 `{dataset['digest'][:16]}`")
    for fingerprint, run in used["runs"].items():
        lines.append(
            f"- Run `{run['name']}`: fingerprint `{fingerprint[:16]}`, trained {run['trained']}"
        )
    for name, record in used["records"].items():
        difference = record["outdated_by"]
        state = "" if difference is None else f", made by {difference}"
        lines.append(f"- Record `{name}`: fingerprint `{record['fingerprint'][:16]}`{state}")
    for name, cached in used["cached"].items():
        if cached["digest"] is not None:
            lines.append(f"- Weights `{name}`: SHA-256 `{cached['digest'][:16]}`")
    software = ", ".join(f"{name} {version}" for name, version in _devices.versions().items())
    lines.append(f"- Software: {software}")
    lines.append(f"- Device: {_devices.describe()['device']}")
    lines.append(f"- Executed: {datetime.now(UTC).date().isoformat()}")
    text = "\n".join(lines)
    display(
        {
            "text/markdown": f":::{{admonition}} What this page was computed from\n"
            f":class: note computed-from\n\n{text}\n:::",
            "text/html": f"<pre>{html.escape(text)}</pre>",
        },
        raw=True,
        metadata={_store.USED: used},
    )
