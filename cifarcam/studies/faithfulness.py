"""How far heatmaps can be trusted: every explainer measured over test images, as a record."""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from cifarcam import _devices, data, explain, runs
from cifarcam.explain import metrics
from cifarcam.studies import records

IMAGES = 500  # test images
CHECK_IMAGES = 32  # of them, the first ones, whose means a chapter can compute again
CASCADE_IMAGES = 64  # of them, for the randomisation
SCENES = 500


def images_measured(dataset: data.Dataset) -> np.ndarray:
    """The test images over which explainers are measured, uint8: a random choice from seed 0."""
    count = min(IMAGES, len(dataset.test))
    chosen = np.random.default_rng(0).choice(len(dataset.test), count, replace=False)
    return dataset.test.images[chosen]


def last_convolution(model: keras.Model) -> str:
    """The name of the last convolution of a plain network."""
    return [layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv2D)][-1]


def measure() -> dict[str, Any]:
    """Measure every explainer over test images, by all measures, on the baseline's last convolution.

    Images are explained for the class that the network predicts, scenes once for the object's and
    once for the background's. A method is compared with the random map image by image; one that
    draws random numbers, with itself from another seed.
    """
    dataset = data.load()
    run = runs.load("baseline", seed=0, dataset=dataset)
    classifier = explain.Classifier(run.model())
    images = images_measured(dataset)
    scenes = metrics.make_scenes(dataset.test.images, dataset.test.labels, SCENES)
    layer = last_convolution(classifier.model)
    methods, maps, cards = {}, {}, {}
    for name in tqdm(explain.METHODS, desc="methods"):
        bound = (classifier, layer if explain.METHODS[name].takes_layer else None)
        explainer = explain.METHODS[name](*bound)
        maps[name], seconds = _timed(explainer, images)
        card = cards[name] = metrics.scorecard(explainer, images)
        redrawn = None
        if explainer.seed is not None:
            other: dict[str, Any] = {"seed": explainer.seed + 1}
            redrawn = explain.METHODS[name](*bound, **other)(images)
        for measure, of in (("object", scenes.objects), ("background", scenes.backgrounds)):
            inside = metrics.energy_inside(explainer(scenes.images, of), scenes.masks)
            card[measure] = inside
        card["located"] = card.pop("object")
        card["background-located"] = 1 - card.pop("background")
        cascade = metrics.cascading_randomisation(explainer, images[:CASCADE_IMAGES])
        methods[name] = {
            "images_per_second": len(images) / seconds,
            "zero_maps": int((~maps[name].any(axis=(1, 2))).sum()),
            "measures": {m: asdict(metrics.bootstrap_mean(v)) for m, v in card.items()},
            "redrawn": None if redrawn is None else _agreement(maps[name], redrawn),
            "check": {m: float(np.nanmean(card[m][:CHECK_IMAGES])) for m in metrics.MEASURES},
            "randomisation": {
                "layers": cascade.layers,
                "rank_correlation": np.nanmean(cascade.rank_correlation, axis=1).tolist(),
                "ssim": np.nanmean(cascade.ssim, axis=1).tolist(),
            },
        }
    for name, card in cards.items():
        methods[name]["above_random"] = {
            m: asdict(metrics.bootstrap_mean(card[m] - cards["random"][m]))
            for m in metrics.MEASURES
        }
    agreement = [[_agreement(maps[first], maps[second]) for second in methods] for first in methods]
    return {
        "inputs": records.inputs(dataset, used=[run]),
        "device": _devices.describe()["device"],
        "images": len(images),
        "scenes": SCENES,
        "cascade_images": CASCADE_IMAGES,
        "check_images": CHECK_IMAGES,
        "layer": layer,
        "methods": methods,
        "agreement": agreement,
    }


def _timed(explainer: explain.Explainer, images: np.ndarray) -> tuple[np.ndarray, float]:
    """The heatmaps, and the median time of up to five passes within some ten seconds.

    The first pass, which sets up the kernels of the batch's shape, counts only when it is the
    only one, as it is for methods so slow that this does not matter.
    """
    times: list[float] = []
    while len(times) < 6 and (len(times) < 1 or sum(times) < 10):
        started = time.perf_counter()
        maps = explainer(images)
        times.append(time.perf_counter() - started)
    return maps, statistics.median(times[1:] or times)


def _agreement(first: np.ndarray, second: np.ndarray) -> float | None:
    """The mean rank correlation, None where no image has one."""
    found = metrics.rank_correlation(first, second)
    return None if np.isnan(found).all() else float(np.nanmean(found))
