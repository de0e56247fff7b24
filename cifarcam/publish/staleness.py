"""Which chapters are stale: something that their executed copy was made from has changed.

An executed copy carries, in its metadata, the digests of all that it was made from (`inputs`
before the execution, and what the chapter used of experiments, runs and records).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import nbformat

from cifarcam import _closure, _files, _store
from cifarcam.publish import cells
from cifarcam.publish.chapters import Parameters, copy_path, read_chapter

LOCK_FILE = "requirements.txt"


def stale(project: Path, names: Sequence[str], parameters: Parameters) -> dict[str, str]:
    """The stale ones of some chapters by name, with the reason in words.

    Raises
    ------
    CifarcamError
        When a chapter's notebook cannot be read, or its cell of parameters is not as it should be.
    """
    reasons = {name: _why_stale(project, name, parameters) for name in names}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def inputs(project: Path, name: str, parameters: Parameters) -> dict[str, str]:
    """Digests, by name, of everything that decides a chapter and is known before its execution.

    These are its cells, the parameters, the library modules that it imports, and the locked
    versions of the packages that these import.
    """
    return _inputs(project, name, parameters, read_chapter(project, name))


def digest_of(content: Any) -> str:
    """SHA-256, hexadecimal, of the canonical JSON of some content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _inputs(
    project: Path, name: str, parameters: Parameters, notebook: nbformat.NotebookNode
) -> dict[str, str]:
    content = [[c.cell_type, c.source, c.metadata.get("mystnb", {})] for c in notebook.cells]
    tags = [c.metadata.get("tags", []) for c in notebook.cells]
    digests = {"the notebook": digest_of([content, tags])}
    digests |= {f"parameter {key}": value for key, value in asdict(parameters).items()}
    imported = _closure.imported_by(cells.code_of(name, notebook))
    digests |= {module: _closure.module_digest(module) for module in _closure.closure(imported)}
    packages = _closure.distributions(imported)
    for package, pin in _closure.pins((project / LOCK_FILE).read_text(), packages).items():
        digests[f"{LOCK_FILE}: {package}"] = pin
    return digests


def _why_stale(project: Path, name: str, parameters: Parameters) -> str | None:
    """Why a chapter is stale, in words; None when it is up to date."""
    notebook = read_chapter(project, name)
    cells.check_parameters(name, notebook)
    copy = copy_path(project, name)
    if not copy.is_file():
        return "not executed yet"
    record = _read_record(copy)
    if record is None:
        return "its copy is damaged, or something else executed it"
    now = _inputs(project, name, parameters, notebook)
    before: dict[str, str] = dict(record["inputs"])
    for key in [*now, *before]:
        if now.get(key) != before.get(key):
            return f"{key} changed"
    used = record["used"]
    for experiment, entry in used["experiments"].items():
        if _experiment_digest(project, experiment) != entry["digest"]:
            return f"experiment {experiment} changed"
    start = project / "notebooks"
    for fingerprint, run in used["runs"].items():
        directory = _store.find_run(fingerprint, start=start)
        if directory is None or _store.run_digest(directory) != run["digest"]:
            return f"run {run['name']} changed"
    for entry, record in used["records"].items():
        path = _store.find_record(entry, start=start)
        if path is None or _files.sha256(path) != record["digest"]:
            return f"record {entry} changed"
    for entry, file in used["cached"].items():
        if (_files.cache_dir() / entry).is_file() != (file["digest"] is not None):
            return f"{entry} in the cache changed"
    inventory = used["inventory"].get("all")
    if inventory is not None and inventory["names"] != _store.inventory(start):
        return "the runs or records at hand changed"
    return None


def _read_record(copy: Path) -> dict[str, Any] | None:
    """What an executed copy was made from; None when its contents are not as they were written."""
    try:
        notebook = nbformat.read(copy, as_version=4)
        record: dict[str, Any] = notebook.metadata["cifarcam"]
        digest = record.pop("digest")
    except Exception:  # nbformat raises errors of many kinds for a damaged file
        return None
    return record if digest == digest_of([notebook.cells, record]) else None


def _experiment_digest(project: Path, name: str) -> str | None:
    path = project / "experiments" / f"{name}.toml"
    return _files.sha256(path) if path.is_file() else None
