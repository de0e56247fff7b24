"""Rows of the tables, and values of the figures, of the chapter on trust in the heatmaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cifarcam.report.page import interval
from cifarcam.studies import comparison, faithfulness, road_check
from cifarcam.studies.comparison import Comparison
from cifarcam.studies.inference import Effect
from cifarcam.studies.maps import Localised
from cifarcam.studies.wording import number, with_ends

NONE = "–"
METHOD_HEADER = ("Method", "Source", "Needed for an image", "Milliseconds")
CONTROL_HEADER = ("Method", "Mean", "Minus random map", "Minus centre blob", "Minus blurred copy")
NETWORK_HEADER = (
    "Network",
    "Images",
    "Beat the random map",
    "Beat the centre blob",
    "Beat their blurred copy",
    "Grad-CAM minus blob",
)
GRID_HEADER = ("Method", "Pointing (%)", "Energy (%)")
ROAD_HEADER = (
    "Pixels removed (%)",
    "Published (%)",
    "Own maps (%)",
    "Minus published",
    "Another network's maps (%)",
    "Minus published",
)
NETWORK_TITLES: Mapping[str, str] = {
    "baseline": "baseline",
    "custom-cnn-augmented-long": "augmented network",
    "transformer-long": "transformer",
    "resnet18-long": "ResNet-18",
}
DIRECTIONS: Mapping[int, str] = {1: "higher is better", -1: "lower is better"}


def method_rows(record: Mapping[str, Any]) -> list[list[str]]:
    """A row for each map: title, source, cost, processor time of an image."""
    maps = comparison.baselines(record)[0]["maps"]
    return [
        [
            method.title,
            method.reference,
            method.cost,
            f"{maps[name]['cpu_milliseconds']:.2f}",
        ]
        for name, method in faithfulness.METHODS.items()
    ]


def network_title(network: Mapping[str, Any]) -> str:
    """A network's title with its seed where several were measured: ``"baseline, seed 1"``."""
    title = NETWORK_TITLES.get(network["experiment"], network["experiment"])
    return f"{title}, seed {network['seed']}" if network["experiment"] == "baseline" else title


def control_rows(record: Mapping[str, Any]) -> list[list[str]]:
    """A row for each method, by ROAD: its mean and its differences from the controls.

    Of the baseline with the first seed. A star marks a difference beyond chance by Holm. The mean
    has no interval, since its difference from the random map has nearly the same interval.
    """
    values = comparison.values_of(comparison.baselines(record)[0], comparison.PRIMARY)
    found = {
        (c.name, c.against): c for c in comparison.against_controls(values, comparison.PRIMARY)
    }
    names = sorted(comparison.methods(list(values)), key=lambda name: -np.nanmean(values[name]))
    return [
        [
            comparison.title(name),
            number(float(np.nanmean(values[name])), 2),
            *(_starred(found.get((name, c))) for c in (*comparison.CONTROLS, f"{name}-blurred")),
        ]
        for name in names
    ]


def _starred(found: Comparison | None) -> str:
    if found is None:
        return NONE
    return interval(found.effect, 2) + ("*" if found.outcome else "")


def grid_rows(found: Localised) -> list[list[str]]:
    """A row for each method, by energy: mean pointing and energy with intervals, in percent."""
    names = sorted(found.energy, key=lambda name: -found.energy[name].value)
    return [
        [comparison.title(name), _percent(found.pointing[name]), _percent(found.energy[name])]
        for name in names
    ]


@dataclass(frozen=True)
class RoadSummary:
    """Our ROAD beside the published accuracies.

    Attributes
    ----------
    whole
        Accuracy on the whole images, percent.
    images
        Their number.
    own, other
        Whether accuracies agree, with maps of the network itself and of another network.
    between
        At how many shares of pixels the published accuracy lies between the two measured ones.
    """

    whole: float
    images: int
    own: str
    other: str
    between: str


def road_summary(record: Mapping[str, Any]) -> RoadSummary:
    """Summarise the record ``road-check``."""
    own, other = (road_check.of_record(record, maps) for maps in ("own", "other"))
    count = sum(
        min(row.measured, beside.measured) < row.published < max(row.measured, beside.measured)
        for row, beside in zip(own, other, strict=True)
    )
    if count == len(own):
        between = (
            "At every share of pixels, the published accuracy lies between our two accuracies."
        )
    elif count:
        between = (
            f"At {count} of {len(own)} shares of pixels, the published accuracy lies between our two "
            "accuracies."
        )
    else:
        between = "The published accuracy lies between our two accuracies at no share of pixels."
    return RoadSummary(
        100 * record["whole"] / record["images"],
        record["images"],
        road_check.conclusion(own),
        road_check.conclusion(other),
        between,
    )


def road_rows(record: Mapping[str, Any]) -> list[list[str]]:
    """A row for each share of pixels: accuracies, and differences with intervals."""
    own, other = (road_check.of_record(record, maps) for maps in ("own", "other"))
    return [
        [
            f"{100 * row.share:.0f}",
            f"{row.published:.1f}",
            *(cell for one in (row, beside) for cell in _against_published(one)),
        ]
        for row, beside in zip(own, other, strict=True)
    ]


def _against_published(row: road_check.Row) -> tuple[str, str]:
    difference = with_ends(row.difference, row.difference_low, row.difference_high, signed=True)
    return f"{row.measured:.1f}", difference


def _percent(effect: Effect) -> str:
    return with_ends(100 * effect.value, 100 * effect.low, 100 * effect.high, 0)


def dots(
    record: Mapping[str, Any], metrics: Sequence[str]
) -> tuple[dict[str, dict[str, list[float]]], dict[str, dict[str, float]], dict[str, str]]:
    """Arguments of `figures.method_dots`: means of the baseline by method and seed, controls.

    Methods are ordered by their mean ROAD over seeds; a control's value is its mean over seeds.
    """
    networks = comparison.baselines(record)
    means = {
        metric: {
            name: [float(np.nanmean(comparison.values_of(one, metric)[name])) for one in networks]
            for name in networks[0]["maps"]
        }
        for metric in (comparison.PRIMARY, *metrics)
    }
    order = sorted(
        comparison.methods(list(networks[0]["maps"])),
        key=lambda name: -np.mean(means[comparison.PRIMARY][name]),
    )
    titles = comparison.METRICS
    return (
        {titles[m]: {comparison.title(n): means[m][n] for n in order} for m in metrics},
        {
            titles[m]: {
                comparison.title(c): float(np.mean(means[m][c])) for c in comparison.CONTROLS
            }
            for m in metrics
        },
        {titles[m]: DIRECTIONS[comparison.BETTER[m]] for m in metrics},
    )


def curves(
    record: Mapping[str, Any], names: Sequence[str]
) -> tuple[list[float], dict[str, list[float]], dict[str, list[float]]]:
    """Arguments of `figures.removal_curves`: mean curves of the baseline with the first seed."""
    maps = comparison.baselines(record)[0]["maps"]
    by_kind = [
        {comparison.title(name): maps[name]["curves"][kind] for name in names}
        for kind in ("deletion", "insertion")
    ]
    return maps[names[0]]["curves"]["shares"], by_kind[0], by_kind[1]


def network_rows(record: Mapping[str, Any]) -> list[list[str]]:
    """A row for each network: images, methods that beat each control by ROAD, Grad-CAM and blob."""
    rows = []
    for network in record["networks"]:
        values = comparison.values_of(network, comparison.PRIMARY)
        found = comparison.against_controls(values, comparison.PRIMARY)
        counts = [
            comparison.against_control(found, control, comparison.PRIMARY)
            for control in comparison.CONTROL_NOUNS
        ]
        (blob,) = [c for c in found if (c.name, c.against) == ("grad-cam", "centre")]
        rows.append(
            [
                network_title(network),
                str(len(values["grad-cam"])),
                *(f"{count.better} of {count.count}" for count in counts),
                _starred(blob),
            ]
        )
    return rows
