"""Runs and records as directories and files: where they are looked for, whole or absent.

This module knows no TensorFlow, so that Sphinx's process can ask whether a chapter is stale.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cifarcam import files

RUN_FILES = (
    "experiment.toml",
    "history.csv",
    "predictions.npz",
    "metrics.json",
    "provenance.json",
)
# Not handed on where they are too large; the provenance holds their digest.
WEIGHTS = "weights.safetensors"
# Of the gallery's images, so that a run without its weights can still be looked into.
HEATMAPS = "heatmaps.npz"

# Under this key of an output's metadata an executed chapter tells which runs and records it used.
USED = "cifarcam_used"
# Under this one it carries files for its page: their contents in base64, by name.
FILES = "cifarcam_files"


def places(given: Path | None = None, start: Path | None = None) -> list[Path]:
    """Where runs are looked for.

    The place given, ``runs/`` upwards from `start` (the working directory), the user's cache,
    and the committed runs, as they came with the package or stand beside it in a checkout.
    """
    here = start or Path.cwd()
    package = Path(__file__).resolve().parent
    wanted = [
        *([given] if given else []),
        *(directory / "runs" for directory in (here, *here.parents)),
        files.cache_dir() / "runs",
        package / "committed_runs",
        package.parent / "runs",
    ]
    return [place for place in dict.fromkeys(wanted) if place.is_dir()]


def run_directories(given: Path | None = None, start: Path | None = None) -> Iterator[Path]:
    """All whole runs, in the order in which they are looked up.

    Hidden directories are runs that are being written.
    """
    for place in places(given, start):
        for directory in sorted(place.iterdir()):
            if not directory.name.startswith(".") and all(
                (directory / name).is_file() for name in RUN_FILES
            ):
                yield directory


def find_run(fingerprint: str, given: Path | None = None, start: Path | None = None) -> Path | None:
    """The directory of the first whole run with that fingerprint."""
    for directory in run_directories(given, start):
        provenance = json.loads((directory / "provenance.json").read_text())
        if provenance["fingerprint"] == fingerprint:
            return directory
    return None


def find_record(name: str, start: Path | None = None) -> Path | None:
    """The file of a measurement record: in ``records`` among the runs."""
    for place in places(start=start):
        path = place / "records" / f"{name}.json"
        if path.is_file():
            return path
    return None


def inventory(start: Path | None = None) -> list[str]:
    """The names of all whole runs and of all records, sorted."""
    found = {directory.name for directory in run_directories(start=start)}
    for place in places(start=start):
        found |= {f"records/{path.name}" for path in (place / "records").glob("*.json")}
    return sorted(found)


def read_record(path: Path) -> dict[str, Any]:
    """A record's contents; ``"fingerprint"`` tells what it was measured from."""
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def run_digest(directory: Path) -> str:
    """SHA-256 over a run's files, hexadecimal; over the weights through their own digest."""
    digest = hashlib.sha256()
    for name in RUN_FILES:
        digest.update(f"{name} {files.sha256(directory / name)}\n".encode())
    return digest.hexdigest()
