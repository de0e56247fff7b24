"""A chapter's provenance: the data, runs, records and software that its numbers come from."""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from IPython.display import display

from cifarcam import _devices, _store


def computed_from() -> None:
    """Close a chapter with a list of everything that the library handed out to its process.

    Shows the digests of datasets and cached weights, the fingerprints of runs and records,
    versions, device and date, and says of each record whether other code or data made it. The
    output's metadata holds the same, from which the book's builder sees when the chapter is stale.
    """
    used = {kind: _store.handed_out(kind) for kind in _store.KINDS}
    software = ", ".join(f"{name} {version}" for name, version in _devices.versions().items())
    digest = hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()
    lines = [
        f"Digest of all that follows: `{digest[:16]}`",
        *_sources(used),
        f"Software: {software}",
        f"Device: {_devices.describe()['device']}",
        f"Executed: {datetime.now(UTC).date().isoformat()}",
    ]
    text = "\n".join(f"- {line}" for line in lines)
    display(
        {
            "text/markdown": f":::{{admonition}} What this page was computed from\n"
            f":class: note computed-from dropdown\n\n{text}\n:::",
            "text/html": f"<pre>{html.escape(text)}</pre>",
        },
        raw=True,
        metadata={_store.USED: used},
    )


def _sources(used: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line of Markdown for each dataset, run, record and file of cached weights."""
    lines = []
    for name, dataset in used["datasets"].items():
        note = " (the committed sample, not the whole dataset)" if name == "sample" else ""
        lines.append(f"Dataset: {name}{note}, SHA-256 `{dataset['digest'][:16]}`")
    for fingerprint, run in used["runs"].items():
        lines.append(
            f"Run `{run['name']}`: fingerprint `{fingerprint[:16]}`, trained {run['trained']}"
        )
    for name, record in used["records"].items():
        difference = record["outdated_by"]
        state = "" if difference is None else f", made by {difference}"
        lines.append(f"Record `{name}`: fingerprint `{record['fingerprint'][:16]}`{state}")
    for name, cached in used["cached"].items():
        if cached["digest"] is not None:
            lines.append(f"Published file `{name}`: SHA-256 `{cached['digest'][:16]}`")
    return lines
