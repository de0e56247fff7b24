"""What others found about the CIFAR-10 test images.

Predictions of thirty published networks, which Recht et al. (2018) trained and tested, from
https://github.com/modestyachts/CIFAR-10.1 under the MIT license (``published/LICENSE-MIT``). Near
duplicates, which Barz and Denzler (2020) found and judged, from ``meta`` of
https://github.com/cvjena/cifair. Labels that five people each judged for Northcutt et al. (2021),
from ``mturk`` of https://github.com/cleanlab/label-errors under the Apache license 2.0
(``published/LICENSE-APACHE``).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from cifarcam import _files

PUBLISHED = Path(__file__).parent / "published" / "predictions.npz"
PUBLISHED_SHA256 = "3612e7834cc9a7b65dd6facbababdc1496a94f20d3a81a67f6120fc3cbbf55be"
TWINS = {  # the two files as Barz and Denzler publish them
    "train": "4cb7e99a7dfff346082c9d8fa4c2989a196e4a37d1e58f75936046696f1ba6a4",
    "test": "ef7b33e2f32d056cdb342046b437ee819541a07cb3bb0520a3ada9b9c035f532",
}
VOTES_SHA256 = "dd62c9ae10b0c818302930cf6ad6123444ff43244335fedcc0b178f6e2cc840b"
MAJORITY = 3  # of five votes

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


@dataclass(frozen=True)
class Twins:
    """Pairs of near duplicates, each judged by the people who published them.

    Attributes
    ----------
    images
        Indices of test images (int64, K).
    twins
        Index of each image's near duplicate (int64, K).
    distances
        Euclidean distance of the two in the L2-normalised features of their network (float64, K);
        the list was made by looking at the pairs of small distance.
    same_shot
        bool, K: whether both come from the same photograph, processed differently; else they are
        photographs that look very much alike.
    """

    images: np.ndarray
    twins: np.ndarray
    distances: np.ndarray
    same_shot: np.ndarray


@dataclass(frozen=True)
class LabelVotes:
    """Test images whose labels a network contradicted, and what five people said of each.

    Northcutt et al. (2021), section 4: each person saw the picture, its label and the suggested
    class, and chose one of the two, both or neither.

    Attributes
    ----------
    images
        Indices of test images (int64, K), ascending.
    labels, suggested
        The label of each image, and the class that a network predicted, which the five people were
        offered in its place (int64, K).
    for_label, for_suggested, for_both, for_neither
        Votes of five (int64, K).
    """

    images: np.ndarray
    labels: np.ndarray
    suggested: np.ndarray
    for_label: np.ndarray
    for_suggested: np.ndarray
    for_both: np.ndarray
    for_neither: np.ndarray

    @property
    def confirmed(self) -> np.ndarray:
        """Whether a majority chose the label (bool, K)."""
        return self.for_label >= MAJORITY

    @property
    def corrected(self) -> np.ndarray:
        """Whether a majority chose the suggested class (bool, K)."""
        return self.for_suggested >= MAJORITY

    @property
    def doubtful(self) -> np.ndarray:
        """Whether no majority chose the label (bool, K)."""
        return ~self.confirmed


def published_predictions() -> dict[str, np.ndarray]:
    """The classes that thirty published networks predict for the CIFAR-10 test images.

    Of these classifiers, 26 are deep networks and four are models of random features.

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


def twins(among: str = "train") -> Twins:
    """The near duplicates of test images that Barz and Denzler (2020) list, closest first.

    Parameters
    ----------
    among
        ``"train"``: pairs of a test image and one of the 50,000 training images in their
        published order, which `Dataset` splits into train and validation. ``"test"``: pairs of
        test images.

    Raises
    ------
    CifarcamError
        When the package's file is missing or damaged.
    """
    rows = _table(f"twins-{among}.csv", TWINS[among])
    images, partners, distances, judgements = rows.T
    return Twins(
        images.astype(np.int64), partners.astype(np.int64), distances, same_shot=judgements < 2
    )


def label_votes() -> LabelVotes:
    """The 275 test images whose labels Northcutt et al. (2021) let five people judge.

    Raises
    ------
    CifarcamError
        When the package's file is missing or damaged.
    """
    return LabelVotes(*_table("label-votes.csv", VOTES_SHA256).astype(np.int64).T)


def _table(name: str, digest: str) -> np.ndarray:
    content = _files.read_verified(PUBLISHED.parent / name, digest, _remedy(name))
    return np.loadtxt(io.BytesIO(content), delimiter=",", skiprows=1)


def _remedy(name: str) -> str:
    path = PUBLISHED.parent / name
    return f"restore it (`git checkout -- {path}` in a checkout), or install cifarcam again"


@cache
def _published() -> dict[str, np.ndarray]:
    content = _files.read_verified(PUBLISHED, PUBLISHED_SHA256, _remedy(PUBLISHED.name))
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
