"""Networks for the reader's browser: their weights and test pictures, as scripts beside a page.

The output of `show` contains the files. `cifarcam.publish.sphinx_ext` unpacks them beside the page,
where the scripts in ``book/_static/live`` read them: they compute a network's answers and heatmaps.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from cifarcam.data import Dataset
from cifarcam.errors import CifarcamError
from cifarcam.explain import METHODS
from cifarcam.figures.heatmaps import coloured
from cifarcam.report import gallery, live_network, page
from cifarcam.runs import Run
from cifarcam.training import prediction

PICTURES = "pictures.js"
GLOBAL = "cifarcamLive"  # the variable that the scripts set and read
LARGEST = 1_500_000  # bytes, of the script of one network
LAYER_METHODS = ("grad-cam", "hires-cam", "layer-cam", "grad-cam++")
MISTAKES = 4  # of the ten pictures of a class

# Text in place of the component in print, in Jupyter and in browsers that run no scripts.
FALLBACK = (
    "Here a network runs in the reader's browser. It works on the HTML pages of this report, from a "
    "server or from the disk, in a browser that runs JavaScript."
)


def choose(
    labels: np.ndarray,
    predicted: np.ndarray,
    *,
    each: int = 10,
    mistakes: int = MISTAKES,
    seed: int = 0,
) -> np.ndarray:
    """Draw pictures of each class, some of which a network gets wrong.

    Parameters
    ----------
    labels, predicted
        True classes, and classes that the network predicts: integers, N.
    each
        How many pictures of each class; fewer if the class has fewer.
    mistakes
        How many of these the network gets wrong; if it gets fewer wrong, right ones stand in for
        them, and the other way round.
    seed
        Seed of the draw.

    Returns
    -------
    numpy.ndarray
        Indices of the pictures, int64, class by class, each class in the order of the split.

    Raises
    ------
    CifarcamError
        When the shapes differ, or a number is out of range.
    """
    labels, predicted = np.asarray(labels), np.asarray(predicted)
    if labels.ndim != 1 or labels.shape != predicted.shape:
        raise CifarcamError(
            f"labels of shape {labels.shape} and predicted classes of shape {predicted.shape}; give "
            "one of each for every picture"
        )
    if not 0 <= mistakes <= each:
        raise CifarcamError(f"{mistakes} mistakes of {each} pictures; give 0 to {each} mistakes")
    random = np.random.default_rng(seed)
    indices: list[int] = []
    for label in np.unique(labels):
        order = random.permutation(np.flatnonzero(labels == label))
        is_wrong = predicted[order] != label
        wrong, right = order[is_wrong], order[~is_wrong]
        few = min(len(wrong), max(mistakes, each - len(right)))
        indices += sorted([*wrong[:few], *right[: each - few]])
    return np.array(indices, np.int64)


def encode(
    runs: Mapping[str, Run],
    dataset: Dataset,
    places: np.ndarray,
    precision: live_network.Precision = "float16",
) -> dict[str, bytes]:
    """The files of the component, by name: test pictures, and a script for each network.

    ``pictures.js`` holds the pictures without loss, their classes, and what the networks predict.
    ``network-NAME.js`` holds a run's network: its layers in order, and its weights.

    Parameters
    ----------
    runs
        With their weights, by the title that the page shows; the page begins with the first.
    dataset, places
        Whose test pictures, and which of them: indices, N.
    precision
        Of the weights in the scripts.

    Raises
    ------
    CifarcamError
        When there is no run or no picture, a network has parts that the scripts do not compute, or
        a script is larger than `LARGEST`.
    """
    places = np.asarray(places)
    if not runs or not len(places):
        raise CifarcamError("the live component needs a network and a picture; give both")
    images = dataset.test.images[places]
    files: dict[str, bytes] = {}
    networks = []
    for title, run in runs.items():
        model, name = run.model(), f"network-{run.name}.js"
        if model.output_shape[-1] != len(dataset.class_names):
            raise CifarcamError(
                f"{run.name}: a network of {model.output_shape[-1]} classes for pictures of "
                f"{len(dataset.class_names)}; give the dataset that it was trained on"
            )
        files[name] = _script(run.name, model, precision)
        networks.append(
            {
                "key": run.name,
                "title": title,
                "script": gallery.versioned(name, files[name]),
                "accuracy": run.metrics["test"]["accuracy"],
                "predicted": prediction.predict(model, images).argmax(axis=1).tolist(),
            }
        )
    sprite = base64.b64encode(gallery.webp(gallery.sprite(images))).decode()
    content = {
        "classes": list(dataset.class_names),
        "pictures": f"data:image/webp;base64,{sprite}",
        "count": len(images),
        "places": places.tolist(),
        "labels": dataset.test.labels[places].tolist(),
        "networks": networks,
        "methods": [{"key": key, "title": METHODS[key].title} for key in LAYER_METHODS],
        "scale": coloured(np.arange(256) / 255).tolist(),
    }
    return {PICTURES: _setting("data", content)} | files


def show(files: Mapping[str, bytes]) -> None:
    """Display the component as it explains one heatmap, with the files in the output's metadata.

    Parameters
    ----------
    files
        From `encode`; the report's first page, which has all tools, reads them, too.
    """
    page.interactive('class="live-app" data-mode="method"', FALLBACK, files)


def _script(key: str, model: keras.Model, precision: live_network.Precision) -> bytes:
    """The script of a network, of at most `LARGEST` bytes."""
    script = _setting(f"networks[{json.dumps(key)}]", live_network.packed(model, precision))
    if len(script) > LARGEST:
        raise CifarcamError(
            f"{key}: its script has {len(script):,} bytes, more than {LARGEST:,}; leave it out"
        )
    return script


def _setting(what: str, value: Any) -> bytes:
    """A script that sets a property of the global variable."""
    text = json.dumps(value, separators=(",", ":"))
    return (
        f"((globalThis.{GLOBAL} ??= {{}}).networks ??= {{}});\n{GLOBAL}.{what} = {text};\n"
    ).encode()
