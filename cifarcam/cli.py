"""The command line: thin commands over the library."""

from __future__ import annotations

import errno
import io
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from cifarcam import __version__
from cifarcam.errors import CifarcamError, check_readable, file_mode, printable

# What a system answers whose disk, memory or rights do not suffice; any other OSError that gets
# as far as the command line is a fault of ours, and shows where.
SYSTEM_ERRORS = (
    errno.EACCES,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.EMFILE,
    errno.ENAMETOOLONG,
    errno.ENOSPC,
    errno.EPERM,
    errno.EROFS,
)


class _Group(click.Group):
    """Shows the library's errors as one line, and an interruption without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        if isinstance(sys.stdout, io.TextIOWrapper):  # a name may have letters that it lacks
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise click.UsageError(printable(error.format_message()), error.ctx) from error
        except CifarcamError as error:
            raise click.ClickException(printable(str(error))) from error
        except OSError as error:
            if error.errno not in SYSTEM_ERRORS or error.filename is None:
                raise
            raise click.ClickException(printable(f"{error.filename}: {error.strerror}")) from error


class _Path(click.ParamType):
    """A name that the system takes, of no device or pipe, which would never come to an end."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if not str(value):
            self.fail("an empty name", param, ctx)
        path = Path(value)
        mode = file_mode(path)
        if mode is not None and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise CifarcamError(f"{path}: a device or a pipe; give a file")
        return path


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """A reproducible report on CIFAR-10 and Grad-CAM."""


@main.command("data")
@click.option("--dataset", default="cifar10", help="cifar10 (the default) or sample.")
@click.option(
    "--from",
    "local",
    type=_Path(),
    help="A downloaded archive to take CIFAR-10 from, or the folder unpacked from it.",
)
def data_command(dataset: str, local: Path | None) -> None:
    """Fetch CIFAR-10, verify it, and say what there is."""
    from cifarcam import data

    if local is not None:
        data.obtain(local)
    loaded = data.load(dataset)
    for name in ("train", "validation", "test"):
        click.echo(f"{name:10s} {len(getattr(loaded, name)):6,d} images")
    click.echo(f"SHA-256    {loaded.digest}")


@main.command()
@click.argument("experiment")
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), help="Another seed than the experiment's own."
)
@click.option("--dataset", help="Another dataset than the experiment's own: cifar10 or sample.")
@click.option(
    "--runs",
    "place",
    type=_Path(),
    default=Path("runs"),
    show_default=True,
    help="Where the run is written.",
)
@click.option("--again", is_flag=True, help="Train although a run is there, and replace it.")
def train(experiment: str, seed: int | None, dataset: str | None, place: Path, again: bool) -> None:
    """Train EXPERIMENT, a name among experiments/ or a TOML file, and write its run.

    Interrupted, the same command goes on where it was, and ends with the same weights.
    """
    with _quiet_tensorflow():
        from cifarcam import _store, data, runs
        from cifarcam.training import experiment as experiments

    wanted = experiments.find(experiment).with_changes(seed=seed, dataset=dataset)
    directory = place / wanted.run_name
    found = _store.find_run(wanted.fingerprint(data.DIGESTS[wanted.data.dataset]), place)
    if found is not None and not again:
        click.echo(f"{found} holds this run already; --again trains it anew")
        return
    try:
        run = runs.make(wanted, directory, report=runs.show_progress(wanted))
    except KeyboardInterrupt:
        click.echo("interrupted; the same command goes on after the last finished epoch", err=True)
        sys.exit(130)
    click.echo(_line(run))


@main.command("runs")
@click.option(
    "--clean",
    is_flag=True,
    help="Remove what interrupted trainings left: checkpoints, from which they would go on, and "
    "half-written runs. What is being trained stays.",
)
@click.option(
    "--seal",
    type=_Path(),
    help="Note the digests of a run's files, in the directory of a run of an older version.",
)
def runs_command(clean: bool, seal: Path | None) -> None:
    """List the runs at hand."""
    with _quiet_tensorflow():
        from cifarcam import _store, runs

    if seal is not None:
        _store.seal_run(seal)
        click.echo(f"{_line(runs.read(seal))}  {seal}")
    elif clean:
        removed = runs.clean(Path("runs"))
        for path in removed:
            click.echo(f"removed {path}")
        if not removed:
            click.echo("nothing was left behind")
    else:
        for directory in _store.run_directories():
            click.echo(f"{_line(runs.read(directory))}  {directory}")


class _Methods(click.Command):
    """Help that lists the methods of the registry, without importing it for other commands."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with _quiet_tensorflow():
            from cifarcam import explain as explainers
        with formatter.section("Methods"):
            formatter.write_dl(
                [
                    (name, f"{(method.__doc__ or '').splitlines()[0]} {method.reference}.")
                    for name, method in explainers.METHODS.items()
                ]
            )


@main.command(cls=_Methods)
@click.argument("images", nargs=-1, required=True, type=_Path())
@click.option("--run", "name", help="The run to explain.  [default: baseline]")
@click.option(
    "--model",
    "model_file",
    type=_Path(),
    help="A Keras model file to explain instead of a run.",
)
@click.option(
    "--classes",
    "classes_file",
    type=_Path(),
    help="The model's class names: a text file in UTF-8, one a line, in order.",
)
@click.option(
    "--scale",
    type=float,
    default=1.0,
    show_default=True,
    help="What pixels (0-255) are divided by for a --model without a rescaling layer, such as 255. "
    "It does not serve networks trained behind preprocess_input, which take pixels from -1 to 1 or "
    "less a mean: explain those from Python.",
)
@click.option("--method", default="grad-cam", show_default=True, help="The explainer, see below.")
@click.option(
    "--layer",
    multiple=True,
    help="The layer to explain; the last spatial one by default. Given again, the mean of several.",
)
@click.option("--target", help="The class to explain, by name or number; the predicted by default.")
@click.option("--output-head", "head", help="The output to explain, of a model that has several.")
@click.option(
    "-o",
    "--output",
    type=_Path(),
    default=Path("explanation.png"),
    show_default=True,
    help="The picture to write: PNG, SVG or PDF by its ending. A file is replaced only if cifarcam "
    "wrote it and it is none of the IMAGES.",
)
def explain(
    images: tuple[Path, ...],
    name: str | None,
    model_file: Path | None,
    classes_file: Path | None,
    scale: float,
    method: str,
    layer: tuple[str, ...],
    target: str | None,
    head: str | None,
    output: Path,
) -> None:
    """Explain what a run's network, or your own Keras model, sees in your IMAGES.

    A picture of any size and mode is given as many channels as the model takes, its shorter side
    is scaled to the model's input, and its centre cropped.
    """
    with _quiet_tensorflow():
        from cifarcam import _files, figures
        from cifarcam import explain as explainers

    if method not in explainers.METHODS:
        raise CifarcamError(f"method {method!r} is not one of {', '.join(explainers.METHODS)}")
    own_files = [path for path in (model_file, classes_file) if path is not None]
    figures.check_output(output, [*images, *own_files])
    if model_file is None and scale != 1:
        raise CifarcamError(
            "--scale is for a --model; the network of a run takes pixels as they are"
        )
    if model_file is not None and name is not None:
        raise CifarcamError("--run and --model both say what to explain; give one of them")
    if len(images) > figures.MOST_ROWS:
        raise CifarcamError(f"{len(images)} pictures; give at most {figures.MOST_ROWS} at a time")
    for path in images:  # told before a run is trained
        check_readable(path)
    if model_file is None:
        with _quiet_tensorflow():
            from cifarcam import data, runs
        model = runs.load(name or "baseline").model()
        default_names = data.CLASS_NAMES
    else:
        model, default_names = explainers.read_model(model_file), None
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
        top = ", ".join(f"{label} {share:.1%}" for label, share in item.top)
        nothing = "" if item.heatmap.any() else f"; no positive evidence for {item.target}"
        click.echo(printable(f"{item.name}: {top}{nothing}"))
    click.echo(printable(f"written to {output}"))


@main.command()
@click.argument("name")
def measure(name: str) -> None:
    """Make the record of a long measurement by NAME; `cifarcam measure list` names them."""
    with _quiet_tensorflow():
        from cifarcam.studies import measurements

    if name == "list":
        for known, measurement in measurements.MEASUREMENTS.items():
            click.echo(f"{known}: {(measurement.__doc__ or '').splitlines()[0]}")
        return
    click.echo(f"written to {measurements.measure(name, Path('runs'))}")


@main.command()
@click.option("--kernel", help="The Jupyter kernel that executes the chapters.")
@click.option("--dataset", help="cifar10 or sample.")
@click.option("--run", help="The experiment whose runs the chapters tell of.")
@click.option("--chapter", multiple=True, help="Only this chapter; may be given again.")
def report(
    kernel: str | None, dataset: str | None, run: str | None, chapter: tuple[str, ...]
) -> None:
    """Execute the chapters that are stale; `jupyter-book build book` then sets them.

    What is chosen here stays chosen for the next builds.
    """
    from cifarcam.publish import chapters

    project = chapters.find_project()
    chapters.check_names(project, chapter)  # before anything is stored
    if run is not None:
        with _quiet_tensorflow():
            from cifarcam.training import experiment as experiments
        if run.endswith(".toml"):
            raise CifarcamError(f"{run}: give the name of an experiment, not its file")
        experiments.find(run)
        experiments.find(f"{run}-early-stopping")  # the chapters compare the two
    given = {"kernel": kernel, "dataset": dataset, "run": run}
    parameters = chapters.choose_parameters(
        project, {key: value for key, value in given.items() if value is not None}
    )
    executed = chapters.execute_stale(project, parameters, only=chapter, say=click.echo)
    if not executed:
        click.echo("every chapter is up to date")


@main.command("colab")
@click.argument("repository")
def colab_command(repository: str) -> None:
    """Set the REPOSITORY on GitHub, owner/name, from which Colab opens and installs.

    Writes the address into the book's configuration, and a badge and a cell that installs the
    library into every notebook; "" takes all of them away.
    """
    from cifarcam.publish import chapters, colab

    changed = colab.set_repository(chapters.find_project(), repository)
    click.echo(f"written: {', '.join(changed)}" if changed else "every notebook agrees already")


def _line(run: Any) -> str:
    test = run.metrics["test"]
    low, high = test["accuracy_interval"]
    return (
        f"{run.name:32s} test accuracy {test['accuracy']:.2%} ({low:.1%} to {high:.1%})  "
        f"kept epoch {run.provenance['kept_epoch']}/{run.provenance['epochs']}  "
        f"{run.provenance['parameters']:,} parameters  "
        f"{run.provenance['training_seconds'] / 60:.1f} min"
    )


@contextmanager
def _quiet_tensorflow() -> Iterator[None]:
    """Keep TensorFlow's start-up notes, which its C++ prints on import, off the terminal."""
    from cifarcam import _files

    with _files.stderr_aside():
        from cifarcam import _devices

        _devices.prepare()
        _devices.describe()
        yield
