"""What the section on corrupted images shows: pictures, values of its figures, rows of its tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cifarcam.data import Dataset
from cifarcam.data.corruptions import KINDS, SEVERITIES, corrupt
from cifarcam.report.page import NO_EFFECT, interval
from cifarcam.studies.comparison import title
from cifarcam.studies.corruption_findings import PUBLISHED, Corrupted, Gains, noun
from cifarcam.studies.corruptions import SEED
from cifarcam.studies.steady_maps import Steadiness
from cifarcam.studies.wording import capital, number

PICTURE = 6  # the test image of the sheet: a car, sharp and of many colours

HEADER = (
    "Network",
    "Images",
    "Clean (%)",
    "Corrupted (%)",
    "Severity 5 (%)",
    "Calibration error, clean (%)",
    "Calibration error, corrupted (%)",
)
GAIN_HEADER = ("Kind", "Difference (points)", "Kind", "Difference (points)")
MAP_HEADER = (  # the numbers are severities; the caption says so
    "Network",
    "Method",
    "1",
    "3",
    "5",
    "Another image",
    "Class kept",
    "Class changed",
)


def pictures(dataset: Dataset) -> tuple[np.ndarray, tuple[str, ...]]:
    """One test image under every kind and severity with the kinds' names; none from the sample.

    Returns
    -------
    tuple of numpy.ndarray and tuple of str
        uint8, kinds x severities x 32 x 32 x 3, and the kinds.
    """
    if dataset.is_sample:
        return np.zeros((0, len(SEVERITIES), 32, 32, 3), np.uint8), ()
    image = dataset.test.images[PICTURE : PICTURE + 1]
    table = [[corrupt(image, kind, one, SEED)[0] for one in SEVERITIES] for kind in KINDS]
    return np.array(table), KINDS


def by_kind(measured: Sequence[Corrupted]) -> tuple[dict[str, np.ndarray], tuple[str, ...], Any]:
    """The arguments of `figures.accuracy_by_kind`."""
    published = {f"{one.name}, published": one.kinds for one in PUBLISHED if one.kinds}
    return {one.name: one.by_kind for one in measured}, KINDS, published


def by_severity(measured: Sequence[Corrupted]) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """The arguments of `figures.accuracy_by_severity`."""
    return (
        {one.name: one.by_severity for one in measured},
        {one.name: one.clean for one in measured},
    )


def rows(measured: Sequence[Corrupted]) -> list[list[Any]]:
    """Rows under `HEADER`: our networks by accuracy, then the published ones."""
    ours = [
        [
            capital(one.name),
            f"{one.images:,}",
            f"{one.clean:.1f}",
            f"{one.mean:.1f}",
            f"{one.by_severity[-1]:.1f}",
            f"{one.clean_error:.1f}",
            f"{one.error:.1f}",
        ]
        for one in sorted(measured, key=lambda one: -one.mean)
    ]
    return ours + [
        [
            f"{one.name}, published",
            "10,000",
            f"{one.clean:.1f}",
            f"{one.mean:.1f}",
            NO_EFFECT if one.hardest is None else f"{one.hardest:.1f}",
            *[NO_EFFECT] * 2,
        ]
        for one in PUBLISHED
    ]


def gain_rows(gains: Gains | None) -> list[list[Any]]:
    """Rows under `GAIN_HEADER`, two kinds in each; dashes where nothing is measured yet."""
    if gains is None:
        return [[NO_EFFECT] * len(GAIN_HEADER)]
    cells = [[capital(noun(kind)), interval(effect)] for kind, effect in gains.kinds.items()]
    half = -(-len(cells) // 2)
    right = [*cells[half:], ["**All kinds**", interval(gains.mean)]]
    return [one + other for one, other in zip(cells[:half], right, strict=True)]


def map_rows(maps: Sequence[Steadiness]) -> list[list[Any]]:
    """Rows under `MAP_HEADER`, or one row of dashes where nothing is measured yet."""
    return [
        [
            capital(one.network),
            capital(title(one.method)),
            *(_short(effect.value) for effect in list(one.severities.values())[:-1]),
            interval(one.hardest, 2, signed=False),
            interval(one.control, 2, signed=False),
            *(_short(values[-1]) for values in (one.kept, one.changed)),
        ]
        for one in maps
    ] or [[NO_EFFECT] * len(MAP_HEADER)]


def _short(value: float) -> str:
    return NO_EFFECT if np.isnan(value) else number(value, 2)
