"""The four networks of the literature survey: built, counted, and what their papers report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras

from cifarcam.models import alexnet, summary
from cifarcam.models.summary import Block


@dataclass(frozen=True)
class Architecture:
    """A network for ImageNet.

    Attributes
    ----------
    title, year
        Its name, and the year of its paper or challenge.
    blocks
        For its drawing.
    convolutions, dense
        Numbers of layers with weights.
    parameters
        All of them.
    million
        `parameters` in millions.
    error, source
        The published top-5 error on ImageNet in percent, with its conditions, and the citation.
    """

    title: str
    year: int
    blocks: tuple[Block, ...]
    convolutions: int
    dense: int
    parameters: int
    million: float
    error: str
    source: str


def networks() -> dict[str, Architecture]:
    """The four networks, built without weights, by a short name such as ``"vgg19"``."""
    return {
        "alexnet": _network(
            "AlexNet", 2012, alexnet.build_imagenet, "15.3 (several networks)", "krizhevsky2012"
        ),
        "vgg19": _network(
            "VGG-19",
            2014,
            lambda: keras.applications.VGG19(weights=None),
            "7.3 (challenge), 6.8 (two networks, later)",
            "simonyan2015",
        ),
        "resnet50": _network(
            "ResNet-50",
            2015,
            lambda: keras.applications.ResNet50(weights=None),
            "3.57 (six residual networks of up to 152 layers)",
            "he2016",
        ),
        "densenet121": _network(
            "DenseNet-121",
            2017,
            lambda: keras.applications.DenseNet121(weights=None),
            "7.71 (one network, one crop, validation)",
            "huang2017",
        ),
    }


def _network(
    title: str, year: int, build: Callable[[], keras.Model], error: str, source: str
) -> Architecture:
    model = build()
    layers = summary.weighted_layers(model)
    parameters = model.count_params()
    network = Architecture(
        title,
        year,
        tuple(summary.blocks(model)),
        layers["convolution"],
        layers["dense"],
        parameters,
        parameters / 1e6,
        error,
        f"{{cite}}`{source}`",
    )
    del model
    keras.backend.clear_session()  # VGG-19 alone holds half a gigabyte
    return network
