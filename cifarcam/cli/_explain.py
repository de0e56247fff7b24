"""The command that explains pictures, with the checks of its options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from cifarcam.cli._base import FilePath, check_directory, quiet_tensorflow
from cifarcam.errors import CifarcamError, check_readable, printable


class _Methods(click.Command):
    """A command whose help lists the methods, which only this help imports."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with quiet_tensorflow():
            from cifarcam import explain as explainers
        with formatter.section("Methods"):
            formatter.write_dl(
                [
                    (name, f"{(method.__doc__ or '').splitlines()[0]} {method.reference}.")
                    for name, method in explainers.METHODS.items()
                ]
            )


@click.command(cls=_Methods)
@click.argument("images", nargs=-1, required=True, type=FilePath())
@click.option("--run", "name", help="The run to explain.  [default: baseline]")
@click.option(
    "--runs", "place", type=FilePath(), help="A directory in which runs are looked up first."
)
@click.option(
    "--model",
    "model_file",
    type=FilePath(),
    help="A Keras model file to explain instead of a run.",
)
@click.option(
    "--classes",
    "classes_file",
    type=FilePath(),
    help="The model's class names: a UTF-8 text file with one name per line, in order.",
)
@click.option(
    "--scale",
    type=float,
    default=1.0,
    show_default=True,
    help="Number by which pixels (0-255) are divided for a --model without a rescaling layer, such "
    "as 255. Networks behind preprocess_input, which take pixels from -1 to 1 or minus a mean, need "
    "more than a division: explain them from Python.",
)
@click.option("--method", default="grad-cam", show_default=True, help="The method, see below.")
@click.option(
    "--layer",
    multiple=True,
    help="The layer to explain; by default the last spatial layer. Give the option several times "
    "for the mean over several layers.",
)
@click.option(
    "--target", help="The class to explain, by name or number; by default the predicted class."
)
@click.option("--output-head", "head", help="The output to explain, if a model has several.")
@click.option(
    "-o",
    "--output",
    type=FilePath(),
    default=Path("explanation.png"),
    show_default=True,
    help="The picture to write: a PNG, SVG or PDF file by its ending. A file is replaced only if "
    "cifarcam wrote it and it is not an input.",
)
def explain(
    images: tuple[Path, ...],
    name: str | None,
    place: Path | None,
    model_file: Path | None,
    classes_file: Path | None,
    scale: float,
    method: str,
    layer: tuple[str, ...],
    target: str | None,
    head: str | None,
    output: Path,
) -> None:
    """Explain how a run's network, or your own Keras model, classifies your IMAGES.

    A picture may have any size and mode. It gets the model's number of channels, its shorter side
    is scaled to the model's input, and its centre is cropped.
    """
    with quiet_tensorflow():
        from cifarcam import _files, figures
        from cifarcam import explain as explainers

    if method not in explainers.METHODS:
        raise CifarcamError(f"method {method!r} is not one of {', '.join(explainers.METHODS)}")
    own_files = [path for path in (model_file, classes_file) if path is not None]
    figures.check_output(output, [*images, *own_files])
    _check_source(name, place, model_file, scale)
    _check_images(images, figures.MOST_ROWS)
    model, default_names = _model(name, place, model_file)
    classifier = explainers.Classifier(model, head)
    names = explainers.class_names(classifier, classes_file, default_names)
    with _files.stderr_aside():  # the notes of decoders
        pictures = [explainers.read_picture(path, classifier.image_shape[:2]) for path in images]
    layers = list(layer) if len(layer) > 1 else next(iter(layer), None)
    explained = explainers.explain_pictures(
        explainers.METHODS[method](classifier, layers),
        pictures,
        [path.name for path in images],
        class_names=names,
        target=None if target is None else explainers.class_index(target, names),
        scale=scale,
    )
    figures.save(figures.explanations(explained), output)
    for item in explained:
        click.echo(printable(_answer(item)))
    click.echo(printable(f"wrote {output}"))


def _check_source(
    name: str | None, place: Path | None, model_file: Path | None, scale: float
) -> None:
    """Refuse options that do not fit a run, or do not fit a model file."""
    if model_file is None and scale != 1:
        raise CifarcamError(
            "--scale is for a --model; the networks of runs take pixels as they are"
        )
    if model_file is not None and (name is not None or place is not None):
        raise CifarcamError("--run and --runs are for a run; leave them out with --model")
    check_directory(place)


def _check_images(images: Sequence[Path], most: int) -> None:
    """Refuse too many pictures, and files that cannot be read, before a run is trained."""
    if len(images) > most:
        raise CifarcamError(f"{len(images)} pictures; give at most {most} at a time")
    for path in images:
        check_readable(path)


def _answer(item: Any) -> str:
    """An explained picture on one line: its likeliest classes with their probabilities."""
    top = ", ".join(f"{label} {share:.1%}" for label, share in item.top)
    nothing = "" if item.heatmap.any() else f"; no positive evidence for {item.target}"
    return f"{item.name}: {top}{nothing}"


def _model(
    name: str | None, place: Path | None, model_file: Path | None
) -> tuple[Any, Sequence[str] | None]:
    """The Keras model of a run, with its class names, or of a file, which has no class names."""
    with quiet_tensorflow():
        if model_file is not None:
            from cifarcam import explain as explainers

            return explainers.read_model(model_file), None
        from cifarcam import data, runs
    return runs.load(name or "baseline", place=place).model(), data.CLASS_NAMES
