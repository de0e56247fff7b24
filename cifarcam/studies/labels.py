"""Labels of test images in doubt: found by networks that agree, and judged by people.

Northcutt et al. (2021) let a network's predictions cast doubt on test labels, and five people judge
each of the doubted ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from cifarcam import evaluation
from cifarcam.data import Dataset, evidence
from cifarcam.data.evidence import LabelVotes
from cifarcam.errors import CifarcamError
from cifarcam.studies import people, records
from cifarcam.studies.mistakes import Evidence, Kind, evidence_of

BY_PEOPLE = "people doubt it"
BY_NETWORKS = "all good networks contradict it, and people disagree"


@dataclass(frozen=True)
class Doubt:
    """Test images whose label is in doubt.

    Attributes
    ----------
    indices
        Indices of the images, int64, ascending.
    reasons
        For each image `BY_PEOPLE` or `BY_NETWORKS`.
    count, by_people, by_networks
        Number of the images, and of those with each of the two reasons.
    trusted
        Number of labels that all good networks contradict and that are not in doubt all the same,
        because people confirm them.
    sentence
        The result in words.
    """

    indices: np.ndarray
    reasons: tuple[str, ...]
    count: int
    by_people: int
    by_networks: int
    trusted: int
    sentence: str


def in_doubt(dataset: Dataset, suspects: np.ndarray) -> Doubt:
    """Test images of a dataset whose label is in doubt, see `doubt`.

    Parameters
    ----------
    dataset
        CIFAR-10, or the sample, of whose images nothing is known of people: there every suspect is
        in doubt.
    suspects
        Indices of the images whose label all good networks contradict, see `agreement.suspects`.

    Raises
    ------
    CifarcamError
        When the record ``people`` is missing.
    """
    labels = dataset.test.labels
    if dataset.is_sample:
        nobody = LabelVotes(*np.empty((7, 0), np.int64))
        return doubt(np.full(labels.shape, Kind.PEOPLE), nobody, suspects)
    return doubt(of_cifar10(labels).kinds, evidence.label_votes(), suspects)


def of_cifar10(labels: np.ndarray) -> Evidence:
    """What people say of the 10,000 test images of CIFAR-10: five people's votes, and the record.

    Parameters
    ----------
    labels
        The labels, integers, 10,000.

    Raises
    ------
    CifarcamError
        When the record ``people`` is missing.
    """
    record = records.load(people.RECORD)
    return evidence_of(
        evidence.label_votes(), labels, people.agreement(record), people.majority(record, labels)
    )


def doubt(kinds: np.ndarray, votes: LabelVotes, suspects: np.ndarray) -> Doubt:
    """Labels that people doubt, or that networks contradict and people disagree on.

    A label that all good networks contradict is trusted all the same where five people confirm it,
    or nine of ten people give it.

    Parameters
    ----------
    kinds
        What people say of each image, see `mistakes.Evidence`, integers, N.
    votes
        What five people said of candidates.
    suspects
        Indices of the images whose label all good networks contradict.
    """
    by_people = np.flatnonzero(kinds == Kind.LABEL)
    open_ones = suspects[kinds[suspects] == Kind.PEOPLE]
    by_networks = np.setdiff1d(open_ones, votes.images[votes.confirmed])
    indices = np.union1d(by_people, by_networks).astype(np.int64)
    reasons = tuple(BY_PEOPLE if one else BY_NETWORKS for one in np.isin(indices, by_people))
    trusted = len(np.setdiff1d(suspects, indices))
    sentence = _doubt_sentence(len(by_people), len(by_networks), trusted)
    return Doubt(
        indices, reasons, len(indices), len(by_people), len(by_networks), trusted, sentence
    )


def _doubt_sentence(people_doubt: int, networks: int, trusted: int) -> str:
    if not people_doubt and not networks:
        return "No label is in doubt."
    it = "it" if networks == 1 else "them"
    if not people_doubt:
        text = (
            f"We call {_labels(networks)} in doubt, because all good networks contradict {it} and "
            f"people disagree on {it}."
        )
    elif not networks:
        text = f"We call {_labels(people_doubt)} in doubt, because people do."
    else:
        text = (
            f"We call {_labels(people_doubt + networks)} in doubt. People doubt {people_doubt} of "
            f"these labels. All good networks contradict the other {_labels(networks)}, and people "
            f"disagree on {it}."
        )
    if trusted:
        text += (
            f" We trust {_labels(trusted)} that all good networks contradict and people confirm."
        )
    return text


def _labels(count: int) -> str:
    return f"{count} label{'' if count == 1 else 's'}"


@dataclass(frozen=True)
class Judged:
    """Numbers of labels that people judged, confirmed, did not confirm, corrected, left undecided."""

    candidates: int
    confirmed: int
    doubtful: int
    corrected: int
    undecided: int


def judged(votes: LabelVotes) -> Judged:
    """Count what five people said of labels."""
    kinds = votes.confirmed, votes.doubtful, votes.corrected, votes.doubtful & ~votes.corrected
    return Judged(len(votes.images), *(int(kind.sum()) for kind in kinds))


@dataclass(frozen=True)
class Search:
    """Our search for wrong labels, the agreement of good networks, beside people's judgement.

    Attributes
    ----------
    suspects
        Labels that all good networks contradict.
    doubted
        Of these, the labels that people doubt according to either source.
    judged, confirmed, doubtful, corrected
        Of the suspects, the labels that the five people judged; that they confirmed; that they did
        not confirm; and that they corrected.
    unlisted
        Indices of the suspects that the five did not judge, int64.
    missed
        Indices of the images whose label the five did not confirm and that are no suspects, int64.
    unlisted_count, missed_count, doubtful_total
        Their numbers, and of all labels that the five did not confirm.
    precision, precision_low, precision_high
        Share of the judged suspects that the five did not confirm, %, with Wilson's interval; NaN
        where none was judged.
    of_candidates
        Share of all judged labels that the five did not confirm, %.
    recall
        Share of the labels that the five did not confirm that are suspects, %.
    sentence
        The result in words.
    """

    suspects: int
    doubted: int
    judged: int
    confirmed: int
    doubtful: int
    corrected: int
    unlisted: np.ndarray
    missed: np.ndarray
    unlisted_count: int
    missed_count: int
    doubtful_total: int
    precision: float
    precision_low: float
    precision_high: float
    of_candidates: float
    recall: float
    sentence: str


def search(suspects: np.ndarray, votes: LabelVotes, doubted: np.ndarray) -> Search:
    """Compare the labels that all good networks contradict with what people said of labels.

    Parameters
    ----------
    suspects
        Indices of images.
    votes
        What the five people said, at least one label not being confirmed.
    doubted
        Indices of the images whose label people doubt, see `mistakes.Evidence`.

    Raises
    ------
    CifarcamError
        When the five people confirmed every label.
    """
    of_suspects = np.isin(votes.images, suspects)
    judged = int(of_suspects.sum())
    confirmed, doubtful, corrected = (
        int((of_suspects & kind).sum())
        for kind in (votes.confirmed, votes.doubtful, votes.corrected)
    )
    total = int(votes.doubtful.sum())
    if not total:
        raise CifarcamError("people doubt no label, so that no search can find one; give others")
    unlisted = np.setdiff1d(suspects, votes.images).astype(np.int64)
    missed = votes.images[votes.doubtful & ~of_suspects]
    precision = low = high = math.nan
    if judged:
        precision = 100 * doubtful / judged
        low, high = (100 * end for end in evaluation.wilson_interval(doubtful, judged))
    result = Search(
        suspects=len(suspects),
        doubted=int(np.isin(suspects, doubted).sum()),
        judged=judged,
        confirmed=confirmed,
        doubtful=doubtful,
        corrected=corrected,
        unlisted=unlisted,
        missed=missed,
        unlisted_count=len(unlisted),
        missed_count=len(missed),
        doubtful_total=total,
        precision=precision,
        precision_low=low,
        precision_high=high,
        of_candidates=100 * total / len(votes.images),
        recall=100 * doubtful / total,
        sentence="",
    )
    return replace(result, sentence=_search_sentence(result))


def _search_sentence(result: Search) -> str:
    if not result.suspects:
        return "There is no suspect."
    text = f"According to at least one of the two sources, people doubt {result.doubted} of these labels."
    if 2 * result.doubted < result.suspects:
        text += " Agreement of networks alone therefore does not show a wrong label."
    elif 2 * result.doubted > result.suspects:
        text += " Networks that agree therefore mostly contradict a label that people doubt too."
    else:
        text += " This is half of the suspects."
    if not result.judged:
        return f"{text} The five people judged none of the suspects."
    return (
        f"{text} The five people judged {result.judged} of the suspects and did not confirm "
        f"{result.doubtful} of these ({result.precision:.0f}%, 95% interval "
        f"{result.precision_low:.0f}% to {result.precision_high:.0f}%, Wilson). They did not confirm "
        f"{result.of_candidates:.0f}% of all candidates. The agreement of networks finds "
        f"{result.doubtful} of the {result.doubtful_total} labels that they did not confirm."
    )
