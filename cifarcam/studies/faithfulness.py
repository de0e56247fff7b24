"""The faithfulness record: every explanation method measured over test images."""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from cifarcam import _devices, data, explain, runs
from cifarcam.explain import metrics
from cifarcam.studies import records

IMAGES = 500  # test images
CHECK_IMAGES = 32  # the first images, whose means a chapter can compute again
CASCADE_IMAGES = 64  # the first images, for the randomisation
SCENES = 500


@dataclass(frozen=True)
class _Measured:
    """One method: heatmaps of the images, values by measure (an array over images), its entry."""

    heatmaps: np.ndarray
    card: dict[str, np.ndarray]
    entry: dict[str, Any]


def images_measured(dataset: data.Dataset) -> np.ndarray:
    """The test images that explanation methods are measured on, uint8: a random sample, seed 0."""
    count = min(IMAGES, len(dataset.test))
    indices = np.random.default_rng(0).choice(len(dataset.test), count, replace=False)
    return dataset.test.images[indices]


def last_convolution(model: keras.Model) -> str:
    """The name of the last convolutional layer of a model without nested models."""
    return [layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv2D)][-1]


def measure() -> dict[str, Any]:
    """Measure every explanation method over test images at the baseline's last convolution.

    Heatmaps explain the class that the network predicts; in scenes they explain once the object's
    class and once the background's. Each method is compared with the random map image by image.
    A method that draws random numbers is compared with itself under another seed.
    """
    dataset = data.load()
    run = runs.load("baseline", seed=0, dataset=dataset)
    classifier = explain.Classifier(run.model())
    images = images_measured(dataset)
    scenes = metrics.make_scenes(dataset.test.images, dataset.test.labels, SCENES)
    layer = last_convolution(classifier.model)
    measured = {
        name: _measure_method(name, classifier, layer, images, scenes)
        for name in tqdm(explain.METHODS, desc="methods")
    }
    random = measured["random"].card
    return {
        "inputs": records.inputs(dataset, runs=[run]),
        "device": _devices.describe()["device"],
        "images": len(images),
        "scenes": SCENES,
        "cascade_images": CASCADE_IMAGES,
        "check_images": CHECK_IMAGES,
        "layer": layer,
        "methods": {
            name: method.entry
            | {
                "above_random": {
                    m: asdict(metrics.bootstrap_mean(method.card[m] - random[m]))
                    for m in metrics.MEASURES
                }
            }
            for name, method in measured.items()
        },
        "agreement": [
            [_agreement(first.heatmaps, second.heatmaps) for second in measured.values()]
            for first in measured.values()
        ],
    }


def _measure_method(
    name: str,
    classifier: explain.Classifier,
    layer: str,
    images: np.ndarray,
    scenes: metrics.Scenes,
) -> _Measured:
    method = explain.METHODS[name]
    bound = (classifier, layer if method.takes_layer else None)
    explainer = method(*bound)
    heatmaps, seconds = _timed(explainer, images)
    card = metrics.scorecard(explainer, images)
    redrawn = None
    if explainer.seed is not None:
        seed: dict[str, Any] = {"seed": explainer.seed + 1}
        redrawn = _agreement(heatmaps, method(*bound, **seed)(images))
    inside_object, inside_background = (
        metrics.energy_inside(explainer(scenes.images, targets), scenes.masks)
        for targets in (scenes.objects, scenes.backgrounds)
    )
    card |= {"located": inside_object, "background-located": 1 - inside_background}
    cascade = metrics.cascading_randomisation(explainer, images[:CASCADE_IMAGES])
    entry = {
        "images_per_second": len(images) / seconds,
        "zero_maps": int((~heatmaps.any(axis=(1, 2))).sum()),
        "measures": {m: asdict(metrics.bootstrap_mean(values)) for m, values in card.items()},
        "redrawn": redrawn,
        "check": {m: float(np.nanmean(card[m][:CHECK_IMAGES])) for m in metrics.MEASURES},
        "randomisation": {
            "layers": cascade.layers,
            "rank_correlation": np.nanmean(cascade.rank_correlation, axis=1).tolist(),
            "ssim": np.nanmean(cascade.ssim, axis=1).tolist(),
        },
    }
    return _Measured(heatmaps, card, entry)


def _timed(explainer: explain.Explainer, images: np.ndarray) -> tuple[np.ndarray, float]:
    """Heatmaps, and the median seconds of up to five passes within about ten seconds.

    The first pass compiles for the batch's shape and is left out, unless it alone takes more than
    ten seconds: compiling is then a small part of it.
    """
    times: list[float] = []
    while len(times) < 6 and (len(times) < 1 or sum(times) < 10):
        started = time.perf_counter()
        heatmaps = explainer(images)
        times.append(time.perf_counter() - started)
    return heatmaps, statistics.median(times[1:] or times)


def _agreement(first: np.ndarray, second: np.ndarray) -> float | None:
    """The mean rank correlation over images; None where no image has one."""
    correlations = metrics.rank_correlation(first, second)
    return None if np.isnan(correlations).all() else float(np.nanmean(correlations))
