"""An export read again by its own runtime and compared with the run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from cifarcam import _energy, _store
from cifarcam._energy import Energy
from cifarcam.data import Dataset
from cifarcam.errors import CifarcamError, printable, require
from cifarcam.export import _worker
from cifarcam.export.card import KERAS, LITERT, ONNX, SAVED_MODEL, Card, read_card
from cifarcam.runs import Run
from cifarcam.training import prediction

RUNTIMES = {LITERT: "LiteRT", ONNX: "ONNX Runtime", KERAS: "Keras", SAVED_MODEL: "TensorFlow"}
NEEDS = {LITERT: ("ai_edge_litert",), ONNX: ("onnx", "onnxruntime")}
CALLS = 300  # with a single image each, of which the median counts
EQUAL = 1e-4  # difference of probabilities up to which an export equals the run
BUSY = 1.5  # times the processor's time: if the clock says more, others used the core


@dataclass(frozen=True)
class Comparison:
    """An export beside its run, on test images.

    Attributes
    ----------
    file, format, precision
        The export's name, its format and its precision.
    images
        Number of test images.
    accuracy, run_accuracy
        Shares of right answers, 0-1.
    agreement
        Share of images for which both name the same class, 0-1; of equal probabilities the first
        class counts.
    largest_difference
        Between any two probabilities of the same class and image.
    size
        Bytes of the file, or of all files of the folder.
    milliseconds, cpu_milliseconds
        Median time of a call with one image, on one core with one thread: on the clock, and of the
        processor alone. The first is longer where others use the core.
    peak, runtime
        Bytes of memory of the process at most, and before it read the network.
    gained, lost
        Number of images that the export classifies rightly and the run does not, and the other way
        round.
    joules
        Of a call, by the processor's counters, which hold what else the machine did; None where they
        cannot be read.
    """

    file: str
    format: str
    precision: str
    images: int
    accuracy: float
    run_accuracy: float
    agreement: float
    largest_difference: float
    size: int
    milliseconds: float
    cpu_milliseconds: float
    peak: int
    runtime: int
    gained: int
    lost: int
    joules: float | None

    @property
    def energy(self) -> Energy:
        """Of a call: as read, or estimated from the processor's time."""
        energy = _energy.spent(self.cpu_milliseconds / 1000, _energy.CORE, self.joules)
        assert energy is not None  # the power of a core is stated
        return energy

    @property
    def is_equal(self) -> bool:
        """Whether no probability differs by more than `EQUAL`."""
        return self.largest_difference <= EQUAL


def check(
    run: Run, dataset: Dataset, path: Path, *, expected: np.ndarray | None = None
) -> Comparison:
    """Compare an export with its run on a dataset's test images.

    Parameters
    ----------
    run
        The run, with weights.
    dataset
        Its test images are classified.
    path
        The export.
    expected
        The run's probabilities of the test images, if they are known; by default its network
        computes them here in float32.

    Raises
    ------
    CifarcamError
        When the file is no export, an export of another run, or cannot be run.
    """
    card = check_origin(run, path)
    if expected is None:
        expected = prediction.predict(run.model(), dataset.test.images)
    answers, numbers = _run(card, path, dataset.test.images)
    labels = dataset.test.labels
    if answers.shape != expected.shape:
        raise CifarcamError(
            f"{path}: gives {answers.shape[-1]} numbers for an image instead of "
            f"{expected.shape[-1]}; export it again"
        )
    difference = np.abs(answers - expected)
    theirs, ours = answers.argmax(axis=1), expected.argmax(axis=1)
    return Comparison(
        path.name,
        card.format,
        card.precision,
        len(labels),
        float((theirs == labels).mean()),
        float((ours == labels).mean()),
        float((theirs == ours).mean()),
        float(np.inf if np.isnan(difference).any() else difference.max()),
        size(path),
        float(np.median(numbers["milliseconds"])),
        float(np.median(numbers["cpu_milliseconds"])),
        numbers["peak"],
        numbers["runtime"],
        int(((theirs == labels) & (ours != labels)).sum()),
        int(((theirs != labels) & (ours == labels)).sum()),
        numbers["joules"],
    )


def check_origin(run: Run, path: Path) -> Card:
    """The card of an export of this run, which can be compared here.

    Raises
    ------
    CifarcamError
        When the file is no export, an export of another run, or its runtime is not installed.
    """
    card = read_card(path)
    if card.weights != run.provenance["files"][_store.WEIGHTS]:
        which = f"of {card.run}" if card.run != run.name else f"of other weights of {run.name}"
        raise CifarcamError(
            f"{path}: an export {which}; compare it with its own run, or export {run.name} again"
        )
    require("export", *NEEDS.get(card.format, ()))
    return card


def verdict(one: Comparison) -> str:
    """What a comparison shows, in a sentence."""
    differing = round((1 - one.agreement) * one.images)
    images = f"{one.images:,} test images"
    if one.is_equal:
        return (
            f"{one.file} equals the run: no probability of {images} differs by more than "
            f"{EQUAL:g} ({one.largest_difference:.1e})."
        )
    classes = f"{differing:,} of {images} get another class"
    largest = f"a probability differs by up to {one.largest_difference:.2g}"
    if one.precision == "float32":
        return f"{one.file} does not equal the run: {classes}, and {largest}."
    return f"{one.file} approximates the run in {one.precision}: {classes}, and {largest}."


def busy(comparisons: Sequence[Comparison]) -> str | None:
    """A sentence on times that others made longer by using the core, or None."""
    slowed = [one for one in comparisons if one.milliseconds > BUSY * one.cpu_milliseconds]
    if not slowed:
        return None
    return (
        f"The machine was busy: a call took longer than the processor worked for it, as "
        f"{slowed[0].milliseconds:.2f} instead of {slowed[0].cpu_milliseconds:.2f} ms for "
        f"{slowed[0].file}; measure again on an idle machine."
    )


def table(comparisons: Sequence[Comparison]) -> str:
    """Comparisons as an aligned table for a terminal."""
    rows = [
        (
            *("export", "format", "precision", "accuracy", "same class", "largest difference"),
            *("bytes", "ms an image", "mJ an image", "peak memory"),
        ),
        *(
            (
                printable(one.file),
                one.format,
                one.precision,
                f"{one.accuracy:.2%}",
                f"{one.agreement:.2%}",
                f"{one.largest_difference:.1e}",
                f"{one.size:,}",
                f"{one.milliseconds:.2f}",
                f"{1000 * one.energy.joules:.2f}",
                f"{one.peak / 2**20:.0f} MiB",
            )
            for one in comparisons
        ),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column < 3 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _run(card: Card, path: Path, images: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    """The answers of an export in its runtime, and what `_worker` measured."""
    with tempfile.TemporaryDirectory() as folder:
        pixels, answers = Path(folder) / "images.npy", Path(folder) / "answers.npy"
        np.save(pixels, images)
        # -P: the script's own folder is not a place to import from.
        command = [
            sys.executable,
            "-P",
            _worker.__file__,
            card.format,
            path,
            pixels,
            answers,
            CALLS,
        ]
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
        with (
            (Path(folder) / "stderr").open("w+", errors="replace") as notes,
            tqdm(total=len(images), desc=path.name, disable=None, leave=False) as bar,
            subprocess.Popen(
                list(map(str, command)),
                stdout=subprocess.PIPE,
                stderr=notes,
                text=True,
                env=os.environ | {"KERAS_BACKEND": "tensorflow"} | quiet,
            ) as process,
        ):
            assert process.stdout is not None
            last = ""
            try:
                for line in process.stdout:
                    last = line
                    if line.strip().isdigit():
                        bar.update(int(line) - bar.n)
                status = process.wait()
            except BaseException:  # such as Ctrl-C, after which nobody waits for the answers
                process.kill()
                raise
            notes.seek(0)
            said = notes.read().strip().splitlines()
        if status != 0:
            reason = said[-1][:300] if said and status > 0 else f"it ended with status {status}"
            raise CifarcamError(
                f"{path}: {RUNTIMES[card.format]} cannot run it ({reason}); export it again"
            )
        return np.load(answers), json.loads(last)


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return sum(one.stat().st_size for one in files)
