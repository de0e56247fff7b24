"""The ledger: every condition of every claim with its verdict, as data that two builds can compare.

`ledger` judges the claims, `write` and `read` keep the ledger as JSON with its own SHA-256,
`difference` says in sentences what changed, and `text` sets the ledger for a terminal.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
import tempfile
import textwrap
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydantic.dataclasses

from cifarcam import _closure, _files
from cifarcam.errors import CifarcamError
from cifarcam.report import page
from cifarcam.studies import inference
from cifarcam.studies.claims import CLAIMS, Claim, Finding, Sources, Verdict
from cifarcam.studies.inference import Effect

REMEDY = "give a file that `cifarcam claims --json` or a build of the report wrote"
NARROWEST = 40  # columns of a terminal; a narrower one breaks the lines itself
INDENT = "    "
CITATION = re.compile(r"\s*\{cite[\w:]*\}`[^`]*`")  # of the book, left out in a terminal


@pydantic.dataclasses.dataclass(frozen=True)
class Entry:
    """One condition of a claim with its finding; see `cifarcam.studies.claims.base`.

    `digests` holds SHA-256 by name: ``"code"`` of the modules that judge the condition, with all
    code that they import; ``"datasets"``, ``"runs"`` and ``"records"`` of what was read for it.
    """

    claim: str
    statement: str
    place: str
    condition: str
    label: str
    rule: str
    since: str
    timing: str
    verdict: str
    sentence: str
    basis: str
    effect: Effect | None
    by_seed: tuple[float, ...]
    digests: dict[str, dict[str, str]]


@dataclass(frozen=True)
class Counts:
    """How many claims and conditions a ledger has, and how many conditions have each verdict."""

    claims: int
    conditions: int
    reproduced: int
    contradicted: int
    undecided: int
    not_tested: int
    fitted: int


def ledger(sources: Sources, claims: Sequence[Claim] = CLAIMS) -> list[Entry]:
    """Judge all conditions of the claims, in their order.

    Parameters
    ----------
    sources
        The runs and records to judge from.
    claims
        By default all claims.
    """
    entries = []
    for claim in claims:
        for condition in claim.conditions:
            with sources.noting() as noted:
                finding = condition.finding(sources)
            modules = sorted({_module(condition.judge), _module(condition.evidence)})
            entries.append(
                Entry(
                    claim=claim.id,
                    statement=claim.statement,
                    place=claim.place,
                    condition=condition.id,
                    label=condition.label,
                    rule=condition.rule,
                    since=condition.since,
                    timing=str(condition.timing),
                    verdict=str(finding.verdict),
                    sentence=finding.sentence,
                    basis=finding.basis,
                    effect=finding.effect,
                    by_seed=tuple(map(float, finding.by_seed)),
                    digests={"code": {name: _code_digest(name) for name in modules}, **noted},
                )
            )
    return entries


def findings(entries: Sequence[Entry]) -> dict[str, Finding]:
    """The findings of a ledger by the id of their condition, see `cifarcam.report.findings`."""
    return {
        entry.condition: Finding(
            Verdict(entry.verdict), entry.sentence, entry.basis, entry.effect, entry.by_seed
        )
        for entry in entries
    }


def counts(entries: Sequence[Entry]) -> Counts:
    """Count the claims, the conditions, and the verdicts of a ledger."""
    verdicts = Counter(entry.verdict for entry in entries)
    return Counts(
        len({entry.claim for entry in entries}),
        len(entries),
        **{_field(verdict): verdicts[verdict] for verdict in Verdict},
    )


def check_output(path: Path) -> None:
    """Refuse to replace a file that is no ledger.

    Raises
    ------
    CifarcamError
        When such a file exists.
    """
    if path.exists():
        try:
            read(path)
        except CifarcamError as error:
            message = f"{path}: exists and is no ledger of claims; give another name"
            raise CifarcamError(message) from error


def power(sources: Sources) -> str:
    """Say what difference in accuracy the baseline's seeds can show, in sentences."""
    found = inference.power_of_seeds(
        [100 * run.metrics["test"]["accuracy"] for run in sources.baseline]
    )
    if found.seeds == 1:
        return (
            "Here the baseline was trained from one seed only, so we cannot tell a difference between "
            "two recipes from a difference between two seeds."
        )
    return (
        f"The baseline's test accuracy varies over {found.seeds} seeds with a standard deviation "
        f"of {found.deviation:.2f} points. With as many seeds on each side, a paired t test finds "
        f"a true difference of {found.detectable:.1f} points between two such recipes with a "
        f"probability of 80%. With twice as many seeds, it finds a difference of "
        f"{found.detectable_by_twice:.1f} points."
    )


def write(entries: Sequence[Entry], path: Path) -> None:
    """Write a ledger as JSON, as a whole or not at all; see `check_output`.

    Raises
    ------
    CifarcamError
        When the file cannot be written.
    """
    with _files.writing_to(path.absolute().parent):
        _files.write_json(path, {"claims": [_finite(asdict(entry)) for entry in entries]})


def read(path: Path) -> list[Entry]:
    """Read a ledger that `write` wrote.

    Raises
    ------
    CifarcamError
        When the file cannot be read, is damaged, or is no ledger.
    """
    try:
        return [_entry(item) for item in _files.read_json(path, REMEDY)["claims"]]
    except (ValueError, KeyError, TypeError) as error:
        raise CifarcamError(f"{path}: no ledger of claims of this version; {REMEDY}") from error


def contents(entries: Sequence[Entry]) -> bytes:
    """The contents of the file that `write` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "claims.json"
        write(entries, path)
        return path.read_bytes()


def difference(old: Sequence[Entry], new: Sequence[Entry]) -> list[str]:
    """Say in sentences how one ledger differs from an older ledger; an empty list if it does not.

    A condition is named by its id. Compared are verdicts, effects with their intervals, and rules;
    effects that differ by rounding alone are equal.
    """
    before = {entry.condition: entry for entry in old}
    after = {entry.condition: entry for entry in new}
    appeared = [f"{name} is new: {after[name].verdict}." for name in after if name not in before]
    vanished = [
        f"{name} is gone. It was {before[name].verdict}." for name in before if name not in after
    ]
    changes = [_changes(before[name], after[name]) for name in after if name in before]
    return [*appeared, *vanished, *itertools.chain(*changes)]


def _changes(before: Entry, after: Entry) -> list[str]:
    """How one condition changed, in sentences."""
    name, sentences = after.condition, []
    if before.rule != after.rule:
        sentences.append(f"{name}: the rule was “{before.rule}” and is “{after.rule}”")
    if before.verdict != after.verdict:
        sentences.append(f"{name}: the verdict was {before.verdict} and is {after.verdict}.")
    if before.effect is None and after.effect is not None:
        sentences.append(f"{name}: an effect is measured now. It is {effect_text(after.effect)}.")
    elif before.effect is not None and after.effect is None:
        sentences.append(
            f"{name}: no effect is measured any more. It was {effect_text(before.effect)}."
        )
    elif before.effect is not None and after.effect is not None:
        movement = _movement(before.effect, after.effect)
        if movement is not None:
            sentences.append(
                f"{name}: {movement}. It was {effect_text(before.effect)} and is "
                f"{effect_text(after.effect)}."
            )
    return sentences


def _movement(old: Effect, new: Effect) -> str | None:
    """How an effect changed, in words; None where it is equal but for rounding."""
    numbers = ((getattr(old, key), getattr(new, key)) for key in ("value", "low", "high"))
    same = (
        math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9)
        or not (math.isfinite(a) or math.isfinite(b))  # JSON has null for both
        for a, b in numbers
    )
    if all(same) and (old.unit, old.count) == (new.unit, new.count):
        return None
    if old.low <= new.value <= old.high:
        return "the effect changed within its old interval"
    if new.value < old.low or old.high < new.value:
        return "the effect left its old interval"
    return "the effect changed"


def effect_text(effect: Effect) -> str:
    """An effect in words, such as ``"+1.2 [0.8, 1.5] points over 4 seeds"``."""
    over = effect.over.removesuffix("s") if effect.count == 1 else effect.over
    return f"{measured(effect)} over {effect.count:,} {over}"


def measured(effect: Effect) -> str:
    """An effect with its interval and unit, such as ``"+1.2 [0.8, 1.5] points"``."""
    space = "" if effect.unit.startswith("%") else " "
    return f"{page.interval(effect, signed=effect.null == 0)}{space}{effect.unit}"


def text(entries: Sequence[Entry], width: int) -> str:
    """The ledger for a terminal of `width` columns, with a summary as its last line."""
    width = max(width, NARROWEST)

    def wrapped(paragraph: str, indent: str = "") -> str:
        return textwrap.fill(paragraph, width, initial_indent=indent, subsequent_indent=indent)

    blocks = []
    for index, entry in enumerate(entries):
        if index == 0 or entries[index - 1].claim != entry.claim:
            blocks.append(wrapped(f"{entry.claim}: {entry.statement}"))
        effect = "" if entry.effect is None else f"  {effect_text(entry.effect)}"
        line = wrapped(f"{entry.verdict.upper()}  {entry.condition}{effect}", INDENT)
        blocks.append(f"{line}\n{wrapped(CITATION.sub('', entry.sentence), 2 * INDENT)}")
    return "\n\n".join([*blocks, wrapped(summary(counts(entries)))])


def summary(number: Counts) -> str:
    """How many conditions have each verdict, in one sentence."""
    verdicts = ", ".join(f"{getattr(number, _field(verdict))} {verdict}" for verdict in Verdict)
    return f"{number.conditions} conditions of {number.claims} claims: {verdicts}."


def _field(verdict: Verdict) -> str:
    """The field of `Counts` for a verdict."""
    return verdict.name.lower()


def _entry(item: dict[str, Any]) -> Entry:
    """The entry in the JSON of `write`, where null stands for NaN."""
    effect = item["effect"]
    if effect is not None:
        effect = {key: math.nan if value is None else value for key, value in effect.items()}
    by_seed = [math.nan if value is None else value for value in item["by_seed"]]
    return Entry(**item | {"effect": effect, "by_seed": by_seed})


def _finite(value: Any) -> Any:
    """A value for JSON: null instead of NaN and infinity."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _module(function: Callable[..., Any]) -> str:
    """The module that defines a function, also where its first arguments are bound."""
    while isinstance(function, functools.partial):
        function = function.func
    return function.__module__


@functools.cache
def _code_digest(module: str) -> str:
    return _closure.code_digest(module)
