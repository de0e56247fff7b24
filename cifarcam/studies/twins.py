"""Test images with a near twin among the training images: how much easier they are, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from cifarcam.data import evidence
from cifarcam.errors import CifarcamError
from cifarcam.runs import Run
from cifarcam.studies import inference
from cifarcam.studies.inference import LEVEL, Effect


@dataclass(frozen=True)
class Gap:
    """A network's accuracy on test images with a near twin and on the others.

    Attributes
    ----------
    name
        The network.
    seeds
        Number of its seeds.
    twin_images, other_images
        Number of images of each kind.
    overall, twins, others
        Accuracy on all test images, on those with a twin, and on the others: percent, mean over
        seeds.
    over_seeds
        `twins` minus `others`, points, paired by seed; without interval for a single seed.
    over_images
        The same difference with its interval over test images.
    fall
        How much the accuracy falls when the images with a twin are left out, points, with its
        interval over test images.
    """

    name: str
    seeds: int
    twin_images: int
    other_images: int
    overall: float
    twins: float
    others: float
    over_seeds: Effect
    over_images: Effect
    fall: Effect


def correct_by_seed(
    networks: Mapping[str, Sequence[Run]], labels: np.ndarray
) -> dict[str, np.ndarray]:
    """Whether each seed of each network classifies each test image rightly, bool, seeds x N."""
    return {
        name: np.stack([run.predictions.argmax(axis=1) == labels for run in seeds])
        for name, seeds in networks.items()
    }


def published_correct() -> dict[str, np.ndarray]:
    """The same of the thirty published networks, one seed each, bool, 1 x 10,000."""
    labels = evidence.test_labels()
    return {
        name: (predicted == labels)[None]
        for name, predicted in evidence.published_predictions().items()
    }


def gaps(correct: Mapping[str, np.ndarray], images: np.ndarray) -> tuple[Gap, ...]:
    """Accuracy on the images with a twin and on the others, from the most accurate network on.

    Parameters
    ----------
    correct
        By network, bool, seeds x N.
    images
        Indices of the images with a twin.

    Raises
    ------
    CifarcamError
        When no image or every image has a twin, or an index is out of range.
    """
    found = [_gap(name, right, images) for name, right in correct.items()]
    return tuple(sorted(found, key=lambda gap: -gap.overall))


def _gap(name: str, correct: np.ndarray, images: np.ndarray) -> Gap:
    count = correct.shape[1]
    if not len(images) or images.min() < 0 or images.max() >= count:
        raise CifarcamError(f"{name}: twins {images[:5]}; give at least one index below {count}")
    has_twin = np.zeros(count, bool)
    has_twin[images] = True
    if has_twin.all():
        raise CifarcamError(f"{name}: every image has a twin; give some images without one")
    inside, outside = (100 * correct[:, mask].mean(axis=1) for mask in (has_twin, ~has_twin))
    difference = of_groups(correct[:, has_twin], correct[:, ~has_twin])
    share = float(has_twin.mean())
    fall = Effect(
        share * difference.value,
        share * difference.low,
        share * difference.high,
        "points",
        "test images",
        count,
        difference.test,
    )
    return Gap(
        name,
        len(correct),
        int(has_twin.sum()),
        int((~has_twin).sum()),
        100 * float(correct.mean()),
        float(inside.mean()),
        float(outside.mean()),
        inference.paired_over_seeds(inside, outside, "points"),
        difference,
        fall,
    )


def of_groups(first: np.ndarray, second: np.ndarray) -> Effect:
    """Accuracy on one group of images minus accuracy on another, points, over test images.

    The interval is Newcombe's (1998, Interval estimation for the difference between independent
    proportions, method 10), which holds where one accuracy is 100%. The mean over seeds is taken
    for the accuracy of one network; this makes the interval a little too wide.

    Parameters
    ----------
    first, second
        Whether each image was classified rightly, bool, seeds x N of each group.

    Raises
    ------
    CifarcamError
        When a group has no image.
    """
    if not first.size or not second.size:
        raise CifarcamError(f"{first.size} and {second.size} answers; give images in both groups")
    one, other = float(first.mean()), float(second.mean())
    low, high = _wilson(one, first.shape[1])
    lower, higher = _wilson(other, second.shape[1])
    return Effect(
        100 * (one - other),
        100 * (one - other - math.hypot(one - low, higher - other)),
        100 * (one - other + math.hypot(high - one, other - lower)),
        "points",
        "test images",
        first.shape[1] + second.shape[1],
        "Newcombe's interval",
    )


def interval_of(percent: float, count: int) -> tuple[float, float]:
    """Wilson's 95% interval of an accuracy, percent, over `count` test images."""
    low, high = _wilson(percent / 100, count)
    return 100 * low, 100 * high


def _wilson(share: float, count: int) -> tuple[float, float]:
    """Wilson's interval of a share of `count` images, which need not be a whole number of them."""
    z = float(stats.norm.ppf((1 + LEVEL) / 2))
    centre = share + z**2 / (2 * count)
    half = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return (centre - half) / (1 + z**2 / count), (centre + half) / (1 + z**2 / count)


@dataclass(frozen=True)
class Overview:
    """The gaps of several networks in a sentence.

    Attributes
    ----------
    networks
        Number of networks.
    lowest_twins, highest_twins, lowest_others, highest_others
        Accuracy on both sets, percent, over the networks.
    least_fall, most_fall
        Points that the accuracy falls without the images with a twin.
    ahead
        Number of networks whose accuracy on images with a twin is higher beyond chance over test
        images.
    sentence
        What follows, in words.
    """

    networks: int
    lowest_twins: float
    highest_twins: float
    lowest_others: float
    highest_others: float
    least_fall: float
    most_fall: float
    ahead: int
    sentence: str


def overview(found: Sequence[Gap], whose: str) -> Overview:
    """Summarise the gaps of networks.

    Parameters
    ----------
    found
        At least one.
    whose
        The networks in the sentence, such as ``"networks of this report"``.

    Raises
    ------
    CifarcamError
        When there is no network.
    """
    if not found:
        raise CifarcamError("no networks; give the gaps of at least one")
    twins, others, falls = (
        np.array([getattr(gap, name) for gap in found]) for name in ("twins", "others", "overall")
    )
    falls = falls - others
    ahead = sum(gap.over_images.low > 0 for gap in found)
    numbers = (
        f"({twins.min():.1f} to {twins.max():.1f}% on images with a twin, {others.min():.1f} to "
        f"{others.max():.1f}% on the others)"
    )
    if ahead == len(found):
        sentence = f"All {ahead} {whose} do better on images with a twin {numbers}."
    elif ahead:
        sentence = (
            f"Of the {len(found)} {whose}, {ahead} do better on images with a twin beyond chance "
            f"{numbers}."
        )
    else:
        sentence = f"None of the {len(found)} {whose} does better on images with a twin {numbers}."
    return Overview(
        len(found),
        float(twins.min()),
        float(twins.max()),
        float(others.min()),
        float(others.max()),
        float(falls.min()),
        float(falls.max()),
        ahead,
        sentence,
    )
