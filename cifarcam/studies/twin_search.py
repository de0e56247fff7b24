"""Searches for near twins of the test images, measured by the published list and by looking."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cifarcam.data.duplicates import JudgedPairs, Match
from cifarcam.data.evidence import Twins
from cifarcam.errors import CifarcamError

THRESHOLDS = (0.95, 0.9, 0.85, 0.8)  # of the aligned search


@dataclass(frozen=True)
class Found:
    """What a search found: for each test image the training image most like it.

    Attributes
    ----------
    images
        Indices of test images, each once (int64, K), the most alike first.
    twins
        Index of each image's training image in their published order (int64, K).
    correlations
        Float64, K.
    mirrored
        Whether the training image is a mirror image (bool, K).
    """

    images: np.ndarray
    twins: np.ndarray
    correlations: np.ndarray
    mirrored: np.ndarray


@dataclass(frozen=True)
class Search:
    """A search against the published list of test images with a near twin.

    A test image counts as found when the search names at least one training image for it. Whether
    the listed one is among them, see `listed_twins_named`.

    Attributes
    ----------
    name
        The search.
    threshold
        The least correlation.
    found
        Test images for which the search names a twin.
    listed, missed
        Images of the list that it finds and misses.
    recall, recall_same_shot
        Share of the list's images that it finds, %, of all and of those whose twin comes from the
        same photograph.
    precision
        Share of the found images that are in the list, %.
    extra
        Found images outside the list.
    same_shot, similar, different, unjudged
        How many of these a reader judged to come from the same photograph as their twin, to be very
        much alike, to be different, and how many nobody judged.
    precision_judged
        Share of the found images that are in the list or that the reader confirmed, %; NaN where an
        image was not judged.
    """

    name: str
    threshold: float
    found: int
    listed: int
    missed: int
    recall: float
    recall_same_shot: float
    precision: float
    extra: int
    same_shot: int
    similar: int
    different: int
    unjudged: int
    precision_judged: float


def best_matches(matches: Sequence[Match], threshold: float) -> Found:
    """The most alike training image of each test image, where it reaches `threshold`.

    Parameters
    ----------
    matches
        Pairs of a test image and a training image, in any order.
    threshold
        The least correlation.
    """
    best: dict[int, Match] = {}
    for match in sorted(matches, key=lambda one: -one.correlation):
        if match.correlation >= threshold:
            best.setdefault(match.query, match)
    kept = list(best.values())
    return Found(
        np.array([one.query for one in kept], np.int64),
        np.array([one.reference for one in kept], np.int64),
        np.array([one.correlation for one in kept], np.float64),
        np.array([one.mirrored for one in kept], bool),
    )


def against_list(
    name: str, threshold: float, found: Found, listed: Twins, judged: JudgedPairs
) -> Search:
    """Recall and precision of a search, against the list and after looking.

    Parameters
    ----------
    name, threshold
        Of the search.
    found
        What it found.
    listed
        The published list, not empty.
    judged
        Judgements of pairs outside the list.

    Raises
    ------
    CifarcamError
        When the list is empty.
    """
    if not len(listed.images):
        raise CifarcamError("the list of twins is empty; give at least one pair")
    is_listed = np.isin(found.images, listed.images)
    is_found = np.isin(listed.images, found.images)
    judgements = {
        (int(image), int(twin)): (bool(same), bool(similar))
        for image, twin, same, similar in zip(
            judged.images, judged.twins, judged.same_shot, judged.similar, strict=True
        )
    }
    extra = zip(found.images[~is_listed].tolist(), found.twins[~is_listed].tolist(), strict=True)
    answers = [judgements.get(pair) for pair in extra]
    same = answers.count((True, False))
    similar = answers.count((False, True))
    unjudged = answers.count(None)
    hits, count = int(is_listed.sum()), len(found.images)
    confirmed = hits + same + similar
    return Search(
        name,
        threshold,
        count,
        hits,
        int((~is_found).sum()),
        100 * float(is_found.mean()),
        _percent(int((is_found & listed.same_shot).sum()), int(listed.same_shot.sum())),
        _percent(hits, count),
        len(answers),
        same,
        similar,
        answers.count((False, False)),
        unjudged,
        math.nan if unjudged else _percent(confirmed, count),
    )


def listed_twins_named(listed: Twins, matches: Sequence[Match], threshold: float) -> float:
    """Share of the list's images for which a search names the listed twin itself, %.

    Parameters
    ----------
    listed
        The published list, not empty.
    matches
        Pairs of a test image and a training image, several of an image among them.
    threshold
        The least correlation.

    Raises
    ------
    CifarcamError
        When the list is empty.
    """
    if not len(listed.images):
        raise CifarcamError("the list of twins is empty; give at least one pair")
    named = {(one.query, one.reference) for one in matches if one.correlation >= threshold}
    pairs = list(zip(listed.images.tolist(), listed.twins.tolist(), strict=True))
    return 100 * sum(pair in named for pair in pairs) / len(pairs)


def repeated(judged: JudgedPairs) -> str:
    """How often a reader gave the same judgement of a pair again, in words."""
    if not judged.repeats:
        return "The reader looked at no pair again, so we cannot tell how consistent the reader is."
    start = (
        f"The same reader looked at {judged.repeats} pairs again, mirrored and in another order, "
        "and came to the same judgement on"
    )
    if judged.agreed == judged.repeats:
        return (
            f"{start} all {judged.repeats}. This shows that the reader is consistent, not that the "
            "reader is right."
        )
    return (
        f"{start} {judged.agreed} of them. This shows how consistent the reader is, not whether the "
        "reader is right."
    )


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else math.nan


@dataclass(frozen=True)
class Known:
    """All test images of which a near twin is known.

    Attributes
    ----------
    images
        Indices, int64, ascending.
    count, share
        Their number, and their percentage of the test images.
    listed, added
        Number of images in the published list, and of those that our search adds.
    estimate
        Number of test images with a twin that the two searches together suggest, if they were
        independent (Lincoln and Petersen; Chapman 1951, equation 1). Both find the clearest copies
        more easily than others, so that it is too low. NaN where they share no image.
    """

    images: np.ndarray
    count: int
    share: float
    listed: int
    added: int
    estimate: float


def known(listed: Twins, found: Found, judged: JudgedPairs, total: int = 10_000) -> Known:
    """Images of the published list, and images that a search added and a reader confirmed.

    Parameters
    ----------
    listed
        The published list.
    found
        What the search found.
    judged
        Judgements of what it found outside the list.
    total
        Number of test images.
    """
    added = judged.images[judged.confirmed]
    images = np.union1d(listed.images, added)
    both = int(np.isin(listed.images, found.images).sum())
    ours = both + int(np.isin(added, found.images).sum())
    theirs = len(np.unique(listed.images))
    estimate = (theirs + 1) * (ours + 1) / (both + 1) - 1 if both else math.nan
    count = len(images)
    return Known(images, count, 100 * count / total, theirs, count - theirs, estimate)


def by_training(
    listed: Twins, judged: JudgedPairs, matches: Sequence[Match], validation: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Test images of which a twin was trained on, and images whose twins were all held out.

    The twins of an image are those of the list, those that a reader confirmed, and whatever else
    the search found for it.

    Parameters
    ----------
    listed, judged, matches
        Pairs of a test image and a training image.
    validation
        The training images that are held out for validation, as indices in published order.

    Returns
    -------
    tuple of numpy.ndarray
        Indices of the test images of either kind, int64, ascending.
    """
    confirmed = judged.confirmed
    pairs = [
        *zip(listed.images.tolist(), listed.twins.tolist(), strict=True),
        *zip(judged.images[confirmed].tolist(), judged.twins[confirmed].tolist(), strict=True),
    ]
    images = {image for image, _ in pairs}
    pairs += [(one.query, one.reference) for one in matches if one.query in images]
    held_out = set(validation)
    seen = {image for image, twin in pairs if twin not in held_out}
    return np.array(sorted(seen), np.int64), np.array(sorted(images - seen), np.int64)


def labelled_pairs(
    listed: Twins, judged: JudgedPairs, twin_labels: Mapping[str, Sequence[int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Test images of all known pairs, and the labels of their twins: int64, K each.

    Parameters
    ----------
    listed, judged
        The published list, and the pairs that a reader judged; the confirmed ones count.
    twin_labels
        Labels of the twins of both, ``"listed"`` and ``"judged"``, as the record holds them.
    """
    confirmed = judged.confirmed
    images = np.concatenate([listed.images, judged.images[confirmed]])
    labels = [np.array(twin_labels["listed"]), np.array(twin_labels["judged"])[confirmed]]
    return images, np.concatenate(labels).astype(np.int64)
