"""What a chapter puts on its page besides prose and figures: values, tables, its provenance."""

from __future__ import annotations

from cifarcam.report.examples import Example, choose_examples
from cifarcam.report.page import computed_from, glue, machine, plus_minus, table

__all__ = [
    "Example",
    "choose_examples",
    "computed_from",
    "glue",
    "machine",
    "plus_minus",
    "table",
]
