"""What changes a network's answers over seeds: other backgrounds, and removed pixels."""

from __future__ import annotations

from dataclasses import dataclass

from cifarcam.studies import inference
from cifarcam.studies.inference import Effect
from cifarcam.studies.places import Record, entries, side, signed, values
from cifarcam.studies.wording import listed


@dataclass(frozen=True)
class Swap:
    """Objects of one class on the background of another class, over seeds.

    Attributes
    ----------
    objects, hosts
        Names of the classes of the objects and of the foreign backgrounds.
    own
        Probability of the true class on the background of another picture of the class, percent.
    lost
        That probability minus the probability on the foreign background, points.
    gained
        What the class of the foreign background gains, points.
    """

    objects: str
    hosts: str
    own: Effect
    lost: Effect
    gained: Effect


@dataclass(frozen=True)
class Turn:
    """How often removing a fifth of the pixels turns the answer to the pair's other class.

    Attributes
    ----------
    pair
        Names of the two classes.
    contrast, plain, random, centre
        Share of turned answers over seeds, percent: of the pixels that the contrast map marks, of
        the plain map's, of a random map's, and of the centre.
    over_plain, over_random, over_centre
        The contrast map's share minus each other share, of the same images, points.
    sentence
        Whether the contrast map does better, in words.
    """

    pair: tuple[str, str]
    contrast: Effect
    plain: Effect
    random: Effect
    centre: Effect
    over_plain: Effect
    over_random: Effect
    over_centre: Effect
    sentence: str


def swap_effects(record: Record, experiment: str) -> list[Swap]:
    """Background swaps between two classes."""

    def over(name: str, key: str, unit: str) -> Effect:
        return inference.over_seeds(
            values(record, experiment, "swaps", "by_pair", name, key, "mean"), unit
        )

    found = []
    for name in entries(record, experiment)[0]["swaps"]["by_pair"]:
        objects, hosts = name.split("-")
        own, lost = over(name, "probability_own", "%"), over(name, "probability_lost", "points")
        found.append(Swap(objects, hosts, own, lost, over(name, "host_gained", "points")))
    return found


def turn_effects(record: Record, experiment: str) -> list[Turn]:
    """Contrast maps of all pairs of classes."""

    def over(pair: str, kind: str, name: str, unit: str) -> Effect:
        return inference.over_seeds(
            values(record, experiment, "contrast", pair, kind, name, "mean"), unit
        )

    turns = []
    for name in entries(record, experiment)[0]["contrast"]:
        first, second = name.split("-")
        shares = {
            kind: over(name, "turned", kind, "%")
            for kind in ("contrast", "plain", "random", "centre")
        }
        margins = {
            f"over_{kind}": over(name, "contrast_minus", kind, "points")
            for kind in ("plain", "random", "centre")
        }
        sentence = turn_sentence((first, second), **margins)
        turns.append(Turn(pair=(first, second), **shares, **margins, sentence=sentence))
    return turns


def turn_sentence(
    pair: tuple[str, str], over_plain: Effect, over_random: Effect, over_centre: Effect
) -> str:
    """Whether the contrast map does better than random pixels, the plain map and the centre."""
    pixels: dict[int, list[str]] = {1: [], -1: [], 0: []}
    for effect, whose in (
        (over_random, "random pixels"),
        (over_plain, "the pixels of the plain map"),
        (over_centre, "the centre"),
    ):
        pixels[side(effect)].append(f"{whose} ({signed(effect)})")
    start = f"Between {pair[0]} and {pair[1]},"
    ours = "removing the pixels of the contrast map"
    if not pixels[1] and not pixels[-1]:
        return (
            f"{start} {ours} turns the answer neither clearly more nor clearly less often than removing "
            f"{listed(pixels[0])}."
        )
    clear = [
        f"{often} than removing {listed(pixels[which])}"
        for which, often in ((1, "more often"), (-1, "less often"))
        if pixels[which]
    ]
    sentence = f"{start} {ours} turns the answer {', and '.join(clear)}."
    if pixels[0]:
        sentence += f" The difference from removing {listed(pixels[0])} is not clear."
    return sentence
