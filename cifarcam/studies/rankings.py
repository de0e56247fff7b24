"""The order of explanation methods: its stability over seeds and networks, and what to recommend."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy import stats

from cifarcam.studies import inference
from cifarcam.studies.comparison import (
    PRIMARY,
    Values,
    baselines,
    methods,
    paired,
    title,
    values_of,
)
from cifarcam.studies.inference import FEWEST_SEEDS, Effect
from cifarcam.studies.wording import capital, number, seeds_text

STABLE = 0.8  # an order of methods is stable where the mean rank correlation is at least this


@dataclass(frozen=True)
class Stability:
    """How alike the order of methods is between seeds and between networks.

    Attributes
    ----------
    seeds, networks
        Mean rank correlation (Spearman, equal values share their mean rank) of the methods' mean
        ROAD over pairs of seeds of one network, and over pairs of different networks; NaN where
        there is no pair.
    seeds_least, networks_least
        The least of them.
    seeds_kendall, networks_kendall
        Means of Kendall's tau-b over the same pairs.
    seed_pairs, network_pairs
        Numbers of pairs.
    methods
        Number of methods that all networks have.
    sentence
        The finding.
    """

    seeds: float
    networks: float
    seeds_least: float
    networks_least: float
    seeds_kendall: float
    networks_kendall: float
    seed_pairs: int
    network_pairs: int
    methods: int
    sentence: str


def stability(experiments: Sequence[str], means: np.ndarray) -> Stability:
    """Compare the order of methods between seeds and between networks.

    Parameters
    ----------
    experiments
        The experiment of each network; networks of the same experiment differ by seed.
    means
        Networks x methods.
    """
    within: list[tuple[float, float]] = []
    between: list[tuple[float, float]] = []
    for one, other in combinations(range(len(experiments)), 2):
        pair = (
            float(stats.spearmanr(means[one], means[other]).statistic),
            float(stats.kendalltau(means[one], means[other]).statistic),
        )
        (within if experiments[one] == experiments[other] else between).append(pair)
    seeds, networks = _columns(within), _columns(between)
    mean_within, mean_between = float(seeds[0].mean()), float(networks[0].mean())
    if math.isnan(mean_within) or math.isnan(mean_between):
        sentence = "Too few networks are measured to compare the order of the methods."
    elif mean_within >= STABLE and mean_between >= STABLE:
        sentence = (
            "The order of the methods is stable between seeds and between networks (mean rank "
            f"correlations {number(mean_within, 2)} and {number(mean_between, 2)})."
        )
    elif mean_within >= STABLE:
        sentence = (
            "The order of the methods is stable between seeds of one network but changes between "
            f"networks (mean rank correlations {number(mean_within, 2)} and {number(mean_between, 2)})."
        )
    else:
        sentence = (
            "The order of the methods already changes between seeds of one network (mean rank "
            f"correlation {number(mean_within, 2)}, and {number(mean_between, 2)} between networks)."
        )
    return Stability(
        mean_within,
        mean_between,
        float(seeds[0].min()),
        float(networks[0].min()),
        float(seeds[1].mean()),
        float(networks[1].mean()),
        len(within),
        len(between),
        means.shape[1],
        sentence,
    )


def _columns(pairs: list[tuple[float, float]]) -> np.ndarray:
    return np.array(pairs).T if pairs else np.full((2, 1), np.nan)


@dataclass(frozen=True)
class Recommendation:
    """The method with the highest mean ROAD over seeds, compared with the next.

    Attributes
    ----------
    best, following
        Titles of the two.
    best_name
        The first one's name in `explain.METHODS`.
    effect
        Their difference of ROAD over seeds, paired by seed.
    decided
        Whether the difference is beyond chance over seeds.
    cheapest
        Title of the cheapest method that no test over seeds tells from the best, or of the best.
    cheapest_name, cheapest_milliseconds, best_milliseconds
        Its name, and processor time of an image.
    sentence, cheap
        The finding, and what it says of the time that an image takes.
    """

    best: str
    following: str
    best_name: str
    effect: Effect
    decided: bool
    cheapest: str
    cheapest_name: str
    cheapest_milliseconds: float
    best_milliseconds: float
    sentence: str
    cheap: str


def recommended(seeds: Sequence[Values], milliseconds: Mapping[str, float]) -> Recommendation:
    """Recommend a method by ROAD, where seeds tell the best from the next.

    Parameters
    ----------
    seeds
        ROAD of each seed.
    milliseconds
        Processor time of an image by method.
    """
    names = methods(list(seeds[0]))
    means = {name: np.array([np.nanmean(values[name]) for values in seeds]) for name in names}
    best, following, *others = sorted(names, key=lambda name: -means[name].mean())
    # Pairs of the same images: a slow method was measured on fewer.
    effects = {
        name: inference.over_seeds(
            [paired(values[best], values[name]).value for values in seeds], ""
        )
        for name in (following, *others)
    }
    alike = [name for name, effect in effects.items() if not _is_above(effect)]
    cheapest = min([best, *alike], key=lambda name: milliseconds[name])
    return Recommendation(
        best=title(best),
        following=title(following),
        best_name=best,
        effect=effects[following],
        decided=_is_above(effects[following]),
        cheapest=title(cheapest),
        cheapest_name=cheapest,
        cheapest_milliseconds=milliseconds[cheapest],
        best_milliseconds=milliseconds[best],
        sentence=_recommendation(title(best), title(following), effects[following]),
        cheap=_cheapest(best, cheapest, milliseconds),
    )


def _is_above(effect: Effect) -> bool:
    """Whether seeds tell the difference from zero, and it is positive."""
    return effect.count >= FEWEST_SEEDS and effect.low > 0


def _recommendation(best: str, following: str, effect: Effect) -> str:
    """Whether the best method is recommended; both by their titles."""
    seeds = seeds_text(effect.count)
    if effect.count < FEWEST_SEEDS:
        return (
            f"{capital(best)} has the highest ROAD, but {seeds} "
            f"{'is' if effect.count == 1 else 'are'} too few for a recommendation."
        )
    gap = effect.text(3, signed=True)
    if _is_above(effect):
        return (
            f"We recommend {best} for this network: its ROAD is higher than the ROAD of {following}, "
            f"the next method ({gap} over {seeds})."
        )
    return (
        f"We recommend no single method: {best} has the highest ROAD, but seeds do not tell it from "
        f"{following} ({gap} over {seeds})."
    )


def _cheapest(best: str, cheapest: str, milliseconds: Mapping[str, float]) -> str:
    """Which of the methods that seeds do not tell from the best takes the least time."""
    if cheapest == best:
        return (
            f"{capital(title(best))} is also the cheapest of the methods whose ROAD is not measurably "
            "lower."
        )
    times = f"{milliseconds[cheapest]:.1f} against {milliseconds[best]:.1f} ms an image"
    return (
        f"Among the methods whose ROAD is not measurably lower than the ROAD of {title(best)}, "
        f"{title(cheapest)} is the cheapest ({times})."
    )


def common_methods(record: Mapping[str, Any]) -> list[str]:
    """The methods that were measured for every network of the faithfulness record."""
    networks = record["networks"]
    return methods([n for n in networks[0]["maps"] if all(n in one["maps"] for one in networks)])


def primary_means(record: Mapping[str, Any]) -> np.ndarray:
    """Mean ROAD of the `common_methods`, networks x methods."""
    names = common_methods(record)
    values = [values_of(one, PRIMARY) for one in record["networks"]]
    return np.array([[np.nanmean(of[name]) for name in names] for of in values])


def order_correlations(means: np.ndarray) -> np.ndarray:
    """Spearman's rank correlations of the methods between all pairs of networks, N x N."""
    ranks = stats.rankdata(means, axis=1)
    return np.corrcoef(ranks)


def milliseconds(record: Mapping[str, Any]) -> dict[str, float]:
    """Processor time of an image by method, for the baseline of the first seed."""
    maps = baselines(record)[0]["maps"]
    return {name: maps[name]["cpu_milliseconds"] for name in methods(list(maps))}
