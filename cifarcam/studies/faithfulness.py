"""The faithfulness record: every explanation method measured over test images and networks."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from scipy import ndimage

from cifarcam import _closure, _devices, _files, _store, data, explain, runs
from cifarcam.explain import metrics
from cifarcam.runs import Run
from cifarcam.studies import records
from cifarcam.studies.packing import packed

IMAGES = 500  # test images in the sample
CASCADE_IMAGES = 32  # the first images, for the randomisation and for other seeds
SENSITIVITY_IMAGES = 64  # the first images, for the sensitivity
AGREEMENT_IMAGES = 100  # the first images, for the agreement between methods
GRID_CANDIDATES = {2: 3000, 4: 100}  # grids drawn, by number of tiles
GRIDS = {2: 200, 4: 64}  # of those that the network recognises, at most as many are explained
BLUR = 4.0  # pixels, standard deviation of the Gaussian; a cell of the baseline's maps is as wide

PIXEL_METHODS = ("saliency", "integrated-gradients", "smoothgrad")  # compared with blurred copies
SLOW_METHODS = ("lime", "shap")  # hundreds of passes for an image
COMBINED = tuple(f"grad-cam+{name}" for name in SLOW_METHODS)
MEASURES = ("road", "deletion", "insertion", "mu-fidelity")  # stored for each image


@dataclass(frozen=True)
class Network:
    """A network to measure, and how much of it.

    Attributes
    ----------
    experiment, seed
        Its run.
    images
        Number of test images, from the first of `images_measured`.
    slow_images
        Number of these, from the first, for LIME, SHAP and their means with Grad-CAM.
    without
        Methods left out.
    tiles
        Tiles of a grid for the localisation: 2, 4, or 0 for none.
    grids_without
        Methods left out of the localisation as well.
    details
        Whether to measure what needs many more passes: the randomisation, the sensitivity, the
        agreement with another seed.
    """

    experiment: str
    seed: int = 0
    images: int = 200
    slow_images: int = 100
    without: tuple[str, ...] = ()
    tiles: int = 0
    grids_without: tuple[str, ...] = SLOW_METHODS
    details: bool = False


NETWORKS = (
    Network("baseline", 0, 500, 200, tiles=2, details=True),
    Network("baseline", 1, 500, 200, tiles=2),
    Network("baseline", 2, 500, 200, tiles=2),
    Network("custom-cnn-augmented-long"),
    Network("transformer-long"),
    Network(
        "resnet18-long",
        images=100,
        slow_images=0,
        without=("score-cam", "ablation-cam", *SLOW_METHODS),
        tiles=4,
        grids_without=(*SLOW_METHODS, "integrated-gradients", "smoothgrad"),
    ),
)


def images_measured(dataset: data.Dataset) -> np.ndarray:
    """The test images that explanation methods are measured on, uint8: a random sample, seed 0."""
    count = min(IMAGES, len(dataset.test))
    indices = np.random.default_rng(0).choice(len(dataset.test), count, replace=False)
    return dataset.test.images[indices]


def last_convolution(model: keras.Model) -> str:
    """The layer whose maps are explained in a model without nested models.

    It is the last layer with an output of the shape of the last convolution's output: the
    convolution itself, or the normalisation, addition or activation after it and before pooling.
    """
    convolution = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)][-1]
    shape = convolution.output.shape
    return [layer.name for layer in model.layers if layer.output.shape == shape][-1]


def measure() -> dict[str, Any]:
    """Measure every explanation method over test images of several networks (about 50 minutes).

    Heatmaps explain the class that the network predicts. Each network's result is kept in the
    cache until all are there, so that a repeated call after an interruption goes on.
    """
    dataset = data.load()
    code = _closure.code_digest(__name__)
    measured = [
        (network, runs.load(network.experiment, seed=network.seed, dataset=dataset))
        for network in NETWORKS
    ]
    results, kept = [], []
    for network, run in measured:
        path = _partial(network, run, dataset, code)
        if not path.is_file():
            result = measure_network(network, run, dataset)
            with _files.writing_to(path.parent):
                _files.write_json(path, result)
        results.append(_files.read_json(path, "remove it"))
        kept.append(path)
    for path in kept:
        path.unlink()
    return {
        "inputs": records.inputs(dataset, runs=[run for _, run in measured]),
        "device": _devices.describe()["device"],
        "blur": BLUR,
        "agreement_images": AGREEMENT_IMAGES,
        "cascade_images": CASCADE_IMAGES,
        "sensitivity_images": SENSITIVITY_IMAGES,
        "networks": results,
    }


def measure_network(network: Network, run: Run, dataset: data.Dataset) -> dict[str, Any]:
    """The part of the record for one network.

    Returns
    -------
    dict
        ``maps`` by name: values for each image (`packed`) and means, curves of deletion and
        insertion, number of zero maps. Names are those of `explain.METHODS`; ``<name>-blurred``;
        ``grad-cam+<name>`` for means of two maps, each divided by its sum.
    """
    started = time.perf_counter()
    classifier = explain.Classifier(run.model())
    layer = last_convolution(classifier.model)
    images = images_measured(dataset)[: network.images]
    classes = classifier.scores(images).argmax(axis=1)
    removals = metrics.patch_removals(classifier, images, classes)
    heatmaps: dict[str, np.ndarray] = {}
    maps: dict[str, dict[str, Any]] = {}
    explainers = _explainers(network, classifier, layer)
    for name, map_, cpu in _heatmaps(network, explainers, images, classes):
        heatmaps[name] = map_
        maps[name] = _values(classifier, images, map_, classes, removals)
        if cpu is not None:
            maps[name]["cpu_milliseconds"] = 1000 * cpu / len(map_)
        _log(f"{run.name}: {name}, {time.perf_counter() - started:.0f} s")
    methods = list(explainers)
    result: dict[str, Any] = {
        **asdict(network),
        "name": run.name,
        "images": len(images),
        "layer": layer,
        "cell": images.shape[1] / explainers["grad-cam"].signed_maps(images[:1]).shape[1],
        "maps": maps,
        "agreement": _agreements([heatmaps[name][:AGREEMENT_IMAGES] for name in methods]),
    }
    if network.details:
        for name, explainer in explainers.items():
            maps[name] |= _details(explainer, heatmaps[name], images, classes)
            _log(f"{run.name}: randomisation of {name}, {time.perf_counter() - started:.0f} s")
    if network.tiles:
        result["localisation"] = _localisation(network, run, dataset)
        _log(f"{run.name}: grids, {time.perf_counter() - started:.0f} s")
    return result


def _explainers(
    network: Network, classifier: explain.Classifier, layer: str
) -> dict[str, explain.Explainer]:
    return {
        name: method(classifier, layer if method.takes_layer else None)
        for name, method in explain.METHODS.items()
        if name not in network.without
    }


def _heatmaps(
    network: Network,
    explainers: dict[str, explain.Explainer],
    images: np.ndarray,
    classes: np.ndarray,
) -> Iterator[tuple[str, np.ndarray, float | None]]:
    """Names, heatmaps and processor seconds of all maps; None where a map comes from others."""
    by_name = {}
    for name, explainer in explainers.items():
        count = network.slow_images if name in SLOW_METHODS else len(images)
        explainer(images[:1], classes[:1])  # compiles
        began = time.process_time()
        by_name[name] = explainer(images[:count], classes[:count])
        yield name, by_name[name], time.process_time() - began
    for name in PIXEL_METHODS:
        if name in by_name:
            yield f"{name}-blurred", blurred(by_name[name]), None
    for name in SLOW_METHODS:
        if name in by_name:
            few = by_name[name]
            yield f"grad-cam+{name}", combined(by_name["grad-cam"][: len(few)], few), None


def blurred(heatmaps: np.ndarray) -> np.ndarray:
    """Heatmaps smoothed by a Gaussian with a standard deviation of `BLUR` pixels: N x H x W."""
    return ndimage.gaussian_filter(heatmaps, (0, BLUR, BLUR), mode="nearest")


def combined(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The mean of two heatmaps of each image, each divided by its sum: float64, N x H x W.

    A zero heatmap stays zero, so that the other one decides the order.
    """
    return (_unit_sum(first) + _unit_sum(second)) / 2


def _unit_sum(heatmaps: np.ndarray) -> np.ndarray:
    maps = np.asarray(heatmaps, np.float64)
    sums = maps.sum(axis=(1, 2), keepdims=True)
    return np.divide(maps, sums, out=np.zeros_like(maps), where=sums > 0)


def _values(
    classifier: explain.Classifier,
    images: np.ndarray,
    heatmaps: np.ndarray,
    classes: np.ndarray,
    removals: metrics.PatchRemovals,
) -> dict[str, Any]:
    count = len(heatmaps)
    inputs = (classifier, images[:count], heatmaps, classes[:count])
    deletion, insertion = metrics.deletion(*inputs), metrics.insertion(*inputs)
    most, least = (metrics.road(*inputs, least_first=first) for first in (False, True))
    confidence = metrics.confidence_change(*inputs)
    few = metrics.PatchRemovals(removals.masks, removals.falls[:count])
    values = {
        "road": (least.probabilities - most.probabilities).mean(axis=1),
        "deletion": deletion.areas,
        "insertion": insertion.areas,
        "mu-fidelity": few.fidelity(heatmaps),
    }
    return {
        "values": {measure: packed(values[measure]) for measure in MEASURES},
        "means": {
            "drop": float(confidence.drop.mean()),
            "increase": float(confidence.increase.mean()),
            "gini": _mean(metrics.gini(heatmaps)),
        },
        "curves": {
            "shares": _rounded(deletion.shares),
            "deletion": _rounded(deletion.probabilities.mean(axis=0)),
            "insertion": _rounded(insertion.probabilities.mean(axis=0)),
        },
        "zero_maps": int((~heatmaps.any(axis=(1, 2))).sum()),
    }


def _details(
    explainer: explain.Explainer, heatmaps: np.ndarray, images: np.ndarray, classes: np.ndarray
) -> dict[str, Any]:
    few = slice(0, min(CASCADE_IMAGES, len(heatmaps)))
    redrawn = None
    if explainer.seed is not None:
        layer = explainer.layers[0] if explainer.layers else None
        seed: dict[str, Any] = {"seed": explainer.seed + 1}
        other = type(explainer)(explainer.classifier, layer, **seed)
        redrawn = _agreement(heatmaps[few], other(images[few], classes[few]))
    sensitivity = None
    if explainer.name not in SLOW_METHODS:
        some = slice(0, SENSITIVITY_IMAGES)
        sensitivity = _mean(metrics.max_sensitivity(explainer, images[some], classes[some]))
    cascade = metrics.cascading_randomisation(explainer, images[few], classes[few])
    return {
        "redrawn": redrawn,
        "sensitivity": sensitivity,
        "randomisation": {
            "layers": cascade.layers,
            "rank_correlation": [_mean(row) for row in cascade.rank_correlation],
            "ssim": [_mean(row) for row in cascade.ssim],
        },
    }


def _localisation(network: Network, run: Run, dataset: data.Dataset) -> dict[str, Any]:
    """Pointing and energy on grids that the network recognises, one tile explained in each."""
    tiles = network.tiles
    model = run.model()
    if tiles == 4:
        model = enlarged(model)
    classifier = explain.Classifier(model)
    right = run.predictions.argmax(axis=1) == dataset.test.labels
    candidates = metrics.make_grids(
        dataset.test.images[right], dataset.test.labels[right], tiles, GRID_CANDIDATES[tiles]
    )
    is_recognised = metrics.recognised(classifier, candidates)
    result: dict[str, Any] = {
        "tiles": tiles,
        "candidates": len(is_recognised),
        "recognised": int(is_recognised.sum()),
        "methods": {},
    }
    grids = candidates.only(np.flatnonzero(is_recognised)[: GRIDS[tiles]])
    if not len(grids.images):
        return result
    asked = np.arange(len(grids.images)) % tiles
    targets = grids.classes[np.arange(len(asked)), asked]
    explainers = _explainers(network, classifier, last_convolution(model))
    for name, explainer in explainers.items():
        if name not in network.grids_without:
            maps = explainer(grids.images, targets)
            result["methods"][name] = {
                "pointing": packed(metrics.pointing(maps, grids.masks[asked])),
                "energy": packed(metrics.energy_inside(maps, grids.masks[asked])),
            }
    return result


def enlarged(model: keras.Model) -> keras.Model:
    """The same network for images twice as high and wide; it needs global pooling."""
    height, width, channels = model.input.shape[1:]
    size = keras.Input((2 * height, 2 * width, channels), name=model.input.name)
    larger = keras.models.clone_model(model, input_tensors=size)
    larger.set_weights(model.get_weights())
    return larger


def _partial(network: Network, run: Run, dataset: data.Dataset, code: str) -> Path:
    """The file in the cache for one network's result, by everything that decides it."""
    weights = run.provenance["files"][_store.WEIGHTS]
    key = json.dumps([asdict(network), IMAGES, weights, dataset.digest, code], sort_keys=True)
    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    return _files.cache_dir() / "measurements" / f"faithfulness-{name}.json"


def _agreements(heatmaps: list[np.ndarray]) -> list[list[float | None]]:
    """Mean rank correlations of all pairs of methods over the images that both explain."""
    table: list[list[float | None]] = [[None] * len(heatmaps) for _ in heatmaps]
    for row, first in enumerate(heatmaps):
        for column, second in enumerate(heatmaps[: row + 1]):
            count = min(len(first), len(second))
            value = _agreement(first[:count], second[:count])
            table[row][column] = table[column][row] = value
    return table


def _agreement(first: np.ndarray, second: np.ndarray) -> float | None:
    return _mean(metrics.rank_correlation(first, second))


def _mean(values: np.ndarray) -> float | None:
    """The mean of the values that are not NaN; None where there is none."""
    return None if np.isnan(values).all() else float(np.nanmean(values))


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 4) for value in values]


def _log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
