"""Marked faces of cats: the energy of heatmaps in them, and what removing them costs."""

from __future__ import annotations

from typing import Any

import numpy as np

from cifarcam import explain
from cifarcam.explain import metrics
from cifarcam.studies.summaries import summary
from cifarcam.studies.swaps import BATCH
from cifarcam.studies.where_material import Material


def marked_faces(
    classifier: explain.Classifier, on: Material, of_true: np.ndarray, kept: np.ndarray
) -> dict[str, Any]:
    """Energy in marked face boxes, and what removing them costs.

    `energy` is the box's share of the energy minus its share of the area. `centre` is the same for
    an equal box in the image's centre, and `blob` for the face box and a map that is always the
    same blob in the centre. `removal` is the probability lost without the face box minus the
    probability lost without an equal box elsewhere, see `elsewhere`.
    """
    indices, boxes = on.faces.images, on.faces.masks()
    images, labels, maps = on.images[indices], on.labels[indices], of_true[indices]
    area = boxes.mean(axis=(1, 2))
    centres = np.stack([centred(box) for box in boxes])
    others, found = elsewhere(boxes, on.masks[indices])
    blob = explain.CentreBlob(classifier)(images, labels)
    lost_face, lost_other = (
        kept[indices]
        - 100 * metrics.probability_without(classifier, images, region, labels, batch_size=BATCH)
        for region in (boxes, others)
    )
    in_face, in_centre = (100 * metrics.energy_inside(maps, each) for each in (boxes, centres))
    return {
        "area": summary(100 * area),
        "energy": summary(in_face - 100 * area),
        "centre": summary(in_centre - 100 * area),
        "face_minus_centre": summary(in_face - in_centre),
        "blob": summary(100 * (metrics.energy_inside(blob, boxes) - area)),
        "lost_face": summary(lost_face),
        "lost_elsewhere": summary(np.where(found, lost_other, np.nan)),
        "removal": summary(np.where(found, lost_face - lost_other, np.nan)),
    }


def centred(box: np.ndarray) -> np.ndarray:
    """A box (one rectangle of true pixels, H x W) moved to the image's centre."""
    rows, columns = np.flatnonzero(box.any(axis=1)), np.flatnonzero(box.any(axis=0))
    top, left = (box.shape[0] - rows.size) // 2, (box.shape[1] - columns.size) // 2
    moved = np.zeros_like(box)
    moved[top : top + rows.size, left : left + columns.size] = True
    return moved


def elsewhere(boxes: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Equal boxes that do not touch the given boxes and hold most of the foreground.

    Of equal places the first row by row is taken.

    Parameters
    ----------
    boxes
        One rectangle of true pixels for each image, bool, N x H x W.
    masks
        Foregrounds, bool, N x H x W.

    Returns
    -------
    tuple of numpy.ndarray
        The other boxes, bool, N x H x W, and whether there is such a place, bool, N. Where there is
        none, the other box is empty.
    """
    others, found = np.zeros_like(boxes), np.zeros(len(boxes), bool)
    for index, (box, mask) in enumerate(zip(boxes, masks, strict=True)):
        shape = (int(box.any(axis=1).sum()), int(box.any(axis=0).sum()))

        def sums(values: np.ndarray, shape: tuple[int, int] = shape) -> np.ndarray:
            windows = np.lib.stride_tricks.sliding_window_view(values.astype(int), shape)
            return windows.sum(axis=(2, 3))

        inside = np.where(sums(box) == 0, sums(mask), -1)
        if inside.max() < 0:
            continue
        top, left = np.unravel_index(inside.argmax(), inside.shape)
        others[index, top : top + shape[0], left : left + shape[1]] = True
        found[index] = True
    return others, found
