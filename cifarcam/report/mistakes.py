"""Bars, pictures and tables of whose mistakes the networks' mistakes are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cifarcam import runs
from cifarcam.data import Dataset
from cifarcam.data.evidence import LabelVotes
from cifarcam.figures.mistakes import PictureGroup
from cifarcam.report.page import interval
from cifarcam.runs import Run
from cifarcam.studies.agreement import Suspects
from cifarcam.studies.hardest import Hardest
from cifarcam.studies.labels import Search
from cifarcam.studies.mistakes import KINDS, Evidence, Sorted
from cifarcam.studies.networks import LONG, SHORT
from cifarcam.studies.peers import Likeness, PairShare
from cifarcam.studies.relabelled import Followed, Rescored
from cifarcam.studies.sure import Shown, SureMistakes
from cifarcam.studies.wording import capital

NONE = "–"
CHANCE = "any image, any wrong class"
FOLLOWED_HEADER = (
    "Network",
    "Corrected (%)",
    "Undecided (%)",
    "Confirmed (%)",
    "Not confirmed minus confirmed",
)
RESCORED_HEADER = (
    "Network",
    "All images (%)",
    "Not confirmed left out (%)",
    "Gain",
    "With corrections (%)",
    "Gain",
)
LIKENESS_HEADER = (
    "Network",
    "Accuracy (%)",
    "Consistency with published networks",
    "Consistency of its seeds",
    "Same wrong class (%)",
    "By confusions alone (%)",
)
SORTED_HEADER = ("Network", "Mistakes", *(f"{kind} (%)".capitalize() for kind in KINDS))
SURE_HEADER = ("Network", "Predictions above 99%", "Mistakes", *map(str.capitalize, KINDS))


def networks() -> dict[str, list[Run]]:
    """All seeds of the networks whose mistakes are sorted, on CIFAR-10, by display name."""
    experiments = {"baseline": "baseline", **LONG, "speedrun": "speedrun"}
    return {name: runs.at_hand(experiment) for name, experiment in experiments.items()}


def all_runs() -> list[Run]:
    """All runs on CIFAR-10 of this report's networks, whichever dataset the page is made from."""
    names = ("baseline", "baseline-early-stopping", *LONG.values(), *SHORT.values())
    return [run for name in dict.fromkeys(names) for run in runs.at_hand(name)]


def bars(rows: Sequence[Sorted], chance: np.ndarray) -> dict[str, list[float]]:
    """Shares of the kinds for `figures.stacked_shares`: chance, then the networks."""
    return {CHANCE: chance.tolist()} | {
        row.name: [effect.value for effect in row.shares] for row in rows
    }


def sorted_rows(rows: Sequence[Sorted], chance: np.ndarray) -> list[list[str]]:
    """Rows under `SORTED_HEADER`: chance, then the networks from the least accurate on."""
    first = [CHANCE.capitalize(), NONE, *(f"{share:.1f}" for share in chance)]
    return [
        first,
        *(
            [
                capital(row.name),
                f"{row.mistakes:,.0f}",
                *(f"{one.value:.1f} ± {(one.high - one.low) / 2:.1f}" for one in row.shares),
            ]
            for row in rows
        ),
    ]


def largest_deviation(rows: Sequence[Sorted]) -> float:
    """The largest standard deviation of a share from seed to seed, points."""
    return float(np.nanmax([row.deviations for row in rows]))


def sure_rows(rows: Sequence[SureMistakes]) -> list[list[str]]:
    """Rows under `SURE_HEADER`: means over seeds, the least accurate network first."""
    return [
        [
            capital(row.name),
            f"{row.predictions:,.0f}",
            f"{row.mistakes:.1f}",
            *(f"{count:.1f}" for count in row.counts),
        ]
        for row in rows
    ]


def followed_rows(rows: Sequence[Followed]) -> list[list[str]]:
    """Rows under `FOLLOWED_HEADER`."""
    return [
        [
            capital(row.name),
            f"{row.corrected.value:.0f}",
            f"{row.undecided.value:.0f}",
            f"{row.confirmed.value:.0f}",
            interval(row.difference, 0),
        ]
        for row in rows
    ]


def rescored_rows(rows: Sequence[Rescored]) -> list[list[str]]:
    """Rows under `RESCORED_HEADER`."""
    return [
        [
            capital(row.name),
            f"{row.accuracy.value:.2f}",
            f"{row.without.value:.2f}",
            interval(row.gain_without, 2),
            f"{row.corrected.value:.2f}",
            interval(row.gain_corrected, 2),
        ]
        for row in rows
    ]


def pair_header(shares: Sequence[PairShare], chosen: Sequence[str]) -> tuple[str, ...]:
    """The header of `pair_rows`, which shows these networks of ours."""
    return ("Pair", f"Published, mean of {shares[0].networks} (range)", *map(capital, chosen))


def pair_rows(shares: Sequence[PairShare], chosen: Sequence[str]) -> list[list[str]]:
    """Rows of the pairs' shares of the mistakes, in percent."""
    return [
        [
            capital(one.pair),
            f"{one.published:.1f} ({one.lowest:.1f} to {one.highest:.1f})",
            *(f"{one.ours[name]:.1f}" for name in chosen),
        ]
        for one in shares
    ]


def likeness_rows(rows: Sequence[Likeness]) -> list[list[str]]:
    """Rows under `LIKENESS_HEADER`."""
    return [
        [
            capital(row.name),
            f"{row.accuracy:.1f}",
            f"{row.consistency:.2f}",
            NONE if np.isnan(row.consistency_of_seeds) else f"{row.consistency_of_seeds:.2f}",
            f"{row.same:.0f}",
            f"{row.same_expected:.0f}",
        ]
        for row in rows
    ]


def sure_pictures(groups: Sequence[Shown], dataset: Dataset) -> list[PictureGroup]:
    """Sure mistakes by kind for `figures.picture_groups`; none on the sample, whose images differ."""
    if dataset.is_sample:
        return []
    names, labels = dataset.class_names, dataset.test.labels
    return [
        PictureGroup(
            f"{capital(KINDS[group.kind])}: {_counted(len(group.indices), group.count)}",
            dataset.test.images[group.indices],
            [
                _title(names[labels[index]], names[predicted])
                for index, predicted in zip(group.indices, group.predicted, strict=True)
            ],
        )
        for group in groups
    ]


def search_pictures(
    result: Search, suspects: Suspects, votes: LabelVotes, dataset: Dataset, most: int
) -> list[PictureGroup]:
    """What only networks suspect, and what only people doubt; none on the sample.

    Parameters
    ----------
    result
        The two lists.
    suspects
        The networks' list, with the classes that they agree on.
    votes
        What people said.
    dataset
        The images.
    most
        The most pictures of each of the two.
    """
    if dataset.is_sample:
        return []
    names, labels = dataset.class_names, dataset.test.labels
    suggested = dict(zip(votes.images.tolist(), votes.suggested.tolist(), strict=True))
    predicted = dict(zip(suspects.indices.tolist(), suspects.classes.tolist(), strict=True))
    unlisted, missed = result.unlisted[:most], result.missed[:most]
    return [
        PictureGroup(
            f"Contradicted by all good networks, not among the {len(votes.images)} candidates: "
            + _counted(len(unlisted), result.unlisted_count),
            dataset.test.images[unlisted],
            [_title(names[labels[index]], names[predicted[int(index)]]) for index in unlisted],
        ),
        PictureGroup(
            "Not confirmed by the five people, not found by the networks: "
            + _counted(len(missed), result.missed_count),
            dataset.test.images[missed],
            [_title(names[labels[index]], names[suggested[int(index)]]) for index in missed],
        ),
    ]


def hardest_pictures(hardest: Hardest, people: Evidence, dataset: Dataset) -> list[PictureGroup]:
    """Images that all networks get wrong, by whether people doubt the label; none on the sample."""
    if dataset.is_sample:
        return []
    names, labels = dataset.class_names, dataset.test.labels
    doubted = np.isin(hardest.indices, people.doubted)
    return [
        PictureGroup(
            f"{heading}: {_counted(len(part), len(part))}",
            dataset.test.images[part],
            [names[labels[index]] for index in part],
        )
        for heading, part in (
            ("Label doubted by people", hardest.indices[doubted]),
            ("Label not doubted by people", hardest.indices[~doubted]),
        )
    ]


def _title(label: str, other: str) -> str:
    return f"{label}\n{other}"


def _counted(shown: int, count: int) -> str:
    if shown == count:
        return f"{count} image{'' if count == 1 else 's'}"
    return f"{shown} of {count} images"
