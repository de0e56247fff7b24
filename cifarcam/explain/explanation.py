"""Explaining pictures: from their pixels to heatmaps, with the classes that a model predicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.explain.base import Explainer
from cifarcam.explain.classifier import BATCH, Classifier
from cifarcam.explain.pictures import MOST_PIXELS

# Pixels, float32, N x H x W x C, 0-255 -> images in a model's range.
Preprocess = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Explanation:
    """A picture with the explanation of its predicted class.

    Attributes
    ----------
    name
        The picture's name.
    picture
        Uint8, H x W x 3.
    heatmap
        Float32, H x W, raw magnitudes.
    target
        The name of the class that the heatmap explains.
    top
        The three most likely classes with their probabilities (0-1), most likely first.
    against
        The name of the class against which the target is explained; None without contrast.
    """

    name: str
    picture: np.ndarray
    heatmap: np.ndarray
    target: str
    top: list[tuple[str, float]]
    against: str | None = None


def explain_pictures(
    explainer: Explainer,
    pictures: Sequence[np.ndarray],
    names: Sequence[str],
    *,
    class_names: Sequence[str],
    target: int | None = None,
    against: int | None = None,
    preprocess: Preprocess | None = None,
) -> list[Explanation]:
    """Explain pictures, each for the class that the model predicts or for a class of your choice.

    Parameters
    ----------
    explainer
        An explanation method bound to a model.
    pictures
        Uint8, H x W x 3 each, of the size that the model takes. For a model of any size they may
        differ in size.
    names
        A name for each picture.
    class_names
        The names of the model's classes in its order.
    target
        The class to explain; by default the class that the model predicts for each picture.
    against
        The class against which the target is explained (contrast); by default none.
    preprocess
        A function from pixels (float32, N x H x W x C, 0-255, RGB) to images as the model takes
        them, such as ``keras.applications.resnet50.preprocess_input``; by default pixels are
        scaled to the model's `input_range`.

    Raises
    ------
    CifarcamError
        When the numbers of names or classes do not fit, the classifier has a `score` of its own,
        the pictures do not fit the model, or its range is unknown and there is no `preprocess`.
    """
    if len(names) != len(pictures):
        raise CifarcamError(
            f"{len(names)} names for {len(pictures)} pictures; give one name per picture"
        )
    if explainer.classifier.score is not None:
        raise CifarcamError(
            "explain_pictures names classes, and a score of your own has none; call the explainer "
            "with images in the model's range instead"
        )
    if len(class_names) != explainer.classifier.classes:
        raise CifarcamError(
            f"{len(class_names)} class names for the model's {explainer.classifier.class_count}"
        )
    if len(pictures) == 0:
        raise CifarcamError("there are no pictures to explain; give at least one")
    indices_of_shape: dict[tuple[int, ...], list[int]] = {}
    for index, picture in enumerate(pictures):
        indices_of_shape.setdefault(np.shape(picture), []).append(index)
    explanations: dict[int, Explanation] = {}
    for indices in indices_of_shape.values():
        pixels = np.stack([pictures[index] for index in indices])
        images = model_images(explainer.classifier, pixels, preprocess)
        batch_size = int(np.clip(MOST_PIXELS // (pixels.shape[1] * pixels.shape[2]), 1, BATCH))
        scores = explainer.classifier.scores(images, batch_size)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :3]
        targets = order[:, 0] if target is None else np.full(len(images), target)
        if target is None and against in targets:
            name = names[indices[int(np.flatnonzero(targets == against)[0])]]
            raise CifarcamError(
                f"{name}: the model predicts {class_names[int(against or 0)]} itself, which cannot "
                "be explained against itself; give another target, or leave the picture out"
            )
        heatmaps = explainer(images, targets, against=against, batch_size=batch_size)
        probabilities = explainer.classifier.as_probabilities(scores)
        for row, index in enumerate(indices):
            explanations[index] = Explanation(
                name=names[index],
                picture=pixels[row],
                heatmap=heatmaps[row],
                target=class_names[targets[row]],
                top=[(class_names[k], float(probabilities[row, k])) for k in order[row]],
                against=None if against is None else class_names[against],
            )
    return [explanations[index] for index in range(len(pictures))]


def model_images(
    classifier: Classifier, pictures: np.ndarray, preprocess: Preprocess | None = None
) -> np.ndarray:
    """Pictures as a model takes them: float32, N x H x W x C, in its range.

    Parameters
    ----------
    classifier
        The model.
    pictures
        Uint8, N x H x W x 3. A model of one channel gets their grey values.
    preprocess
        As for `explain_pictures`.

    Raises
    ------
    CifarcamError
        When the pictures are of another kind, the model takes neither one channel nor three, or
        its range is unknown and there is no `preprocess`.
    """
    if pictures.ndim != 4 or pictures.shape[3] != 3 or pictures.dtype != np.uint8:
        raise CifarcamError(
            f"a picture is {pictures.dtype} of shape {pictures.shape[1:]}; give uint8 pixels "
            "(0-255), height x width x 3"
        )
    pixels = _with_channels(pictures, classifier.image_shape[2])
    if preprocess is not None:
        return np.asarray(preprocess(pixels), np.float32)
    if classifier.input_range is None:
        raise CifarcamError(
            "the model does not show which numbers it takes for black and white; give "
            "Classifier(model, input_range=(0, 1)), or the function with which it was trained as "
            "preprocess="
        )
    return classifier.input_range.of_pixels(pixels)


def _with_channels(pictures: np.ndarray, channels: int | None) -> np.ndarray:
    """RGB pictures, N x H x W x 3, as float32 with the number of channels that a model takes."""
    if channels in (None, 3):
        return pictures.astype(np.float32)
    if channels == 1:  # luma, ITU-R BT.601, as Pillow's mode L
        return (pictures @ np.array([0.299, 0.587, 0.114], np.float32))[..., np.newaxis]
    raise CifarcamError(f"the model takes {channels} channels; a picture has 1 or 3")
