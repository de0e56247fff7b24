"""What exports cost and keep, from the record ``export``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cifarcam._energy import Energy
from cifarcam.export import Comparison
from cifarcam.studies import inference
from cifarcam.studies.comparison import ALPHA
from cifarcam.studies.inference import Effect
from cifarcam.studies.networks import LONG, SHORT, called
from cifarcam.studies.wording import capital, listed, number

# Display names of the experiments that are exported.
NAMES = {"baseline": "baseline"} | {
    experiment: name for name, experiment in [*SHORT.items(), *LONG.items()]
}
PHONES = "litert"  # the format of which sentences tell prices
TITLES = {
    "litert": "LiteRT",
    "onnx": "ONNX",
    "keras": "Keras",
    "saved-model": "SavedModel",
}
PENDING = "These exports have not been measured yet."


@dataclass(frozen=True)
class Price:
    """What one export of a network costs and keeps.

    Attributes
    ----------
    network
        Its display name.
    format, precision
        One of `cifarcam.export.FORMATS` and of `cifarcam.export.PRECISIONS`.
    accuracy
        Of the export on the test images, percent.
    change
        Accuracy of the export minus that of the network, points, paired over test images.
    agreement
        Percentage of test images for which both name the same class.
    difference
        The largest difference of a probability.
    megabytes
        Size of the export, in 10^6 bytes.
    milliseconds
        Median processor time of one image on one core.
    memory
        What reading and running the network added to the memory of its runtime, in 10^6 bytes.
    energy
        Of one image.
    """

    network: str
    format: str
    precision: str
    accuracy: float
    change: Effect
    agreement: float
    difference: float
    megabytes: float
    milliseconds: float
    memory: float
    energy: Energy


def prices(record: Mapping[str, Any] | None) -> list[Price]:
    """Every export of the record that was not refused."""
    return [
        _price(NAMES[name], Comparison(**one))
        for name, part in ({} if record is None else record["networks"]).items()
        for one in part["exports"]
        if "refused" not in one
    ]


def _price(network: str, one: Comparison) -> Price:
    return Price(
        network,
        one.format,
        one.precision,
        100 * one.accuracy,
        change(one.images, one.gained, one.lost),
        100 * one.agreement,
        one.largest_difference,
        one.size / 1e6,
        one.cpu_milliseconds,
        (one.peak - one.runtime) / 1e6,
        one.energy,
    )


def change(images: int, gained: int, lost: int) -> Effect:
    """The difference of two accuracies on the same images, points, with McNemar's exact test.

    Parameters
    ----------
    images
        Their number.
    gained, lost
        How many the second classifies rightly and the first does not, and the other way round.
    """
    # Images on which both are right or both are wrong do not matter.
    before, after = np.zeros(images, bool), np.zeros(images, bool)
    before[:lost] = True
    after[lost : lost + gained] = True
    return inference.paired_over_images(after, before)


def by_precision(
    listing: Sequence[Price], value: str, form: str = PHONES
) -> dict[str, dict[str, float]]:
    """A field of `Price` by network and precision, of the exports in one format."""
    table: dict[str, dict[str, float]] = {}
    for one in listing:
        if one.format == form:
            table.setdefault(one.network, {})[one.precision] = getattr(one, value)
    return table


def refusals(record: Mapping[str, Any] | None) -> dict[tuple[str, str], list[str]]:
    """The networks that a format refuses in a precision, by both."""
    refused: dict[tuple[str, str], list[str]] = {}
    for name, part in ({} if record is None else record["networks"]).items():
        for one in part["exports"]:
            if "refused" in one:
                refused.setdefault((one["format"], one["precision"]), []).append(NAMES[name])
    return refused


def refusal_sentence(record: Mapping[str, Any] | None) -> str:
    """Which formats cannot hold which networks."""
    if record is None:
        return PENDING
    refused = refusals(record)
    of_all = [key for key, names in refused.items() if len(names) == len(record["networks"])]
    sentences = []
    for precision in dict.fromkeys(precision for _, precision in of_all):
        formats = [TITLES[form] for form, its in of_all if its == precision]
        sentences.append(
            f"{listed(formats)} {'has' if len(formats) == 1 else 'have'} no {precision}."
        )
    others: dict[str, list[str]] = {}
    for key, names in refused.items():
        if key not in of_all:
            others[key[0]] = list(dict.fromkeys([*others.get(key[0], []), *names]))
    for form, names in others.items():
        holding = listed([called(name) for name in names])
        sentences.append(f"The format {TITLES[form]} cannot hold {holding}.")
    return " ".join(sentences) or "Every format holds every network in every precision."


def equality_sentence(listing: Sequence[Price]) -> str:
    """Whether the exports in float32 answer as the networks do."""
    whole = [one for one in listing if one.precision == "float32"]
    if not whole:
        return PENDING
    images = whole[0].change.count
    other = [one for one in whole if one.agreement < 100]
    largest = max(one.difference for one in whole)
    bound = number(largest, -math.floor(math.log10(largest))) if largest > 0 else "0"
    if not other:
        return (
            f"Each of the {len(whole)} exports in float32 names the same class as its network for all "
            f"{images:,} test images. No probability differs by more than {bound}."
        )
    names = listed([f"{called(one.network)} in {TITLES[one.format]}" for one in other])
    return (
        f"{capital(names)} names another class than the network for at least one of {images:,} test "
        f"images. The other {len(whole) - len(other)} exports in float32 agree with their networks on "
        f"all of them. A probability differs by up to {bound}."
    )


def precision_sentence(listing: Sequence[Price], precision: str) -> str:
    """What a lower precision saves and loses, for phones, over all networks.

    A loss or gain of accuracy is measurable where McNemar's test says so at 5%, with Holm's
    correction over the networks.
    """
    pairs = _pairs(listing, precision)
    if not pairs:
        return PENDING
    size = _percentages([(low.megabytes, whole.megabytes) for low, whole in pairs])
    time = _percentages([(low.milliseconds, whole.milliseconds) for low, whole in pairs])
    adjusted = inference.holm([low.change.p for low, _ in pairs])
    changed = [low for (low, _), p in zip(pairs, adjusted, strict=True) if p < ALPHA]
    begin = (
        f"In {precision}, a file has {size} of the bytes of float32, and an image takes {time} of the "
        "processor time."
    )
    if not changed:
        most = max(pairs, key=lambda pair: abs(pair[0].change.value))[0]
        return (
            f"{begin} No network's accuracy changes measurably: the largest change is that of "
            f"{called(most.network)} ({most.change.text(2, signed=True, unit='points')})."
        )
    parts = [
        f"{called(one.network)} ({one.change.text(2, signed=True, unit='points')})"
        for one in changed
    ]
    rest = len(pairs) - len(changed)
    others = "" if not rest else " The accuracy of the other networks does not change measurably."
    return f"{begin} The accuracy changes for {listed(parts)}.{others}"


def _pairs(listing: Sequence[Price], precision: str) -> list[tuple[Price, Price]]:
    """Each network's export for phones in a precision, beside its export in float32."""
    ours = {(one.network, one.precision): one for one in listing if one.format == PHONES}
    return [
        (one, ours[network, "float32"])
        for (network, its), one in ours.items()
        if its == precision and (network, "float32") in ours
    ]


def _percentages(ratios: Sequence[tuple[float, float]]) -> str:
    """The range of some ratios: ``"26% to 31%"``."""
    percent = sorted(round(100 * part / whole) for part, whole in ratios)
    low, high = percent[0], percent[-1]
    return f"{low}%" if low == high else f"{low}% to {high}%"


def choice_sentence(listing: Sequence[Price], least: float = 90.0) -> str:
    """The export for phones that takes the least time among those of a certain accuracy."""
    good = [one for one in listing if one.format == PHONES and one.accuracy >= least]
    if not good:
        return PENDING
    best = min(good, key=lambda one: one.milliseconds)
    return (
        f"Of the LiteRT files that classify at least {least:g}% of the test images correctly, "
        f"{called(best.network)} in {best.precision} is the fastest: {best.accuracy:.1f}% correct, "
        f"{number(best.megabytes, 2)} MB to download, {number(best.memory, 0)} MB of memory, and "
        f"{number(best.milliseconds, 2)} ms of one core for an image."
    )
