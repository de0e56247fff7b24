"""Electrical energy: read from the processor's counters, or estimated from time and a stated power."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

# Linux shows RAPL's counters here, on Intel and AMD; often to root alone.
POWERCAP = Path("/sys/class/powercap")
# Of a processor that is not told by name: what Green Algorithms takes (Lannelongue et al. 2021,
# its table of processors, where they lie between 4 and 24 W a core).
WATTS_A_CORE = 12.0
CORE: Mapping[str, Any] = {"kind": "CPU", "device": "a core", "threads": 1}  # of any processor
WATTS = {"NVIDIA H200": 700.0}  # of GPUs, by their makers' data sheets: at most


class Energy(NamedTuple):
    """An amount of energy, in joules, and in words how it is known."""

    joules: float
    source: str


class Meter:
    """Sums up the energy of this machine's processors and memory from RAPL's counters.

    A counter starts again at zero, after about an hour under load, so that `update` has to be
    called more often. The counters hold whatever the machine does, not one process alone.

    Parameters
    ----------
    root
        The folder of Linux's power capping framework; by default `POWERCAP`.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._root = POWERCAP if root is None else root
        self._last = _counters(self._root)
        self.joules = None if self._last is None else 0.0

    def update(self) -> float | None:
        """Joules since the meter was made; None where the counters cannot be read."""
        now = None if self._last is None else _counters(self._root)
        if now is None or self._last is None or now.keys() != self._last.keys():
            self.joules = self._last = None
        else:
            assert self.joules is not None
            for zone, (microjoules, limit) in now.items():
                used = microjoules - self._last[zone][0]
                self.joules += 1e-6 * (used if used >= 0 else used + limit)
            self._last = now
        return self.joules


def _counters(root: Path) -> dict[str, tuple[int, int]] | None:
    """Microjoules of each processor and its memory, and after how many the counter starts again.

    A processor holds its cores, which are not counted again; the memory of a server stands beside
    it. None where there are no counters, or they may not be read.
    """
    counters = {}
    try:
        for zone in sorted(root.glob("intel-rapl:*")):
            name = (zone / "name").read_text().strip()
            if name.startswith("package") or name == "dram":
                values = [
                    int((zone / file).read_text()) for file in ("energy_uj", "max_energy_range_uj")
                ]
                counters[zone.name] = values[0], values[1]
    except (OSError, ValueError):
        return None
    return counters or None


def stated_power(device: Mapping[str, Any]) -> tuple[float, str] | None:
    """Watts of a device as `_devices.describe` tells it, and in words where they come from.

    None of a GPU whose power is not stated here.
    """
    if device["kind"] == "CPU":
        cores = int(device["threads"])
        many = "a core" if cores == 1 else f"each of {cores} cores"
        return WATTS_A_CORE * cores, f"{WATTS_A_CORE:g} W for {many}"
    watts = WATTS.get(str(device["device"]))
    return (
        None
        if watts is None
        else (watts, f"{watts:g} W, the most that an {device['device']} draws")
    )


def spent(seconds: float, device: Mapping[str, Any], joules: float | None = None) -> Energy | None:
    """The energy of a computation: as read, or else estimated from time and a stated power.

    Parameters
    ----------
    seconds
        How long it took.
    device
        On what, as `_devices.describe` or a run's provenance tells it.
    joules
        What a `Meter` read, if anything.

    Returns
    -------
    Energy or None
        None where nothing was read, and no power is stated for the device.
    """
    if joules is not None:
        return Energy(
            joules, "read from the processor's counters, which hold all that it did meanwhile"
        )
    power = stated_power(device)
    if power is None:
        return None
    time = f"{seconds:,.0f} s" if seconds >= 10 else f"{1000 * seconds:.3g} ms"
    return Energy(seconds * power[0], f"estimated from {time} at a stated {power[1]}")
