"""Claims on explanation methods beside Grad-CAM, and on what explaining costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cifarcam.studies import comparison, inference
from cifarcam.studies.claims.base import (
    FEWEST_SEEDS,
    Claim,
    Condition,
    Finding,
    Timing,
    Verdict,
    sentence_of,
    verdict_of,
)
from cifarcam.studies.claims.sources import Sources
from cifarcam.studies.wording import number


def complement(road: Sequence[Mapping[str, np.ndarray]], other: str) -> Finding:
    """Judge whether Grad-CAM's map and another method's map are better together than alone.

    Parameters
    ----------
    road
        ROAD of each seed: values for each image by map, among them ``"grad-cam"``, `other`, and
        ``"grad-cam+<other>"``, the mean of the two maps, each divided by its sum.
    other
        The other method, ``"lime"`` or ``"shap"``.
    """
    both = f"grad-cam+{other}"
    seeds = [values for values in road if both in values]
    name = comparison.title(other)
    if not seeds:
        sentence = f"We did not measure the mean of Grad-CAM's and {name}'s maps."
        return Finding(Verdict.NOT_TESTED, sentence, "no measurement")
    gains = [_gain(values, both, other) for values in seeds]
    effect = inference.over_seeds(gains, "ROAD")
    verdict = verdict_of(effect)
    amount = f"({number(effect.value, 3, signed=True)} in ROAD)"
    if effect.count < FEWEST_SEEDS:
        sentence = (
            f"Too few seeds are measured to say whether {name} complements Grad-CAM {amount}."
        )
    else:
        sentence = sentence_of(
            verdict,
            reproduced=f"{name} complements Grad-CAM: the mean of both maps follows the network "
            f"better than the better map alone {amount}.",
            contradicted=f"{name} does not complement Grad-CAM: the mean of both maps follows the "
            f"network less well than the better map alone {amount}.",
            undecided=f"We cannot tell whether {name} complements Grad-CAM: seeds do not tell the "
            f"mean of both maps from the better map alone {amount}.",
        )
    images = min(len(values[both]) for values in seeds)
    basis = f"{len(seeds)} seeds of the baseline, {images} test images each"
    return Finding(verdict, sentence, basis, effect, tuple(gains))


def _gain(values: Mapping[str, np.ndarray], both: str, other: str) -> float:
    """ROAD of the mean map minus that of the better of the two, over the images of all three."""
    count = len(values[both])
    alone = max(float(np.mean(values[name][:count])) for name in ("grad-cam", other))
    return float(np.mean(values[both])) - alone


def no_cost() -> Finding:
    """A heatmap is computed from a finished network and changes no weight."""
    return Finding(
        Verdict.NOT_TESTED,
        "Explaining costs no accuracy by construction, because a heatmap changes no weight of the "
        "network.",
        "no measurement",
    )


def _road(sources: Sources, other: str) -> tuple[list[dict[str, np.ndarray]], str]:
    networks = comparison.baselines(sources.record("faithfulness"))
    return [comparison.values_of(network, comparison.PRIMARY) for network in networks], other


def _complement(other: str) -> Condition:
    name = comparison.title(other)
    return Condition(
        f"methods-complement.{other}",
        f"{name} complements Grad-CAM",
        f"The mean of Grad-CAM's and {name}'s maps, each divided by its sum, has a higher ROAD than "
        "the better of the two maps alone: the interval over seeds, in pairs on the same images, "
        "lies above zero.",
        "2026-11-26",
        Timing.WITH,
        complement,
        lambda sources: _road(sources, other),
    )


METHODS = Claim(
    "methods-complement",
    "LIME and SHAP complement Grad-CAM.",
    "Summary and conclusion, recommendations",
    (_complement("lime"), _complement("shap")),
)

COST = Claim(
    "no-accuracy-cost",
    "Explaining costs no accuracy.",
    "Explanation with Grad-CAM",
    (
        Condition(
            "no-accuracy-cost",
            "explaining costs no accuracy",
            "Not judged: a heatmap changes no weight of the network.",
            "2026-11-26",
            Timing.AFTER,
            no_cost,
            lambda sources: (),
        ),
    ),
)

CLAIMS = (METHODS, COST)
