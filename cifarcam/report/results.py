"""Rows of the tables, and titles of the pictures, of the chapter on experimental results."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from cifarcam.evaluation import Calibration
from cifarcam.report.page import interval
from cifarcam.studies import inference
from cifarcam.studies.calibration import VALIDATION, Scaled
from cifarcam.studies.claims import Claim, Finding
from cifarcam.studies.classes import ClassScores, Pair
from cifarcam.studies.networks import LONG, SHORT
from cifarcam.studies.wording import capital

ACCURACY_HEADER = ("Network", "Training, as logged", "Training", "Validation", "Test")
PAIR_HEADER = ("Pair", "First as second", "Second as first", "Share of mistakes (%)", "Rank")
SCORE_HEADER = ("Class", "Precision (%)", "Recall (%)", "F1 (%)", "Images")
CALIBRATION_HEADER = (
    "Network",
    "Seeds",
    "Fitted on",
    "Temperature",
    "Error (points)",
    "Error, scaled",
    "Loss (nats)",
    "Loss, scaled",
)
VERDICT_HEADER = ("Condition", "Verdict", "Effect", "Unit")
NONE = "–"
DOUBT = "label in doubt"

# Experiments by display name.
NETWORKS: Mapping[str, str] = {
    "baseline": "Baseline",
    "baseline-early-stopping": "Baseline, stopped early",
    **{experiment: capital(_name) for _name, experiment in SHORT.items()},
    **{experiment: f"{capital(_name)}, long" for _name, experiment in LONG.items()},
    "resnet18-imagenet-stem": "ResNet-18, large-image layers",  # of the check of ROAD
}


def accuracy_rows(
    experiments: Mapping[str, Sequence[Mapping[str, Mapping[str, float]]]],
) -> list[list[str]]:
    """Rows of the accuracies under `ACCURACY_HEADER`, the original's values last.

    Parameters
    ----------
    experiments
        By display name, the metrics of each seed, as `cifarcam.runs.Run.metrics`.
    """
    rows = [
        [
            name,
            *(
                interval(
                    inference.over_seeds([100 * one[split]["accuracy"] for one in seeds], "%"),
                    1,
                    signed=False,
                )
                for split in ("train_kept_logged", "train", "validation", "test")
            ),
        ]
        for name, seeds in experiments.items()
    ]
    rows.append(["Original, epoch 50", "94.9", NONE, NONE, "71.5"])
    rows.append(["Original, its Table 1", "70–80", NONE, NONE, "65–75"])
    return rows


def verdict_rows(claims: Sequence[Claim], findings: Mapping[str, Finding]) -> list[list[str]]:
    """Rows of the conditions of some claims under `VERDICT_HEADER`.

    Parameters
    ----------
    claims
        Claims; those of which no condition is among `findings` have no row.
    findings
        Findings by the id of their condition.
    """
    return [
        [
            condition.label,
            f"**{finding.verdict}**",
            NONE
            if finding.effect is None
            else interval(finding.effect, signed=finding.effect.null == 0),
            NONE if finding.effect is None else finding.effect.unit,
        ]
        for claim in claims
        for condition in claim.conditions
        if (finding := findings.get(condition.id)) is not None
    ]


def pair_rows(pairs: Sequence[Pair]) -> list[list[str]]:
    """Rows of confused pairs under `PAIR_HEADER`."""
    return [
        [
            f"{pair.first} – {pair.second}",
            f"{pair.first_as_second:.0f}",
            f"{pair.second_as_first:.0f}",
            interval(pair.share, 1, signed=False),
            f"{pair.best_rank}"
            if pair.best_rank == pair.worst_rank
            else f"{pair.best_rank} to {pair.worst_rank}",
        ]
        for pair in pairs
    ]


def score_rows(scores: Sequence[ClassScores]) -> list[list[str]]:
    """Rows of the classification report under `SCORE_HEADER`."""
    return [
        [
            one.name,
            *(interval(effect, 1, signed=False) for effect in (one.precision, one.recall, one.f1)),
            f"{one.images:,}",
        ]
        for one in scores
    ]


def reliability_panels(
    scaled: Sequence[Scaled], experiments: Sequence[str]
) -> dict[str, tuple[Calibration, Calibration]]:
    """Calibration of seed 0 of some experiments before and after scaling, by display name."""
    return {
        NETWORKS.get(one.experiment, one.experiment): (one.before, one.after)
        for experiment in experiments
        for one in scaled
        if (one.experiment, one.seed) == (experiment, 0)
    }


def calibration_rows(scaled: Sequence[Scaled]) -> list[list[str]]:
    """Rows of the calibration of each network under `CALIBRATION_HEADER`, means over seeds.

    Parameters
    ----------
    scaled
        Runs, grouped by experiment; the least calibrated experiment comes first.
    """
    groups: dict[str, list[Scaled]] = {}
    for one in scaled:
        groups.setdefault(one.experiment, []).append(one)
    ordered = sorted(groups.values(), key=_error, reverse=True)
    return [
        [
            NETWORKS.get(seeds[0].experiment, seeds[0].experiment),
            str(len(seeds)),
            _fitted_on(seeds),
            f"{np.mean([one.temperature for one in seeds]):.2f}",
            f"{_error(seeds):.1f}",
            f"{np.mean([100 * one.after.error for one in seeds]):.1f}",
            f"{np.mean([one.loss_before for one in seeds]):.3f}",
            f"{np.mean([one.loss_after for one in seeds]):.3f}",
        ]
        for seeds in ordered
    ]


def mistake_titles(
    indices: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    names: Sequence[str],
    doubtful: Collection[int],
) -> list[str]:
    """Titles of wrongly classified images: true and predicted class, probability, doubt.

    Parameters
    ----------
    indices
        Indices of the images.
    labels, probabilities
        Of all images, N and N x C.
    names
        C class names.
    doubtful
        Indices of the images whose label is in doubt.
    """
    titles = []
    for index in indices:
        seen = probabilities[index].argmax()
        title = f"{names[labels[index]]} as {names[seen]}\n{_percent(probabilities[index][seen])}"
        titles.append(f"{title}\n{DOUBT}" if index in doubtful else title)
    return titles


def _percent(probability: float) -> str:
    """A probability in percent, with more digits near 100%."""
    if probability > 0.99999:
        return "over 99.999%"
    return f"{probability:.3%}" if probability > 0.999 else f"{probability:.1%}"


def _fitted_on(seeds: Sequence[Scaled]) -> str:
    """Which images the temperatures of an experiment were fitted on, in a word."""
    images = {one.fitted_on for one in seeds}
    if len(images) > 1:
        return "validation, test halves"
    return "validation" if images == {VALIDATION} else "test halves"


def _error(seeds: Sequence[Scaled]) -> float:
    """Mean calibration error before scaling, points."""
    return float(np.mean([100 * one.before.error for one in seeds]))
