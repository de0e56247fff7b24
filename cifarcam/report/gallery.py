"""The gallery: test images with every network's answers and heatmaps, packed for one page.

The chapter that calls `show` carries the files; `cifarcam.publish.sphinx_ext` unpacks them beside the page,
where ``book/_static/gallery.js`` reads them.
"""

from __future__ import annotations

import base64
import io
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from IPython.display import display
from PIL import Image

from cifarcam import _store, evaluation
from cifarcam.errors import CifarcamError
from cifarcam.figures.heatmaps import OPACITY, coloured, scaled_for_display
from cifarcam.figures.style import checked_pictures

COLUMNS = 10  # pictures in a row of a sprite
UNITS = 10_000  # of a probability in data.js: whole numbers of hundredths of a percent
DATA = "data.js"
GLOBAL = "cifarcamGallery"  # the variable that data.js sets

# What stands in the gallery's place in print, in Jupyter and where no script runs.
FALLBACK = (
    "The gallery is interactive. It works on the HTML pages of this report, from a server or from "
    "the disk, in a browser that runs JavaScript."
)


@dataclass(frozen=True)
class Answers:
    """What one network makes of the gallery's images.

    Attributes
    ----------
    probabilities
        Class probabilities, N x classes.
    heatmaps
        By method: raw magnitudes for the predicted class, N x H x W, at least 0.
    """

    probabilities: np.ndarray
    heatmaps: Mapping[str, np.ndarray]


def choose(
    labels: np.ndarray, probabilities: np.ndarray, *, first: int, mistakes: int
) -> np.ndarray:
    """Images for the gallery by a rule that does not look at them.

    Of each class the first images, in their order, and then, of its other images, the mistakes
    of a classifier that it was most confident of, the most confident first.

    Parameters
    ----------
    labels
        True classes, integers, N.
    probabilities
        The classifier's, N x classes.
    first, mistakes
        How many of each kind in each class; fewer where there are not so many.

    Returns
    -------
    numpy.ndarray
        The images' places, int64, class by class.

    Raises
    ------
    CifarcamError
        When the shapes do not fit or a number is negative.
    """
    if first < 0:
        raise CifarcamError(f"the first {first} images cannot be chosen; give 0 or more")
    evaluation.most_confident_mistakes(probabilities, labels, mistakes)  # refuses what does not fit
    chosen: list[int] = []
    for label in np.unique(labels):
        of_class = np.flatnonzero(labels == label)
        others = of_class[first:]
        chosen += of_class[:first].tolist()
        if len(others):
            wrong = evaluation.most_confident_mistakes(
                probabilities[others], labels[others], mistakes
            )
            chosen += others[wrong].tolist()
    return np.array(chosen, np.int64)


def encode(
    images: np.ndarray,
    labels: np.ndarray,
    places: np.ndarray,
    class_names: Sequence[str],
    answers: Mapping[str, Answers],
) -> dict[str, bytes]:
    """The files of the gallery, by name.

    ``pictures.webp`` holds the images without loss, row by row. Each network and method has a
    sprite of the same layout in the colours of the report's heatmaps; its alpha is the map divided
    by its own maximum, 0-255, so that an overlay is the more opaque the higher the map. ``data.js``
    sets one global variable that holds the rest.

    Parameters
    ----------
    images, labels, places
        N x H x W x 3, uint8; true classes, N; places in the test split, N.
    class_names
        A name for each column of the probabilities.
    answers
        By network; all with the same methods.

    Raises
    ------
    CifarcamError
        When numbers, sizes or methods do not fit together, or a heatmap has a negative value.
    """
    pictures = checked_pictures(images)
    count = len(pictures)
    if not answers or not count:
        raise CifarcamError("a gallery needs at least one image and one network")
    if not len(labels) == len(places) == count:
        raise CifarcamError(f"{count} images, {len(labels)} labels and {len(places)} places")
    methods = list(next(iter(answers.values())).heatmaps)
    files = {"pictures.webp": _webp(_sprite(pictures))}
    networks = []
    for number, (network, given) in enumerate(answers.items()):
        if given.probabilities.shape != (count, len(class_names)):
            raise CifarcamError(
                f"{network}: probabilities of shape {given.probabilities.shape} for {count} images "
                f"and {len(class_names)} classes"
            )
        if list(given.heatmaps) != methods:
            raise CifarcamError(f"{network}: not the methods of the others, {', '.join(methods)}")
        sprites = {}
        for kind, (method, maps) in enumerate(given.heatmaps.items()):
            if maps.shape != pictures.shape[:3]:
                raise CifarcamError(
                    f"{network}, {method}: heatmaps of shape {maps.shape} for images of shape "
                    f"{pictures.shape}"
                )
            name = f"heatmaps-{number}-{kind}.webp"
            files[name] = _webp(_sprite(_translucent(maps)))
            blank = np.flatnonzero(~maps.any(axis=(1, 2)))
            sprites[method] = {"file": _versioned(name, files[name]), "blank": blank.tolist()}
        networks.append(
            {
                "name": network,
                "predicted": given.probabilities.argmax(axis=1).tolist(),
                "probabilities": np.rint(given.probabilities * UNITS).astype(int).tolist(),
                "heatmaps": sprites,
            }
        )
    content = {
        "classes": list(class_names),
        "methods": methods,
        "columns": COLUMNS,
        "units": UNITS,
        "opacity": OPACITY,
        "scale": _translucent(np.linspace(0, 1, 9)[np.newaxis, np.newaxis])[0, 0].tolist(),
        "pictures": _versioned("pictures.webp", files["pictures.webp"]),
        "places": np.asarray(places).tolist(),
        "labels": np.asarray(labels).tolist(),
        "networks": networks,
    }
    script = f"window.{GLOBAL} = {json.dumps(content, separators=(',', ':'))};\n"
    return files | {DATA: script.encode()}


def show(files: Mapping[str, bytes]) -> None:
    """Show the gallery: its place on the page, with its files in the output's metadata.

    Parameters
    ----------
    files
        What `encode` gave.
    """
    page = (
        f'```{{raw}} html\n<div id="gallery-app"><p>{FALLBACK}</p></div>\n```\n\n'
        f"```{{only}} latex\n{FALLBACK}\n```"
    )
    packed = {name: base64.b64encode(content).decode() for name, content in files.items()}
    display(
        {"text/markdown": page, "text/html": f"<p>{FALLBACK}</p>"},
        raw=True,
        metadata={_store.FILES: packed},
    )


def _translucent(maps: np.ndarray) -> np.ndarray:
    """Heatmaps, N x H x W, as N x H x W x 4 uint8: the report's colours, as opaque as high."""
    grey = np.stack([np.rint(255 * scaled_for_display(m)) for m in maps]).astype(np.uint8)
    palette = np.empty((256, 4), np.uint8)
    palette[:, :3] = coloured(np.arange(256) / 255)
    palette[:, 3] = np.arange(256)
    return palette[grey]


def _sprite(pictures: np.ndarray) -> np.ndarray:
    """N x H x W x channels pictures side by side, `COLUMNS` in a row, zeros after the last."""
    count, height, width, channels = pictures.shape
    rows = -(-count // COLUMNS)
    filled = np.zeros((rows * COLUMNS, height, width, channels), np.uint8)
    filled[:count] = pictures
    grid = filled.reshape(rows, COLUMNS, height, width, channels).swapaxes(1, 2)
    return grid.reshape(rows * height, COLUMNS * width, channels)


def _webp(pixels: np.ndarray) -> bytes:
    """Pixels as a lossless WebP file; the fastest settings among those that are smallest."""
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "WEBP", lossless=True, quality=80, method=5, exact=True)
    return written.getvalue()


def _versioned(name: str, content: bytes) -> str:
    """An address that changes with the content, so that no browser's cache mixes two builds."""
    return f"{name}?v={zlib.crc32(content):08x}"
