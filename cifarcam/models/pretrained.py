"""ResNet-18 with the weights that torchvision trained on ImageNet, read without PyTorch."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from safetensors.numpy import load_file

from cifarcam import _devices
from cifarcam.data.publication import Publication
from cifarcam.errors import CifarcamError, first_line
from cifarcam.models import resnet

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
    weights = Publication(
        name=f"pretrained/resnet18-{sha256[:12]}.safetensors",
        title="the file of ImageNet weights of ResNet-18",
        url=url,
        sha256=sha256,
        size=BYTES,
    )
    return read_resnet18(weights.obtain())


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
    for layer in model.layers:
        if not layer.weights:
            continue
        tensors = [stored.pop(name, None) for name in _names(layer)]
        values = [_as_keras(tensor) for tensor in tensors if tensor is not None]
        if [value.shape for value in values] != [tuple(w.shape) for w in layer.weights] or any(
            value.dtype.kind != "f" for value in values
        ):
            raise CifarcamError(f"{path}: no fitting weights for {layer.name}; not a ResNet-18")
        layer.set_weights(values)
    unused = [name for name in stored if not name.endswith("num_batches_tracked")]
    if unused:
        raise CifarcamError(f"{path}: unknown tensor {unused[0]}; not a ResNet-18")
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
    if isinstance(layer, keras.layers.Conv2D):
        return [f"{stem}.weight"]
    return [f"{stem}.{name}" for name in ("weight", "bias", "running_mean", "running_var")]


def _as_keras(tensor: np.ndarray) -> np.ndarray:
    """A kernel as H x W x in x out, a matrix transposed, a vector unchanged."""
    axes = {4: (2, 3, 1, 0), 2: (1, 0)}.get(tensor.ndim)
    return tensor.transpose(axes) if axes else tensor
