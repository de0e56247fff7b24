"""Our ROAD beside the accuracies that its authors publish, as a record.

Rong et al. (2022) remove the pixels that integrated gradients rank highest from all CIFAR-10 test
images, impute them, and give the accuracy of a ResNet-18 of about 80% (RoadBenchmarkDemo.ipynb in
https://github.com/tleemann/road_evaluation). As in their code, our network has the first layers for
large images and learns from unchanged images, the maps explain the true class, their values are
signed sums over the channels, and the path begins at a grey image. The number of epochs was chosen
by the accuracy on the whole images, before any pixel was removed.

With maps of the network itself the accuracy fell far faster than published. We then ranked the
pixels by maps of another network, which the published example does not speak of.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cifarcam import _devices, data, explain, runs
from cifarcam.errors import CifarcamError
from cifarcam.explain import metrics
from cifarcam.studies import records
from cifarcam.studies.progress import log
from cifarcam.studies.twins import interval_of
from cifarcam.studies.wording import number

RECORD = "road-check"
EXPERIMENT = "resnet18-imagenet-stem"
OTHER = "baseline"
IMAGES = 4_000  # the first test images
# Accuracy in percent by the share of pixels removed, most relevant first.
PUBLISHED: Mapping[float, float] = {
    0.1: 71.32,
    0.2: 66.09,
    0.3: 61.25,
    0.4: 57.14,
    0.5: 53.71,
    0.7: 44.86,
    0.9: 29.10,
}
PUBLISHED_IMAGES = 10_000
STEPS = 50  # on the path of the integrated gradients
GREY = 0.5  # its beginning: zero in a range of -1 to 1
NOISE = 0.01  # of the imputed pixels, a share of the input range
BATCH = 250


@dataclass(frozen=True)
class Row:
    """The published and the measured accuracy after the removal of a share of the pixels.

    Attributes
    ----------
    share
        The share of pixels removed, 0-1.
    published, measured
        Accuracies, percent.
    low, high
        Wilson's 95% interval of the measured accuracy.
    difference, difference_low, difference_high
        Measured minus published, points, with Newcombe's 95% interval, which takes both accuracies
        as those of independent samples of test images.
    agrees
        Whether that interval contains zero: the two differ by no more than the choice of test
        images explains. That two networks differ is not part of it.
    """

    share: float
    published: float
    measured: float
    low: float
    high: float
    difference: float
    difference_low: float
    difference_high: float
    agrees: bool


def compared(correct: Sequence[int], count: int) -> list[Row]:
    """A row for each share of `PUBLISHED`.

    Parameters
    ----------
    correct
        The number of images that the network classifies rightly, for each share.
    count
        The number of images.

    Raises
    ------
    CifarcamError
        When there is not one number for each share, or one is out of range.
    """
    if len(correct) != len(PUBLISHED) or not all(0 <= one <= count for one in correct):
        raise CifarcamError(
            f"{list(correct)} of {count} images are right; give a number for each of the "
            f"{len(PUBLISHED)} shares"
        )
    rows = []
    for (share, published), right in zip(PUBLISHED.items(), correct, strict=True):
        measured = 100 * right / count
        low, high = interval_of(measured, count)
        lower, upper = interval_of(published, PUBLISHED_IMAGES)
        difference = measured - published
        ends = (
            difference - math.hypot(measured - low, upper - published),
            difference + math.hypot(high - measured, published - lower),
        )
        agrees = ends[0] <= 0 <= ends[1]
        rows.append(Row(share, published, measured, low, high, difference, *ends, agrees))
    return rows


def conclusion(rows: Sequence[Row]) -> str:
    """Whether the measured accuracies are the published ones, within sampling error."""
    differing = [row for row in rows if not row.agrees]
    largest = max(rows, key=lambda row: abs(row.difference))
    extent = (
        f"the largest difference is {number(largest.difference, signed=True)} points, with "
        f"{100 * largest.share:.0f}% of the pixels removed"
    )
    if not differing:
        return (
            f"All {len(rows)} accuracies agree with the published accuracies within sampling "
            f"error; {extent}."
        )
    if len(differing) == len(rows):
        return f"No accuracy agrees with the published accuracy within sampling error; {extent}."
    agreeing = len(rows) - len(differing)
    return (
        f"{agreeing} of {len(rows)} accuracies {'agrees' if agreeing == 1 else 'agree'} with the "
        f"published accuracies within sampling error; {extent}."
    )


def right_after_imputation(
    classifier: explain.Classifier,
    images: np.ndarray,
    maps: np.ndarray,
    labels: np.ndarray,
    shares: Sequence[float] = tuple(PUBLISHED),
) -> np.ndarray:
    """Whether each image is classified rightly once its highest pixels are imputed.

    Parameters
    ----------
    classifier
        The model.
    images
        N x H x W x C, in the model's range.
    maps
        Signed maps, N x H x W.
    labels
        True classes, N.
    shares
        Shares of pixels removed, 0-1.

    Returns
    -------
    numpy.ndarray
        Bool, N x shares.
    """
    columns = []
    for share in shares:
        imputed = metrics.imputed_images(
            classifier, images, maps, share, noise=NOISE, batch_size=BATCH
        )
        columns.append(classifier.scores(imputed, BATCH).argmax(axis=1) == labels)
    return np.stack(columns, axis=1)


def measure() -> dict[str, Any]:
    """Measure the accuracy after imputation for each share of `PUBLISHED`.

    The pixels are ranked by maps of the network itself, and by maps of `OTHER`.
    """
    dataset = data.load()
    run, other = (runs.load(name, seed=0, dataset=dataset) for name in (EXPERIMENT, OTHER))
    images, labels = dataset.test.images[:IMAGES], dataset.test.labels[:IMAGES]
    classifier = explain.Classifier(run.model())
    began = time.perf_counter()
    correct = {}
    for source in (run, other):
        explainer = explain.IntegratedGradients(source.model(), steps=STEPS, baseline=GREY)
        right = []
        for start in range(0, len(images), 1000):
            part = slice(start, start + 1000)
            maps = explainer.signed_maps(images[part], labels[part], batch_size=BATCH)
            right.append(right_after_imputation(classifier, images[part], maps, labels[part]))
            seconds = time.perf_counter() - began
            log(f"maps of {source.name}: {start + len(maps)} images, {seconds:.0f} s")
        correct[source.name] = np.concatenate(right).sum(axis=0).tolist()
    whole = classifier.scores(images, BATCH).argmax(axis=1) == labels
    return {
        "inputs": records.inputs(dataset, runs=[run, other]),
        "device": _devices.describe()["device"],
        "images": len(images),
        "steps": STEPS,
        "noise": NOISE,
        "whole": int(whole.sum()),
        "shares": list(PUBLISHED),
        "own": correct[run.name],
        "other": correct[other.name],
    }


def of_record(record: Mapping[str, Any], maps: str = "own") -> list[Row]:
    """The rows of the record, for the network's ``"own"`` maps or those of the ``"other"`` one."""
    return compared(record[maps], record["images"])
