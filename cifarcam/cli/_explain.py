"""The command that explains pictures, with the checks of its options."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from cifarcam.cli._base import FilePath, check_directory, quiet_tensorflow
from cifarcam.cli._outputs import STDOUT, Results, check_outputs, outputs_of
from cifarcam.cli._subject import check_source, model_to_explain, run_to_explain
from cifarcam.cli._texts import class_index
from cifarcam.errors import CifarcamError, check_readable, printable

AT_A_TIME = 32  # pictures that a fast method explains together


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
@click.option(
    "--run",
    "name",
    help="The run to explain, or imagenet.  [default: baseline]",
)
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
    "--import",
    "module",
    help="A Python module with layers of your own, imported before the --model is read; it is "
    "looked up in the working directory, too.",
)
@click.option(
    "--input-range",
    "range_text",
    metavar="LOW,HIGH",
    help="What the --model takes for black and white, such as 0,255 or 0,1 or -1,1; by channel "
    "-2.1,-2,-1.8:2.2,2.4,2.6. By default what a leading Rescaling or Normalization layer shows.",
)
@click.option(
    "--preprocess",
    "family",
    metavar="NAME",
    help="Prepare pixels as keras.applications.NAME.preprocess_input does, for a --model trained "
    "with it: resnet50, mobilenet_v2, vgg16, ....",
)
@click.option(
    "--tokens",
    "tokens_text",
    metavar="ROWS,COLUMNS",
    help="How the tokens of a --model that is a vision transformer lie in the picture, such as "
    "14,14; by default as its patch embedding shows.",
)
@click.option("--method", default="grad-cam", show_default=True, help="The method, see below.")
@click.option(
    "--layer",
    multiple=True,
    help="The layer to explain; by default the last one with a map or tokens through which "
    "everything passes. Give the option several times for the mean over several layers.",
)
@click.option(
    "--target", help="The class to explain, by name or number; by default the predicted class."
)
@click.option(
    "--against",
    help="A class against which the target is explained, by name or number: why a dog and not a "
    "cat.",
)
@click.option("--output-head", "head", help="The output to explain, if a model has several.")
@click.option(
    "-o",
    "--output",
    type=FilePath(),
    help="The sheet to write: a PNG, SVG or PDF file by its ending; with --overlay-only, a folder. "
    "A file is replaced only if cifarcam wrote it and it is not an input.  [default: "
    "explanation.png; overlays; with --json, no sheet]",
)
@click.option(
    "--overlay-only",
    is_flag=True,
    help="Write the overlay of each picture as a PNG file of its own, at the model's size.",
)
@click.option(
    "--json",
    "numbers",
    type=FilePath(),
    help="Write classes, probabilities and the sum and maximum of each heatmap to this file; - "
    "prints them.",
)
def explain(
    images: tuple[Path, ...],
    name: str | None,
    place: Path | None,
    model_file: Path | None,
    classes_file: Path | None,
    module: str | None,
    range_text: str | None,
    family: str | None,
    tokens_text: str | None,
    method: str,
    layer: tuple[str, ...],
    target: str | None,
    against: str | None,
    head: str | None,
    output: Path | None,
    overlay_only: bool,
    numbers: Path | None,
) -> None:
    """Explain how a run's network, or your own Keras model, classifies your IMAGES.

    IMAGES are pictures, and folders whose pictures are taken in the order of their names. A picture
    may have any size and mode. It gets the model's number of channels, its shorter side is scaled
    to the model's input, and its centre is cropped. A model of any size gets the whole picture,
    scaled down to at most 2.1 million pixels; where only one side is fixed, the other follows from
    the picture. --run imagenet explains a network for
    photographs that others trained on ImageNet.
    """
    with quiet_tensorflow():
        from cifarcam import explain as explainers

    if method not in explainers.METHODS:
        raise CifarcamError(f"method {method!r} is not one of {', '.join(explainers.METHODS)}")
    check_source(
        {"--run": name, "--runs": place},
        model_file,
        {
            "--import": module,
            "--input-range": range_text,
            "--preprocess": family,
            "--tokens": tokens_text,
        },
    )
    check_directory(place)
    outputs = outputs_of(output, overlay_only, numbers)
    files = _pictures(images)
    own_files = [path for path in (model_file, classes_file) if path is not None]
    check_outputs(outputs, files, [*files, *own_files])
    for file in files:
        check_readable(file)  # before a run is trained
    if model_file is None:
        subject = run_to_explain(name or "baseline", place, head)
    else:
        subject = model_to_explain(model_file, module, range_text, family, head, tokens_text)
    names = explainers.class_names(subject.classifier, classes_file, subject.class_names)
    layers = list(layer) if len(layer) > 1 else next(iter(layer), None)
    explainer = explainers.METHODS[method](subject.classifier, layers)
    options = {
        "class_names": names,
        "target": None if target is None else class_index(target, names),
        "against": None if against is None else class_index(against, names),
        "preprocess": subject.preprocess,
    }
    notes: list[str] = []
    results = Results(outputs, files)
    with _progress(len(files)) as advance:
        for item in _explanations(explainer, files, options, notes.append):
            results.add(item, explainer)
            advance(1)
    paths = results.write()
    is_json_alone = numbers == STDOUT  # which then is all that is printed
    notes += _one_output(subject.classifier, names)
    notes.append(_origin(explainer, bool(layer), subject.origin))
    for line in [*results.lines, *notes, *(f"wrote {path}" for path in paths)]:
        click.echo(printable(line), err=is_json_alone)


def _pictures(paths: Sequence[Path]) -> list[Path]:
    """The pictures that paths name: files, and the pictures in folders."""
    from cifarcam import explain as explainers
    from cifarcam import figures

    files = [
        file
        for file in explainers.picture_files(paths)
        # Figures and overlays of earlier calls may lie in a folder.
        if file in paths or not figures.is_own(file)
    ]
    if not files:
        raise CifarcamError(f"{paths[0]}: contains only figures of cifarcam; give a picture")
    return files


def _explanations(
    explainer: Any,
    files: Sequence[Path],
    options: Mapping[str, Any],
    say: Callable[[str], None],
) -> Iterator[Any]:
    """Explain files, some at a time, so that not all of them are in memory.

    A slow method explains one at a time, so that the progress shows each of them.
    """
    from cifarcam import _files
    from cifarcam import explain as explainers

    count = AT_A_TIME if explainer.is_fast else 1
    for start in range(0, len(files), count):
        some = files[start : start + count]
        with _files.stderr_aside():  # the notes of decoders
            pictures = [_read(path, explainer, say) for path in some]
        names = [path.name for path in some]
        yield from explainers.explain_pictures(explainer, pictures, names, **options)


def _read(path: Path, explainer: Any, say: Callable[[str], None]) -> Any:
    """A picture at the model's size; for a model of any size it is scaled down if it is large."""
    from cifarcam.explain import pictures

    size = explainer.classifier.image_shape[:2]
    picture = pictures.read_picture(path, size)
    if any(size):
        return picture
    smaller = pictures.within(picture, pictures.MOST_PIXELS)
    if smaller.shape != picture.shape:
        sides = [f"{image.shape[1]} x {image.shape[0]}" for image in (picture, smaller)]
        say(f"{path.name}: scaled down from {sides[0]} to {sides[1]} pixels")
    return smaller


@contextmanager
def _progress(count: int) -> Iterator[Callable[[int], None]]:
    """A bar on the terminal; the function that is yielded moves it on."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=count, label="explaining", file=sys.stderr) as bar:
        yield bar.update


def _one_output(classifier: Any, names: Sequence[str]) -> list[str]:
    """How a single number that no sigmoid follows is understood."""
    if not classifier.is_binary or classifier.activation != "linear":
        return []
    return [
        f"the model's one number counts as the logit of {names[1]} against {names[0]}; if it is a "
        "quantity, explain it in Python with Classifier(model, score=...)"
    ]


def _origin(explainer: Any, is_chosen: bool, range_origin: str) -> str:
    """What was explained: method, layer and input range."""
    input_range = explainer.classifier.input_range
    if not explainer.layers:
        where = "the pixels"
    else:
        many = "s" if len(explainer.layers) > 1 else ""
        default = "" if is_chosen else ", the default"
        where = f"layer{many} {' and '.join(explainer.layers)}{default}"
    return f"{explainer.title} of {where}; black to white is {input_range}, {range_origin}"
