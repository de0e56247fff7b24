"""What the record ``export`` says: the price of an export, and whether heatmaps survive int8."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cifarcam.studies.comparison import mean_over_images, title
from cifarcam.studies.inference import Effect
from cifarcam.studies.packing import unpacked
from cifarcam.studies.wording import listed, number


@dataclass(frozen=True)
class Price:
    """What one export of a network costs and keeps.

    Attributes
    ----------
    network, format, precision
        Names.
    lost
        Accuracy of the run minus that of the export, percentage points.
    agreement
        Percentage of test images for which both name the same class.
    megabytes
        Size of the export, in 10^6 bytes.
    milliseconds
        Median time of one image on one core.
    memory
        What reading and running the network added to the memory of its runtime, in 10^6 bytes.
    """

    network: str
    format: str
    precision: str
    lost: float
    agreement: float
    megabytes: float
    milliseconds: float
    memory: float


def prices(record: Mapping[str, Any]) -> list[Price]:
    """Every export of the record that was not refused."""
    return [
        Price(
            network,
            one["format"],
            one["precision"],
            100 * (one["run_accuracy"] - one["accuracy"]),
            100 * one["agreement"],
            one["size"] / 1e6,
            one["milliseconds"],
            (one["peak"] - one["runtime"]) / 1e6,
        )
        for network, part in record["networks"].items()
        for one in part["exports"]
        if "refused" not in one
    ]


@dataclass(frozen=True)
class Survival:
    """How alike a network's heatmaps stay, by one method.

    Attributes
    ----------
    method
        One of `cifarcam.explain.METHODS`.
    int8
        Mean rank correlation with the float32 network's heatmaps when kernels are rounded to int8,
        interval over test images.
    seeds
        The same with the heatmaps of networks from other seeds, each image's mean over these; None
        where there is no other seed.
    """

    method: str
    int8: Effect
    seeds: Effect | None


def survivals(record: Mapping[str, Any], network: str) -> list[Survival]:
    """The heatmaps of a network, method by method."""
    return [
        Survival(
            method,
            mean_over_images(unpacked(one["int8"])),
            mean_over_images(np.mean([unpacked(text) for text in one["seeds"]], axis=0))
            if one["seeds"]
            else None,
        )
        for method, one in record["networks"][network]["heatmaps"].items()
    ]


def survival_sentence(survived: Sequence[Survival]) -> str:
    """Whether int8 changes heatmaps less than another seed does."""
    pairs = [(one, one.seeds) for one in survived if one.seeds is not None]
    if not pairs:
        return "This network has one seed at hand, so there is no change to compare int8 with."
    numbers = ", ".join(
        f"{title(one.method)} {number(one.int8.value, 2)} [{number(seeds.value, 2)}]"
        for one, seeds in pairs
    )
    brackets = (
        "rank correlations with the heatmaps of the float32 network, and in square brackets the rank "
        f"correlations between seeds: {numbers}"
    )
    closer = [one for one, seeds in pairs if one.int8.low > seeds.high]
    if len(closer) == len(pairs):
        return f"For every method, int8 changes a heatmap less than another seed does ({brackets})."
    if not closer:
        return (
            "For no method does int8 change a heatmap measurably less than another seed does "
            f"({brackets})."
        )
    names = listed([title(one.method) for one in closer])
    return f"Only for {names}, int8 changes a heatmap less than another seed does ({brackets})."
