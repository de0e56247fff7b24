"""Heatmaps in the faithfulness record: localisation in grids, randomisation, and agreement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cifarcam import explain
from cifarcam.data import Dataset
from cifarcam.runs import Run
from cifarcam.studies import faithfulness, heatmaps
from cifarcam.studies.comparison import baselines, mean_over_images, methods, title
from cifarcam.studies.inference import Effect
from cifarcam.studies.packing import unpacked
from cifarcam.studies.wording import capital


@dataclass(frozen=True)
class Localised:
    """Localisation of the methods in the grids of one network.

    Attributes
    ----------
    recognition
        Share of the drawn grids that the network recognises, 0-1.
    candidates, grids, tiles
        Grids drawn, explained, and tiles of a grid.
    pointing, energy
        Mean with interval over grids by method, 0-1. Chance is 1 / `tiles`.
    sentence
        The finding.
    """

    recognition: float
    candidates: int
    grids: int
    tiles: int
    pointing: Mapping[str, Effect]
    energy: Mapping[str, Effect]
    sentence: str

    @property
    def percent(self) -> float:
        """`recognition` in percent."""
        return 100 * self.recognition


def localised(record: Mapping[str, Any], name: str) -> Localised:
    """Summarise the grids of the network of that name, such as ``"resnet18-long"``."""
    (part,) = [one["localisation"] for one in record["networks"] if one["name"] == name]
    chance = 1 / part["tiles"]
    scores = {
        game: {
            name: mean_over_images(unpacked(entry[game]), chance)
            for name, entry in part["methods"].items()
        }
        for game in ("pointing", "energy")
    }
    grids = [len(unpacked(entry["energy"])) for entry in part["methods"].values()]
    return Localised(
        part["recognised"] / part["candidates"],
        part["candidates"],
        max(grids, default=0),
        part["tiles"],
        scores["pointing"],
        scores["energy"],
        _localisation_sentence(scores["energy"], part["tiles"]),
    )


def _localisation_sentence(energy: Mapping[str, Effect], tiles: int) -> str:
    """What the grids say of all methods, and which has the most energy on its tile."""
    names = methods(list(energy))
    if not names:
        return "The network recognises no grid, so we tested no method."
    best = max(names, key=lambda name: energy[name].value)
    above = [name for name in names if energy[name].low > 1 / tiles]
    more = "more of its map on the right tile than an even map would"
    if len(above) == len(names):
        start = f"Every method puts {more}"
    elif not above:
        start = f"No method reliably puts {more}"
    else:
        their = more.replace("its map", "their maps")
        start = f"Of the {len(names)} methods, {len(above)} put {their}"
    share = 100 * energy[best].value
    return f"{start} ({100 / tiles:.0f}%). {capital(title(best))} puts the largest share there ({share:.0f}%)."


@dataclass(frozen=True)
class Agreements:
    """Mean rank correlations of maps of the baseline with the first seed.

    Attributes
    ----------
    grad_cam_lime, grad_cam_shap, lime_shap, grad_cam_centre
        Of two methods on the same images.
    redrawn_lime, redrawn_shap
        Of a method with itself under another seed of its random numbers.
    """

    grad_cam_lime: float
    grad_cam_shap: float
    lime_shap: float
    grad_cam_centre: float
    redrawn_lime: float
    redrawn_shap: float


def agreements(record: Mapping[str, Any]) -> Agreements:
    """The agreement of Grad-CAM, LIME, SHAP and the centre blob."""
    network = baselines(record)[0]
    names, table = agreement(network)
    of = {
        (row, column): float(table[i, k])
        for i, row in enumerate(names)
        for k, column in enumerate(names)
    }
    return Agreements(
        of["grad-cam", "lime"],
        of["grad-cam", "shap"],
        of["lime", "shap"],
        of["grad-cam", "centre"],
        network["maps"]["lime"]["redrawn"],
        network["maps"]["shap"]["redrawn"],
    )


def cascade(record: Mapping[str, Any]) -> tuple[list[str], list[str], np.ndarray]:
    """Names of maps, layers in the order of their randomisation, and mean rank correlations."""
    maps = {n: m for n, m in baselines(record)[0]["maps"].items() if "randomisation" in m}
    parts = [entry["randomisation"] for entry in maps.values()]
    table = [[np.nan if v is None else v for v in part["rank_correlation"]] for part in parts]
    return list(maps), list(parts[0]["layers"]), np.array(table)


def agreement(network: Mapping[str, Any]) -> tuple[list[str], np.ndarray]:
    """Names of maps, and mean rank correlations of all pairs, for one network of the record."""
    names = [name for name in network["maps"] if name in explain.METHODS]
    rows = network["agreement"]
    return names, np.array([[np.nan if v is None else v for v in row] for row in rows])


def explained_by_all(
    run: Run, dataset: Dataset, classifier: explain.Classifier
) -> dict[str, np.ndarray]:
    """Heatmaps of the first test image of each class by the title of every method.

    The slow methods are read from the record where it holds their heatmaps of these weights.

    Parameters
    ----------
    run, dataset
        The run to explain, and the dataset whose test images are explained.
    classifier
        The run's network.

    Returns
    -------
    dict
        Raw magnitudes, float32, classes x 32 x 32 each.
    """
    first = heatmaps.first_of_each_class(dataset.test.labels)
    images, targets = dataset.test.images[first], dataset.test.labels[first]
    return {
        method.title: heatmaps.of_first_images(run, dataset, name)
        if name in heatmaps.SLOW
        else method(classifier)(images, targets)
        for name, method in faithfulness.METHODS.items()
    }
