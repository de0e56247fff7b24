"""What networks are, and what shorter ways of training spare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cifarcam import explain, models
from cifarcam.errors import CifarcamError
from cifarcam.models import cost
from cifarcam.runs import Run

TRAINING_IMAGES = 50_000  # of CIFAR-10, validation images included


@dataclass(frozen=True)
class Size:
    """What a network is.

    Attributes
    ----------
    depth
        Convolutions and dense layers on the longest way through it.
    parameters, operations
        In millions; operations of one image's forward pass, `cost.forward_flops`.
    positions
        Positions a side of the last layer that has several.
    """

    depth: int
    parameters: float
    operations: float
    positions: int


def size(run: Run) -> Size:
    """The size of the network of a run, rebuilt without its weights."""
    model = models.build(run.experiment.architecture, run.experiment.options)
    return Size(
        cost.depth(model),
        model.count_params() / 1e6,
        cost.forward_flops(model) / 1e6,
        explain.Classifier(model).flat.map_shape()[0] or 0,
    )


def sizes(networks: Mapping[str, Sequence[Run]]) -> dict[str, Size]:
    """The size of each network, which has the runs of its seeds."""
    return {name: size(seeds[0]) for name, seeds in networks.items()}


@dataclass(frozen=True)
class Spared:
    """What progressive resizing and selection spared in the training of a run.

    Attributes
    ----------
    smallest
        Pixels a side of the smallest images.
    smallest_share
        Time of an image of that size, in percent of the time of one at full size.
    selected_first, selected_share
        The first epoch on the hardest images alone, and their percentage of all images.
    epochs, full_epochs
        Epochs of the training, and how many with all images at full size would have taken as long.
    """

    smallest: int
    smallest_share: float
    selected_first: int
    selected_share: float
    epochs: int
    full_epochs: float


def spared(run: Run, images: int = TRAINING_IMAGES) -> Spared:
    """What smaller images and fewer images spared; `images` were trained on.

    Raises
    ------
    CifarcamError
        When the training had no smaller images or no selection.
    """
    sizes, selection = run.experiment.training.image_sizes, run.experiment.selection
    if not sizes or selection is None:
        raise CifarcamError(f"{run.name}: trained without smaller images or without selection")
    epochs = len(run.history["seconds"])
    seen = np.array([run.experiment.images_seen(epoch, images) for epoch in range(1, epochs + 1)])
    seconds = run.history["seconds"] / seen
    at_full = float(seconds[len(sizes) :].mean())
    return Spared(
        smallest=sizes[0],
        smallest_share=100 * float(seconds[: sizes.count(sizes[0])].mean()) / at_full,
        selected_first=selection.first,
        selected_share=100 * selection.share,
        epochs=epochs,
        full_epochs=float(run.history["seconds"].sum()) / (images * at_full),
    )
