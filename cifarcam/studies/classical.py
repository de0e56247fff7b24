"""Classical baselines: a linear SVM and a random forest on fixed features."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from skimage.feature import hog
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cifarcam import _devices, data
from cifarcam.data import Dataset

TREES = 300
PASSES = 20  # of the SVM over the training images
ALPHAS = (1e-5, 1e-4, 1e-3, 1e-2)  # weights of the SVM's L2 penalty, selected on validation
LEAVES = (1, 4)  # least numbers of images in a leaf of the forest, selected on validation


def pixels(images: np.ndarray) -> np.ndarray:
    """Pixels scaled to 0-1, float32, N x 3072."""
    return images.reshape(len(images), -1).astype(np.float32) / 255


def gradient_histograms(images: np.ndarray) -> np.ndarray:
    """Histograms of oriented gradients (Dalal and Triggs 2005), float32, N x 1764.

    Nine orientations in cells of 4 x 4 pixels, normalised in blocks of 2 x 2 cells. Each pixel
    contributes the gradient of the colour channel where it is largest.
    """
    return np.stack(
        [
            hog(
                image,
                orientations=9,
                pixels_per_cell=(4, 4),
                cells_per_block=(2, 2),
                channel_axis=-1,
            ).astype(np.float32)
            for image in images
        ]
    )


FEATURES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "pixels": pixels,
    "gradient histograms": gradient_histograms,
}


def _svm(alpha: float, seed: int) -> Any:
    # One class against all others, hinge loss; averaged weights need few passes.
    return make_pipeline(
        StandardScaler(),
        SGDClassifier(
            alpha=alpha, average=True, max_iter=PASSES, tol=None, random_state=seed, n_jobs=-1
        ),
    )


def _forest(leaf: int, seed: int) -> Any:
    return RandomForestClassifier(TREES, min_samples_leaf=leaf, random_state=seed, n_jobs=-1)


# Name -> function that builds it, name of its setting, candidate values.
CLASSIFIERS: Mapping[str, tuple[Callable[[Any, int], Any], str, tuple[Any, ...]]] = {
    "linear SVM": (_svm, "alpha", ALPHAS),
    "random forest": (_forest, "min_samples_leaf", LEAVES),
}


def measure(dataset: Dataset, *, seed: int = 0) -> list[dict[str, Any]]:
    """Fit every classifier on every kind of features, and predict the test images.

    Models are fitted on the training split; the model with the best validation accuracy predicts
    the test split, once.

    Returns
    -------
    list of dict
        ``classifier``, ``features``, ``setting`` (its name), ``chosen`` (its best value),
        ``validation`` (accuracy, 0-1, by value), ``seconds`` of fitting the best model,
        ``predictions``: the classes predicted for the test images, one digit each.
    """
    rows = []
    for features, extract in FEATURES.items():
        train, validation, test = (
            extract(split.images) for split in (dataset.train, dataset.validation, dataset.test)
        )
        for classifier, (make, setting, values) in CLASSIFIERS.items():
            fitted = []
            for value in values:
                model = make(value, seed)
                started = time.perf_counter()
                model.fit(train, dataset.train.labels)
                seconds = time.perf_counter() - started
                accuracy = float((model.predict(validation) == dataset.validation.labels).mean())
                fitted.append((accuracy, value, seconds, model))
            _, best, seconds, model = max(fitted, key=lambda entry: entry[0])
            rows.append(
                {
                    "classifier": classifier,
                    "features": features,
                    "setting": setting,
                    "chosen": best,
                    "validation": {str(value): accuracy for accuracy, value, _, _ in fitted},
                    "seconds": seconds,
                    "predictions": "".join(map(str, model.predict(test))),
                }
            )
    return rows


def record() -> dict[str, Any]:
    """Fit a linear SVM and a random forest on pixels and on histograms of oriented gradients."""
    dataset = data.load()
    return {
        "inputs": {"datasets": {dataset.name: dataset.digest}},
        "trees": TREES,
        "device": _devices.describe()["device"],
        "rows": measure(dataset),
    }
