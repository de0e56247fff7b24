"""Measurements of more than about two minutes, stored as records in ``runs/records``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cifarcam import _closure, _devices, _files
from cifarcam.errors import CifarcamError
from cifarcam.studies import (
    ablation,
    architecture_search,
    calibration,
    classical,
    corrupted_maps,
    corruptions,
    duplicates,
    exports,
    faithfulness,
    heatmaps,
    imagenet,
    leave_one_out,
    people,
    road_check,
    where,
)

# A measurement is a function in a module of its own: a record holds the digest of that module's
# import closure. It returns its results and ``"inputs"``, as `records.inputs` makes them; a
# measurement of hours yields them whenever a part has finished.
MEASUREMENTS: Mapping[str, Callable[[], dict[str, Any] | Iterator[dict[str, Any]]]] = {
    "ablation": ablation.measure,
    "architecture-search": architecture_search.measure,
    "calibration": calibration.measure,
    "classical": classical.record,
    "corrupted-maps": corrupted_maps.measure,
    "corruptions": corruptions.measure,
    "duplicates": duplicates.measure,
    "export": exports.measure,
    "faithfulness": faithfulness.measure,
    "heatmaps": heatmaps.measure,
    "imagenet": imagenet.measure,
    "leave-one-out": leave_one_out.measure,
    "people": people.measure,
    "road-check": road_check.measure,
    "where": where.measure,
}


def measure(name: str, place: Path) -> Path:
    """Run a measurement, write its record, and return the record's file.

    Of a measurement that yields its results part by part, the record is written after each part.

    Parameters
    ----------
    name
        One of `MEASUREMENTS`.
    place
        The directory of runs; the record goes to ``records`` in it.

    Raises
    ------
    CifarcamError
        When there is no measurement of that name.
    """
    check_name(name)
    results = MEASUREMENTS[name]()
    for content in [results] if isinstance(results, dict) else results:
        path = write(name, content, place)
    return path


def check_name(name: str) -> None:
    """Refuse a name that is not one of `MEASUREMENTS`."""
    if name not in MEASUREMENTS:
        raise CifarcamError(f"measurement {name!r} is not one of {', '.join(MEASUREMENTS)}")


def write(name: str, content: Mapping[str, Any], place: Path) -> Path:
    """Write a record with the digest of its inputs and of the present code, and with the versions.

    Returns the record's file.
    """
    module = MEASUREMENTS[name].__module__
    code = _closure.code_digest(module)
    inputs = json.dumps([code, content["inputs"]], sort_keys=True)
    record = {
        **content,
        "versions": _devices.versions(),
        "name": name,
        "fingerprint": hashlib.sha256(inputs.encode()).hexdigest(),
        "module": module,
        "code": code,
    }
    path = place / "records" / f"{name}.json"
    with _files.writing_to(path.parent):
        _files.write_json(path, record)
    return path
