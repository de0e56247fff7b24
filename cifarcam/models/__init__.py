"""The networks, one file a family, and a registry by name.

Every network takes pixels as 0-255 (its first layer is a ``Rescaling``) and ends in a ``Dense``
layer named ``logits`` followed by a softmax layer. So no user preprocesses images, and every model
has pre-softmax scores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cifarcam.errors import CifarcamError, check_backend, require

require("train", "pydantic")  # `pretrained` needs more
check_backend()  # before Keras is imported

import keras
import numpy as np

from cifarcam import _devices, _settings
from cifarcam.models import (
    alexnet,
    custom_cnn,
    densenet,
    layers,
    resnet,
    speedrun,
    transformer,
    vgg,
)


@dataclass(frozen=True)
class Architecture:
    """A family of networks: the options of a member, and the function that builds the member.

    Options have `smallest_image`: the smallest side in pixels of images that the member's layers
    take when they are put together for another size than 32 x 32.
    """

    options: type[Any]
    build: Callable[[Any], keras.Model]


ARCHITECTURES: Mapping[str, Architecture] = {
    name: Architecture(family.Options, family.build)
    for name, family in (
        ("custom_cnn", custom_cnn),
        ("alexnet", alexnet),
        ("vgg19", vgg),
        ("resnet18", resnet),
        ("densenet_bc", densenet),
        ("transformer", transformer),
        ("speedrun", speedrun),
    )
}


def read_options(name: Any, values: Mapping[str, Any], where: str) -> Any:
    """The validated options of an architecture, from a TOML table.

    Raises
    ------
    CifarcamError
        On an unknown architecture or a refused option.
    """
    if not isinstance(name, str) or name not in ARCHITECTURES:
        raise CifarcamError(
            f"{where}.architecture: {_settings.shown(name)} should be one of "
            f"{', '.join(ARCHITECTURES)}"
        )
    return _settings.read(ARCHITECTURES[name].options, values, where)


def build(name: str, options: Any, precision: str = "float32") -> keras.Model:
    """A fresh network, whose initial weights follow ``keras.utils.set_random_seed``.

    With `precision` ``"bfloat16"`` activations are bfloat16; weights and logits are float32.
    """
    policy = "mixed_bfloat16" if precision == "bfloat16" else "float32"
    with _devices.own_settings(policy):
        return ARCHITECTURES[name].build(options)


def adapt(model: keras.Model, images: np.ndarray) -> None:
    """Fit the layers that learn from pixels (`layers.Whitening`).

    Parameters
    ----------
    images
        uint8, N x H x W x 3, of the training split.
    """
    for layer in model.layers:
        if isinstance(layer, layers.Whitening):
            before = keras.Model(model.inputs, layer.input)
            layer.adapt(before.predict(images, verbose=0).astype(np.float32))
