"""The command that exports a run's network, and proves that an export answers as the run does."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from cifarcam.cli._base import FilePath, check_directory, quiet_tensorflow
from cifarcam.errors import CifarcamError, printable


@click.command("export")
@click.argument("name", metavar="RUN")
@click.option(
    "--to",
    "form",
    type=click.Choice(("litert", "onnx", "keras", "saved-model")),
    help="The format: LiteRT for phones (.tflite), ONNX (.onnx), Keras (.keras), or a TensorFlow "
    "SavedModel (a folder).",
)
@click.option(
    "--precision",
    type=click.Choice(("float32", "float16", "int8")),
    help="float32 answers as the run does. float16 stores kernels in half the bytes and computes in "
    "float32. int8, for litert and onnx, computes in whole numbers.  [default: float32]",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    help="Draws the 200 training images on which int8 is calibrated.  [default: 0]",
)
@click.option(
    "-o",
    "--output",
    type=FilePath(),
    help="The file to write.  [default: RUN-PRECISION with the format's ending]",
)
@click.option(
    "--check",
    "files",
    multiple=True,
    type=FilePath(),
    help="Instead of exporting, run this export in its own runtime on all test images and compare it "
    "with the run; may be given several times. Ends with status 1 if a float32 export differs.",
)
@click.option(
    "--dataset",
    help="cifar10 or sample, for int8 and --check.  [default: the run's own]",
)
@click.option(
    "--runs", "place", type=FilePath(), help="A directory in which the run is looked up first."
)
def export_command(
    name: str,
    form: str | None,
    precision: str | None,
    seed: int | None,
    output: Path | None,
    files: tuple[Path, ...],
    dataset: str | None,
    place: Path | None,
) -> None:
    """Export the network of RUN for another runtime, or prove with --check that an export is it.

    An export takes pixels from 0 to 255 as float32, N x 32 x 32 x 3 in the order red, green, blue,
    and gives class probabilities; a LiteRT file takes one image at a time.
    """
    _check_options(
        {"--to": form, "--precision": precision, "--seed": seed, "--output": output}, dataset, files
    )
    check_directory(place)
    with quiet_tensorflow():
        from cifarcam import data, export, runs

    run = runs.load(name, place=place)
    images = None
    if files or precision == "int8":
        images = data.load(
            dataset or run.experiment.data.dataset, seed=run.experiment.data.split_seed
        )
    if files:
        _check(run, images, files)
        return
    assert form is not None
    precision = precision or "float32"
    path = output or Path(export.default_name(run, form, precision))
    export.write(run, form, path, precision=precision, dataset=images, seed=seed or 0)
    click.echo(f"wrote {printable(str(path))}")


def _check_options(
    writing: Mapping[str, object], dataset: str | None, files: tuple[Path, ...]
) -> None:
    """Refuse options that do not go together."""
    used = [option for option, value in writing.items() if value is not None]
    if files and used:
        raise CifarcamError(f"{used[0]} is for writing an export; leave it out with --check")
    if files:
        return
    if writing["--to"] is None:
        raise CifarcamError("give --to FORMAT to write an export, or --check FILE to compare one")
    for option, value in (("--seed", writing["--seed"]), ("--dataset", dataset)):
        if value is not None and writing["--precision"] != "int8":
            raise CifarcamError(f"{option} calibrates int8; give --precision int8, or leave it out")


def _check(run: Any, images: Any, files: tuple[Path, ...]) -> None:
    """Compare exports with their run; end with status 1 if a float32 export is not equal."""
    from cifarcam import export
    from cifarcam.training import prediction

    for path in files:
        export.check_origin(run, path)
    expected = prediction.predict(run.model(), images.test.images)
    comparisons = [export.check(run, images, path, expected=expected) for path in files]
    first = comparisons[0]
    click.echo(
        f"{run.name} itself: accuracy {first.run_accuracy:.2%} on {first.images:,} test images"
    )
    click.echo(export.table(comparisons))
    click.echo(f"energy of an image in {printable(first.file)}: {first.energy.source}")
    for one in comparisons:
        click.echo(printable(export.verdict(one)))
    if (note := export.busy(comparisons)) is not None:
        click.echo(printable(note))
    if any(one.precision == "float32" and not one.is_equal for one in comparisons):
        sys.exit(1)
