"""Boxes around the faces of cats, marked by eye on test images of CIFAR-10."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cifarcam._files import read_json
from cifarcam.errors import CifarcamError

PATH = Path(__file__).parent / "cat_faces.json"
SIDE = 32  # pixels
TEST_IMAGES = 10_000


@dataclass(frozen=True)
class CatFaces:
    """Faces marked once by one reader, a vision-language model that saw no heatmap.

    `cat_faces.json` holds the rule of the box, the rule of the sample, and how faces were marked.

    Attributes
    ----------
    images
        Indices of the K test images with a box (int64, K), in the order of the sample.
    boxes
        Left, top, right and bottom edges (int64, K x 4) in whole pixels, 0-32; right and bottom
        are exclusive.
    sampled
        Number of test images looked at.
    without
        Number of these that show no face: the head is seen from behind or outside the picture.
    unclear
        Number of these in which nobody could tell, at 32 x 32 pixels, where the face is.
    repeats
        Number of boxes that the same reader marked a second time, from mirrored pictures.
    repeat_iou
        Mean intersection over union of first and second boxes, 0-1: an upper bound of the agreement
        between two readers, because the second marking followed minutes after the first.
    """

    images: np.ndarray
    boxes: np.ndarray
    sampled: int
    without: int
    unclear: int
    repeats: int
    repeat_iou: float

    def masks(self) -> np.ndarray:
        """The pixels inside each box (bool, K x 32 x 32)."""
        left, top, right, bottom = (edge[:, None, None] for edge in self.boxes.T)
        row, column = np.arange(SIDE)[:, None], np.arange(SIDE)
        return (left <= column) & (column < right) & (top <= row) & (row < bottom)


def cat_faces(path: Path = PATH) -> CatFaces:
    """Read and verify the faces that come with the package.

    Raises
    ------
    CifarcamError
        When the file is missing or damaged, or holds an image or a box that cannot be.
    """
    content = read_json(path, "install cifarcam again")
    entries, repeat = content["entries"], content["repeat"]
    statuses = [entry["status"] for entry in entries]
    faces = [entry for entry in entries if entry["status"] == "face"]
    images = np.array([face["image"] for face in faces], dtype=np.int64)
    boxes = np.array([face["box"] for face in faces], dtype=np.int64).reshape(-1, 4)
    _check(path, np.array([entry["image"] for entry in entries]), boxes)
    first = np.array([pair["first"] for pair in repeat["boxes"]])
    second = np.array([pair["second"] for pair in repeat["boxes"]])
    return CatFaces(
        images=images,
        boxes=boxes,
        sampled=len(entries),
        without=statuses.count("no face"),
        unclear=statuses.count("unclear"),
        repeats=len(first),
        repeat_iou=float(overlaps(first, second).mean()),
    )


def overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union (float64, N, 0-1) of N pairs of boxes, each N x 4."""
    low = np.maximum(first[:, :2], second[:, :2])
    high = np.minimum(first[:, 2:], second[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first, second)]
    return shared / (areas[0] + areas[1] - shared)


def _check(path: Path, images: np.ndarray, boxes: np.ndarray) -> None:
    if len(np.unique(images)) < len(images) or images.min() < 0 or images.max() >= TEST_IMAGES:
        raise CifarcamError(
            f"{path}: an image stands twice or outside 0-9999; install cifarcam again"
        )
    wrong = (boxes < 0).any(axis=1) | (boxes > SIDE).any(axis=1)
    wrong |= (boxes[:, :2] >= boxes[:, 2:]).any(axis=1)
    if wrong.any():
        raise CifarcamError(
            f"{path}: {boxes[wrong][0].tolist()} is no box inside 32 x 32 pixels; "
            "install cifarcam again"
        )
