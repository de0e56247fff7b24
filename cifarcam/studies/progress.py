"""Lines about the progress of a long measurement."""

from __future__ import annotations

import sys


def log(text: str) -> None:
    """Print a line to standard error, at once."""
    print(text, file=sys.stderr, flush=True)
