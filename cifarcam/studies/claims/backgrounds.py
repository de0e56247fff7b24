"""Claims on backgrounds: heatmaps of airplanes, swapped backgrounds, and the image's border."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cifarcam.studies import inference, places
from cifarcam.studies.claims import phrases
from cifarcam.studies.claims.base import (
    Claim,
    Condition,
    Finding,
    Timing,
    sentence_of,
    verdict_of,
)
from cifarcam.studies.claims.sources import Sources

BASELINE, STOPPED = "baseline", "baseline-early-stopping"
NAMES = {BASELINE: "the baseline", STOPPED: "the baseline stopped early"}
SINCE = "2026-11-26"
# fmt: off
ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
)
# fmt: on


def energy(excess: np.ndarray, of_class: int, class_name: str, network: str) -> Finding:
    """Judge whether maps of a class put more energy on the background than its area.

    Parameters
    ----------
    excess
        Energy on the estimated background minus its area, points, seeds x classes.
    of_class, class_name
        The class, as an index and as a word.
    network
        Words for the network, such as ``"the baseline"``.
    """
    own = excess[:, of_class]
    effect = inference.over_seeds(own, "points")
    verdict = verdict_of(effect)
    where, numbers = f"the {class_name} maps of {network}", phrases.points(effect)
    sentence = sentence_of(
        verdict,
        reproduced=f"In {where}, the estimated background holds a larger share of the energy "
        f"than of the area {numbers}.",
        contradicted=f"In {where}, the estimated background holds a smaller share of the energy "
        f"than of the area {numbers}.",
        undecided="We cannot tell whether the estimated background holds a larger share of the "
        f"energy than of the area in {where} {numbers}{_why(own)}.",
    )
    return Finding(
        verdict,
        f"{sentence} {_rank(excess, of_class, class_name)}",
        _basis(effect.count, network),
        effect,
        tuple(map(float, own)),
    )


def swap(lost: Sequence[float], objects: str, hosts: str) -> Finding:
    """Judge whether objects lose probability on a foreign background against one of their class.

    Parameters
    ----------
    lost
        Probability of the true class on the background of another picture of the class minus on a
        foreign background, points by seed.
    objects, hosts
        Names of the classes.
    """
    one, host = _a(objects), _a(hosts)
    return _of_baseline(
        lost,
        reproduced=f"The background decides much. When we cut out {one} and lay it on the background "
        f"of {host}, it keeps less of its probability than on the background of another {objects}",
        contradicted=f"The background of {host} does not hurt. When we cut out {one} and lay it on "
        "this background, it keeps more of its probability than on the background of another "
        f"{objects}",
        undecided=f"We cannot tell whether {one} loses probability on the background of {host}, "
        f"compared with the background of another {objects}",
    )


def helps(lost: Sequence[float]) -> Finding:
    """Judge whether the true class loses probability without the estimated background.

    Parameters
    ----------
    lost
        Probability for whole images minus that with the background in the image's mean colour,
        points by seed.
    """
    return _of_baseline(
        lost,
        reproduced="The background helps: without it, the true class loses probability",
        contradicted="The background does not help: without it, the true class gains probability",
        undecided="We cannot tell whether the background helps the true class",
    )


def misleads(lost: Sequence[float]) -> Finding:
    """Judge whether a foreign background lowers the accuracy more than one of the same class.

    Parameters
    ----------
    lost
        Accuracy on backgrounds of the same class minus accuracy on backgrounds of other classes,
        for the same objects, points by seed.
    """
    return _of_baseline(
        lost,
        reproduced="A foreign background misleads: the network recognises fewer objects on the "
        "background of another class than on the background of their own class",
        contradicted="A foreign background does not mislead: the network recognises more objects "
        "on the background of another class than on the background of their own class",
        undecided="We cannot tell whether the network recognises fewer objects on the background of "
        "another class than on the background of their own class",
    )


def border(difference: np.ndarray) -> Finding:
    """Judge whether maps of wrong predictions lie nearer the border than maps of right ones.

    Parameters
    ----------
    difference
        Energy in the frame of wrong minus right predictions, points, seeds x predicted classes; NaN
        where a class has no wrong or no right prediction. The mean over classes of a seed counts.
    """
    return _of_baseline(
        places.class_means(difference),
        reproduced="Wrong predictions take more of their evidence from the border than right "
        "predictions of the same class",
        contradicted="Wrong predictions take less of their evidence from the border than right "
        "predictions of the same class",
        undecided="We cannot tell whether wrong predictions take more of their evidence from the "
        "border than right predictions of the same class",
    )


def _of_baseline(
    values: Sequence[float] | np.ndarray, *, reproduced: str, contradicted: str, undecided: str
) -> Finding:
    """Judge whether points by seed of the baseline lie above zero; the numbers end the sentence."""
    effect = inference.over_seeds(values, "points")
    verdict = verdict_of(effect)
    sentence = sentence_of(
        verdict, reproduced=reproduced, contradicted=contradicted, undecided=undecided
    )
    return Finding(
        verdict,
        f"{sentence} {phrases.points(effect)}.",
        _basis(effect.count, NAMES[BASELINE]),
        effect,
        tuple(map(float, values)),
    )


def _basis(seeds: int, network: str) -> str:
    return f"{phrases.seeds(seeds)} of {network}, all test images"


def _rank(excess: np.ndarray, of_class: int, class_name: str) -> str:
    """A sentence on the class's rank among all classes, by seed; 1 is the highest value."""
    ranks = 1 + (excess > excess[:, [of_class]]).sum(axis=1)
    best, worst = int(ranks.min()), int(ranks.max())
    place, end = _ordinal(best), " with every seed" if len(ranks) > 1 else ""
    if worst > best:
        place += f" {'or' if worst == best + 1 else 'to'} {_ordinal(worst)}"
        end = ", depending on the seed"
    return f"According to this difference, {class_name} ranks {place} of the ten classes{end}."


def _ordinal(rank: int) -> str:
    return ORDINALS[rank - 1] if rank <= len(ORDINALS) else f"{rank}th"


def _why(values: np.ndarray) -> str:
    """Whether the seeds themselves disagree."""
    if (values > 0).any() and (values < 0).any():
        return ", because seeds lie on both sides of zero"
    return ""


def _a(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def _energy(experiment: str) -> Callable[[Sources], tuple[Any, ...]]:
    def collect(sources: Sources) -> tuple[Any, ...]:
        record = sources.record("where")
        excess = places.values(record, experiment, "excess", "mean")
        return excess, record["class_names"].index("airplane"), "airplane", NAMES[experiment]

    return collect


def _values(*path: str) -> Callable[[Sources], tuple[Any, ...]]:
    return lambda sources: (places.values(sources.record("where"), BASELINE, *path),)


def _swap(sources: Sources) -> tuple[Any, ...]:
    path = "swaps", "by_pair", "airplane-deer", "probability_lost", "mean"
    return places.values(sources.record("where"), BASELINE, *path), "airplane", "deer"


def _border(sources: Sources) -> tuple[Any, ...]:
    return (places.border_difference(sources.record("where"), BASELINE),)


CLAIMS = (
    Claim(
        "airplane-background",
        "The heatmap of an airplane lies on clouds and sky, not on the airplane.",
        "Experimental results, Grad-CAM",
        (
            Condition(
                "airplane-background.energy",
                "energy of airplane maps on the background",
                "The estimated background holds more of the energy of airplane maps than of the "
                "area (interval over seeds above 0).",
                SINCE,
                Timing.AFTER,
                energy,
                _energy(BASELINE),
            ),
            Condition(
                "airplane-background.stopped",
                "the same with early stopping",
                "As above, for the networks whose training stopped early.",
                SINCE,
                Timing.AFTER,
                energy,
                _energy(STOPPED),
            ),
            Condition(
                "airplane-background.swap",
                "airplanes on the background of deer",
                "A cut-out airplane has a lower probability on the background of a deer picture "
                "than on the background of another airplane picture (interval over seeds).",
                SINCE,
                Timing.AFTER,
                swap,
                _swap,
            ),
        ),
    ),
    Claim(
        "background-misleads",
        "Reliance on the background both helps and misleads classification.",
        "Experimental results, Grad-CAM",
        (
            Condition(
                "background-misleads.helps",
                "probability lost without the background",
                "The true class loses probability when the estimated background has the image's "
                "mean colour (all classes, interval over seeds above 0).",
                SINCE,
                Timing.AFTER,
                helps,
                _values("lost_background", "all", "mean"),
            ),
            Condition(
                "background-misleads.swap",
                "accuracy lost on foreign backgrounds",
                "Cut-out objects are recognised less often on the background of another class than "
                "on the background of another picture of their class (interval over seeds).",
                SINCE,
                Timing.AFTER,
                misleads,
                _values("swaps", "by_class", "accuracy_lost", "all", "mean"),
            ),
            Condition(
                "background-misleads.border",
                "mistakes nearer the border",
                "Maps of wrong predictions have more energy in the outer 8 pixels than maps of "
                "right predictions of the same predicted class (mean over classes, interval over "
                "seeds above 0).",
                SINCE,
                Timing.AFTER,
                border,
                _border,
            ),
        ),
    ),
)
