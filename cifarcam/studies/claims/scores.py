"""Claims on precision, recall and F1 of single classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from cifarcam.studies import inference
from cifarcam.studies.claims.base import (
    FEWEST_SEEDS,
    Claim,
    Condition,
    Finding,
    sentence_of,
    verdict_by_seed,
    verdict_of,
)
from cifarcam.studies.claims.confusion import basis, condition, shown_ranks
from cifarcam.studies.claims.sources import Sources
from cifarcam.studies.wording import number

LOW_RECALL_RANK = 8  # a notably low recall ranks here or worse
UNEVEN_POINTS = 10.0  # uneven F1 differ by at least this much from best to worst class
REPORT = "Experimental results, classification report"


def high_precision(scores: np.ndarray, names: Sequence[str], name: str) -> Finding:
    """Judge whether the precision of a class lies above the mean of all classes.

    Parameters
    ----------
    scores
        Precision by seed and class, 0-1, float64, S x C.
    names
        C class names.
    name
        The class.
    """
    one = 100 * scores[:, names.index(name)]
    above = one - 100 * scores.mean(axis=1)
    effect = inference.over_seeds(above, "points")
    verdict = verdict_of(effect)
    ranks = _class_ranks(scores)[:, names.index(name)].tolist()
    amount = f"({one.mean():.1f}% against {100 * scores.mean():.1f}%, {shown_ranks(ranks)} of {len(names)})"
    if effect.count < FEWEST_SEEDS:
        sentence = f"Too few seeds are at hand to judge the precision of {name} {amount}."
    else:
        sentence = sentence_of(
            verdict,
            reproduced=f"The precision of {name} lies above the mean of all classes {amount}.",
            contradicted=f"The precision of {name} lies below the mean of all classes {amount}.",
            undecided=f"We cannot tell the precision of {name} from the mean of all classes "
            f"{amount}.",
        )
    return Finding(verdict, sentence, basis(effect.count), effect, tuple(above.tolist()))


def low_recall(scores: np.ndarray, names: Sequence[str], name: str) -> Finding:
    """Judge whether the recall of a class is among the lowest with every seed.

    The effect is the recall of the class minus the mean of all classes. The sentence also compares
    the class with its neighbour, the class of the next higher mean recall, paired by seed.

    Parameters
    ----------
    scores
        Recall by seed and class, 0-1, float64, S x C.
    names
        C class names.
    name
        The class.
    """
    index = names.index(name)
    below = 100 * (scores[:, index] - scores.mean(axis=1))
    effect = inference.over_seeds(below, "points")
    ranks = _class_ranks(scores)[:, index].tolist()
    verdict = verdict_by_seed([rank >= LOW_RECALL_RANK for rank in ranks])
    lowest = len(names) - LOW_RECALL_RANK + 1
    amount = f"({100 * scores[:, index].mean():.1f}%, {shown_ranks(ranks)} of {len(names)})"
    if effect.count < FEWEST_SEEDS:
        sentence = f"Too few seeds are at hand to judge the recall of {name} {amount}."
    else:
        sentence = sentence_of(
            verdict,
            reproduced=f"The recall of {name} is among the {lowest} lowest with every seed "
            f"{amount}.",
            contradicted=f"The recall of {name} is not among the {lowest} lowest with any seed "
            f"{amount}.",
            undecided=f"The recall of {name} is among the {lowest} lowest with some seeds and not "
            f"with others {amount}.",
        )
        sentence += _neighbour(scores, names, index)
    return Finding(verdict, sentence, basis(effect.count), effect, tuple(below.tolist()))


def uneven(scores: np.ndarray, names: Sequence[str]) -> Finding:
    """Judge whether F1 differs from class to class by at least ten points.

    Parameters
    ----------
    scores
        F1 by seed and class, 0-1, float64, S x C.
    names
        C class names.
    """
    spreads = 100 * np.ptp(scores, axis=1)
    effect = inference.over_seeds(spreads, "points", null=UNEVEN_POINTS)
    verdict = verdict_of(effect)
    mean = scores.mean(axis=0)
    best, worst = int(mean.argmax()), int(mean.argmin())
    amount = (
        f"(F1 from {100 * mean[worst]:.1f}% for {names[worst]} to {100 * mean[best]:.1f}% for "
        f"{names[best]})"
    )
    if effect.count < FEWEST_SEEDS:
        sentence = f"Too few seeds are at hand to say how uneven the classes are {amount}."
    else:
        sentence = sentence_of(
            verdict,
            reproduced=f"Performance is uneven over the classes {amount}.",
            contradicted=f"Performance is even over the classes {amount}.",
            undecided=f"We cannot tell whether performance is uneven over the classes {amount}.",
        )
    return Finding(verdict, sentence, basis(effect.count), effect, tuple(spreads.tolist()))


def _class_ranks(scores: np.ndarray) -> np.ndarray:
    """Ranks by seed, the highest score first; ties share the better rank. int64, S x C."""
    return stats.rankdata(-scores, "min", axis=1).astype(np.int64)


def _neighbour(scores: np.ndarray, names: Sequence[str], index: int) -> str:
    """A sentence that compares a class with the class of the next higher mean score."""
    mean = scores.mean(axis=0)
    higher = np.flatnonzero(mean > mean[index])
    if not higher.size:
        return ""
    above = int(higher[mean[higher].argmin()])
    effect = inference.paired_over_seeds(100 * scores[:, index], 100 * scores[:, above], "points")
    told = effect.low > 0 or effect.high < 0
    amount = (
        f"({number(effect.value, signed=True)} points, interval over seeds {number(effect.low)} to "
        f"{number(effect.high)})"
    )
    if told:
        return f" It is lower than the recall of the next class, {names[above]} {amount}."
    return f" We cannot tell it from the recall of the next class, {names[above]} {amount}."


def _scores(sources: Sources, score: str) -> tuple[np.ndarray, tuple[str, ...]]:
    by_class = [run.metrics["test"]["per_class"] for run in sources.baseline]
    names = tuple(by_class[0])
    return np.array([[one[name][score] for name in names] for one in by_class]), names


def _precision_condition(name: str) -> Condition:
    return condition(
        f"precision-frog-horse.{name}",
        f"precision of {name} above the mean",
        f"The precision of {name} lies above the mean of all classes (interval over seeds).",
        high_precision,
        lambda sources: (*_scores(sources, "precision"), name),
    )


def _recall_condition(name: str) -> Condition:
    return condition(
        f"recall-cat-dog.{name}",
        f"recall of {name} among the lowest",
        f"With every seed, the recall of {name} ranks {LOW_RECALL_RANK} or worse of all classes.",
        low_recall,
        lambda sources: (*_scores(sources, "recall"), name),
    )


CLAIMS = (
    Claim(
        "precision-frog-horse",
        "Frog and horse are predicted with high precision.",
        REPORT,
        (_precision_condition("frog"), _precision_condition("horse")),
    ),
    Claim(
        "recall-cat-dog",
        "The recall of cat and dog is notably low.",
        REPORT,
        (_recall_condition("cat"), _recall_condition("dog")),
    ),
    Claim(
        "macro-f1",
        "The macro F1 hides an uneven performance over the classes.",
        REPORT,
        (
            condition(
                "macro-f1",
                "F1 uneven from class to class",
                f"F1 differs by more than {UNEVEN_POINTS:g} points from the best to the worst class "
                "(interval over seeds).",
                uneven,
                lambda sources: _scores(sources, "f1"),
            ),
        ),
    ),
)
