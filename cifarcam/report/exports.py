"""What the section on exports shows: rows of its tables, values of its figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cifarcam.report.page import NO_EFFECT, interval
from cifarcam.studies.comparison import title
from cifarcam.studies.export_energy import Spent
from cifarcam.studies.export_findings import TITLES, Price, by_precision
from cifarcam.studies.export_heatmaps import Survival
from cifarcam.studies.wording import capital, number

HEADER = (
    "Network",
    "Format",
    "Precision",
    "Accuracy (%)",
    "Change (points)",
    "Same class (%)",
    "File (MB)",
    "Time (ms)",
    "Memory (MB)",
)
HEATMAP_HEADER = ("Method", "int8", "Another seed", "Difference")
ENERGY_HEADER = (
    "Network",
    "Trained on",
    "Training (min)",
    "Training (kJ)",
    "Image (mJ)",
    "Images for one training run",
)


def rows(prices: Sequence[Price]) -> list[list[Any]]:
    """Rows under `HEADER`, or one row of dashes where nothing is measured yet."""
    return [
        [
            capital(one.network),
            TITLES[one.format],
            one.precision,
            f"{one.accuracy:.2f}",
            interval(one.change, 2),
            f"{one.agreement:.2f}",
            f"{one.megabytes:.2f}",
            f"{one.milliseconds:.2f}",
            f"{one.memory:.0f}",
        ]
        for one in prices
    ] or [[NO_EFFECT] * len(HEADER)]


def by_price(prices: Sequence[Price]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments of `figures.accuracy_by_price`, of the LiteRT files."""
    return by_precision(prices, "accuracy"), {
        "size of the file (MB)": by_precision(prices, "megabytes"),
        "processor time of an image (ms)": by_precision(prices, "milliseconds"),
    }


def heatmap_rows(survived: Sequence[Survival]) -> list[list[Any]]:
    """Rows under `HEATMAP_HEADER`, or one row of dashes where nothing is measured yet."""
    return [
        [
            capital(title(one.method)),
            interval(one.int8, 2, signed=False),
            NO_EFFECT if one.seeds is None else interval(one.seeds, 2, signed=False),
            NO_EFFECT if one.closer is None else interval(one.closer, 2),
        ]
        for one in survived
    ] or [[NO_EFFECT] * len(HEATMAP_HEADER)]


def energy_rows(spent: Sequence[Spent]) -> list[list[Any]]:
    """Rows under `ENERGY_HEADER`, or one row of dashes where nothing is measured yet."""
    return [
        [
            capital(one.network),
            one.device,
            number(one.seconds / 60, 0),
            NO_EFFECT if one.training is None else number(one.training.joules / 1000, 0),
            number(1000 * one.image.joules, 1),
            NO_EFFECT if one.images is None else f"{float(f'{one.images:.1e}'):,.0f}",
        ]
        for one in spent
    ] or [[NO_EFFECT] * len(ENERGY_HEADER)]
