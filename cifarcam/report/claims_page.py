"""What the page of all claims shows: the figure's rows, the claims one by one, and their file."""

from __future__ import annotations

import base64
import html
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from IPython.display import display

from cifarcam import _store
from cifarcam.figures.claims import Row
from cifarcam.report import page
from cifarcam.report.claims import Entry, contents, effect_text, measured
from cifarcam.studies.claims import Claim, Timing
from cifarcam.studies.wording import capital

FILE = "claims.json"  # beside the first page of the book
# The claims one by one are set in small type on paper.
SMALL = "```{raw} latex\n\\begingroup\\footnotesize\n```"
NORMAL = "```{raw} latex\n\\endgroup\n```"
Groups = list[tuple[str, list[Row]]]


def halves(entries: Sequence[Entry]) -> tuple[Groups, Groups]:
    """The rows of two figures of about the same length, see `cifarcam.figures.claims`.

    Returns
    -------
    tuple
        For each figure a list of statements with their rows; a claim is in one figure.
    """
    groups = [
        (group[0].statement, [_row(entry) for entry in group]) for group in _by_claim(entries)
    ]
    lines = [1 + len(rows) for _, rows in groups]
    cut = min(
        range(len(groups) + 1), key=lambda index: abs(sum(lines[:index]) - sum(lines[index:]))
    )
    return groups[:cut], groups[cut:]


@dataclass(frozen=True)
class Timings:
    """How many rules were written down before, together with and after their result."""

    all: int
    before: int
    together: int
    after: int


def timings(claims: Sequence[Claim]) -> Timings:
    """Count the rules of some claims by the time of their writing."""
    counts = Counter(condition.timing for claim in claims for condition in claim.conditions)
    return Timings(counts.total(), counts[Timing.BEFORE], counts[Timing.WITH], counts[Timing.AFTER])


def rule_rows(claims: Sequence[Claim]) -> list[list[str]]:
    """Table rows: a claim with a link to its verdicts, the rule of a condition, and its date."""
    rows = []
    for claim in claims:
        statement = f"[{claim.statement.rstrip('.')}](claim-{claim.id})"
        for condition in claim.conditions:
            timing = str(condition.timing).removesuffix(" its result")
            rows.append([statement, condition.rule, f"{_day(condition.since, '%b')}, {timing}"])
            statement = ""
    return rows


def show(entries: Sequence[Entry]) -> None:
    """Display the claims one by one, each at the address ``#claim-<id>``, and the ledger's file.

    The file is in the output's metadata, from which `cifarcam.publish.sphinx_ext` writes it beside
    the pages.
    """
    claims = "\n\n".join(map(_claim, _by_claim(entries)))
    markdown = f"{SMALL}\n\n{claims}\n\n{NORMAL}"
    link = (
        f'```{{raw}} html\n<p>The file <a href="../{FILE}">{FILE}</a> holds all claims as data.</p>\n```\n\n'
        f"```{{only}} latex\nThe file `{FILE}` beside the HTML pages holds all claims as data.\n```"
    )
    display(
        {
            "text/markdown": f"{markdown}\n\n{link}",
            "text/html": f"<pre>{html.escape(markdown)}</pre>",
        },
        raw=True,
        metadata={_store.FILES: {FILE: base64.b64encode(contents(entries)).decode()}},
    )


def _by_claim(entries: Sequence[Entry]) -> list[list[Entry]]:
    return [list(group) for _, group in groupby(entries, lambda entry: entry.claim)]


def _row(entry: Entry) -> Row:
    effect = entry.effect
    if effect is None:
        return Row(entry.label, entry.verdict, "", math.nan, math.nan, math.nan, math.nan)
    return Row(
        entry.label,
        entry.verdict,
        measured(effect),
        effect.value,
        effect.low,
        effect.high,
        effect.null,
    )


def _claim(entries: Sequence[Entry]) -> str:
    """A claim with all its conditions in MyST Markdown."""
    first = entries[0]
    return "\n\n".join(
        [
            f"(claim-{first.claim})=\n:::{{rubric}} {first.statement}\n:::",
            f"In the original: {first.place}.",
            *map(_condition, entries),
        ]
    )


def _condition(entry: Entry) -> str:
    """A condition in MyST Markdown: verdict and finding, then rule, effect and basis."""
    label = capital(entry.label)
    lines = [
        f"*Rule*, since {_day(entry.since)} and {entry.timing}: {entry.rule}",
        *([f"*Effect*: {_effect(entry)}"] if entry.effect is not None else []),
        f"*Rests on*: {entry.basis.rstrip('.')}.",
    ]
    bullets = "\n".join(f"- {line}" for line in lines)
    return f"**{label}: {entry.verdict}.** {entry.sentence}\n\n{bullets}"


def _day(iso: str, month: str = "%B") -> str:
    day = date.fromisoformat(iso)
    return f"{day.day} {day.strftime(month)} {day.year}"


def _effect(entry: Entry) -> str:
    """The effect with its interval, test, and values by seed."""
    effect = entry.effect
    assert effect is not None
    text = effect_text(effect)
    if math.isfinite(effect.p):
        p = "p < 0.001" if effect.p < 0.001 else f"p = {effect.p:.2g}"
        compared = "" if effect.null == 0 else f" against {effect.null:g}"
        text += f" ({effect.test}{compared}, {p})"
    if entry.by_seed:
        digits = page.digits_of(effect)
        numbers = ", ".join(f"{value:z.{digits}f}" for value in entry.by_seed)
        text += f". By seed: {numbers.replace('-', '−')}"
    return f"{text}."
