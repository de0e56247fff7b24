"""What the record ``corrupted-maps`` says of heatmaps: how much of them stays under corruption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cifarcam.studies.comparison import mean_over_images, title
from cifarcam.studies.corrupted_maps import SEVERITIES
from cifarcam.studies.corruption_findings import NOT_YET
from cifarcam.studies.inference import Effect
from cifarcam.studies.networks import called
from cifarcam.studies.packing import unpacked
from cifarcam.studies.wording import listed, number


@dataclass(frozen=True)
class Steadiness:
    """How much of a heatmap stays when its image is corrupted, for one network and method.

    Attributes
    ----------
    network, method
        Names; the method's as in `cifarcam.explain.METHODS`.
    severities
        Mean rank correlation with the clean image's heatmap by severity, intervals over images.
    control
        The same with the heatmap of another image.
    kept, changed
        By severity, the mean over copies whose predicted class stays, or changes; NaN where none.
    kinds
        Means over images, float64, 15 kinds x severities.
    """

    network: str
    method: str
    severities: Mapping[int, Effect]
    control: Effect
    kept: tuple[float, ...]
    changed: tuple[float, ...]
    kinds: np.ndarray

    @property
    def hardest(self) -> Effect:
        """At the highest severity measured."""
        return self.severities[max(self.severities)]


def steadiness(record: Mapping[str, Any] | None) -> list[Steadiness]:
    """The heatmaps of a record, network by network and method by method."""
    parts = record["heatmaps"] if record else {}
    return [
        Steadiness(
            network,
            method,
            {
                severity: mean_over_images(unpacked(text))
                for severity, text in zip(SEVERITIES, one["images"], strict=True)
            },
            mean_over_images(unpacked(one["control"])),
            tuple(np.array(one["kept"], float)),
            tuple(np.array(one["changed"], float)),
            np.array(one["kinds"], float),
        )
        for network, methods in parts.items()
        for method, one in methods.items()
    ]


def sentence(maps: Sequence[Steadiness]) -> str:
    """Whether heatmaps of corrupted images stay closer to the clean image's than another image's are.

    Speaks of the first network.
    """
    if not maps:
        return NOT_YET
    network = maps[0].network
    own = sorted(
        (one for one in maps if one.network == network), key=lambda one: -one.hardest.value
    )
    severity = max(own[0].severities)
    numbers = ", ".join(
        f"{title(one.method)} {number(one.hardest.value, 2)} [{number(one.control.value, 2)}]"
        for one in own
    )
    brackets = (
        "rank correlations, and in square brackets the rank correlation of another image's heatmap: "
        f"{numbers}"
    )
    above = [one for one in own if one.hardest.low > one.control.high]
    if not above:
        return (
            f"For {called(network)}, no method's heatmaps at severity {severity} stay measurably closer "
            "to the clean image's heatmap than another image's heatmap is "
            f"({brackets})."
        )
    if len(above) == len(own):
        whose = "the heatmaps of every method"
    else:
        whose = f"only the heatmaps of {listed([title(one.method) for one in above])}"
    return (
        f"For {called(network)}, {whose} stay closer to the clean image's heatmap than another "
        f"image's heatmap is, even at severity {severity} ({brackets})."
    )
