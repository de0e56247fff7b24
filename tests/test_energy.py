"""Energy: the counters of a processor as Linux shows them, in a folder, and estimates."""

import pytest
from click.testing import CliRunner
from helpers import TINY

from cifarcam import _energy, cli

ZONES = {  # by folder: name, microjoules, where the counter starts again
    "intel-rapl:0": ("package-0", 900, 1_000),
    "intel-rapl:0:0": ("core", 400, 1_000),
    "intel-rapl:0:1": ("dram", 10, 500),
    "intel-rapl:1": ("package-1", 50, 1_000),
    "intel-rapl:2": ("psys", 5_000, 9_000),
    "intel-rapl-mmio:0": ("package-0", 900, 1_000),
}


@pytest.fixture
def counters(tmp_path):
    """A folder of counters, and a function that sets one."""
    for zone, (name, microjoules, limit) in ZONES.items():
        (tmp_path / zone).mkdir()
        (tmp_path / zone / "name").write_text(f"{name}\n")
        (tmp_path / zone / "energy_uj").write_text(f"{microjoules}\n")
        (tmp_path / zone / "max_energy_range_uj").write_text(f"{limit}\n")

    def count(zone, microjoules):
        (tmp_path / zone / "energy_uj").write_text(f"{microjoules}\n")

    return tmp_path, count


def test_meter_sums_processors_and_memory_once_and_over_the_end_of_a_counter(counters):
    root, count = counters
    meter = _energy.Meter(root)
    assert meter.update() == 0
    for zone in ("intel-rapl:0:0", "intel-rapl:2", "intel-rapl-mmio:0"):  # held in others
        count(zone, 999)
    count("intel-rapl:0", 950)
    count("intel-rapl:0:1", 13)
    assert meter.update() == pytest.approx(53e-6)
    count("intel-rapl:0", 30)  # 80 later
    count("intel-rapl:1", 70)
    assert meter.update() == pytest.approx(153e-6)
    assert meter.joules == meter.update() == pytest.approx(153e-6)


@pytest.mark.parametrize("damage", ["none", "unreadable", "nonsense", "gone"])
def test_meter_reads_nothing_where_a_counter_cannot_be_read(counters, damage, tmp_path):
    root, count = counters
    if damage == "none":
        root = tmp_path / "elsewhere"
    meter = _energy.Meter(root)
    if damage == "unreadable":
        (root / "intel-rapl:1" / "energy_uj").unlink()
        (root / "intel-rapl:1" / "energy_uj").mkdir()
    elif damage == "nonsense":
        count("intel-rapl:1", "many")
    elif damage == "gone":
        (root / "intel-rapl:1").rename(root / "removed")
    assert meter.update() is None
    count("intel-rapl:0", 950)
    assert meter.update() is None  # not a part of what was used


def test_estimate_is_time_by_stated_power_and_says_so():
    cpu = {"kind": "CPU", "device": "AMD EPYC", "threads": 2}
    assert _energy.spent(1_000, cpu) == (
        24_000,
        "estimated from 1,000 s at a stated 12 W for each of 2 cores",
    )
    assert _energy.spent(10, cpu | {"threads": 1}).joules == 120
    gpu = {"kind": "GPU", "device": "NVIDIA H200", "threads": 14}
    assert _energy.spent(2, gpu).joules == 1_400
    assert "the most that an NVIDIA H200 draws" in _energy.spent(2, gpu).source
    assert _energy.spent(2, gpu | {"device": "another GPU"}) is None
    read = _energy.spent(1_000, cpu, 5.0)
    assert read.joules == 5 and read.source.startswith("read from the processor's counters")


@pytest.mark.slow
def test_train_says_on_what_it_computes_before_and_what_it_used_after(
    counters, tmp_path, monkeypatch
):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "tiny.toml").write_text(TINY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(_energy, "POWERCAP", tmp_path / "none")
    trained = CliRunner().invoke(cli.main, ["train", "tiny"])
    assert trained.exit_code == 0, trained.output
    first, *_, last = trained.stderr.splitlines()
    assert first.startswith("tiny-seed3-sample: trains on ") and first.endswith(") in float32")
    assert "thread" in first
    assert last.startswith("energy of this command: 0.") and "estimated from" in last
