"""Measurements that take more than about two minutes, kept as records under ``runs/records``."""

from __future__ import annotations

import hashlib
import inspect
import json
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from cifarcam import (
    ablation,
    classical,
    data,
    devices,
    experiment,
    explain,
    files,
    models,
    runs,
    training,
)
from cifarcam.errors import CifarcamError
from cifarcam.explain import faithfulness
from cifarcam.models import custom_cnn

# What the original report gives for epoch 50, in percent: the training accuracy that it logged
# and its test accuracy, for which the validation accuracy stands in here.
ORIGINAL_TRAINING, ORIGINAL_TEST = 94.9, 71.5

SEARCH_MEMBERS = (
    custom_cnn.Options(filters=(32, 64), dense=128, dropout=0.5),
    custom_cnn.Options(filters=(32, 64, 64), dense=64, dropout=0.2),
    custom_cnn.Options(filters=(32, 64, 64), dense=128, dropout=0.3),
    custom_cnn.Options(filters=(32, 64, 128), dense=64, dropout=0.2),
)


def measure(name: str, place: Path) -> Path:
    """Make a record and return its file.

    Parameters
    ----------
    name
        One of `MEASUREMENTS`.
    place
        The directory of runs; records go to ``records`` in it.

    Raises
    ------
    CifarcamError
        When there is no measurement of that name.
    """
    if name not in MEASUREMENTS:
        raise CifarcamError(f"measurement {name!r} is not one of {', '.join(MEASUREMENTS)}")
    content = MEASUREMENTS[name]()
    source = inspect.getsource(MEASUREMENTS[name])
    inputs = json.dumps([source, content["inputs"]])
    record = {
        "name": name,
        "fingerprint": hashlib.sha256(inputs.encode()).hexdigest(),
        "versions": devices.versions(),
        **content,
    }
    path = place / "records" / f"{name}.json"
    with files.writing_to(path.parent), files.atomic_file(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n")
    return path


def architecture_search() -> dict[str, Any]:
    """Train members of the custom CNN's family as the baseline is trained, and rank them.

    Each is judged at the last epoch by its distance in percentage points from the original's
    training and test accuracy; the validation accuracy stands in for the latter. The test split
    is not used. A member whose training was interrupted goes on from its checkpoint.
    """
    baseline = experiment.find("baseline")
    dataset = data.load(baseline.data.dataset, seed=baseline.data.split_seed)
    members = []
    inputs = []
    for options in SEARCH_MEMBERS:
        member = replace(baseline, options=options, early_stopping=None)
        fingerprint = member.fingerprint(dataset.digest)
        inputs.append(fingerprint)
        checkpoint = runs.checkpoint_path(fingerprint)
        trained = training.train(
            member, dataset, checkpoint=checkpoint, report=runs.show_progress(member)
        )
        last = trained.history[-1]
        members.append(
            {
                **asdict(options),
                "parameters": models.build(member.architecture, options).count_params(),
                "train_accuracy": last.train_accuracy,
                "validation_accuracy": last.validation_accuracy,
                "distance": math.hypot(
                    100 * last.train_accuracy - ORIGINAL_TRAINING,
                    100 * last.validation_accuracy - ORIGINAL_TEST,
                ),
                "chosen": options == baseline.options,
            }
        )
    for fingerprint in inputs:  # one is the baseline's, which a run would go on from
        runs.checkpoint_path(fingerprint).unlink(missing_ok=True)
    members.sort(key=lambda found: found["distance"])
    return {"inputs": inputs, "members": members}


def classical_baselines() -> dict[str, Any]:
    """Fit a linear SVM and a random forest on pixels and on histograms of oriented gradients."""
    dataset = data.load()
    return {
        "inputs": [dataset.digest, files.sha256(Path(classical.__file__))],
        "trees": classical.TREES,
        "device": devices.describe()["device"],
        "rows": classical.measure(dataset),
    }


FAITHFULNESS_IMAGES = 500  # test images
CHECK_IMAGES = 32  # of them, the first ones, whose means a chapter can compute again
CASCADE_IMAGES = 64  # of them, for the randomisation
SCENES = 500


def faithfulness_images(dataset: data.Dataset) -> np.ndarray:
    """The test images over which explainers are measured, uint8: a random choice from seed 0."""
    count = min(FAITHFULNESS_IMAGES, len(dataset.test))
    chosen = np.random.default_rng(0).choice(len(dataset.test), count, replace=False)
    return dataset.test.images[chosen]


def last_convolution(model: keras.Model) -> str:
    """The name of the last convolution of a plain network."""
    return [layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv2D)][-1]


def faithfulness_record() -> dict[str, Any]:
    """Measure every explainer over test images, by all measures, on the baseline's last convolution.

    Images are explained for the class that the network predicts, scenes once for the object's and
    once for the background's. A method is compared with the random map image by image; one that
    draws random numbers, with itself from another seed.
    """
    dataset = data.load()
    run = runs.load("baseline", seed=0, dataset=dataset)
    classifier = explain.Classifier(run.model())
    images = faithfulness_images(dataset)
    scenes = faithfulness.make_scenes(dataset.test.images, dataset.test.labels, SCENES)
    layer = last_convolution(classifier.model)
    methods, maps, cards = {}, {}, {}
    for name in tqdm(explain.METHODS, desc="methods"):
        bound = (classifier, layer if explain.METHODS[name].takes_layer else None)
        explainer = explain.METHODS[name](*bound)
        maps[name], seconds = _timed(explainer, images)
        card = cards[name] = faithfulness.scorecard(explainer, images)
        redrawn = None
        if explainer.seed is not None:
            other: dict[str, Any] = {"seed": explainer.seed + 1}
            redrawn = explain.METHODS[name](*bound, **other)(images)
        for measure, of in (("object", scenes.objects), ("background", scenes.backgrounds)):
            inside = faithfulness.energy_inside(explainer(scenes.images, of), scenes.masks)
            card[measure] = inside
        card["located"] = card.pop("object")
        card["background-located"] = 1 - card.pop("background")
        cascade = faithfulness.randomisation(explainer, images[:CASCADE_IMAGES])
        methods[name] = {
            "images_per_second": len(images) / seconds,
            "zero_maps": int((~maps[name].any(axis=(1, 2))).sum()),
            "measures": {m: asdict(faithfulness.bootstrap_mean(v)) for m, v in card.items()},
            "redrawn": None if redrawn is None else _agreement(maps[name], redrawn),
            "check": {m: float(np.nanmean(card[m][:CHECK_IMAGES])) for m in faithfulness.MEASURES},
            "randomisation": {
                "layers": cascade.layers,
                "rank_correlation": np.nanmean(cascade.rank_correlation, axis=1).tolist(),
                "ssim": np.nanmean(cascade.ssim, axis=1).tolist(),
            },
        }
    for name, card in cards.items():
        methods[name]["above_random"] = {
            m: asdict(faithfulness.bootstrap_mean(card[m] - cards["random"][m]))
            for m in faithfulness.MEASURES
        }
    agreement = [[_agreement(maps[first], maps[second]) for second in methods] for first in methods]
    return {
        "inputs": [
            run.fingerprint,
            dataset.digest,
            files.sha256_of_all(sorted(Path(explain.__file__).parent.rglob("*.py"))),
        ],
        "device": devices.describe()["device"],
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
    found = faithfulness.rank_correlation(first, second)
    return None if np.isnan(found).all() else float(np.nanmean(found))


MEASUREMENTS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "ablation": ablation.measure,
    "architecture-search": architecture_search,
    "classical": classical_baselines,
    "faithfulness": faithfulness_record,
}
