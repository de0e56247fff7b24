"""The claims on the front page: a list whose squares show the verdicts and lead to the evidence."""

from __future__ import annotations

import html
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any

MARK = '<div class="claims-board"></div>'  # in the front page
PAGE = "notebooks/claims.html"
# Signs by verdict, so that the colours of the style sheet are not alone.
SIGNS: Mapping[str, str] = MappingProxyType(
    {"reproduced": "✓", "contradicted": "✗", "undecided": "?", "not tested": "–", "fitted": "="}
)


def board(path: Path) -> str:
    """The list in HTML, from the file of the claims that lies beside the pages.

    Parameters
    ----------
    path
        ``claims.json``, see `cifarcam.report.claims.contents`.
    """
    conditions: Sequence[Mapping[str, Any]] = json.loads(path.read_text())["claims"]
    items = [_item(list(group)) for _, group in groupby(conditions, lambda one: one["claim"])]
    counts = Counter(one["verdict"] for one in conditions)
    legend = [
        f"<li>{_square(verdict)} {counts[verdict]} {verdict}</li>"
        for verdict in SIGNS
        if counts[verdict]
    ]
    return (
        f'<div class="claims-board"><ul class="claims-legend">{"".join(legend)}</ul>\n'
        f'<ul class="claims-list">\n{"".join(items)}</ul></div>'
    )


def _item(conditions: Sequence[Mapping[str, Any]]) -> str:
    first = conditions[0]
    squares = " ".join(
        _square(one["verdict"], f"{one['label']}: {one['verdict']}") for one in conditions
    )
    return (
        f'<li><a href="{PAGE}#claim-{html.escape(first["claim"])}">'
        f"<span>{html.escape(first['statement'])}</span> "
        f'<span class="claims-squares">{squares}</span></a></li>\n'
    )


def _square(verdict: str, words: str = "") -> str:
    """A verdict's square; in a legend, where the words stand beside it, without words of its own."""
    spoken = f'role="img" aria-label="{html.escape(words)}" title="{html.escape(words)}"'
    kind = verdict.replace(" ", "-")
    about = spoken if words else 'aria-hidden="true"'
    return f'<span class="claims-square claims-{kind}" {about}>{SIGNS[verdict]}</span>'
