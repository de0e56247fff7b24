"""Pictures explained through a network that was trained on ImageNet."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from cifarcam import explain
from cifarcam.errors import CifarcamError
from cifarcam.models import pretrained


@dataclass(frozen=True)
class ImageNetMaps:
    """Pictures explained through a network that was trained on ImageNet.

    Attributes
    ----------
    pictures
        uint8, N x 224 x 224 x 3.
    classes
        The most likely of the 1,000 classes, int64, N.
    heatmaps
        Grad-CAM for that class, float32, N x 224 x 224.
    """

    pictures: np.ndarray
    classes: np.ndarray
    heatmaps: np.ndarray


def explain_images(images: np.ndarray) -> ImageNetMaps | None:
    """Explain pictures through a ResNet-18 of ImageNet; None where its weights cannot be had.

    Parameters
    ----------
    images
        uint8, N x H x W x 3; they are enlarged to the 224 x 224 pixels that the network takes.
    """
    try:
        model = pretrained.resnet18()
    except CifarcamError:
        return None
    large = np.asarray(keras.ops.image.resize(images, (224, 224)))
    classes = model.predict(large, verbose=0).argmax(axis=1)
    return ImageNetMaps(
        large.round().astype(np.uint8), classes, explain.GradCAM(model)(large, classes)
    )
