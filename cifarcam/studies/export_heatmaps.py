"""Whether heatmaps survive int8, from the record ``export``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cifarcam.studies import inference
from cifarcam.studies.comparison import ALPHA, mean_over_images, title
from cifarcam.studies.export_findings import PENDING
from cifarcam.studies.inference import Effect
from cifarcam.studies.packing import unpacked
from cifarcam.studies.wording import listed, number


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
    closer
        `int8` minus `seeds`, paired over test images; None where there is no other seed.
    """

    method: str
    int8: Effect
    seeds: Effect | None
    closer: Effect | None


def survivals(record: Mapping[str, Any] | None, network: str = "baseline") -> list[Survival]:
    """The heatmaps of a network, method by method."""
    part = {} if record is None else record["networks"].get(network, {})
    results = []
    for method, one in part.get("heatmaps", {}).items():
        int8 = unpacked(one["int8"])
        seeds = np.mean([unpacked(text) for text in one["seeds"]], axis=0) if one["seeds"] else None
        results.append(
            Survival(
                method,
                mean_over_images(int8),
                None if seeds is None else mean_over_images(seeds),
                None if seeds is None else mean_over_images(int8 - seeds),
            )
        )
    return results


def survival_sentence(survived: Sequence[Survival]) -> str:
    """Whether int8 changes heatmaps less than another seed does.

    It does for a method whose paired difference of rank correlations lies above 0, at 5% with
    Holm's correction over the methods.
    """
    if not survived:
        return PENDING
    pairs = [(one, one.seeds, one.closer) for one in survived if one.seeds and one.closer]
    if not pairs:
        return "This network has one seed at hand, so there is no change to compare int8 with."
    adjusted = inference.holm([closer.p for _, _, closer in pairs])
    closer = [
        pair for pair, p in zip(pairs, adjusted, strict=True) if p < ALPHA and pair[2].value > 0
    ]
    least = min(pairs, key=lambda pair: pair[0].int8.value)
    most = max(pairs, key=lambda pair: pair[1].value)
    numbers = (
        f"With int8 the mean rank correlation is at least {number(least[0].int8.value, 2)} "
        f"({title(least[0].method)}), with another seed at most {number(most[1].value, 2)} "
        f"({title(most[0].method)})."
    )
    if len(closer) == len(pairs):
        return f"For every method, int8 changes a heatmap less than another seed does. {numbers}"
    if not closer:
        return (
            "For no method does int8 change a heatmap measurably less than another seed does. "
            f"{numbers}"
        )
    names = listed([title(one.method) for one, _, _ in closer])
    return f"Only for {names}, int8 changes a heatmap less than another seed does. {numbers}"
