"""Leave-one-out: what the full recipe loses without each of its ingredients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cifarcam.studies import inference
from cifarcam.studies.inference import FEWEST_SEEDS, Effect
from cifarcam.studies.ingredients.paired import Change, Outcome, by_seed, judged
from cifarcam.studies.leave_one_out import FULL

VIEWS = "mean over views"


@dataclass(frozen=True)
class Removal:
    """The full recipe without one ingredient.

    Attributes
    ----------
    ingredient
        What is removed.
    accuracy
        Mean validation accuracy without it, percent; None where no seed has finished.
    change
        Accuracy without it minus that of the full recipe; None likewise.
    """

    ingredient: str
    accuracy: Effect | None = None
    change: Change | None = None


@dataclass(frozen=True)
class Removals:
    """Leave-one-out: all removals from the full recipe, with as many seeds as have finished."""

    lines: tuple[Removal, ...]
    seeds: int
    planned: int
    full: Effect | None
    sentence: str


def removals(ingredients: Sequence[str], record: Mapping[str, Any] | None) -> Removals:
    """Judge the recipe without each ingredient against the full recipe.

    Differences are paired by seed, with Holm's correction over all ingredients. All accuracies are
    those of the mean over views, which the recipe ends with; leaving out the mean over views asks
    the networks of the full recipe once about each image.

    Parameters
    ----------
    ingredients
        The names of the ingredients that are removed, in order.
    record
        The record, with as many seeds as have finished; None where there is none.
    """
    if record is None:
        lines = tuple(Removal(name) for name in (*ingredients, VIEWS))
        return Removals(lines, 0, 0, None, "We have not measured leave-one-out yet.")
    arms = {arm["removed"]: arm["trainings"] for arm in record["arms"]}
    full = by_seed(arms[FULL], "validation_views")
    values = {name: by_seed(arms[name], "validation_views") for name in ingredients}
    values[VIEWS] = by_seed(arms[FULL], "validation")
    changes = dict(zip(values, judged([(each, full) for each in values.values()]), strict=True))
    return Removals(
        tuple(Removal(name, _mean(values[name]), change) for name, change in changes.items()),
        len(full),
        record["planned_seeds"],
        _mean(full),
        _sentence(changes, len(full), record["planned_seeds"]),
    )


def _mean(values: Mapping[int, float]) -> Effect:
    return inference.over_seeds(list(values.values()), "%")


def _sentence(changes: Mapping[str, Change], seeds: int, planned: int) -> str:
    """Which ingredients the recipe needs, as far as the seeds show."""
    if seeds < FEWEST_SEEDS:
        finished = "one seed" if seeds == 1 else f"{seeds} seeds"
        return (
            f"So far we have measured {finished} of {planned}, too few to judge any ingredient. The "
            "table shows the values so far."
        )
    sentences = [_needed(changes), _harmful(changes)]
    if seeds < planned:
        sentences.append(f"So far we have measured {seeds} of {planned} seeds.")
    return " ".join(filter(None, sentences))


def _needed(changes: Mapping[str, Change]) -> str:
    needed = [name for name, change in changes.items() if change.outcome is Outcome.LOWERS]
    if not needed:
        return (
            "We cannot show that the recipe needs any ingredient: no removal lowers the accuracy "
            "beyond chance."
        )
    most = min(needed, key=lambda name: changes[name].effect.value)
    if len(needed) == 1:
        return f"We can show that the recipe needs one ingredient, {most} ({changes[most]})."
    return (
        f"We can show that the recipe needs {len(needed)} of its {len(changes)} ingredients. "
        f"It loses most accuracy without {most} ({changes[most]})."
    )


def _harmful(changes: Mapping[str, Change]) -> str:
    harmful = [name for name, change in changes.items() if change.outcome is Outcome.RAISES]
    if not harmful:
        return ""
    most = max(harmful, key=lambda name: changes[name].effect.value)
    if len(harmful) == 1:
        return f"Without {most}, the accuracy rises beyond chance ({changes[most]})."
    return (
        f"The accuracy rises beyond chance without each of {len(harmful)} ingredients, and it rises "
        f"most without {most} ({changes[most]})."
    )
