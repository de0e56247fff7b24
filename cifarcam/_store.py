"""Runs and records as directories and files: where they are looked for, verified when read.

A run's ``provenance.json`` holds the SHA-256 of each of its other files, and its own; a record
holds its own. Nothing is read from a file that differs from what was written.

This module knows no TensorFlow, so that Sphinx's process can ask whether a chapter is stale.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cifarcam import _files
from cifarcam.errors import CifarcamError

PROVENANCE = "provenance.json"
RUN_FILES = (
    "experiment.toml",
    "history.csv",
    "predictions.npz",
    "metrics.json",
    PROVENANCE,
)
# Not handed on where they are too large; the provenance holds their digest.
WEIGHTS = "weights.safetensors"
PLACE = "CIFARCAM_RUNS"  # an environment variable that names a directory of runs

# Under this key of an output's metadata an executed chapter tells what it was computed from.
USED = "cifarcam_used"
# Under this one it carries files for its page: their contents in base64, by name.
FILES = "cifarcam_files"

KINDS = ("datasets", "runs", "records", "experiments", "cached", "inventory")
# What this process was handed, by kind and name: a chapter closes by what it was computed from.
_handed_out: dict[str, dict[str, dict[str, Any]]] = {}


def hand_out(kind: str, key: str, **what: Any) -> None:
    """Note that something was handed to whoever runs in this process.

    Parameters
    ----------
    kind
        One of `KINDS`; ``"cached"`` are files of the user's cache.
    key
        Its name, or a run's fingerprint; noted again, it replaces what was noted before.
    what
        All that tells of it, as JSON takes it.
    """
    _handed_out.setdefault(kind, {})[key] = what


def handed_out(kind: str) -> dict[str, dict[str, Any]]:
    """What was handed out in this process, of one kind, by key in the order of noting."""
    return dict(_handed_out.get(kind, {}))


def places(given: Path | None = None, start: Path | None = None) -> list[Path]:
    """Where runs are looked for.

    The place given, the one that the environment variable ``CIFARCAM_RUNS`` names, ``runs/``
    upwards from `start` (the working directory), the user's cache, and ``runs/`` beside the
    package in a checkout.
    """
    here = start or Path.cwd()
    named = os.environ.get(PLACE)
    candidates = [
        *([given] if given else []),
        *([Path(named)] if named else []),
        *(directory / "runs" for directory in (here, *here.parents)),
        _files.cache_dir() / "runs",
        Path(__file__).resolve().parents[1] / "runs",
    ]
    return [place for place in dict.fromkeys(candidates) if place.is_dir()]


def run_directories(given: Path | None = None, start: Path | None = None) -> Iterator[Path]:
    """All directories of runs, in the order in which they are looked up.

    Hidden directories are runs that are being written.
    """
    for place in places(given, start):
        for directory in sorted(place.iterdir()):
            if not directory.name.startswith(".") and (directory / PROVENANCE).is_file():
                yield directory


def find_run(fingerprint: str, given: Path | None = None, start: Path | None = None) -> Path | None:
    """The directory of the first run with that fingerprint.

    Raises
    ------
    CifarcamError
        When a provenance on the way is damaged, so that it cannot be known whose it is.
    """
    for directory in run_directories(given, start):
        if read_provenance(directory)["fingerprint"] == fingerprint:
            return directory
    return None


def read_provenance(directory: Path) -> dict[str, Any]:
    """A run's provenance, verified.

    Raises
    ------
    CifarcamError
        When it is damaged, or was made before runs held digests.
    """
    remedy = _remedy(directory / PROVENANCE, directory.name)
    return _files.read_json(
        directory / PROVENANCE,
        f"{remedy}; a run of an older version: `cifarcam runs --seal {directory}`",
    )


def read_file(directory: Path, name: str, digests: Mapping[str, str]) -> bytes:
    """The contents of a run's file, verified.

    Parameters
    ----------
    directory, name
        The run's directory and the file in it.
    digests
        The provenance's ``"files"``.

    Raises
    ------
    CifarcamError
        When the file is missing or differs from what was written with the run.
    """
    path = directory / name
    remedy = _remedy(path, directory.name)
    if name not in digests:
        raise CifarcamError(f"{path}: the run's provenance names no such file; {remedy}")
    return _files.read_verified(path, digests[name], remedy)


def seal_run(directory: Path) -> None:
    """Note the SHA-256 of each file of a run in its provenance, and the provenance's own in itself.

    Raises
    ------
    CifarcamError
        When files are missing, or the weights are not those that the run evaluated.
    """
    missing = [name for name in RUN_FILES if not (directory / name).is_file()]
    if missing:
        raise CifarcamError(f"{directory}: not a whole run, lacks {', '.join(missing)}")
    try:
        provenance = json.loads((directory / PROVENANCE).read_text())
    except ValueError as error:
        raise CifarcamError(f"{directory / PROVENANCE}: damaged, not JSON; restore it") from error
    provenance.pop("sha256", None)
    written = [path for path in sorted(directory.iterdir()) if path.name != PROVENANCE]
    digests = {path.name: _files.sha256(path) for path in written}
    # Of weights that are not kept, and in runs of older versions.
    evaluated = provenance.pop("weights_sha256", provenance.get("files", {}).get(WEIGHTS))
    if evaluated is not None and digests.setdefault(WEIGHTS, evaluated) != evaluated:
        raise CifarcamError(
            f"{directory / WEIGHTS}: not the weights that this run evaluated; restore them"
        )
    _files.write_json(directory / PROVENANCE, provenance | {"files": digests})


def find_record(name: str, start: Path | None = None) -> Path | None:
    """The file of a measurement record: in ``records`` among the runs."""
    for place in places(start=start):
        path = place / "records" / f"{name}.json"
        if path.is_file():
            return path
    return None


def inventory(start: Path | None = None) -> list[str]:
    """The names of all runs and of all records at hand, sorted."""
    found = {directory.name for directory in run_directories(start=start)}
    for place in places(start=start):
        found |= {f"records/{path.name}" for path in (place / "records").glob("*.json")}
    return sorted(found)


def read_record(path: Path) -> dict[str, Any]:
    """A record's contents, verified.

    Raises
    ------
    CifarcamError
        When it is damaged, or the record of another measurement.
    """
    remedy = (
        f"restore it (`git checkout -- {path}` where it is committed), or make it anew by "
        f"`cifarcam measure {path.stem}`"
    )
    record = _files.read_json(path, remedy)
    if record["name"] != path.stem:
        raise CifarcamError(f"{path}: the record of {record['name']!r}; {remedy}")
    return record


def run_digest(directory: Path) -> str:
    """SHA-256 over a run's files, hexadecimal; over the weights through their own digest."""
    digest = hashlib.sha256()
    for name in RUN_FILES:
        path = directory / name
        digest.update(f"{name} {_files.sha256(path) if path.is_file() else ''}\n".encode())
    return digest.hexdigest()


def _remedy(path: Path, run: str) -> str:
    return (
        f"restore it (`git checkout -- {path}` where it is committed), or make the run anew by "
        f"`cifarcam train {run} --again`"
    )
