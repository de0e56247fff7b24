"""Images that all networks get wrong, published and ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cifarcam.errors import CifarcamError
from cifarcam.studies.agreement import GOOD_ACCURACY


@dataclass(frozen=True)
class Hardest:
    """Images that all networks get wrong.

    Attributes
    ----------
    published, ours, both
        Images that all published networks, all our good networks and all of both get wrong.
    networks, good
        Number of published networks, and of our runs with an accuracy of at least 85%.
    alike
        Of `both`, the images to which all give the same wrong class.
    doubtful
        Of `both`, the images whose label people doubt.
    indices
        Indices of `both`, int64.
    apart, sentence
        In words: how many images all published networks and all our good networks get wrong, each
        for itself, and both together.
    """

    published: int
    ours: int
    both: int
    networks: int
    good: int
    alike: int
    doubtful: int
    indices: np.ndarray
    apart: str
    sentence: str


def find(
    published: np.ndarray, ours: Mapping[str, np.ndarray], labels: np.ndarray, doubtful: np.ndarray
) -> Hardest:
    """Find the images that all published networks, and all our good networks, get wrong.

    Parameters
    ----------
    published
        Predicted classes by network, K x N.
    ours
        By network, seeds x N; networks of a mean accuracy below 85% are left out.
    labels
        Integers, N.
    doubtful
        Indices of the images whose label people doubt.

    Raises
    ------
    CifarcamError
        When none of our networks is good.
    """
    good = [seeds for seeds in ours.values() if (seeds == labels).mean() >= GOOD_ACCURACY]
    if not good:
        raise CifarcamError(
            f"no network of {100 * GOOD_ACCURACY:.0f}% accuracy at hand; give at least one"
        )
    own = np.concatenate(good)
    theirs_wrong, ours_wrong = (published != labels).all(axis=0), (own != labels).all(axis=0)
    both = np.flatnonzero(theirs_wrong & ours_wrong).astype(np.int64)
    together = np.concatenate([published, own])[:, both]
    alike = int((together == together[0]).all(axis=0).sum())
    number = int(np.isin(both, doubtful).sum())
    runs = f"all {len(own)} runs" if len(own) > 1 else "the one run"
    networks = f"all {len(published)} published networks and {runs} of our networks are wrong"
    share = 100 * len(doubtful) / len(labels)
    verb = "are" if len(own) > 1 else "is"
    apart = (
        f"{_on(int(theirs_wrong.sum()))} every published network is wrong. "
        f"{_on(int(ours_wrong.sum()))} {runs} of our networks of at least "
        f"{100 * GOOD_ACCURACY:.0f}% accuracy {verb} wrong."
    )
    return Hardest(
        int(theirs_wrong.sum()),
        int(ours_wrong.sum()),
        len(both),
        len(published),
        len(own),
        alike,
        number,
        both,
        apart,
        _hardest_sentence(len(both), networks, alike, number, share),
    )


def _hardest_sentence(both: int, networks: str, alike: int, doubtful: int, share: float) -> str:
    if not both:
        return f"{_on(both)} {networks}."
    text = f"{_on(both)} {networks}"
    among = f"(among all images, people doubt {share:.1f}% of the labels)"
    if both == 1:
        text += (
            f", and people doubt its label {among}."
            if doubtful
            else ", although people do not doubt its label."
        )
        if alike:
            return f"{text} All networks give it the same wrong class."
        return f"{text} The networks do not all give it the same wrong class."
    if doubtful:
        text += f", and people doubt the label of {doubtful} of them {among}."
    else:
        text += ", although people doubt none of these labels."
    if not alike:
        return f"{text} No image gets the same wrong class from all networks."
    return f"{text} All networks give the same wrong class on {alike} of these images."


def _on(count: int) -> str:
    """The beginning of a sentence on images."""
    if not count:
        return "There is no image on which"
    return "On one image," if count == 1 else f"On {count} images,"
