"""The gallery: test images with the predictions and heatmaps of all networks, on one page.

The output of `show` contains the files. `cifarcam.publish.sphinx_ext` unpacks them beside the page,
where ``book/_static/gallery.js`` reads them.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from cifarcam import explain
from cifarcam.data import Dataset
from cifarcam.errors import CifarcamError
from cifarcam.figures.heatmaps import OPACITY, coloured, scaled_for_display
from cifarcam.figures.sheet import checked_pictures
from cifarcam.report import page
from cifarcam.runs import Run
from cifarcam.studies import calibration
from cifarcam.studies.image_facts import ImageFacts
from cifarcam.training import prediction

COLUMNS = 10  # pictures in a row of a sprite, an image of many pictures
UNITS = 10_000  # of a probability in data.js: whole numbers of hundredths of a percent
DATA = "data.js"
GLOBAL = "cifarcamGallery"  # the variable that data.js sets

# Text in place of the gallery in print, in Jupyter and in browsers that run no scripts.
FALLBACK = (
    "The gallery is interactive. It works on the HTML pages of this report, from a server or from "
    "the disk, in a browser that runs JavaScript."
)


@dataclass(frozen=True)
class Answers:
    """Predictions and heatmaps of one network for the gallery's images.

    Attributes
    ----------
    probabilities
        Class probabilities, N x classes, after the network's temperature where it has one.
    heatmaps
        By method: raw magnitudes >= 0 for the predicted class, N x H x W.
    confusion
        Number of all test images by true and by predicted class, classes x classes; None where the
        network was tested on other images, so that only the gallery's images can be counted.
    """

    probabilities: np.ndarray
    heatmaps: Mapping[str, np.ndarray]
    confusion: np.ndarray | None = None

    @property
    def predicted(self) -> np.ndarray:
        """The predicted classes, int64, N."""
        return self.probabilities.argmax(axis=1)


@dataclass(frozen=True)
class Tally:
    """Counts over the gallery: images that all or no networks get right, maps, and zero maps."""

    networks: int
    images: int
    all_right: int
    none_right: int
    maps: int
    blank: int


def tally(answers: Mapping[str, Answers], labels: np.ndarray) -> Tally:
    """Count right answers and zero heatmaps; `labels` are the images' true classes, N."""
    right = np.array([one.predicted == labels for one in answers.values()])
    maps = [heatmap for one in answers.values() for m in one.heatmaps.values() for heatmap in m]
    return Tally(
        len(answers),
        len(labels),
        int(right.all(axis=0).sum()),
        int((~right).all(axis=0).sum()),
        len(maps),
        sum(not heatmap.any() for heatmap in maps),
    )


def temperature_of(run: Run, record: Mapping[str, Any]) -> float:
    """The temperature of a run in the record of calibration, or 1 where the record has none.

    The record holds runs on CIFAR-10. With 1 the probabilities are the network's own.

    Parameters
    ----------
    run
        A run of any dataset.
    record
        The record ``calibration``.
    """
    own = (run.experiment.name, run.experiment.training.seed)
    if run.provenance["dataset_digest"] in record["inputs"]["datasets"].values():
        for entry in record["runs"]:
            if (entry["experiment"], entry["seed"]) == own:
                return float(entry["temperature"])
    return 1.0


def answer(
    run: Run, dataset: Dataset, places: np.ndarray, methods: Sequence[str], temperature: float
) -> Answers:
    """Ask a run's network about test images, and explain the class that it predicts.

    The networks were trained with different losses, so that the same probability means different
    things. Scaled by its temperature, each network is right about as often as it says. The
    predicted classes stay as they are.

    Parameters
    ----------
    run
        With its weights.
    dataset, places
        Whose test images, and which of them: indices, N.
    methods
        Names of `explain.METHODS`.
    temperature
        From `temperature_of`.
    """
    images = dataset.test.images[places]
    classifier = explain.Classifier(run.model())
    probabilities = prediction.predict(classifier.model, images)
    predicted = probabilities.argmax(axis=1)
    heatmaps = {name: explain.METHODS[name](classifier)(images, predicted) for name in methods}
    if temperature != 1:
        probabilities = calibration.scale(probabilities, temperature)
    confusion = None
    if run.provenance["dataset_digest"] == dataset.digest:
        confusion = np.array(run.metrics["test"]["confusion"])
    return Answers(probabilities, heatmaps, confusion)


def encode(
    images: np.ndarray,
    labels: np.ndarray,
    places: np.ndarray,
    class_names: Sequence[str],
    answers: Mapping[str, Answers],
    facts: ImageFacts | None = None,
) -> dict[str, bytes]:
    """The files of the gallery, by name.

    ``pictures.webp`` holds the images without loss, row by row. For each network and method there
    is a sprite of the same layout in the colours of the report's heatmaps. Its alpha channel is the
    heatmap divided by its own maximum, 0-255, so that an overlay is more opaque where the heatmap
    is higher. ``data.js`` sets one global variable with labels, predictions, probabilities, counts
    by true and predicted class, and what is known of the images.

    Parameters
    ----------
    images, labels, places
        N x H x W x 3, uint8; true classes, N; places in the test split, N.
    class_names
        A name for each column of the probabilities.
    answers
        By network; all with the same methods.
    facts
        What is known of all images of the test split; with None the gallery does not ask for it.

    Raises
    ------
    CifarcamError
        When numbers, sizes or methods do not fit together, or a heatmap has a negative value.
    """
    pictures = checked_pictures(images)
    _check(pictures, labels, places, class_names, answers)
    files = {"pictures.webp": webp(sprite(pictures))}
    networks = []
    for number, (network, answer) in enumerate(answers.items()):
        sprites = {}
        for kind, (method, heatmaps) in enumerate(answer.heatmaps.items()):
            name = f"heatmaps-{number}-{kind}.webp"
            files[name] = webp(sprite(_translucent(heatmaps)))
            blank = np.flatnonzero(~heatmaps.any(axis=(1, 2)))
            sprites[method] = {"file": versioned(name, files[name]), "blank": blank.tolist()}
        networks.append(
            {
                "name": network,
                "predicted": answer.predicted.tolist(),
                "probabilities": np.rint(answer.probabilities * UNITS).astype(int).tolist(),
                "heatmaps": sprites,
                "confusion": None if answer.confusion is None else answer.confusion.tolist(),
            }
        )
    content = {
        "classes": list(class_names),
        "methods": list(next(iter(answers.values())).heatmaps),
        "columns": COLUMNS,
        "units": UNITS,
        "opacity": OPACITY,
        "scale": _translucent(np.linspace(0, 1, 9)[np.newaxis, np.newaxis])[0, 0].tolist(),
        "pictures": versioned("pictures.webp", files["pictures.webp"]),
        "places": np.asarray(places).tolist(),
        "labels": np.asarray(labels).tolist(),
        "networks": networks,
        "facts": None if facts is None else _facts(facts, np.asarray(places)),
    }
    script = f"window.{GLOBAL} = {json.dumps(content, separators=(',', ':'))};\n"
    return files | {DATA: script.encode()}


def _facts(facts: ImageFacts, places: np.ndarray) -> dict[str, Any]:
    """What is known of the gallery's images: lists of their positions, and values by position."""
    masks = {"twin": facts.twins, "doubtful": facts.doubtful, "missed": facts.missed}
    return {
        **{name: np.flatnonzero(mask[places]).tolist() for name, mask in masks.items()},
        "people": facts.people[places].tolist(),
        "sentences": [facts.sentences[place] for place in places.tolist()],
    }


def _check(
    pictures: np.ndarray,
    labels: np.ndarray,
    places: np.ndarray,
    class_names: Sequence[str],
    answers: Mapping[str, Answers],
) -> None:
    """Refuse a gallery whose numbers, sizes or methods do not fit together."""
    count = len(pictures)
    if not answers or not count:
        raise CifarcamError("a gallery needs at least one image and one network; give both")
    if not len(labels) == len(places) == count:
        raise CifarcamError(
            f"gallery: {count} images, {len(labels)} labels and {len(places)} places; "
            "give equal numbers"
        )
    methods = list(next(iter(answers.values())).heatmaps)
    for network, answer in answers.items():
        if answer.probabilities.shape != (count, len(class_names)):
            raise CifarcamError(
                f"{network}: probabilities of shape {answer.probabilities.shape}; give {count} "
                f"images x {len(class_names)} classes"
            )
        if answer.confusion is not None and answer.confusion.shape != (len(class_names),) * 2:
            raise CifarcamError(
                f"{network}: counts of shape {answer.confusion.shape}; give a row and a column for "
                f"each of {len(class_names)} classes"
            )
        if list(answer.heatmaps) != methods:
            raise CifarcamError(
                f"{network}: methods {', '.join(answer.heatmaps)}; give the methods of the other "
                f"networks, {', '.join(methods)}"
            )
        for method, heatmaps in answer.heatmaps.items():
            if heatmaps.shape != pictures.shape[:3]:
                raise CifarcamError(
                    f"{network}, {method}: heatmaps of shape {heatmaps.shape}; give "
                    f"{pictures.shape[:3]}, as the images"
                )


def show(files: Mapping[str, bytes]) -> None:
    """Display the gallery's element of the page, with the files in the output's metadata.

    Parameters
    ----------
    files
        From `encode`.
    """
    page.interactive('id="gallery-app"', FALLBACK, files)


def _translucent(maps: np.ndarray) -> np.ndarray:
    """Heatmaps, N x H x W, in the report's colours, N x H x W x 4 uint8; alpha is the height."""
    grey = np.stack([np.rint(255 * scaled_for_display(m)) for m in maps]).astype(np.uint8)
    palette = np.empty((256, 4), np.uint8)
    palette[:, :3] = coloured(np.arange(256) / 255)
    palette[:, 3] = np.arange(256)
    return palette[grey]


def sprite(pictures: np.ndarray) -> np.ndarray:
    """N x H x W x channels pictures side by side, `COLUMNS` in a row, one colour after the last.

    The colour is one of the pictures': a heatmap has 256 colours, and with one more the file would
    be four times as large.
    """
    count, height, width, channels = pictures.shape
    rows = -(-count // COLUMNS)
    filled = np.empty((rows * COLUMNS, height, width, channels), np.uint8)
    filled[count:] = pictures[0, 0, 0]
    filled[:count] = pictures
    grid = filled.reshape(rows, COLUMNS, height, width, channels).swapaxes(1, 2)
    return grid.reshape(rows * height, COLUMNS * width, channels)


def webp(pixels: np.ndarray) -> bytes:
    """Pixels as a lossless WebP file, by the fastest settings that give the smallest file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", lossless=True, quality=80, method=5, exact=True)
    return file.getvalue()


def versioned(name: str, content: bytes) -> str:
    """An address that changes with the content, so that a browser's cache never mixes two builds."""
    return f"{name}?v={zlib.crc32(content):08x}"
