"""Rows and values of the section on exports."""

from test_export_findings import BOTH

from cifarcam.report import exports
from cifarcam.report.page import NO_EFFECT
from cifarcam.studies import export_energy, export_findings, export_heatmaps


def test_rows_have_a_line_for_each_export():
    prices = export_findings.prices(BOTH)
    rows = exports.rows(prices)
    assert len(rows) == len(prices) == 6
    assert rows[2] == [
        *("Baseline", "LiteRT", "int8", "88.80", "−1.20 [−1.48, −0.92]", "97.00", "1.10", "0.50"),
        "10",
    ]
    accuracy, by_price = exports.by_price(prices)
    assert accuracy["ResNet-18"] == {"float32": 90.0, "int8": 89.98}
    assert by_price["size of the file (MB)"]["baseline"]["int8"] == 1.1
    assert by_price["processor time of an image (ms)"]["ResNet-18"]["int8"] == 11.0


def test_energy_rows_say_how_many_images_a_training_run_is():
    baseline, resnet = exports.energy_rows(export_energy.energies(BOTH))
    assert baseline == ["Baseline", "AMD EPYC", "17", "24", "6.0", "4,000,000"]
    assert resnet == ["ResNet-18", "NVIDIA H200", "2", "70", "132.0", "530,000"]


def test_nothing_measured_is_a_row_of_dashes():
    for rows, header in (
        (exports.rows([]), exports.HEADER),
        (exports.heatmap_rows(export_heatmaps.survivals(None)), exports.HEATMAP_HEADER),
        (exports.energy_rows(export_energy.energies(None)), exports.ENERGY_HEADER),
    ):
        assert rows == [[NO_EFFECT] * len(header)]
