"""Runs and records as directories and files: where they are, and their digests.

A run's ``provenance.json`` holds the SHA-256 of each file of the run and its own; a record holds
its own. Every file is verified when it is read.

This module imports no TensorFlow, so that Sphinx's process can ask whether a chapter is stale.
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
# Absent where it is too large; the provenance holds its digest all the same.
WEIGHTS = "weights.safetensors"
PLACE = "CIFARCAM_RUNS"  # an environment variable that names a directory of runs

# Keys of an output's metadata in an executed chapter: the runs, records and other inputs that it
# was computed from, and files for its page (contents in base64, by name).
USED = "cifarcam_used"
FILES = "cifarcam_files"

KINDS = ("datasets", "runs", "records", "experiments", "cached", "inventory")
# Inputs that this process has read, by kind and name: a chapter ends with what it was computed from.
_handed_out: dict[str, dict[str, dict[str, Any]]] = {}


def hand_out(kind: str, key: str, **what: Any) -> None:
    """Note an input that this process has read.

    Parameters
    ----------
    kind
        One of `KINDS`; ``"cached"`` are files of the user's cache.
    key
        Name of the input, or a run's fingerprint; an earlier note under the same key is replaced.
    what
        Its description, as JSON takes it.
    """
    _handed_out.setdefault(kind, {})[key] = what


def handed_out(kind: str) -> dict[str, dict[str, Any]]:
    """The inputs of one kind that `hand_out` noted, by key, in the order of noting."""
    return dict(_handed_out.get(kind, {}))


def places(place: Path | None = None, start: Path | None = None) -> list[Path]:
    """The directories that are searched for runs, in this order.

    `place`, the directory that the environment variable ``CIFARCAM_RUNS`` names, ``runs/`` upwards
    from `start` (by default the working directory), the user's cache, and ``runs/`` beside the
    package in a checkout.

    Raises
    ------
    CifarcamError
        When ``CIFARCAM_RUNS`` names no directory.
    """
    here = start or Path.cwd()
    named = os.environ.get(PLACE)
    if named and not Path(named).is_dir():
        raise CifarcamError(f"{PLACE} is {named}, not a directory; name a directory of runs")
    candidates = [
        *([place] if place else []),
        *([Path(named)] if named else []),
        *(directory / "runs" for directory in (here, *here.parents)),
        _files.cache_dir() / "runs",
        Path(__file__).resolve().parents[1] / "runs",
    ]
    return [directory for directory in dict.fromkeys(candidates) if directory.is_dir()]


def run_directories(place: Path | None = None, start: Path | None = None) -> Iterator[Path]:
    """The directories of all runs, in the order of `places` and by name.

    Hidden directories are runs that are being written, and are left out.
    """
    for runs in places(place, start):
        for directory in sorted(runs.iterdir()):
            if not directory.name.startswith(".") and (directory / PROVENANCE).is_file():
                yield directory


def find_run(fingerprint: str, place: Path | None = None, start: Path | None = None) -> Path | None:
    """The directory of the first run with a fingerprint, or None.

    Raises
    ------
    CifarcamError
        When the provenance of a run that is searched earlier is damaged: it might be the same run.
    """
    for directory in run_directories(place, start):
        if read_provenance(directory)["fingerprint"] == fingerprint:
            return directory
    return None


def read_provenance(directory: Path) -> dict[str, Any]:
    """The verified provenance of a run.

    Raises
    ------
    CifarcamError
        When it is damaged, or an older version wrote it without digests.
    """
    remedy = _remedy(directory / PROVENANCE, _train_again(directory.name))
    return _files.read_json(
        directory / PROVENANCE,
        f"{remedy}, or seal a run of an older version by `cifarcam runs --seal {directory}`",
    )


def read_file(directory: Path, name: str, digests: Mapping[str, str]) -> bytes:
    """The verified contents of a file of a run.

    Parameters
    ----------
    directory, name
        The run's directory and the file's name in it.
    digests
        SHA-256 by file name: ``"files"`` of the provenance.

    Raises
    ------
    CifarcamError
        When the file is missing or its digest differs.
    """
    path = directory / name
    remedy = _remedy(path, _train_again(directory.name))
    if name not in digests:
        raise CifarcamError(f"{path}: the run's provenance names no such file; {remedy}")
    return _files.read_verified(path, digests[name], remedy)


def seal_run(directory: Path) -> None:
    """Write the SHA-256 of each file of a run into its provenance, and the provenance's own.

    Raises
    ------
    CifarcamError
        When files are missing, or the weights differ from the weights that the run evaluated.
    """
    missing = [name for name in RUN_FILES if not (directory / name).is_file()]
    if missing:
        raise CifarcamError(f"{directory}: not a whole run, lacks {', '.join(missing)}; restore it")
    try:
        provenance = json.loads((directory / PROVENANCE).read_text())
    except ValueError as error:
        raise CifarcamError(f"{directory / PROVENANCE}: damaged, not JSON; restore it") from error
    provenance.pop("sha256", None)
    files = [path for path in sorted(directory.iterdir()) if path.name != PROVENANCE]
    digests = {path.name: _files.sha256(path) for path in files}
    # Runs of older versions, and runs sealed before, whose weights may be absent.
    evaluated = provenance.pop("weights_sha256", provenance.get("files", {}).get(WEIGHTS))
    if evaluated is not None and digests.setdefault(WEIGHTS, evaluated) != evaluated:
        raise CifarcamError(
            f"{directory / WEIGHTS}: not the weights that this run evaluated; restore the file"
        )
    _files.write_json(directory / PROVENANCE, provenance | {"files": digests})


def find_record(name: str, start: Path | None = None) -> Path | None:
    """The file of a record, in ``records`` of the first of `places` that holds it, or None."""
    for runs in places(start=start):
        path = runs / "records" / f"{name}.json"
        if path.is_file():
            return path
    return None


def inventory(start: Path | None = None) -> list[str]:
    """The names of all runs and records, sorted."""
    names = {directory.name for directory in run_directories(start=start)}
    for runs in places(start=start):
        names |= {f"records/{path.name}" for path in (runs / "records").glob("*.json")}
    return sorted(names)


def read_record(path: Path) -> dict[str, Any]:
    """The verified contents of a record.

    Raises
    ------
    CifarcamError
        When the file is damaged, or holds the record of another measurement.
    """
    remedy = _remedy(path, f"make the record again by `cifarcam measure {path.stem}`")
    record = _files.read_json(path, remedy)
    if record["name"] != path.stem:
        raise CifarcamError(f"{path}: the record of {record['name']!r}; {remedy}")
    return record


def run_digest(directory: Path) -> str:
    """SHA-256 over a run's files, hexadecimal; the provenance stands for the weights."""
    digest = hashlib.sha256()
    for name in RUN_FILES:
        path = directory / name
        digest.update(f"{name} {_files.sha256(path) if path.is_file() else ''}\n".encode())
    return digest.hexdigest()


def _remedy(path: Path, again: str) -> str:
    return f"restore it (`git checkout -- {path}` where it is committed), or {again}"


def _train_again(run: str) -> str:
    return f"make the run again by `cifarcam train {run} --again`"
