"""Rows of the tables that list what the report was computed from: images, runs, records, software."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import requires, version

from cifarcam.data import Dataset
from cifarcam.report.page import machine
from cifarcam.runs import Run
from cifarcam.studies import measurements, records
from cifarcam.studies.survey import Survey


def minutes(run: Run) -> float:
    """How long the training run took, in minutes."""
    return float(run.provenance["training_seconds"]) / 60


def image_rows(dataset: Dataset) -> list[list[str]]:
    """The dataset's name, sizes and digest."""
    return [
        ["name", dataset.name],
        ["training images", f"{len(dataset.train):,}"],
        ["validation images", f"{len(dataset.validation):,}"],
        ["test images", f"{len(dataset.test):,}"],
        ["SHA-256", f"`{dataset.digest}`"],
    ]


def duplicate_rows(survey: Survey) -> list[list[str]]:
    """A row for each kind of pair: splits, exact, near, near with different labels."""
    return [
        [f"{kind.first} – {kind.second}", str(kind.exact), str(kind.near), str(kind.differing)]
        for kind in survey.kinds
    ]


def run_rows(trained: Sequence[Run]) -> list[list[str]]:
    """A row for each run: fingerprint, date, precision, epochs, minutes, accuracy."""
    return [
        [
            run.name,
            f"`{run.fingerprint[:16]}`",
            run.provenance["date"],
            run.provenance["precision"],
            str(run.provenance["epochs"]),
            f"{minutes(run):.1f}",
            f"{100 * run.metrics['test']['accuracy']:.2f}",
        ]
        for run in trained
    ]


def machine_rows(trained: Sequence[Run]) -> list[list[str]]:
    """A row for each device and software that runs were made with, and the runs' names."""
    names: dict[tuple[str, ...], list[str]] = {}
    for run in trained:
        made = run.provenance
        software = ", ".join(f"{name} {number}" for name, number in made["versions"].items())
        units = made.get("bfloat16_units", "not noted")
        key = (made["device"], str(made["threads"]), units, made["system"], software)
        names.setdefault(key, []).append(run.name)
    return [[*key, ", ".join(runs)] for key, runs in names.items()]


def record_rows() -> list[list[str]]:
    """A row for each record at hand: fingerprint, TensorFlow's version, and what has changed."""
    rows = []
    for name in measurements.MEASUREMENTS:
        if records.is_at_hand(name):
            record = records.load(name)
            rows.append(
                [
                    name,
                    f"`{record['fingerprint'][:16]}`",
                    f"TensorFlow {record['versions']['tensorflow']}",
                    records.outdated_by(record) or "the code at hand",
                ]
            )
    return rows


def software_rows() -> list[list[str]]:
    """Python, the packages of the base and of training, which decide a number, and the device."""
    lines = [line for line in requires("cifarcam") or [] if "extra" not in line or "train" in line]
    packages = sorted({re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in lines})
    described = machine()
    return [
        ["Python", str(described["python"])],
        *([name, version(name)] for name in packages),
        ["device", f"{described['device']}, {described['threads']} threads"],
        ["system", str(described["system"])],
    ]
