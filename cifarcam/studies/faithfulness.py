"""The faithfulness record: every explanation method measured over test images and networks."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cifarcam import _closure, _devices, _files, _store, data, explain, runs
from cifarcam.explain import metrics
from cifarcam.runs import Run
from cifarcam.studies import records
from cifarcam.studies.faithfulness_values import (
    BATCH,
    CASCADE_IMAGES,
    SENSITIVITY_IMAGES,
    agreements,
    explainer_values,
    heatmap_values,
)
from cifarcam.studies.packing import packed
from cifarcam.studies.progress import log

IMAGES = 500  # test images in the sample
AGREEMENT_IMAGES = 100  # the first images, for the agreement between methods
GRID_CANDIDATES = {2: 3000, 4: 100}  # grids drawn, by number of tiles
GRIDS = {2: 200, 4: 64}  # of those that the network recognises, at most as many are explained
BLUR = 1 / 8  # of the image: a Gaussian's standard deviation, as wide as a cell of the baseline

# The methods that the report compares; `explain.METHODS` has more.
METHODS = {
    name: explain.METHODS[name]
    for name in (
        "grad-cam",
        "hires-cam",
        "grad-cam++",
        "xgrad-cam",
        "layer-cam",
        "score-cam",
        "ablation-cam",
        "eigen-cam",
        "saliency",
        "integrated-gradients",
        "smoothgrad",
        "lime",
        "shap",
        "random",
        "centre",
    )
}
PIXEL_METHODS = ("saliency", "integrated-gradients", "smoothgrad")  # compared with blurred copies
SLOW_METHODS = ("lime", "shap")  # hundreds of passes for an image
COMBINED = tuple(f"grad-cam+{name}" for name in SLOW_METHODS)


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


def measure() -> Iterator[dict[str, Any]]:
    """Measure every explanation method over test images of several networks (about 50 minutes).

    Heatmaps explain the class that the network predicts. Each network's result is kept in the
    cache until the record, which is yielded once, has been written, so that a repeated call after
    an interruption goes on.
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
    yield {
        "inputs": records.inputs(dataset, runs=[run for _, run in measured]),
        "device": _devices.describe()["device"],
        "blur": BLUR * dataset.test.images.shape[1],
        "agreement_images": AGREEMENT_IMAGES,
        "cascade_images": CASCADE_IMAGES,
        "sensitivity_images": SENSITIVITY_IMAGES,
        "networks": results,
    }
    for path in kept:
        path.unlink(missing_ok=True)


def measure_network(network: Network, run: Run, dataset: data.Dataset) -> dict[str, Any]:
    """The part of the record for one network.

    Returns
    -------
    dict
        ``maps`` by name: values for each image (`packed`) and means, curves of deletion and
        insertion, number of zero maps. Names are those of `METHODS`; ``<name>-blurred``;
        ``grad-cam+<name>`` for means of two maps, each divided by its sum.
    """
    started = time.perf_counter()
    classifier = explain.Classifier(run.model())
    images = images_measured(dataset)[: network.images]
    classes = classifier.scores(images, BATCH).argmax(axis=1)
    removals = metrics.patch_removals(classifier, images, classes, batch_size=BATCH)
    heatmaps: dict[str, np.ndarray] = {}
    maps: dict[str, dict[str, Any]] = {}
    explainers = _explainers(network, classifier)
    for name, map_, cpu in _heatmaps(network, explainers, images, classes):
        heatmaps[name] = map_
        maps[name] = heatmap_values(classifier, images, map_, classes, removals)
        if cpu is not None:
            maps[name]["cpu_milliseconds"] = 1000 * cpu / len(map_)
        log(f"{run.name}: {name}, {time.perf_counter() - started:.0f} s")
    methods = list(explainers)
    result: dict[str, Any] = {
        **asdict(network),
        "name": run.name,
        "images": len(images),
        "layer": explainers["grad-cam"].layer,
        "cell": images.shape[1] / explainers["grad-cam"].signed_maps(images[:1]).shape[1],
        "maps": maps,
        "agreement": agreements([heatmaps[name][:AGREEMENT_IMAGES] for name in methods]),
    }
    if network.details:
        for name, explainer in explainers.items():
            maps[name] |= explainer_values(
                explainer,
                heatmaps[name],
                images,
                classes,
                has_sensitivity=name not in SLOW_METHODS,
            )
            log(f"{run.name}: randomisation of {name}, {time.perf_counter() - started:.0f} s")
    if network.tiles:
        result["localisation"] = _localisation(network, run, dataset)
        log(f"{run.name}: grids, {time.perf_counter() - started:.0f} s")
    return result


def _explainers(network: Network, classifier: explain.Classifier) -> dict[str, explain.Explainer]:
    return {
        name: method(classifier) for name, method in METHODS.items() if name not in network.without
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
        by_name[name] = explainer(images[:count], classes[:count], batch_size=BATCH)
        yield name, by_name[name], time.process_time() - began
    for name in PIXEL_METHODS:
        if name in by_name:
            yield f"{name}-blurred", explain.blurred(by_name[name], BLUR), None
    for name in SLOW_METHODS:
        if name in by_name:
            few = by_name[name]
            yield f"grad-cam+{name}", combined(by_name["grad-cam"][: len(few)], few), None


def combined(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The mean of two heatmaps of each image, each divided by its sum: float64, N x H x W.

    A zero heatmap stays zero, so that the other one decides the order.
    """
    return (_unit_sum(first) + _unit_sum(second)) / 2


def _unit_sum(heatmaps: np.ndarray) -> np.ndarray:
    maps = np.asarray(heatmaps, np.float64)
    sums = maps.sum(axis=(1, 2), keepdims=True)
    return np.divide(maps, sums, out=np.zeros_like(maps), where=sums > 0)


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
    is_recognised = metrics.recognised(classifier, candidates, batch_size=BATCH)
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
    explainers = _explainers(network, classifier)
    for name, explainer in explainers.items():
        if name not in network.grids_without:
            maps = explainer(grids.images, targets, batch_size=BATCH)
            result["methods"][name] = {
                "pointing": packed(metrics.pointing_game(maps, grids.masks[asked])),
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
