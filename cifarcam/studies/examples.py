"""What the chapter on Grad-CAM shows of single images: its grid, and examples chosen by rule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cifarcam import explain
from cifarcam.explain import metrics
from cifarcam.studies.swaps import Swaps, swap


@dataclass(frozen=True)
class Grid:
    """The positions of an explained layer.

    Attributes
    ----------
    layer
        The layer's name.
    map_size
        Height and width as text, ``"8 × 8"``.
    positions
        The number of positions.
    cell
        Pixels of the image on a side of one position.
    """

    layer: str
    map_size: str
    positions: int
    cell: int


def grid_of(explainer: explain.Explainer, images: np.ndarray) -> Grid:
    """The positions of an explainer's layer for images of this size."""
    height, width = explainer.signed_maps(images[:1]).shape[1:]
    return Grid(
        explainer.layer, f"{height} × {width}", height * width, round(images.shape[1] / height)
    )


def opposed_pair(
    explainer: explain.Explainer, images: np.ndarray, labels: np.ndarray, predicted: np.ndarray
) -> list[int]:
    """Of wrong predictions, the images whose maps for both classes agree least and most.

    Images labelled -1, see `labels_without`, are left out. The list is empty where no wrong
    prediction has two maps.
    """
    wrong = np.flatnonzero((predicted != labels) & (labels >= 0))
    if not wrong.size:
        return []
    alike = metrics.rank_correlation(
        explainer(images[wrong], predicted[wrong]), explainer(images[wrong], labels[wrong])
    )
    if np.isnan(alike).all():
        return []
    return [int(wrong[np.nanargmin(alike)]), int(wrong[np.nanargmax(alike)])]


def swap_examples(
    images: np.ndarray, labels: np.ndarray, of_class: int, host: int, count: int, first: int = 100
) -> Swaps | None:
    """Swaps of the first images of two classes, to show; None where too few are eligible."""
    chosen = np.concatenate([np.flatnonzero(labels == k)[:first] for k in (of_class, host)])
    masks = metrics.foreground(images[chosen])
    return swap(images[chosen], labels[chosen], masks, of_class, host, count)


@dataclass(frozen=True)
class Seen:
    """Where the evidence of a few maps lies.

    Attributes
    ----------
    maps
        Maps with positive evidence. The other counts are of these.
    on_object
        Maps whose energy lies on the estimated object by more than its share of the area.
    peaks
        Maps whose highest value lies on the estimated object.
    sentence
        The counts in words.
    """

    maps: int
    on_object: int
    peaks: int
    sentence: str


def seen(pictures: np.ndarray, heatmaps: np.ndarray) -> Seen:
    """Compare a few maps with the estimated objects of their pictures.

    Parameters
    ----------
    pictures
        N x H x W x 3, uint8.
    heatmaps
        N x H x W, values >= 0.
    """
    if not heatmaps.any():
        return Seen(0, 0, 0, "No map has positive evidence.")
    has_evidence = heatmaps.any(axis=(1, 2))
    maps, masks = heatmaps[has_evidence], metrics.foreground(pictures[has_evidence])
    above = int((metrics.energy_inside(maps, masks) > masks.mean(axis=(1, 2))).sum())
    peaks = int((metrics.pointing_game(maps, masks) == 1).sum())
    count = len(maps)
    return Seen(
        count,
        above,
        peaks,
        f"The estimated object holds more of the energy than of the area in {_of(above, count)}, "
        f"and the highest value lies on it in {_of(peaks, count)}.",
    )


def _of(part: int, whole: int) -> str:
    """``"3 of 4 maps"``, ``"no map"`` or ``"all 4 maps"``."""
    if part == whole:
        return "the only map" if whole == 1 else f"all {whole} maps"
    return f"{part} of {whole} maps" if part else "no map"


def labels_without(labels: np.ndarray, doubtful: np.ndarray) -> np.ndarray:
    """Labels with -1, no class, in place of labels in doubt."""
    clear = labels.copy()
    clear[doubtful] = -1
    return clear
