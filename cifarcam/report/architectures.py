"""Rows of the tables on networks: their layers, the search for sizes, and published networks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from cifarcam.studies.architectures import Architecture

SEARCH_HEADER = (
    "Filters",
    "Dense units",
    "Dropout",
    "Parameters",
    "Training, %",
    "Validation, %",
    "Distance, points",
)


def layer_rows(model: keras.Model) -> list[list[str]]:
    """A row for each layer, with name, kind, output and parameters, and a row of their sum."""
    return [
        *(
            [
                layer.name,
                type(layer).__name__,
                " × ".join(map(str, layer.output.shape[1:])),
                f"{layer.count_params():,}",
            ]
            for layer in model.layers
        ),
        ["all", "", "", f"{model.count_params():,}"],
    ]


def search_rows(members: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Rows under `SEARCH_HEADER`, one for each network that the search tried, from its record."""
    return [
        [
            ", ".join(map(str, member["filters"])),
            str(member["dense"]),
            f"{member['dropout']:.1f}",
            f"{member['parameters']:,}",
            f"{100 * member['train_accuracy']:.1f}",
            f"{100 * member['validation_accuracy']:.1f}",
            f"{member['distance']:.2f}" + (" (chosen)" if member["chosen"] else ""),
        ]
        for member in members
    ]


def published_rows(networks: Iterable[Architecture]) -> list[list[str]]:
    """A row for each network of the literature: year, layers, parameters, published error."""
    return [
        [
            network.title,
            str(network.year),
            str(network.convolutions),
            str(network.dense),
            f"{network.parameters:,}",
            network.error,
            network.source,
        ]
        for network in networks
    ]
