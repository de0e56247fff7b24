"""Explanation methods compared with each other and with controls, from values for each image.

ROAD is the primary metric: it was fixed before the networks were measured. Differences are paired by
image, and Holm's correction covers all comparisons of one network and one metric. A map that knows
nothing of the network is a *control*: the random map, the centre blob, and for a method that
explains pixels a blurred copy of its own map.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from cifarcam import explain
from cifarcam.errors import CifarcamError
from cifarcam.studies import inference
from cifarcam.studies.inference import Effect
from cifarcam.studies.packing import unpacked
from cifarcam.studies.wording import capital, listed, seeds_text

PRIMARY = "road"
BETTER: Mapping[str, int] = {"road": 1, "deletion": -1, "insertion": 1, "mu-fidelity": 1}
METRICS: Mapping[str, str] = {
    "road": "ROAD",
    "deletion": "deletion",
    "insertion": "insertion",
    "mu-fidelity": "MuFidelity",
}
HEADLINE = ("road", "deletion", "insertion")
CONTROLS = ("random", "centre")
CONTROL_NOUNS: Mapping[str, tuple[str, str]] = {  # for one method, and for several
    "random": ("the random map", "the random map"),
    "centre": ("the centre blob", "the centre blob"),
    "blurred": ("its blurred copy", "their blurred copies"),
}
FEW = 3  # a sentence names at most as many methods
ALPHA = 0.05

# Values by map, one for each image, of one network and one metric. A map of fewer images has the
# first of them.
Values = Mapping[str, np.ndarray]


def title(name: str) -> str:
    """The name of a map in text: ``"SmoothGrad"``, ``"SmoothGrad, blurred"``, ``"Grad-CAM and LIME"``."""
    if name in explain.METHODS:
        return explain.METHODS[name].title
    if name.endswith("-blurred"):
        return f"{title(name.removesuffix('-blurred'))}, blurred"
    return " and ".join(map(title, name.split("+")))


def methods(names: Sequence[str]) -> list[str]:
    """The explanation methods among the names of maps: no control, copy or mean of two."""
    return [name for name in names if name in explain.METHODS and name not in CONTROLS]


def values_of(network: Mapping[str, Any], metric: str) -> dict[str, np.ndarray]:
    """`Values` of one network of the faithfulness record."""
    return {name: unpacked(entry["values"][metric]) for name, entry in network["maps"].items()}


def baselines(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The baseline's networks of the faithfulness record, by seed."""
    networks = record["networks"]
    return [one for one in networks if one["experiment"] == "baseline"]


def paired(first: np.ndarray, second: np.ndarray) -> Effect:
    """The mean of `first` minus `second` over the images that both have, with a paired t test.

    Parameters
    ----------
    first, second
        Values of the same images from the first on; NaN where undefined.

    Raises
    ------
    CifarcamError
        When fewer than two images have both values.
    """
    count = min(len(first), len(second))
    differences = np.asarray(first[:count], np.float64) - second[:count]
    differences = differences[~np.isnan(differences)]
    if len(differences) < 2:
        raise CifarcamError(f"{len(differences)} images have both values; give at least two")
    mean = float(differences.mean())
    if np.ptp(differences) == 0:
        p, half = (1.0 if mean == 0 else 0.0), 0.0
    else:
        error = float(differences.std(ddof=1)) / math.sqrt(len(differences))
        p = float(2 * stats.t.sf(abs(mean) / error, len(differences) - 1))
        half = float(stats.t.ppf((1 + inference.LEVEL) / 2, len(differences) - 1)) * error
    return Effect(
        mean, mean - half, mean + half, "", "test images", len(differences), "paired t", p
    )


@dataclass(frozen=True)
class Comparison:
    """A map compared with another over the images of one network by one metric.

    Attributes
    ----------
    name, against
        The two maps.
    effect
        The first minus the second, paired by image.
    p
        Adjusted by Holm within the family.
    outcome
        1 where the first is better, -1 where it is worse, 0 where the test does not tell.
    """

    name: str
    against: str
    effect: Effect
    p: float
    outcome: int


def compared(
    values: Values, pairs: Sequence[tuple[str, str]], metric: str
) -> tuple[Comparison, ...]:
    """Compare pairs of maps as one family of tests."""
    effects = [paired(values[name], values[against]) for name, against in pairs]
    adjusted = inference.holm([effect.p for effect in effects])
    return tuple(
        Comparison(name, against, effect, float(p), _outcome(effect.value, p, metric))
        for (name, against), effect, p in zip(pairs, effects, adjusted, strict=True)
    )


def _outcome(difference: float, p: float, metric: str) -> int:
    return 0 if p >= ALPHA else int(np.sign(BETTER[metric] * difference))


def against_controls(values: Values, metric: str) -> tuple[Comparison, ...]:
    """Compare every method with the random map, the centre blob and its blurred copy, if any."""
    pairs = [
        (name, control)
        for name in methods(list(values))
        for control in (*CONTROLS, f"{name}-blurred")
        if control in values
    ]
    return compared(values, pairs, metric)


def agreed(by_seed: Sequence[Sequence[Comparison]]) -> tuple[Comparison, ...]:
    """The first seed's comparisons, the outcome 0 wherever seeds disagree on it."""
    return tuple(
        one[0] if len({c.outcome for c in one}) == 1 else replace(one[0], outcome=0)
        for one in zip(*by_seed, strict=True)
    )


def _agreed_against_controls(seeds: Sequence[Values], metric: str) -> tuple[Comparison, ...]:
    return agreed([against_controls(values, metric) for values in seeds])


def control_findings(record: Mapping[str, Any]) -> dict[str, AgainstControl]:
    """`AgainstControl` of the baseline, outcomes on which all seeds agree: ``"road.centre"``."""
    findings = {}
    for metric in METRICS:
        seeds = [values_of(one, metric) for one in baselines(record)]
        comparisons = _agreed_against_controls(seeds, metric)
        for control in CONTROL_NOUNS:
            findings[f"{metric}.{control}"] = against_control(comparisons, control, metric)
    return findings


@dataclass(frozen=True)
class AgainstControl:
    """How the methods fare against one control, for one network and one metric.

    Attributes
    ----------
    better, worse, open
        Number of methods that are better, worse, or not told from the control.
    count
        Number of methods.
    sentence
        The finding.
    """

    better: int
    worse: int
    open: int
    count: int
    sentence: str


def against_control(comparisons: Sequence[Comparison], control: str, metric: str) -> AgainstControl:
    """Summarise the comparisons with one control, ``"random"``, ``"centre"`` or ``"blurred"``."""
    of_control = [c for c in comparisons if c.against == control or c.against.endswith(control)]
    better = [title(c.name) for c in of_control if c.outcome > 0]
    worse = [title(c.name) for c in of_control if c.outcome < 0]
    undecided = [title(c.name) for c in of_control if c.outcome == 0]
    count, missing = len(of_control), [*worse, *undecided]
    noun, copies = CONTROL_NOUNS[control]
    which = "method that explains pixels" if control == "blurred" else "method"
    by = f"according to {METRICS[metric]}"
    if not count:
        sentence = f"No {which} was compared with {noun}."
    elif len(better) == count:
        sentence = f"Every {which} beats {noun} {by}."
    elif not better:
        sentence = f"No {which} beats {noun} {by}."
    elif len(missing) <= FEW and len(missing) <= len(better):
        sentence = f"Every {which} beats {noun} {by}, except {listed(missing)}."
    elif len(better) == 1:
        sentence = f"Only {better[0]} beats {noun} {by}."
    elif len(better) <= FEW:
        sentence = f"Only {listed(better)} beat {copies} {by}."
    else:
        sentence = f"Of the {count} {which.replace('method', 'methods')}, {len(better)} beat {copies} {by}."
    if len(worse) == count > 1:
        sentence += f" All of them are worse than {copies}."
    elif len(worse) == 1:
        sentence += f" {capital(worse[0])} is worse than {noun}."
    elif 1 < len(worse) <= FEW:
        sentence += f" {capital(listed(worse))} are worse than {copies}."
    elif worse:
        sentence += f" {len(worse)} methods are worse than {copies}."
    return AgainstControl(len(better), len(worse), len(undecided), count, sentence)


@dataclass(frozen=True)
class Blob:
    """One method against the centre blob over the baseline's seeds and three metrics.

    Attributes
    ----------
    seeds, metrics, comparisons
        Numbers.
    better, worse, open
        Number of comparisons in which the method is better, worse, or not told from the blob, with
        Holm's correction over all of them.
    effect
        The mean difference of ROAD over seeds, method minus blob.
    sentence
        The finding.
    table
        Comparisons by metric and seed: each the outcome of `compared`.
    """

    seeds: int
    metrics: int
    comparisons: int
    better: int
    worse: int
    open: int
    effect: Effect
    sentence: str
    table: Mapping[str, tuple[Comparison, ...]]


def against_blob(by_metric: Mapping[str, Sequence[Values]], method: str = "grad-cam") -> Blob:
    """Compare a method with the centre blob, seed by seed and metric by metric.

    Parameters
    ----------
    by_metric
        `Values` of each seed, by metric; one of them `PRIMARY`.
    method
        The method.
    """
    effects = {
        metric: [paired(values[method], values["centre"]) for values in seeds]
        for metric, seeds in by_metric.items()
    }
    flat = [(metric, effect) for metric, each in effects.items() for effect in each]
    adjusted = inference.holm([effect.p for _, effect in flat])
    comparisons = [
        (metric, Comparison(method, "centre", e, float(p), _outcome(e.value, p, metric)))
        for (metric, e), p in zip(flat, adjusted, strict=True)
    ]
    outcomes = [comparison.outcome for _, comparison in comparisons]
    better, worse, count = outcomes.count(1), outcomes.count(-1), len(outcomes)
    seeds = len(by_metric[PRIMARY])
    blob = "a blob in the centre of every image"
    all_of_them = f"{count} comparisons ({len(by_metric)} metrics and {seeds_text(seeds)})"
    if better == count:
        finding = f"beats {blob} in all {all_of_them}"
    elif better == worse == 0:
        finding = (
            f"is neither measurably better nor measurably worse than {blob} in any of {all_of_them}"
        )
    elif better == 0:
        finding = f"never beats {blob} and is worse in {worse} of {all_of_them}"
    elif worse == 0:
        finding = f"beats {blob} in {better} of {all_of_them} and is worse in none"
    else:
        finding = f"beats {blob} in {better} of {all_of_them} and is worse in {worse}"
    sentence = f"{title(method)} {finding}."
    return Blob(
        seeds,
        len(by_metric),
        count,
        better,
        worse,
        count - better - worse,
        inference.over_seeds([effect.value for effect in effects[PRIMARY]], ""),
        sentence,
        {m: tuple(c for metric, c in comparisons if metric == m) for m in by_metric},
    )


def beating_everywhere(by_metric: Mapping[str, Sequence[Values]]) -> str:
    """A sentence on the methods that beat the centre blob by every metric, see `control_findings`."""
    names = methods(list(by_metric[PRIMARY][0]))
    better = [_beating_the_blob(seeds, metric) for metric, seeds in by_metric.items()]
    always = [title(name) for name in names if all(name in some for some in better)]
    count = len(by_metric[PRIMARY])
    seeds = "the single seed" if count == 1 else f"all {count} seeds"
    metrics = listed([METRICS[metric] for metric in by_metric])
    rest = f"the centre blob according to {metrics} with {seeds}."
    if not always:
        return f"No method beats {rest}"
    if len(always) == len(names):
        return f"Every method beats {rest}"
    return f"Only {listed(always)} {'beats' if len(always) == 1 else 'beat'} {rest}"


def _beating_the_blob(seeds: Sequence[Values], metric: str) -> set[str]:
    comparisons = _agreed_against_controls(seeds, metric)
    return {c.name for c in comparisons if c.against == "centre" and c.outcome > 0}


def mean_over_images(values: np.ndarray, null: float = 0.0) -> Effect:
    """The mean of a map's values over images with Student's interval, NaN left out."""
    effect = paired(values, np.full(len(values), null))
    return Effect(
        effect.value + null,
        effect.low + null,
        effect.high + null,
        "",
        "test images",
        effect.count,
        "Student's t",
        effect.p,
        null,
    )


def headline_values(record: Mapping[str, Any]) -> dict[str, list[dict[str, np.ndarray]]]:
    """`Values` of the baseline's seeds by metric of the headline: ROAD, deletion, insertion."""
    networks = baselines(record)
    return {metric: [values_of(one, metric) for one in networks] for metric in HEADLINE}
