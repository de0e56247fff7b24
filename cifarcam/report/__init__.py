"""What a chapter shows besides prose and figures: glued values, tables, provenance, examples."""

from __future__ import annotations

from cifarcam.errors import require

require("report", "IPython", "myst_nb")  # before the imports that need them

from cifarcam.report.examples import Example, choose_examples
from cifarcam.report.page import findings, glue, interval, machine, table, values
from cifarcam.report.provenance import computed_from

__all__ = [
    "Example",
    "choose_examples",
    "computed_from",
    "findings",
    "glue",
    "interval",
    "machine",
    "table",
    "values",
]
