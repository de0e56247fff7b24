"""The networks, one file a family, found by name.

Every network takes pixels as 0-255 (its first layer is a ``Rescaling``) and ends in a ``Dense``
layer named ``logits`` followed by a softmax layer, so that nobody preprocesses by hand and the
pre-softmax score is always there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from cifarcam import settings
from cifarcam.errors import CifarcamError
from cifarcam.models import custom_cnn


@dataclass(frozen=True)
class Architecture:
    """A family of networks: the options that fix a member, and the function that builds it."""

    options: type[Any]
    build: Callable[[Any], keras.Model]


ARCHITECTURES: Mapping[str, Architecture] = {
    "custom_cnn": Architecture(custom_cnn.Options, custom_cnn.build),
}


def read_options(name: str, values: Mapping[str, Any], where: str) -> Any:
    """The checked options of an architecture, from a TOML table.

    Raises
    ------
    CifarcamError
        On an unknown architecture or a refused option.
    """
    if name not in ARCHITECTURES:
        raise CifarcamError(
            f"{where}.architecture: {name!r} is not one of {', '.join(ARCHITECTURES)}"
        )
    return settings.read(ARCHITECTURES[name].options, values, where)


def build(name: str, options: Any) -> keras.Model:
    """A fresh network; its initial weights follow ``keras.utils.set_random_seed``."""
    return ARCHITECTURES[name].build(options)
