"""Claims on where heatmaps lie: backgrounds, faces of cats, and attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cifarcam.studies import inference, places
from cifarcam.studies.claims.base import (
    FEWEST_SEEDS,
    Claim,
    Condition,
    Finding,
    Timing,
    Verdict,
    verdict_of,
)
from cifarcam.studies.claims.sources import Sources
from cifarcam.studies.inference import Effect

BASELINE, STOPPED = "baseline", "baseline-early-stopping"
WITH, WITHOUT = "custom-cnn-attention-long", "custom-cnn-augmented-long"
NAMES = {BASELINE: "the baseline", STOPPED: "the baseline stopped early"}
SINCE = "2026-11-26"
# fmt: off
ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
)
# fmt: on


def background_energy(excess: np.ndarray, of_class: int, class_name: str, network: str) -> Finding:
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
    where = f"the {class_name} maps of {network}"
    if verdict is Verdict.REPRODUCED:
        sentence = (
            f"In {where}, the estimated background holds more of the energy than of the area "
            f"{_numbers(effect)}."
        )
    elif verdict is Verdict.CONTRADICTED:
        sentence = (
            f"In {where}, the estimated background holds less of the energy than of the area "
            f"{_numbers(effect)}."
        )
    else:
        sentence = (
            f"Whether the estimated background holds more of the energy than of the area in {where} "
            f"is open {_numbers(effect)}{_why(own)}."
        )
    return _finding(
        verdict, f"{sentence} {_rank(excess, of_class, class_name)}", effect, own, network
    )


def swap_loss(lost: Sequence[float], objects: str, hosts: str) -> Finding:
    """Judge whether objects lose probability on a foreign background against one of their class.

    Parameters
    ----------
    lost
        Probability of the true class on the background of another picture of the class minus on a
        foreign background, points by seed.
    objects, hosts
        Names of the classes.
    """
    effect = inference.over_seeds(lost, "points")
    verdict = verdict_of(effect)
    if verdict is Verdict.REPRODUCED:
        sentence = (
            f"The background decides much: cut out and laid on the background of {_a(hosts)}, "
            f"{_a(objects)} keeps less of its probability than on the background of another "
            f"{objects}"
        )
    elif verdict is Verdict.CONTRADICTED:
        sentence = (
            f"The background of {_a(hosts)} does not hurt: cut out and laid on it, {_a(objects)} "
            f"keeps more of its probability than on the background of another {objects}"
        )
    else:
        sentence = (
            f"Whether {_a(objects)} loses probability on the background of {_a(hosts)}, compared "
            f"with the background of another {objects}, is open"
        )
    return _finding(verdict, f"{sentence} {_numbers(effect)}.", effect, lost)


def background_helps(lost: Sequence[float]) -> Finding:
    """Judge whether the true class loses probability without the estimated background.

    Parameters
    ----------
    lost
        Probability for whole images minus that with the background in the image's mean colour,
        points by seed.
    """
    effect = inference.over_seeds(lost, "points")
    verdict = verdict_of(effect)
    if verdict is Verdict.REPRODUCED:
        sentence = (
            "The background helps: without it, the true class loses probability "
            f"{_numbers(effect)}."
        )
    elif verdict is Verdict.CONTRADICTED:
        sentence = (
            "The background does not help: without it, the true class gains probability "
            f"{_numbers(effect)}."
        )
    else:
        sentence = f"Whether the background helps the true class is open {_numbers(effect)}."
    return _finding(verdict, sentence, effect, lost)


def background_misleads(lost: Sequence[float]) -> Finding:
    """Judge whether a foreign background lowers the accuracy more than one of the same class.

    Parameters
    ----------
    lost
        Accuracy on backgrounds of the same class minus accuracy on backgrounds of other classes,
        for the same objects, points by seed.
    """
    effect = inference.over_seeds(lost, "points")
    verdict = verdict_of(effect)
    if verdict is Verdict.REPRODUCED:
        sentence = (
            "A foreign background misleads: the network recognises fewer objects on the background "
            f"of another class than on the background of their own class {_numbers(effect)}."
        )
    elif verdict is Verdict.CONTRADICTED:
        sentence = (
            "A foreign background does not mislead: the network recognises more objects on the "
            "background of another class than on the background of their own class "
            f"{_numbers(effect)}."
        )
    else:
        sentence = (
            "Whether the background of another class misleads more than that of the own class is "
            f"open {_numbers(effect)}."
        )
    return _finding(verdict, sentence, effect, lost)


def border_of_mistakes(difference: np.ndarray) -> Finding:
    """Judge whether maps of wrong predictions lie nearer the border than maps of right ones.

    Parameters
    ----------
    difference
        Energy in the frame of wrong minus right predictions, points, seeds x predicted classes; NaN
        where a class has no wrong or no right prediction. The mean over classes of a seed counts.
    """
    means = places.class_means(difference)
    effect = inference.over_seeds(means, "points")
    verdict = verdict_of(effect)
    if verdict is Verdict.REPRODUCED:
        sentence = (
            "Wrong predictions take more of their evidence from the border than right predictions "
            f"of the same class {_numbers(effect)}."
        )
    elif verdict is Verdict.CONTRADICTED:
        sentence = (
            "Wrong predictions take less of their evidence from the border than right predictions "
            f"of the same class {_numbers(effect)}."
        )
    else:
        sentence = (
            "Whether wrong predictions take more of their evidence from the border than right "
            f"predictions of the same class is open {_numbers(effect)}."
        )
    return _finding(verdict, sentence, effect, means)


def face_energy(excess: Sequence[float], faces: int) -> Finding:
    """Judge whether a marked face holds more of a cat map's energy than of the area.

    Parameters
    ----------
    excess
        Energy in the face box minus its area, points by seed; empty where no face is marked.
    faces
        The number of marked faces.
    """
    return _of_faces(
        excess,
        faces,
        "The marked face holds more of the energy than of the area",
        "The marked face holds less of the energy than of the area",
        "Whether the marked face holds more of the energy than of the area is open",
    )


def face_over_centre(difference: Sequence[float], faces: int) -> Finding:
    """Judge whether a cat map has more energy in the marked face than in the image's centre.

    Parameters
    ----------
    difference
        Energy in the face box minus energy in an equal box in the centre, points by seed.
    faces
        The number of marked faces.
    """
    return _of_faces(
        difference,
        faces,
        "The face holds more of the energy than an equal box in the image's centre",
        "An equal box in the image's centre holds more of the energy than the face",
        "Whether the face holds more of the energy than an equal box in the image's centre is open",
    )


def face_removal(difference: Sequence[float], faces: int) -> Finding:
    """Judge whether removing the marked face costs more than removing an equal box elsewhere.

    Parameters
    ----------
    difference
        Probability lost without the face minus without the other box, points by seed.
    faces
        The number of marked faces.
    """
    return _of_faces(
        difference,
        faces,
        "Without its face, a cat loses more of its probability than without an equal box elsewhere "
        "on its body",
        "Without its face, a cat loses less of its probability than without an equal box elsewhere "
        "on its body",
        "Whether a cat loses more probability without its face than without an equal box elsewhere "
        "on its body is open",
    )


def attention(
    with_attention: Sequence[float],
    without: Sequence[float],
    baseline: Sequence[float],
    what: str,
) -> Finding:
    """Judge whether attention lowers a measure of reliance on the background.

    Parameters
    ----------
    with_attention, without
        The measure by seed, points.
    baseline
        The same measure of the baseline by seed, which shows how much seeds differ.
    what
        Words for the measure, such as ``"the energy on the background minus its area"``.
    """
    basis = f"{len(with_attention)} and {len(without)} seeds of the custom CNN at equal recipes"
    if not len(with_attention) or not len(without):
        return Finding(
            Verdict.NOT_TESTED,
            f"Whether attention lowers {what} was not tested, because the weights of networks with "
            "and without attention are not at hand.",
            basis,
        )
    effect = inference.unpaired_over_seeds(with_attention, without, "points")
    verdict = verdict_of(effect, claimed="below")
    if verdict is Verdict.REPRODUCED:
        sentence = f"Attention lowers {what} {_numbers(effect)}."
    elif verdict is Verdict.CONTRADICTED:
        sentence = f"Attention raises {what} {_numbers(effect)}."
    elif effect.count < FEWEST_SEEDS:
        sentence = (
            f"Whether attention lowers {what} is open: the weights of only {_few(effect.count)} a "
            f"side are at hand, and their difference is {_signed(effect.value)} points"
            f"{_noise(baseline)}."
        )
    else:
        sentence = f"Whether attention lowers {what} is open {_numbers(effect)}."
    return Finding(verdict, sentence, basis, effect)


def _of_faces(
    values: Sequence[float], faces: int, reproduced: str, contradicted: str, undecided: str
) -> Finding:
    if not len(values):
        return Finding(
            Verdict.NOT_TESTED, "No faces were marked, so that this was not tested.", "no faces"
        )
    effect = inference.over_seeds(values, "points")
    verdict = verdict_of(effect)
    words = {Verdict.REPRODUCED: reproduced, Verdict.CONTRADICTED: contradicted}
    sentence = f"{words.get(verdict, undecided)} {_numbers(effect)}."
    basis = f"{faces} cats with a marked face, {_few(effect.count)} of the baseline"
    return Finding(verdict, sentence, basis, effect, tuple(map(float, values)))


def _finding(
    verdict: Verdict,
    sentence: str,
    effect: Effect,
    by_seed: Sequence[float] | np.ndarray,
    network: str = NAMES[BASELINE],
) -> Finding:
    basis = f"{_few(effect.count)} of {network}, all test images"
    return Finding(verdict, sentence, basis, effect, tuple(float(value) for value in by_seed))


def _rank(excess: np.ndarray, of_class: int, class_name: str) -> str:
    """A sentence on the class's rank among all classes, by seed; 1 is the highest value."""
    ranks = 1 + (excess > excess[:, [of_class]]).sum(axis=1)
    if len(ranks) == 1:
        return f"Among the ten classes, {class_name} ranks {_ordinal(int(ranks[0]))}."
    if ranks.max() == 1:
        return f"Among the ten classes, {class_name} ranks first with every seed."
    if ranks.min() == ranks.max():
        return (
            f"Among the ten classes, {class_name} ranks {_ordinal(int(ranks[0]))} with every seed."
        )
    return (
        f"Among the ten classes, {class_name} ranks {_ordinal(int(ranks.min()))} to "
        f"{_ordinal(int(ranks.max()))}, depending on the seed."
    )


def _ordinal(rank: int) -> str:
    return ORDINALS[rank - 1] if rank <= len(ORDINALS) else f"{rank}th"


def _why(values: np.ndarray) -> str:
    """Whether the seeds themselves disagree."""
    if (values > 0).any() and (values < 0).any():
        return ", because seeds lie on both sides of zero"
    return ""


def _noise(baseline: Sequence[float]) -> str:
    if len(baseline) < 2:
        return ""
    deviation = float(np.std(baseline, ddof=1))
    return (
        f", while the same measure of the baseline varies from seed to seed with a standard "
        f"deviation of {deviation:.1f} points"
    )


def _numbers(effect: Effect) -> str:
    """The effect and its interval in brackets."""
    if np.isnan(effect.low):
        return f"({_signed(effect.value)} points, one seed)"
    return (
        f"({_signed(effect.value)} points, 95% interval over {effect.count} seeds "
        f"{_signed(effect.low)} to {_signed(effect.high)})"
    )


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


def _few(seeds: int) -> str:
    return "one seed" if seeds == 1 else f"{seeds} seeds"


def _a(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def _record(sources: Sources) -> Mapping[str, Any]:
    return sources.record("where")


def _energy_of(experiment: str) -> Callable[[Sources], tuple[Any, ...]]:
    def collect(sources: Sources) -> tuple[Any, ...]:
        record = _record(sources)
        excess = places.values(record, experiment, "excess", "mean")
        return excess, record["class_names"].index("airplane"), "airplane", NAMES[experiment]

    return collect


def _of_baseline(*path: str) -> Callable[[Sources], tuple[Any, ...]]:
    def collect(sources: Sources) -> tuple[Any, ...]:
        return (places.values(_record(sources), BASELINE, *path),)

    return collect


def _swap(sources: Sources) -> tuple[Any, ...]:
    path = "swaps", "by_pair", "airplane-deer", "probability_lost", "mean"
    return places.values(_record(sources), BASELINE, *path), "airplane", "deer"


def _border(sources: Sources) -> tuple[Any, ...]:
    return (places.border_difference(_record(sources), BASELINE),)


def _faces(key: str) -> Callable[[Sources], tuple[Any, ...]]:
    def collect(sources: Sources) -> tuple[Any, ...]:
        record = _record(sources)
        found = places.values(record, BASELINE, "faces", key, "mean")
        counts = places.values(record, BASELINE, "faces", key, "count")
        found, counts = found[~np.isnan(found)], counts[~np.isnan(counts)]
        return found, int(counts[0]) if counts.size else 0

    return collect


def _attention(key: str, what: str) -> Callable[[Sources], tuple[Any, ...]]:
    def collect(sources: Sources) -> tuple[Any, ...]:
        record = _record(sources)
        sides = [places.values(record, name, key, "all", "mean") for name in (WITH, WITHOUT)]
        return *sides, places.values(record, BASELINE, key, "all", "mean"), what

    return collect


def _condition(
    id: str,
    label: str,
    rule: str,
    judge: Callable[..., Finding],
    evidence: Callable[[Sources], tuple[Any, ...]],
) -> Condition:
    return Condition(id, label, rule, SINCE, Timing.AFTER, judge, evidence)


BACKGROUND = (
    Claim(
        "airplane-background",
        "The heatmap of an airplane lies on clouds and sky, not on the airplane.",
        "Experimental results, Grad-CAM",
        (
            _condition(
                "airplane-background.energy",
                "energy of airplane maps on the background",
                "The estimated background holds more of the energy of airplane maps than of the "
                "area (interval over seeds above 0).",
                background_energy,
                _energy_of(BASELINE),
            ),
            _condition(
                "airplane-background.stopped",
                "the same with early stopping",
                "As above, for the networks whose training stopped early.",
                background_energy,
                _energy_of(STOPPED),
            ),
            _condition(
                "airplane-background.swap",
                "airplanes on the background of deer",
                "A cut-out airplane has a lower probability on the background of a deer picture "
                "than on the background of another airplane picture (interval over seeds).",
                swap_loss,
                _swap,
            ),
        ),
    ),
    Claim(
        "background-misleads",
        "Reliance on the background both helps and misleads classification.",
        "Experimental results, Grad-CAM",
        (
            _condition(
                "background-misleads.helps",
                "probability lost without the background",
                "The true class loses probability when the estimated background has the image's "
                "mean colour (all classes, interval over seeds above 0).",
                background_helps,
                _of_baseline("lost_background", "all", "mean"),
            ),
            _condition(
                "background-misleads.swap",
                "accuracy lost on foreign backgrounds",
                "Cut-out objects are recognised less often on the background of another class than "
                "on the background of another picture of their class (interval over seeds).",
                background_misleads,
                _of_baseline("swaps", "by_class", "accuracy_lost", "all", "mean"),
            ),
            _condition(
                "background-misleads.border",
                "mistakes nearer the border",
                "Maps of wrong predictions have more energy in the outer 8 pixels than maps of "
                "right predictions of the same predicted class (mean over classes, interval over "
                "seeds above 0).",
                border_of_mistakes,
                _border,
            ),
        ),
    ),
    Claim(
        "cat-face",
        "In cat images the heatmap lies on the face.",
        "Experimental results, Grad-CAM",
        (
            _condition(
                "cat-face.energy",
                "energy of cat maps on the face",
                "A hand-marked face box holds more of the energy of cat maps than of the area "
                "(interval over seeds above 0).",
                face_energy,
                _faces("energy"),
            ),
            _condition(
                "cat-face.control",
                "more on the face than in the centre",
                "The face box holds more of the energy of cat maps than an equal box in the image's "
                "centre (interval over seeds above 0).",
                face_over_centre,
                _faces("face_minus_centre"),
            ),
            _condition(
                "cat-face.removal",
                "probability lost without the face",
                "Removing the face box costs the class cat more probability than removing an equal "
                "box elsewhere on the estimated foreground (interval over seeds above 0).",
                face_removal,
                _faces("removal"),
            ),
        ),
    ),
)

ATTENTION = (
    Claim(
        "attention-helps",
        "Attention would reduce reliance on the background.",
        "Summary and conclusion, recommendations",
        (
            _condition(
                "attention-helps.energy",
                "energy on the background with attention",
                "With attention, the energy on the estimated background minus its area is lower "
                "than without (interval over seeds below 0).",
                attention,
                _attention("excess", "the energy on the background minus its area"),
            ),
            _condition(
                "attention-helps.removal",
                "probability lost without the background with attention",
                "With attention, the true class loses less probability without the estimated "
                "background than without attention (interval over seeds below 0).",
                attention,
                _attention("lost_background", "the probability lost without the background"),
            ),
        ),
    ),
)

CLAIMS = (*BACKGROUND, *ATTENTION)
