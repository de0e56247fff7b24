"""ResNet-18 for ImageNet, with weights from a file of safetensors that its publisher serves."""

from __future__ import annotations

from pathlib import Path

import keras

from cifarcam import _devices
from cifarcam.errors import CifarcamError, first_line, require

require("train", "filelock")  # before the import that needs it

from safetensors.numpy import load_file

from cifarcam.data.publication import Publication
from cifarcam.models import resnet
from cifarcam.pretrained.filling import parameters, set_weights

REPOSITORY = "timm/resnet18.tv_in1k"
REVISION = "590dfdd48494d2316a8385e1ca7fbec3b9359b35"
URL = f"https://huggingface.co/{REPOSITORY}/resolve/{REVISION}/model.safetensors"
SHA256 = "694f673df6520a3158624e8a89af086f59923ee4cd7436fe5bc3bc71d295ad81"
BYTES = 47_000_000  # at most


def resnet18(url: str = URL, sha256: str = SHA256) -> keras.Model:
    """ResNet-18 for ImageNet, with verified weights from the cache or, failing that, the network.

    Parameters
    ----------
    url, sha256
        The address of the weights file, and its digest.

    Raises
    ------
    CifarcamError
        When the file cannot be fetched, or has another digest.
    """
    return read_resnet18(weights(url, sha256).obtain())


def weights(url: str = URL, sha256: str = SHA256) -> Publication:
    """The file of weights; parameters as for `resnet18`."""
    return Publication(
        name=f"pretrained/resnet18-{sha256[:12]}.safetensors",
        title="the file of ImageNet weights of ResNet-18",
        url=url,
        sha256=sha256,
        size=BYTES,
    )


def read_resnet18(path: Path) -> keras.Model:
    """ResNet-18 for ImageNet, with weights from a safetensors file that uses torchvision's names.

    Raises
    ------
    CifarcamError
        When the file cannot be read, or a tensor is missing, unknown, of another shape or of whole
        numbers.
    """
    try:
        stored = load_file(path)
    except Exception as error:  # safetensors raises many kinds at damaged bytes
        raise CifarcamError(
            f"{path}: not a safetensors file that can be read ({first_line(error)}); download "
            f"{URL} again"
        ) from error
    with _devices.own_settings():
        model = resnet.build_imagenet()
    set_weights(model, stored, _names, str(path), "a ResNet-18")
    return model


def _names(layer: keras.layers.Layer) -> list[str]:
    """The names of a layer's tensors in torchvision, in Keras's order."""
    if layer.name == "logits":
        return ["fc.weight", "fc.bias"]
    stem, _, rest = layer.name.partition("_block")
    if rest:  # stage2_block1_shortcut_bn -> layer2.0.downsample.1
        block, _, part = rest.partition("_")
        part = {"shortcut": "downsample.0", "shortcut_bn": "downsample.1"}.get(part, part)
        stem = f"layer{stem.removeprefix('stage')}.{int(block) - 1}.{part}"
    return parameters(layer, stem)
