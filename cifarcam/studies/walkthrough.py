"""One test image followed through a network: feature maps, probabilities, and its heatmap."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from cifarcam import explain
from cifarcam.data import Dataset
from cifarcam.errors import CifarcamError
from cifarcam.runs import Run


@dataclass(frozen=True)
class Walkthrough:
    """An image on its way through a network.

    Attributes
    ----------
    image
        uint8, H x W x 3.
    activations
        The feature maps of each convolution, float32, h x w x channels.
    heatmap
        Grad-CAM for the predicted class, float32, H x W.
    probabilities
        One for each class, float32.
    """

    image: np.ndarray
    activations: tuple[np.ndarray, ...]
    heatmap: np.ndarray
    probabilities: np.ndarray


def first_correct(run: Run, dataset: Dataset) -> Walkthrough:
    """Follow the first test image that the run's network classifies correctly.

    Raises
    ------
    CifarcamError
        When the network classifies no test image correctly.
    """
    correct = np.flatnonzero(run.predictions.argmax(axis=1) == dataset.test.labels)
    if not correct.size:
        raise CifarcamError(f"{run.name} classifies no test image correctly; train it for longer")
    place = int(correct[0])
    model = run.model()
    image = dataset.test.images[place : place + 1]
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    maps_of = keras.Model(model.inputs, [layer.output for layer in convolutions])
    return Walkthrough(
        image[0],
        tuple(maps[0] for maps in maps_of.predict(image, verbose=0)),
        explain.GradCAM(model)(image)[0],
        run.predictions[place],
    )
