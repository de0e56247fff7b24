"""The energy of networks, for training and for an image, from the record ``export``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cifarcam import _energy
from cifarcam._energy import Energy
from cifarcam.studies.export_findings import NAMES, PENDING, PHONES, prices
from cifarcam.studies.networks import called
from cifarcam.studies.wording import number


@dataclass(frozen=True)
class Spent:
    """The energy of a network: for its training run, and for an image.

    Attributes
    ----------
    network
        Its display name.
    seconds
        Of training.
    device
        On which it was trained.
    training
        Of the training run; None where no power is stated for the device.
    image
        Of one image in int8 for phones, on one core.
    """

    network: str
    seconds: float
    device: str
    training: Energy | None
    image: Energy

    @property
    def images(self) -> float | None:
        """How many images take as much energy as the training run."""
        return None if self.training is None else self.training.joules / self.image.joules


def energies(record: Mapping[str, Any] | None, precision: str = "int8") -> list[Spent]:
    """The energy of each network's training run and of an image."""
    images = {
        one.network: one.energy
        for one in prices(record)
        if (one.format, one.precision) == (PHONES, precision)
    }
    return [
        Spent(
            NAMES[name],
            part["training"]["training_seconds"],
            str(part["training"]["device"]),
            _energy.spent(part["training"]["training_seconds"], part["training"]),
            images[NAMES[name]],
        )
        for name, part in ({} if record is None else record["networks"]).items()
        if NAMES[name] in images
    ]


def energy_sentence(spent: Sequence[Spent], network: str = "baseline") -> str:
    """How a training run's energy compares with that of an image."""
    ours = [one for one in spent if one.network == network and one.training is not None]
    if not ours:
        return PENDING
    (one,) = ours
    assert one.training is not None and one.images is not None
    return (
        f"Training {called(network)} took about {number(one.training.joules / 1000, 0)} kJ "
        f"({one.training.source}). An image in int8 takes about "
        f"{number(1000 * one.image.joules, 2)} mJ ({one.image.source}). The training run therefore "
        f"took as much energy as {_rounded(one.images):,} images."
    )


def _rounded(value: float) -> int:
    """A number with two digits that are not zero."""
    return int(float(f"{value:.1e}"))
