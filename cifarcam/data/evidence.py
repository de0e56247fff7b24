"""What others found about the CIFAR-10 test images: the predictions of thirty published networks.

The networks were trained and tested by Recht et al. (2018), who published their predictions in
https://github.com/modestyachts/CIFAR-10.1 under the MIT license (``published/LICENSE``).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from cifarcam import _files

PUBLISHED = Path(__file__).parent / "published" / "predictions.npz"
PUBLISHED_SHA256 = "3612e7834cc9a7b65dd6facbababdc1496a94f20d3a81a67f6120fc3cbbf55be"

# Layers with weights on the longest way through a published network, where its name says it, or
# the paper that the name refers to. Left out are networks whose names say no depth: alexnet_tf_ben,
# cudaconvnet, darc, nas, resnetv2_tf, shake_drop, wide_resnet_tf, and the random features, which
# are no deep networks.
DEPTHS: Mapping[str, int] = {
    "densenet_BC_100_12": 100,  # L = 100, k = 12: Huang et al. (2017), section 4.1
    "pyramidnet_basic_110_270": 110,  # Han et al. (2017), Deep Pyramidal Residual Networks
    "pyramidnet_basic_110_84": 110,
    "resnet_basic_110": 110,  # 6n + 2 layers: He et al. (2016), section 4.2
    "resnet_basic_32": 32,
    "resnet_basic_44": 44,
    "resnet_basic_56": 56,
    "resnet_preact_basic_110": 110,  # He et al. (2016), Identity Mappings in Deep Residual Networks
    "resnet_preact_bottleneck_164": 164,
    "resnext_29_4x64d": 29,  # Xie et al. (2017), Aggregated Residual Transformations
    "resnext_29_8x64d": 29,
    "shake_shake_26_2x32d_SSI": 26,  # Gastaldi (2017), Shake-Shake Regularization
    "shake_shake_26_2x64d_SSI": 26,
    "shake_shake_26_2x64d_SSI_cutout16": 26,
    "shake_shake_26_2x96d_SSI": 26,
    "vgg16_keras": 16,  # Simonyan and Zisserman (2015), table 1
    "vgg_15_BN_64": 15,
    "wrn_28_10": 28,  # WRN-28-10: Zagoruyko and Komodakis (2016), section 2.3
    "wrn_28_10_cutout16": 28,
}


def published_predictions() -> dict[str, np.ndarray]:
    """The classes that thirty published networks predict for the CIFAR-10 test images.

    Returns
    -------
    dict
        By the network's name in the source, sorted: uint8, 10,000, in the images' usual order.

    Raises
    ------
    CifarcamError
        When the package's file is missing or damaged.
    """
    stored = _published()
    return {
        str(name): stored["predictions"][:, column] for column, name in enumerate(stored["names"])
    }


def test_labels() -> np.ndarray:
    """The labels of the 10,000 CIFAR-10 test images, int64, without a download.

    Raises
    ------
    CifarcamError
        When the package's file is missing or damaged.
    """
    return _published()["labels"].astype(np.int64)


@cache
def _published() -> dict[str, np.ndarray]:
    content = _files.read_verified(
        PUBLISHED,
        PUBLISHED_SHA256,
        f"restore it (`git checkout -- {PUBLISHED}` in a checkout), or install cifarcam again",
    )
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
