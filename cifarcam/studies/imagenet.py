"""The first test image of each class through networks that were trained on ImageNet, as a record.

The record holds maps of seven by seven positions, so that a chapter shows them where weights of
ImageNet cannot be fetched.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import keras
import numpy as np

from cifarcam import data, explain, pretrained
from cifarcam.data import Dataset
from cifarcam.errors import CifarcamError
from cifarcam.studies import records
from cifarcam.studies.heatmaps import first_of_each_class
from cifarcam.studies.progress import log

RECORD = "imagenet"
SIDE = 224  # pixels that the networks take
# Classes of ImageNet, by number, that are of the kind of a class of CIFAR-10; there is no deer.
KINDS: Mapping[str, Sequence[int]] = MappingProxyType(
    {
        "airplane": (404, 895),
        "automobile": (407, 436, 468, 511, 609, 627, 656, 661, 751, 817),
        "bird": (*range(7, 25), *range(80, 101), *range(127, 147)),
        "cat": range(281, 286),
        "deer": (),
        "dog": range(151, 269),
        "frog": range(30, 33),
        "horse": (339,),
        "ship": (403, 484, 510, 554, 625, 628, 724, 780, 814, 871, 914),
        "truck": (555, 569, 675, 717, 734, 864, 867),
    }
)


@dataclass(frozen=True)
class ImageNetMaps:
    """Pictures explained through a network that was trained on ImageNet.

    Attributes
    ----------
    network
        The network's title, such as ``"EfficientNet-Lite0"``.
    pictures
        uint8, N x 224 x 224 x 3.
    classes
        The most likely of the 1,000 classes, int64, N.
    names
        The names of these classes, N.
    probabilities
        Their probabilities, 0-1, N.
    heatmaps
        Grad-CAM for these classes, float32, N x 224 x 224.
    """

    network: str
    pictures: np.ndarray
    classes: np.ndarray
    names: Sequence[str]
    probabilities: np.ndarray
    heatmaps: np.ndarray

    def of_right_kind(self, class_names: Sequence[str]) -> int:
        """How many pictures get a class of the kind of their own class (`KINDS`)."""
        return sum(
            int(index) in KINDS[name] for name, index in zip(class_names, self.classes, strict=True)
        )


def of_first_images(dataset: Dataset) -> list[ImageNetMaps]:
    """The first test image of each class, explained through networks of ImageNet, ResNet-18 first.

    A network's maps are read from the record where it holds them for this dataset, else computed
    where the cache has the network's weights. Where there are neither, the first network that can
    be fetched is explained. The list is empty where none can be had.
    """
    pictures = enlarged(dataset.test.images[first_of_each_class(dataset.test.labels)])
    entries = dict(_recorded(dataset))
    for title, source in pretrained.NETWORKS.items():
        if title not in entries and source.is_at_hand():
            entries[title] = _measured(source.build(), pictures)
    if not entries:
        try:
            network = pretrained.imagenet()
        except CifarcamError:
            return []
        entries[network.title] = _measured(network.model, pictures)
    return [_maps(title, entry, pictures) for title, entry in _in_order(entries).items()]


def measure() -> dict[str, Any]:
    """Explain the first test image of each class through every network that can be had.

    The maps of a network whose weights cannot be had are copied from the earlier record; standard
    error says why a network has no maps.

    Raises
    ------
    CifarcamError
        When no weights can be had.
    """
    dataset = data.load()
    pictures = enlarged(dataset.test.images[first_of_each_class(dataset.test.labels)])
    entries = dict(_recorded(dataset))
    reasons = []
    for title, source in pretrained.NETWORKS.items():
        try:
            model = source.build()
        except CifarcamError as error:
            reasons.append(str(error))
            if title not in entries:
                log(f"the record has no maps of {title}: {error}")
        else:
            entries[title] = _measured(model, pictures)
    if not entries:
        raise CifarcamError(f"no network of ImageNet can be had: {'; and '.join(reasons)}")
    return {"inputs": records.inputs(dataset), "networks": _in_order(entries)}


def enlarged(images: np.ndarray) -> np.ndarray:
    """Pictures at the size that the networks take, bilinear: uint8, N x 224 x 224 x 3."""
    large = keras.ops.image.resize(images.astype(np.float32), (SIDE, SIDE))
    return np.rint(np.asarray(large)).clip(0, 255).astype(np.uint8)


def _in_order(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of the record in the order of preference of their networks."""
    return {title: entries[title] for title in pretrained.NETWORKS if title in entries}


def _measured(model: keras.Model, pictures: np.ndarray) -> dict[str, Any]:
    """A network's entry in the record: classes, probabilities, and signed maps by Grad-CAM."""
    explainer = explain.GradCAM(model)
    names = pretrained.class_names()
    scores = explainer.classifier.scores(pictures)
    probabilities = explainer.classifier.as_probabilities(scores)
    classes = scores.argmax(axis=1)
    maps = explainer.signed_maps(pictures, classes)
    return {
        "layer": explainer.layer,
        "classes": classes.tolist(),
        "names": [names[index] for index in classes],
        "probabilities": [round(float(value), 4) for value in probabilities.max(axis=1)],
        "positions": list(maps.shape[1:]),
        "maps": base64.b64encode(maps.astype("<f4").tobytes()).decode(),
    }


def _maps(title: str, entry: Mapping[str, Any], pictures: np.ndarray) -> ImageNetMaps:
    """An entry of the record as maps: after the ReLU, resized by half-pixel bilinear weights."""
    values = np.frombuffer(base64.b64decode(entry["maps"]), "<f4").astype(np.float32)
    positive = np.maximum(values.reshape(-1, *entry["positions"], 1), 0)
    resized = keras.ops.image.resize(positive, (SIDE, SIDE), interpolation="bilinear")
    return ImageNetMaps(
        network=title,
        pictures=pictures,
        classes=np.array(entry["classes"], np.int64),
        names=entry["names"],
        probabilities=np.array(entry["probabilities"]),
        heatmaps=np.asarray(resized)[..., 0],
    )


def _recorded(dataset: Dataset) -> Mapping[str, Any]:
    """The record's entries by network; none where it was made from another dataset."""
    if not records.is_at_hand(RECORD):
        return {}
    record = records.load(RECORD)
    if record["inputs"]["datasets"].get(dataset.name) != dataset.digest:
        return {}
    entries: Mapping[str, Any] = record["networks"]
    return entries
