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
    sentence
        The result in words.
    """

    published: int
    ours: int
    both: int
    networks: int
    good: int
    alike: int
    doubtful: int
    indices: np.ndarray
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
    sentence = _hardest_sentence(len(both), len(published) + len(own), alike, number)
    return Hardest(
        int(theirs_wrong.sum()),
        int(ours_wrong.sum()),
        len(both),
        len(published),
        len(own),
        alike,
        number,
        both,
        sentence,
    )


def _hardest_sentence(both: int, networks: int, alike: int, doubtful: int) -> str:
    if not both:
        return f"No image is wrong in all {networks} networks, published and ours."
    subject = "One image is" if both == 1 else f"{both} images are"
    text = f"{subject} wrong in all {networks} networks, published and ours"
    if 2 * doubtful > both:
        text += f", and people doubt the label of most of them ({doubtful})"
    elif doubtful:
        text += f"; people doubt the label of {doubtful} of them and not of the others"
    else:
        text += ", although people doubt none of these labels"
    if not alike:
        return f"{text}. On none of them do all networks give the same wrong class."
    return f"{text}. All networks give the same wrong class on {alike} of them."
