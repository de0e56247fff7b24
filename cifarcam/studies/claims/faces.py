"""The claim that heatmaps of cats lie on the face, judged by faces marked by hand."""

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
    Verdict,
    sentence_of,
    verdict_of,
)
from cifarcam.studies.claims.sources import Sources

SINCE = "2026-11-26"


def energy(excess: Sequence[float], faces: int) -> Finding:
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
        reproduced="The marked face holds a larger share of the energy than of the area",
        contradicted="The marked face holds a smaller share of the energy than of the area",
        undecided="We cannot tell whether the marked face holds a larger share of the energy than of "
        "the area",
    )


def over_centre(difference: Sequence[float], faces: int) -> Finding:
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
        reproduced="The face holds more of the energy than an equal box in the image's centre",
        contradicted="An equal box in the image's centre holds more of the energy than the face",
        undecided="We cannot tell whether the face holds more of the energy than an equal box in the "
        "image's centre",
    )


def removal(difference: Sequence[float], faces: int) -> Finding:
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
        reproduced="Without its face, a cat loses more of its probability than without an equal "
        "box elsewhere on its body",
        contradicted="Without its face, a cat loses less of its probability than without an equal "
        "box elsewhere on its body",
        undecided="We cannot tell whether a cat loses more of its probability without its face than "
        "without an equal box elsewhere on its body",
    )


def _of_faces(
    values: Sequence[float], faces: int, *, reproduced: str, contradicted: str, undecided: str
) -> Finding:
    """Judge whether points by seed lie above zero; the numbers end the sentence."""
    if not len(values):
        return Finding(
            Verdict.NOT_TESTED,
            "No face is marked in these images, so we could not test this.",
            "no faces",
        )
    effect = inference.over_seeds(values, "points")
    verdict = verdict_of(effect)
    sentence = sentence_of(
        verdict, reproduced=reproduced, contradicted=contradicted, undecided=undecided
    )
    return Finding(
        verdict,
        f"{sentence} {phrases.points(effect)}.",
        f"{faces} cats with a marked face, {phrases.seeds(effect.count)} of the baseline",
        effect,
        tuple(map(float, values)),
    )


def _measured(key: str) -> Callable[[Sources], tuple[Any, ...]]:
    def collect(sources: Sources) -> tuple[Any, ...]:
        record = sources.record("where")
        means = places.values(record, "baseline", "faces", key, "mean")
        counts = places.values(record, "baseline", "faces", key, "count")
        means, counts = means[~np.isnan(means)], counts[~np.isnan(counts)]
        return means, int(counts[0]) if counts.size else 0

    return collect


CLAIM = Claim(
    "cat-face",
    "In cat images the heatmap lies on the face.",
    "Experimental results, Grad-CAM",
    (
        Condition(
            "cat-face.energy",
            "energy of cat maps on the face",
            "A hand-marked face box holds more of the energy of cat maps than of the area "
            "(interval over seeds above 0).",
            SINCE,
            Timing.AFTER,
            energy,
            _measured("energy"),
        ),
        Condition(
            "cat-face.control",
            "more on the face than in the centre",
            "The face box holds more of the energy of cat maps than an equal box in the image's "
            "centre (interval over seeds above 0).",
            SINCE,
            Timing.AFTER,
            over_centre,
            _measured("face_minus_centre"),
        ),
        Condition(
            "cat-face.removal",
            "probability lost without the face",
            "Removing the face box costs the class cat more probability than removing an equal "
            "box elsewhere on the estimated foreground (interval over seeds above 0).",
            SINCE,
            Timing.AFTER,
            removal,
            _measured("removal"),
        ),
    ),
)
