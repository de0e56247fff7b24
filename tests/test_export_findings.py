"""What the record of exports says: prices, changes, sentences, heatmaps and energy, on small records."""

from dataclasses import replace

import numpy as np
import pytest

from cifarcam.studies import export_energy, export_findings, export_heatmaps
from cifarcam.studies.packing import packed

GPU = {"kind": "GPU", "device": "NVIDIA H200", "threads": 14, "training_seconds": 100.0}
CPU = {"kind": "CPU", "device": "AMD EPYC", "threads": 2, "training_seconds": 1000.0}


def entry(
    form, precision, *, gained=0, lost=0, agreement=1.0, size=4_000_000, time=2.0, joules=None
):
    """What the record holds of one export, on 10,000 images of which the network gets 9,000 right."""
    return {
        **{"file": "x", "format": form, "precision": precision, "images": 10_000},
        **{"accuracy": (9_000 + gained - lost) / 10_000, "run_accuracy": 0.9},
        **{"gained": gained, "lost": lost, "agreement": agreement},
        **{"largest_difference": 2.3e-6 if precision == "float32" else 0.2, "size": size},
        **{"milliseconds": 9.0, "cpu_milliseconds": time, "joules": joules},
        **{"peak": 70_000_000, "runtime": 60_000_000},
    }


def record(**networks):
    return {"networks": {name.replace("_", "-"): part for name, part in networks.items()}}


def part(*exports, training=CPU, heatmaps=None):
    return {"exports": list(exports), "training": training, "heatmaps": heatmaps or {}}


BASELINE = part(
    entry("litert", "float32"),
    entry("litert", "float16", size=2_040_000, agreement=0.9999),
    entry("litert", "int8", gained=40, lost=160, size=1_100_000, time=0.5, agreement=0.97),
    entry("onnx", "float32"),
    {"format": "keras", "precision": "int8", "refused": "no"},
)
RESNET = part(
    entry("litert", "float32", time=20.0, size=40_000_000),
    entry("litert", "int8", gained=20, lost=22, size=10_400_000, time=11.0, agreement=0.99),
    {"format": "keras", "precision": "int8", "refused": "no"},
    {"format": "keras", "precision": "float32", "refused": "no"},
    training=GPU,
)
BOTH = record(baseline=BASELINE, resnet18_long=RESNET)


def test_change_is_that_of_paired_images():
    change = export_findings.change(10_000, 40, 160)
    assert change.value == pytest.approx(-1.2)
    # Variance of the mean of 40 times 1, 160 times -1 and zeros: (200 - 120^2 / 10,000) / 10,000^2.
    half = 1.959964 * np.sqrt(200 - 1.44) / 100
    assert (change.low, change.high) == pytest.approx((-1.2 - half, -1.2 + half))
    assert change.p < 1e-16 and change.count == 10_000
    assert export_findings.change(100, 0, 0).p == 1


def test_prices_leave_refused_exports_out_and_take_the_processors_time():
    prices = export_findings.prices(BOTH)
    assert [(one.network, one.format, one.precision) for one in prices] == [
        ("baseline", "litert", "float32"),
        ("baseline", "litert", "float16"),
        ("baseline", "litert", "int8"),
        ("baseline", "onnx", "float32"),
        ("ResNet-18", "litert", "float32"),
        ("ResNet-18", "litert", "int8"),
    ]
    int8 = prices[2]
    assert (int8.accuracy, int8.megabytes, int8.milliseconds, int8.memory) == (88.8, 1.1, 0.5, 10)
    assert int8.energy.joules == pytest.approx(0.0005 * 12)  # 12 W for half a millisecond
    assert export_findings.by_precision(prices, "megabytes") == {
        "baseline": {"float32": 4.0, "float16": 2.04, "int8": 1.1},
        "ResNet-18": {"float32": 40.0, "int8": 10.4},
    }
    assert export_findings.prices(None) == []


def test_equality_sentence_counts_or_names():
    prices = export_findings.prices(BOTH)
    assert export_findings.equality_sentence(prices) == (
        "Each of the 3 exports in float32 names the same class as its network for all 10,000 test "
        "images. No probability differs by more than 0.000002."
    )
    other = [replace(prices[0], agreement=99.9), *prices[1:]]
    assert export_findings.equality_sentence(other).startswith(
        "The baseline in LiteRT names another class than the network for at least one of 10,000"
    )


def test_precision_sentence_says_what_is_saved_and_which_change_is_measurable():
    prices = export_findings.prices(BOTH)
    assert export_findings.precision_sentence(prices, "int8") == (
        "In int8, a file has 26% to 28% of the bytes of float32, and an image takes 25% to 55% of the "
        "processor time. The accuracy changes for the baseline (−1.20 points [−1.48, −0.92]). The "
        "accuracy of the other networks does not change measurably."
    )
    assert export_findings.precision_sentence(prices, "float16") == (
        "In float16, a file has 51% of the bytes of float32, and an image takes 100% of the processor "
        "time. No network's accuracy changes measurably: the largest change is that of the baseline "
        "(+0.00 points [0.00, 0.00])."
    )


def test_choice_is_the_fastest_of_the_accurate_files():
    prices = export_findings.prices(BOTH)
    assert export_findings.choice_sentence(prices, 88) == (
        "Of the LiteRT files that classify at least 88% of the test images correctly, the baseline in "
        "int8 is the fastest: 88.8% correct, 1.10 MB to download, 10 MB of memory, and 0.50 ms of one "
        "core for an image."
    )
    assert "the baseline in float32 is the fastest" in export_findings.choice_sentence(prices, 90)
    assert export_findings.choice_sentence(prices, 95) == export_findings.PENDING


def test_refusals_of_all_networks_and_of_single_ones():
    assert export_findings.refusal_sentence(BOTH) == (
        "Keras has no int8. The format Keras cannot hold ResNet-18."
    )
    whole = record(baseline=part(entry("litert", "float32")))
    assert export_findings.refusal_sentence(whole) == (
        "Every format holds every network in every precision."
    )


def heatmaps(int8, *seeds):
    return {"int8": packed(np.array(int8)), "seeds": [packed(np.array(one)) for one in seeds]}


def test_heatmaps_survive_int8_where_the_paired_difference_says_so():
    near = heatmaps([0.9, 0.92, 0.94, 0.9], [0.5, 0.52, 0.5, 0.5], [0.3, 0.34, 0.3, 0.3])
    far = heatmaps([0.4, 0.6, 0.2, 0.8], [0.5, 0.4, 0.5, 0.6])
    both = record(baseline=part(heatmaps={"grad-cam": near, "saliency": far}))
    cam, saliency = export_heatmaps.survivals(both)
    assert cam.int8.value == pytest.approx(0.915, abs=2e-3)
    assert cam.seeds.value == pytest.approx(0.4075, abs=2e-3)  # over seeds, then over images
    assert cam.closer.value == pytest.approx(0.5075, abs=2e-3)
    assert saliency.closer.value == pytest.approx(0, abs=2e-3)
    assert export_heatmaps.survival_sentence([cam, saliency]) == (
        "Only for Grad-CAM, int8 changes a heatmap less than another seed does. With int8 the mean "
        "rank correlation is at least 0.50 (saliency), with another seed at most 0.50 (saliency)."
    )
    assert export_heatmaps.survival_sentence([cam]).startswith("For every method, int8 changes")
    assert export_heatmaps.survival_sentence([saliency]).startswith("For no method does int8")
    alone = record(baseline=part(heatmaps={"grad-cam": heatmaps([0.9, 0.8])}))
    assert export_heatmaps.survival_sentence([]) == export_findings.PENDING
    assert "one seed at hand" in export_heatmaps.survival_sentence(export_heatmaps.survivals(alone))


def test_energy_of_training_and_of_an_image():
    baseline, resnet = export_energy.energies(BOTH)
    assert baseline.training.joules == 1000 * 2 * 12 and resnet.training.joules == 100 * 700
    assert baseline.image.joules == pytest.approx(0.006)
    assert baseline.images == pytest.approx(4_000_000)
    assert export_energy.energy_sentence([baseline, resnet]) == (
        "Training the baseline took about 24 kJ (estimated from 1,000 s at a stated 12 W for each of 2 "
        "cores). An image in int8 takes about 6.00 mJ (estimated from 0.5 ms at a stated 12 W for a "
        "core). The training run therefore took as much energy as 4,000,000 images."
    )
    read = record(baseline=part(entry("litert", "int8", joules=0.5)))
    (one,) = export_energy.energies(read)
    assert one.image.joules == 0.5 and one.image.source.startswith("read from")
    unknown = record(baseline=part(*BASELINE["exports"], training=GPU | {"device": "another"}))
    (one,) = export_energy.energies(unknown)
    assert one.training is None and one.images is None
    assert export_energy.energy_sentence([one]) == export_findings.PENDING
