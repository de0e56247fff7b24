"""The networks for ImageNet, in the order of preference, and the names of their classes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import keras

from cifarcam.errors import CifarcamError, MissingExtra
from cifarcam.pretrained import lite

RESNET_TITLE = "ResNet-18"


class Network(NamedTuple):
    """A network that others trained on ImageNet.

    Attributes
    ----------
    model
        Takes pixels 0-255, N x 224 x 224 x 3, and returns N x 1000 probabilities.
    title
        Its name in text: ``"ResNet-18"`` or ``"EfficientNet-Lite0"``.
    """

    model: keras.Model
    title: str


class Source(NamedTuple):
    """Where a network comes from.

    Attributes
    ----------
    is_at_hand
        Whether the cache holds its weights.
    build
        The network, with weights from the cache or, failing that, fetched.
    """

    is_at_hand: Callable[[], bool]
    build: Callable[[], keras.Model]


def imagenet() -> Network:
    """The first network for ImageNet whose weights can be had; standard error says which.

    A network in the cache comes before a network that has to be fetched, and ResNet-18 before
    EfficientNet-Lite0. Without the extra ``train`` there is no ResNet-18.

    Raises
    ------
    CifarcamError
        When no weights can be had.
    """
    is_at_hand, reasons = {}, []
    for title, source in NETWORKS.items():
        try:
            is_at_hand[title] = source.is_at_hand()
        except MissingExtra as error:
            reasons.append(f"{title}: {error}")
    for title in sorted(is_at_hand, key=lambda title: not is_at_hand[title]):
        if not is_at_hand[title]:
            _say(f"fetching {title} with weights of ImageNet")
        try:
            model = NETWORKS[title].build()
        except CifarcamError as error:
            reasons.append(str(error))
            continue
        _say(f"the network is {title}, trained on ImageNet by others")
        return Network(model, title)
    raise CifarcamError(f"no network of ImageNet can be had: {'; and '.join(reasons)}")


def class_names() -> list[str]:
    """The names of the 1,000 classes of ImageNet (ILSVRC 2012), in the networks' order."""
    path = Path(__file__).parent / "published" / "imagenet-classes.txt"
    return path.read_text(encoding="utf-8").splitlines()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _resnet18() -> Any:
    """The module of ResNet-18, which needs the extra ``train``."""
    from cifarcam.pretrained import resnet18

    return resnet18


NETWORKS: Mapping[str, Source] = MappingProxyType(
    {
        RESNET_TITLE: Source(
            lambda: _resnet18().weights().is_at_hand(), lambda: _resnet18().resnet18()
        ),
        lite.TITLE: Source(lite.is_at_hand, lite.efficientnet_lite0),
    }
)
